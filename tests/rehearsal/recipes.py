"""The steps of receiving events: each template of docs/recipes/ is deployed beside the service's stack.

Resources that the emulator's CloudFormation does not support are created by API operations, from the template's
properties."""

import json
import urllib.parse

from account import Stack
from changes import ACCEPTED, CREATED, sorted_by_id
from feedback import waited
from rewrites import of_type

ENDPOINT = "https://app.example.com/hooks"


def deployed(rehearsal, recipe, rules=(), **parameters):
    stack = Stack(rehearsal.account, f"recipe-{recipe}", f"docs/recipes/{recipe}.yaml", rules)
    status = stack.deploy(EventBusName=rehearsal.stack.outputs()["EventBusName"], **parameters)
    rehearsal.report.check(f"the stack of {recipe}", (status, stack.failures()), ("CREATE_COMPLETE", []))
    return stack


def removed(rehearsal, stack):
    rehearsal.report.check("deleting the recipe's stack", stack.delete(), "DELETE_COMPLETE")


def of_kind(rehearsal, kind):
    return [each for each in rehearsal.details if each["type"] == kind]


def tell_a_function(rehearsal):
    stack = deployed(rehearsal, "events-to-lambda")
    rehearsal.pipe.put(rehearsal.details)
    group = f"/aws/lambda/{stack.resource('Receiver')}"
    expected = [
        [each["id"], each["tenantId"], each["data"]["id"], each["data"]["acceptedUserId"]]
        for each in of_kind(rehearsal, ACCEPTED)
    ]
    seen = waited(lambda: [line.split() for line in lines(rehearsal, group) if "event-user" in line], expected)
    rehearsal.report.check("the events that the function received", seen, expected)
    removed(rehearsal, stack)


def lines(rehearsal, group):
    logs = rehearsal.account.logs
    if not logs.describe_log_groups(logGroupNamePrefix=group)["logGroups"]:
        return []
    return [event["message"] for event in logs.filter_log_events(logGroupName=group)["events"]]


def lacking(*kinds):
    """A rule that removes the resources of these types from a template."""

    def rule(template, holds):
        names = [name for kind in kinds for name in of_type(template["Resources"], kind)]
        for name in names:
            del template["Resources"][name]
        return names

    return rule


def keep_a_trail(rehearsal):
    check, account, bus = rehearsal.report.check, rehearsal.account, rehearsal.stack.outputs()["EventBusArn"]
    stack = deployed(rehearsal, "audit-trail", [lacking("AWS::Events::Archive")], EventBusArn=bus)
    archive = stack.evaluated().properties("Archive")
    account.events.create_archive(
        ArchiveName="trail",
        EventSourceArn=archive["SourceArn"],
        RetentionDays=int(archive["RetentionDays"]),
        EventPattern=json.dumps(archive["EventPattern"]),
    )
    rehearsal.pipe.put(rehearsal.details)
    kept = account.events.describe_archive(ArchiveName="trail")["EventCount"]
    check("events in the archive", kept, len(rehearsal.details))
    group = stack.resource("Trail")
    check("not emulated: a rule to a log group", lines(rehearsal, group), [])
    account.events.delete_archive(ArchiveName="trail")
    removed(rehearsal, stack)
    left = account.logs.describe_log_groups(logGroupNamePrefix=group)["logGroups"]
    check("retention of the trail, in days", [each["retentionInDays"] for each in left], [400])


def post_to_a_webhook(rehearsal):
    check, account, guide, front = rehearsal.report.check, rehearsal.account, rehearsal.guide, rehearsal.front
    secret = json.loads(guide.run("A webhook"))["Name"]
    value = json.loads(account.secretsmanager.get_secret_value(SecretId=secret)["SecretString"])["header"]
    given = {"EventBusName": rehearsal.stack.outputs()["EventBusName"], "SecretName": secret}
    given["Endpoint"] = f"https://127.0.0.1:{front.port}/webhook"
    rules = [destination(account, given, value)]
    stack = Stack(account, "invitations-webhook", "docs/recipes/events-to-webhook.yaml", rules)
    stack.parameters = given
    file = guide.state.parent / "webhook.json"
    file.write_text(json.dumps(stack.transformed()))
    filled = {"docs/recipes/events-to-webhook.yaml": str(file), "BUS": given["EventBusName"], "NAME": secret}
    guide.run("Recipes", filled | {ENDPOINT: given["Endpoint"]})
    check("the webhook's stack, deployed by the guide's command", stack.status(), "CREATE_COMPLETE")
    rehearsal.pipe.put(rehearsal.details)
    expected = len(rehearsal.details)
    check("requests to the webhook", waited(lambda: len(front.posts), expected), expected)
    check("bodies of the requests", sorted_by_id(body for _, body in front.posts), sorted_by_id(rehearsal.details))
    check("every request has the secret", {header for header, _ in front.posts} == {value}, True)
    removed(rehearsal, stack)


def destination(account, given, secret):
    """A rule that creates the destination and its connection by EventBridge operations."""

    def rule(template, holds):
        resources = template["Resources"]
        connection = resources.pop("Connection")["Properties"]
        authorization = connection["AuthParameters"]
        authorization["ApiKeyAuthParameters"]["ApiKeyValue"] = secret
        made = account.events.create_connection(
            Name="webhook", AuthorizationType=connection["AuthorizationType"], AuthParameters=authorization
        )
        properties = resources.pop("Destination")["Properties"]
        properties |= {"ConnectionArn": made["ConnectionArn"], "InvocationEndpoint": given["Endpoint"]}
        arn = account.events.create_api_destination(Name="webhook", **properties)["ApiDestinationArn"]
        for owner, key in (
            (resources["Rule"]["Properties"]["Targets"][0], "Arn"),
            (resources["RuleRole"]["Properties"]["Policies"][0]["PolicyDocument"]["Statement"][0], "Resource"),
        ):
            owner[key] = arn
        return ["Connection", "Destination"]

    return rule


def remind(rehearsal):
    check, account = rehearsal.report.check, rehearsal.account
    client = rehearsal.pool.outputs()["MachineClientId"]
    secret = json.dumps({"id": client, "secret": rehearsal.guide.shell("echo $SECRET")})
    stack = deployed(
        rehearsal,
        "reminders",
        [role_policies, schedule_policy],
        ApiUrl=reachable(rehearsal, "reminded-api", rehearsal.stack.outputs()["ApiUrl"]),
        TokenUrl=reachable(rehearsal, "reminded-token", rehearsal.pool.outputs()["TokenUrl"]),
        TokenScope=rehearsal.pool.outputs()["TokenScopes"],
        ClientSecretArn=account.secretsmanager.create_secret(Name="reminders", SecretString=secret)["ARN"],
        Tenant="default",
    )
    [pending] = rehearsal.api(rehearsal.token).call("GET", "?invitee=event-changed@example.com").body
    [accepted] = [each["data"] for each in of_kind(rehearsal, ACCEPTED)]
    # The event is sent twice; the emulator starts a process for each.
    for _ in range(2):
        rehearsal.pipe.put([each for each in of_kind(rehearsal, CREATED) if each["data"]["id"] == pending["id"]])
    check("schedules", waited(lambda: schedules(rehearsal, stack), [pending["id"]]), [pending["id"]])
    for what, invited, mails in (("pending", pending, 1), ("accepted", accepted, 0)):
        answer = account.lambda_.invoke(
            FunctionName=stack.resource("Reminders"), Payload=json.dumps({"remind": invited["id"]})
        )
        failed = answer["Payload"].read() if "FunctionError" in answer else None
        seen = failed, len(rehearsal.mails(invited["invitee"]))
        check(f"mails after the reminder of a {what} invitation", seen, (None, mails))
    removed(rehearsal, stack)


def role_policies(template, holds):
    """A rule that turns the policies of a role into separate policy resources."""
    changed = of_type(template["Resources"], "AWS::IAM::RolePolicy")
    for entry in changed.values():
        entry["Type"] = "AWS::IAM::Policy"
        entry["Properties"]["Roles"] = [entry["Properties"].pop("RoleName")]
    return list(changed)


def schedule_policy(template, holds):
    """A rule that names * in the policy: the emulator authorizes every new schedule on the default group."""
    statements = template["Resources"]["RemindersRole"]["Properties"]["Policies"][0]["PolicyDocument"]["Statement"]
    [statement] = [each for each in statements if each["Action"] == "scheduler:CreateSchedule"]
    statement["Resource"] = "*"
    return ["RemindersRole"]


def schedules(rehearsal, stack):
    found = rehearsal.account.scheduler.list_schedules(GroupName=stack.resource("Group"))["Schedules"]
    return sorted(each["Name"] for each in found)


def reachable(rehearsal, name, url):
    """The address on the front that stands for a URL, for a function of the account."""
    address = urllib.parse.urlsplit(url)
    rehearsal.front.hosts[name] = address.hostname
    return f"https://127.0.0.1:{rehearsal.front.port}/{name}{address.path}"

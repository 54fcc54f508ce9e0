"""The steps of those who deploy and operate the stack. Where docs/operations.md has a command for it, that one is run."""

import json
import time

from api import MAIL, client_credentials, claims
from calling import SENDER, life, log_lines

POOL_SECTION = "A user pool of the stack's own"
# arm64 is the default, and the machine at hand is none.
PARAMETERS = {"Architecture": "x86_64", "DefaultFromEmailAddress": SENDER}
SCOPE = "organization-invitations/all"


def deploys(rehearsal):
    check, account, stack = rehearsal.report.check, rehearsal.account, rehearsal.stack
    topic = rehearsal.guide.run("2. A place for alarms to go", {"<the ARN>": "arn:aws:sns:eu-central-1:111122223333:invitations-alarms"})
    check("a topic for alarms", topic.splitlines()[0], "arn:aws:sns:eu-central-1:111122223333:invitations-alarms")
    check("the stack of the user pool", (rehearsal.pool.deploy(), rehearsal.pool.failures()), ("CREATE_COMPLETE", []))
    issuer = {name: rehearsal.pool.outputs()[name] for name in ("JwtIssuer", "JwtAudience", "AllowedScopes")}
    started = time.monotonic()
    status = stack.deploy(EmailIdentity="acme.example", AlarmTopicArn=topic.splitlines()[0], **issuer, **PARAMETERS)
    for rule, changed in stack.rewritten.items():
        rehearsal.report.note(f"rewritten: {rule.__doc__} ({', '.join(changed)})")
    check("the stack", (status, stack.failures()), ("CREATE_COMPLETE", []))
    rehearsal.report.note(f"it took {time.monotonic() - started:.1f} s")
    proves(rehearsal, "1")
    rehearsal.guide.run("7. Read the outputs")
    outputs = stack.outputs()
    rehearsal.table = outputs["TableName"]
    check("the guide's outputs", rehearsal.guide.shell("echo $TABLE_NAME $API_URL"), f"{outputs['TableName']} {outputs['ApiUrl']}")
    alarms = account.cloudwatch.describe_alarms()["MetricAlarms"]
    check("alarms that tell the topic", {action for alarm in alarms for action in alarm["AlarmActions"]}, {topic.splitlines()[0]})
    names = account.cloudwatch.list_dashboards()["DashboardEntries"]
    body = account.cloudwatch.get_dashboard(DashboardName=names[0]["DashboardName"])["DashboardBody"]
    check("widgets of the dashboard", len(json.loads(body)["widgets"]) > 0, True)
    kept = {group["logGroupName"]: group.get("retentionInDays") for group in account.logs.describe_log_groups()["logGroups"]}
    groups = [outputs["FunctionLogGroupName"], outputs["AccessLogGroupName"]]
    check("days for which both logs are kept", [kept.get(group) for group in groups], [30, 30])


def proves(rehearsal, deployment):
    """Calls the hook of the deployment, as CodeDeploy does before it moves the alias."""
    function = rehearsal.stack.resource("ProveFunction")
    event = {"DeploymentId": deployment, "LifecycleEventHookExecutionId": "1"}
    answer = rehearsal.account.lambda_.invoke(FunctionName=function, Payload=json.dumps(event))
    seen = answer.get("FunctionError"), rehearsal.front.hooks.get(deployment)
    rehearsal.report.check("the new version before it gets traffic", seen, (None, "Succeeded"))


def gets_a_token(rehearsal):
    check, outputs = rehearsal.report.check, rehearsal.pool.outputs()
    answer = json.loads(rehearsal.guide.run("8. Ask for something", {"$(output ": "$(STACK=invitations-users output "}))
    rehearsal.token = answer["access_token"]
    seen = {name: claims(rehearsal.token).get(name) for name in ("client_id", "tenant_id")}
    check("the token's claims, one by the pool's trigger", seen, {"client_id": outputs["MachineClientId"], "tenant_id": "default"})
    secret = rehearsal.guide.shell("echo $SECRET")
    rehearsal.scopeless_token = client_credentials(
        rehearsal.front, outputs["TokenUrl"], outputs["MachineClientId"], secret, "tenants/default"
    )
    first = rehearsal.guide.shell(f"ACCESS_TOKEN={rehearsal.token}; eval \"$(output FirstRequest)\"")
    check("the first request of the outputs", (first.splitlines()[0].split()[1], first.splitlines()[-1]), ("200", "[]"))


def writes_the_directory(rehearsal):
    wrote = rehearsal.guide.run("9. Write the directory").splitlines()
    kinds = [json.loads(line)["kind"] for line in wrote]
    rehearsal.report.check("rows of the directory", kinds, ["organization", "role", "user"])
    invited = rehearsal.guide.run("10. Invite yourself")
    rehearsal.report.check("the guide's invitation", invited.splitlines()[0].split()[1], "201")
    rehearsal.report.check("its mails", len(rehearsal.mails("you@example.com")), 1)


def adds_a_tenant(rehearsal):
    """Gives the tenant `acme` a client of its own, by the guide's commands."""
    check, stack = rehearsal.report.check, rehearsal.stack
    rehearsal.guide.shell("POOL=$(STACK=invitations-users output UserPoolId)")
    server, client, user = documents(rehearsal.guide.run(POOL_SECTION))
    check("tenants that tokens can name", [scope["ScopeName"] for scope in server["ResourceServer"]["Scopes"]], ["default", "acme"])
    check("a user's tenant", attribute(user["User"], "custom:tenant_id"), "acme")
    client = client["UserPoolClient"]
    check("its audience", stack.deploy(JwtAudience=f"{stack.parameters['JwtAudience']},{client['ClientId']}"), "UPDATE_COMPLETE")
    rehearsal.other_token = client_credentials(
        rehearsal.front, rehearsal.pool.outputs()["TokenUrl"], client["ClientId"], client["ClientSecret"], f"{SCOPE} tenants/acme"
    )


def attribute(user, name):
    return next(each["Value"] for each in user["Attributes"] if each["Name"] == name)


def documents(text):
    """The JSON documents that commands printed one after another."""
    found, decoder = [], json.JSONDecoder()
    while text := text.strip():
        document, end = decoder.raw_decode(text)
        found.append(document)
        text = text[end:]
    return found


def enforces_the_roles(rehearsal):
    """Without its policy for the table, the function can do nothing: so the policies that are there are needed, and enough."""
    check, iam, api = rehearsal.report.check, rehearsal.account.iam, rehearsal.api(rehearsal.token)
    policy = {"RoleName": rehearsal.stack.outputs()["FunctionRoleName"], "PolicyName": "Function"}
    document = iam.get_role_policy(**policy)["PolicyDocument"]
    iam.delete_role_policy(**policy)
    answer = api.call("GET")
    check("a list without the role's policy", (answer.status, answer.code), (503, "service.unavailable"))
    causes = [json.loads(line).get("cause") for line in log_lines(rehearsal) if line.startswith("{")]
    check("its cause in the log", "AccessDeniedException" in str(causes[-1]), True)
    iam.put_role_policy(**policy, PolicyDocument=json.dumps(document))
    check("a list with it", api.call("GET").status, 200)


def changes_a_setting(rehearsal):
    check, stack = rehearsal.report.check, rehearsal.stack
    before = live_version(rehearsal)
    check("MessageRateLimit=1", (stack.deploy(MessageRateLimit="1"), stack.failures()), ("UPDATE_COMPLETE", []))
    check("the alias has moved to another version", live_version(rehearsal) != before, True)
    life(rehearsal, rehearsal.api(rehearsal.token), "second", message=429)
    answer = rehearsal.api(rehearsal.token).call("GET", f"/{rehearsal.kept['id']}")
    check("the invitation from before", answer.body, rehearsal.kept)


def live_version(rehearsal):
    function = rehearsal.stack.outputs()["FunctionName"]
    return rehearsal.account.lambda_.get_alias(FunctionName=function, Name="live")["FunctionVersion"]


def releases_code_and_rolls_back(rehearsal):
    """Deploys other code with the old setting, and points the alias at the version before, by the guide's commands."""
    check, stack = rehearsal.report.check, rehearsal.stack
    older = live_version(rehearsal)
    stack.release = "2"
    check("other code, and MessageRateLimit=10", stack.deploy(MessageRateLimit="10"), "UPDATE_COMPLETE")
    proves(rehearsal, "2")
    newer = live_version(rehearsal)
    check("another mail", mail_again(rehearsal), 204)
    listed = rehearsal.guide.run("Rolling back", {"<number>": older})
    versions = [line.split()[0] for line in listed.splitlines() if line.split()[0].isdigit()]
    check("the guide lists both versions", {older, newer} <= set(versions), True)
    check("another mail, by the version before", mail_again(rehearsal), 429)
    stack.release = "1"
    check("deploying the version before", (stack.deploy(MessageRateLimit="10"), mail_again(rehearsal)), ("UPDATE_COMPLETE", 204))


def mail_again(rehearsal):
    answer = rehearsal.api(rehearsal.token).call("POST", f"/{rehearsal.kept['id']}/message", MAIL["messagePayload"])
    return answer.status


def stops_and_starts(rehearsal):
    check, lambda_ = rehearsal.report.check, rehearsal.account.lambda_
    function = rehearsal.stack.outputs()["FunctionName"]
    rehearsal.guide.run("Stopping it", only=["put-function-concurrency"])
    check("the concurrency", lambda_.get_function_concurrency(FunctionName=function)["ReservedConcurrentExecutions"], 0)
    try:
        seen = lambda_.invoke(FunctionName=function, Qualifier="live", Payload=b"{}")["StatusCode"]
    except lambda_.exceptions.TooManyRequestsException as throttled:
        seen = throttled.response["Error"]["Code"]
    check("an invocation while it is stopped", seen, "TooManyRequestsException")
    rehearsal.guide.run("Stopping it", only=["delete-function-concurrency"])
    check("a call after that", rehearsal.api(rehearsal.token).call("GET").status, 200)


def restores_the_table(rehearsal):
    check, stack = rehearsal.report.check, rehearsal.stack
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    rehearsal.guide.run("Restoring data", {"2026-11-22T08:00:00Z": now})
    listed = rehearsal.guide.shell("TABLE_NAME=$NEW cargo directory --tenant default organization list")
    check("the restored directory", json.loads(listed)["id"], "acme")
    check("TableName=invitations-restored", stack.deploy(TableName="invitations-restored"), "UPDATE_COMPLETE")
    answer = rehearsal.api(rehearsal.token).call("GET", f"/{rehearsal.kept['id']}")
    check("the invitation from before", (answer.status, answer.body), (200, rehearsal.kept))
    check("TableName=", stack.deploy(TableName=""), "UPDATE_COMPLETE")
    check("the table in use", stack.outputs()["TableName"], rehearsal.table)


def follows_the_rest_of_the_guide(rehearsal):
    pass


def is_removed(rehearsal):
    check, account = rehearsal.report.check, rehearsal.account
    pool = rehearsal.pool.outputs()["UserPoolId"]
    check("deleting the stack", rehearsal.stack.delete(), "DELETE_COMPLETE")
    check("the table is still there", account.dynamodb.describe_table(TableName=rehearsal.table)["Table"]["TableStatus"], "ACTIVE")
    check("the pool is still there", account.cognito_idp.describe_user_pool(UserPoolId=pool)["UserPool"]["Id"], pool)
    functions = [function["FunctionName"] for function in account.lambda_.list_functions()["Functions"]]
    left = [name for name in functions if not name.startswith(rehearsal.pool.name)]
    check("functions of the stack that are left", left, [])


def removes_the_data(rehearsal):
    rehearsal.report.check("deleting the second stack", rehearsal.stack.delete(), "DELETE_COMPLETE")
    rehearsal.guide.run("Removing it", {"<name>": rehearsal.table, "<id>": rehearsal.pool.outputs()["UserPoolId"]}, only=["aws "])


def has_walked_the_guide(rehearsal):
    pass

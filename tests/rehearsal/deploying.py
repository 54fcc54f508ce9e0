"""The steps of deploying and changing the stacks. If the guide has a command for a step, that command is run."""

import json
import time

from account import Stack
from api import MAIL, claims, client_credentials
from botocore.exceptions import ClientError
from calling import SENDER, every_operation, log_lines
from rewrites import RULES, code_deploy, dkim_records, metric_math

TOPIC = "arn:aws:sns:eu-central-1:111122223333:invitations-alarms"
# The template's default is arm64, but this machine is x86-64.
PARAMETERS = {"Architecture": "x86_64", "DefaultFromEmailAddress": SENDER}
UPDATE_SERVER = "aws cognito-idp update-resource-server"
MORE_TENANTS = (
    '--user-pool-id "$POOL" --identifier tenants-1 --name "More tenants" --scopes'
    " ScopeName=acme,ScopeDescription=acme ScopeName=more,ScopeDescription=more"
)
POOL_SECTION = "A user pool made for it"


def prepares_the_account(rehearsal):
    check, guide = rehearsal.report.check, rehearsal.guide
    caller = json.loads(guide.run("1. Tools, an account, a region", only="aws sts"))
    check("the account", caller["Account"], "111122223333")
    topic, *_ = guide.run("2. A place for alarms to go", {"<the ARN>": TOPIC}).splitlines()
    check("the ARN of the alarm topic", topic, TOPIC)
    sender = guide.run("4. Decide who sends", {"invitations@example.com": SENDER})
    check("a sender", json.loads(sender)["IdentityType"], "EMAIL_ADDRESS")


def deploys_the_user_pool(rehearsal):
    printed = rehearsal.guide.run(POOL_SECTION, blocks=[0])
    rehearsal.issuer = dict(line.split("=", 1) for line in printed.splitlines() if line.startswith(("Jwt", "Allowed")))
    rehearsal.report.check("the user pool's stack is created", rehearsal.pool.status(), "CREATE_COMPLETE")
    names = ["AllowedScopes", "JwtAudience", "JwtIssuer"]
    rehearsal.report.check("the parameters that the guide's command prints", sorted(rehearsal.issuer), names)


def deploys_the_service(rehearsal):
    check, stack = rehearsal.report.check, rehearsal.stack
    started = time.monotonic()
    status = stack.deploy(EmailIdentity="acme.example", AlarmTopicArn=TOPIC, **rehearsal.issuer, **PARAMETERS)
    for rule, changed in stack.rewritten.items():
        rehearsal.report.note(f"rewritten: {rule.__doc__} ({', '.join(changed)})")
    check("the service's stack is created", (status, stack.failures()), ("CREATE_COMPLETE", []))
    rehearsal.report.note(f"creating the stack took {time.monotonic() - started:.1f} s")
    proves(rehearsal, "first")
    outputs = stack.outputs()
    rehearsal.table = outputs["TableName"]
    rehearsal.guide.run("7. Read the outputs")
    seen = rehearsal.guide.shell("echo $TABLE_NAME $API_URL").split()
    check("the outputs that the guide's commands read", seen, [outputs["TableName"], outputs["ApiUrl"]])


def proves(rehearsal, deployment):
    """Calls the deployment's hook, as CodeDeploy does before it moves the alias."""
    function = rehearsal.stack.resource("ProveFunction")
    event = {"DeploymentId": deployment, "LifecycleEventHookExecutionId": "1"}
    answer = rehearsal.account.lambda_.invoke(FunctionName=function, Payload=json.dumps(event))
    seen = answer.get("FunctionError"), rehearsal.front.hooks.get(deployment)
    rehearsal.report.check("the hook that proves the new version", seen, (None, "Succeeded"))


def fails_without_a_rewrite(rehearsal):
    """Deploys once without each rule that the emulator needs to create the stack."""
    for rule, expected in (
        (code_deploy, "ValidationError"),
        (metric_math, "ROLLBACK_COMPLETE"),
        (dkim_records, "ROLLBACK_COMPLETE"),
    ):
        rules = [each for each in RULES if each != rule]
        stack = Stack(rehearsal.account, f"without-{rule.__name__.replace('_', '-')}", "template.yaml", rules)
        try:
            seen = stack.deploy(EmailIdentity="without.example", **rehearsal.issuer, **PARAMETERS)
        except ClientError as error:
            seen = error.response["Error"]["Code"]
        rehearsal.report.check(f"a stack without the rule {rule.__name__}", seen, expected)


def has_alarms_and_a_dashboard(rehearsal):
    check, account, outputs = rehearsal.report.check, rehearsal.account, rehearsal.stack.outputs()
    alarms = account.cloudwatch.describe_alarms()["MetricAlarms"]
    expected = rehearsal.stack.resources("AWS::CloudWatch::Alarm")
    check("alarms", sorted(alarm["AlarmName"] for alarm in alarms), sorted(expected))
    check(
        "alarms that do not notify the topic",
        [each["AlarmName"] for each in alarms if each["AlarmActions"] != [TOPIC]],
        [],
    )
    [dashboard] = account.cloudwatch.list_dashboards()["DashboardEntries"]
    body = account.cloudwatch.get_dashboard(DashboardName=dashboard["DashboardName"])["DashboardBody"]
    check(
        "widget types of the dashboard",
        sorted({each["type"] for each in json.loads(body)["widgets"]}),
        ["alarm", "log", "metric"],
    )
    kept = {
        group["logGroupName"]: group.get("retentionInDays") for group in account.logs.describe_log_groups()["logGroups"]
    }
    groups = [outputs[name] for name in ("FunctionLogGroupName", "AccessLogGroupName", "ProofLogGroupName")]
    check("retention of the logs, in days", [kept.get(group) for group in groups], [30, 30, 30])


def gets_a_token(rehearsal):
    check, outputs = rehearsal.report.check, rehearsal.pool.outputs()
    rehearsal.token = json.loads(rehearsal.guide.run("8. Ask for something"))["access_token"]
    seen = {name: claims(rehearsal.token).get(name) for name in ("client_id", "tenant_id")}
    check(
        "the token's claims, including the trigger's",
        seen,
        {"client_id": outputs["MachineClientId"], "tenant_id": "default"},
    )
    secret = rehearsal.guide.shell("echo $SECRET")
    rehearsal.scopeless_token = client_credentials(
        rehearsal.front, outputs["TokenUrl"], outputs["MachineClientId"], secret, "tenants/default"
    )
    first_request(rehearsal, "[]")


def first_request(rehearsal, beginning):
    """Runs the output FirstRequest in the guide's shell."""
    printed = rehearsal.guide.shell(f'ACCESS_TOKEN={rehearsal.token}; eval "$(output FirstRequest)"').splitlines()
    seen = printed[0].split()[1], printed[-1].startswith(beginning)
    rehearsal.report.check("the command in the output FirstRequest", seen, ("200", True))


def writes_the_directory(rehearsal):
    check = rehearsal.report.check
    wrote = rehearsal.guide.run("9. Write the directory").splitlines()
    check("rows written to the directory", [json.loads(line)["kind"] for line in wrote], ["organization", "role", "user"])
    invited = rehearsal.guide.run("10. Invite yourself")
    check("status of the guide's invitation", invited.splitlines()[0].split()[1], "201")
    check("its mails", len(rehearsal.mails("you@example.com")), 1)


def adds_a_tenant(rehearsal):
    """Adds a client and a user for the tenant `acme`."""
    check, stack = rehearsal.report.check, rehearsal.stack
    server, client, user = documents(rehearsal.guide.run(POOL_SECTION, blocks=[1, 2]))
    check("the tenant's scope", [scope["ScopeName"] for scope in server["ResourceServer"]["Scopes"]], ["acme"])
    check("the user has the tenant", {"Name": "custom:tenant_id", "Value": "acme"} in user["User"]["Attributes"], True)
    server = json.loads(rehearsal.guide.run_inline(UPDATE_SERVER, {UPDATE_SERVER: f"{UPDATE_SERVER} {MORE_TENANTS}"}))
    check(
        "scopes after adding another tenant",
        [scope["ScopeName"] for scope in server["ResourceServer"]["Scopes"]],
        ["acme", "more"],
    )
    client = client["UserPoolClient"]
    audience = f"{rehearsal.issuer['JwtAudience']},{client['ClientId']}"
    check("deploying with another audience", stack.deploy(JwtAudience=audience), "UPDATE_COMPLETE")
    scopes = " ".join(client["AllowedOAuthScopes"])
    url = rehearsal.pool.outputs()["TokenUrl"]
    rehearsal.other_token = client_credentials(rehearsal.front, url, client["ClientId"], client["ClientSecret"], scopes)


def signs_people_in(rehearsal):
    """Adds an app client for pages to the pool, and signs in as the guide's user."""
    check, cognito = rehearsal.report.check, rehearsal.account.cognito_idp
    page = "https://app.example.com/callback"
    given = {"MachineTenant=default": f"MachineTenant=default BrowserCallbackUrls={page}"}
    printed = rehearsal.guide.run(POOL_SECTION, given, blocks=[0])
    outputs = rehearsal.pool.outputs()
    pool, browser = outputs["UserPoolId"], outputs["BrowserClientId"]
    audience = f"JwtAudience={outputs['MachineClientId']},{browser}"
    check("the guide's audience has both clients", audience in printed.splitlines(), True)
    client = cognito.describe_user_pool_client(UserPoolId=pool, ClientId=browser)["UserPoolClient"]
    seen = client.get("ClientSecret"), client["AllowedOAuthFlows"], client["AllowedOAuthScopes"], client["CallbackURLs"]
    check("the app client for pages", seen, (None, ["code"], ["openid"], [page]))
    # A client that lets a program sign in as a user: the client for pages needs a browser.
    flows = ["ALLOW_ADMIN_USER_PASSWORD_AUTH", "ALLOW_REFRESH_TOKEN_AUTH"]
    program = cognito.create_user_pool_client(UserPoolId=pool, ClientName="sign-in", ExplicitAuthFlows=flows)
    client, user = program["UserPoolClient"]["ClientId"], {"UserPoolId": pool, "Username": "ada@example.com"}
    cognito.admin_set_user_password(**user, Password="Correct-Horse-1", Permanent=True)
    parameters = {"USERNAME": user["Username"], "PASSWORD": "Correct-Horse-1"}
    for verified, expected in (
        ("true", {"tenant_id": "acme", "email": "ada@example.com", "email_verified": True}),
        ("false", {"tenant_id": "acme", "email": None, "email_verified": None}),
    ):
        cognito.admin_update_user_attributes(**user, UserAttributes=[{"Name": "email_verified", "Value": verified}])
        signed_in = cognito.admin_initiate_auth(
            UserPoolId=pool, ClientId=client, AuthFlow="ADMIN_USER_PASSWORD_AUTH", AuthParameters=parameters
        )
        token = claims(signed_in["AuthenticationResult"]["AccessToken"])
        check(f"a user whose email_verified is {verified}", {name: token.get(name) for name in expected}, expected)
    cognito.delete_user_pool_client(UserPoolId=pool, ClientId=client)


def documents(text):
    """Splits concatenated JSON documents."""
    found, decoder = [], json.JSONDecoder()
    while text := text.strip():
        document, end = decoder.raw_decode(text)
        found.append(document)
        text = text[end:]
    return found


def enforces_the_roles(rehearsal):
    """Removes the policy of the function's role and restores it, which shows that it is necessary and sufficient."""
    check, iam, api = rehearsal.report.check, rehearsal.account.iam, rehearsal.api(rehearsal.token)
    policy = {"RoleName": rehearsal.stack.outputs()["FunctionRoleName"], "PolicyName": "Function"}
    document = iam.get_role_policy(**policy)["PolicyDocument"]
    iam.delete_role_policy(**policy)
    answer = api.call("GET")
    check("a list without the role's policy", (answer.status, answer.code), (503, "service.unavailable"))
    causes = [line.get("cause") for line in log_lines(rehearsal)]
    check("the cause of that error in the log", "AccessDeniedException" in str(causes[-1]), True)
    iam.put_role_policy(**policy, PolicyDocument=json.dumps(document))
    check("a list with the role's policy", api.call("GET").status, 200)


def changes_a_setting(rehearsal):
    check, stack = rehearsal.report.check, rehearsal.stack
    before = live_version(rehearsal)
    check("MessageRateLimit=1", (stack.deploy(MessageRateLimit="1"), stack.failures()), ("UPDATE_COMPLETE", []))
    check("the alias points to another version", live_version(rehearsal) != before, True)
    every_operation(rehearsal, rehearsal.api(rehearsal.token), "second", message=429)
    answer = rehearsal.api(rehearsal.token).call("GET", f"/{rehearsal.kept['id']}")
    check("the invitation created before the change", answer.body, rehearsal.kept)


def live_version(rehearsal):
    function = rehearsal.stack.outputs()["FunctionName"]
    return rehearsal.account.lambda_.get_alias(FunctionName=function, Name="live")["FunctionVersion"]


def releases_code_and_rolls_back(rehearsal):
    """Deploys other code with the old setting, and points the alias to the previous version."""
    check, guide, stack = rehearsal.report.check, rehearsal.guide, rehearsal.stack
    older = live_version(rehearsal)
    stack.release = "2"
    check("deploying other code with MessageRateLimit=10", stack.deploy(MessageRateLimit="10"), "UPDATE_COMPLETE")
    proves(rehearsal, "second")
    newer = live_version(rehearsal)
    check("another mail", mail_again(rehearsal), 204)
    listed = guide.run("Rolling back", {"<number>": older})
    versions = [line.split()[0] for line in listed.splitlines() if line.split()[0].isdigit()]
    check("the guide's command lists both versions", {older, newer} <= set(versions), True)
    check("another mail, from the previous version", mail_again(rehearsal), 429)
    stack.release = "3"
    check("deploying other code again, another mail", (stack.deploy(), mail_again(rehearsal)), ("UPDATE_COMPLETE", 204))
    guide.run_inline('aws lambda delete-function --function-name "$FUNCTION" --qualifier', {"<number>": older})
    check("another mail, after deleting the previous version", mail_again(rehearsal), 204)


def mail_again(rehearsal):
    answer = rehearsal.api(rehearsal.token).call("POST", f"/{rehearsal.kept['id']}/message", MAIL["messagePayload"])
    return answer.status

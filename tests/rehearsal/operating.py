"""The steps of operating the stack. If the guide has a command for a step, that command is run."""

import json
import re
import time

from deploying import first_request, proves
from guide import CommandFailed

RESTORED = "invitations-restored"


def stops_and_starts(rehearsal):
    check, guide, outputs = rehearsal.report.check, rehearsal.guide, rehearsal.stack.outputs()
    guide.run("Stopping it", only="aws lambda put-function-concurrency")
    reserved = rehearsal.account.lambda_.get_function_concurrency(FunctionName=outputs["FunctionName"])
    check("the concurrency of a stopped function", reserved["ReservedConcurrentExecutions"], 0)
    check(
        "not emulated: rejecting calls to a stopped function",
        rehearsal.api(rehearsal.token).call("GET").status,
        200,
    )
    guide.run("Stopping it", only="aws lambda delete-function-concurrency")
    check("a call after restarting the function", rehearsal.api(rehearsal.token).call("GET").status, 200)


def restores_the_table(rehearsal):
    check, guide, stack = rehearsal.report.check, rehearsal.guide, rehearsal.stack
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    guide.run("Restoring data", {"2026-11-22T08:00:00Z": now}, blocks=[0, 1, 2])
    described = rehearsal.account.dynamodb.describe_table(TableName=RESTORED)["Table"]
    check("the restored table's protection", described["DeletionProtectionEnabled"], True)
    check("the restored table's time to live", time_to_live(rehearsal, RESTORED), "ENABLED")
    listed = guide.run_inline("TABLE_NAME=$NEW cargo directory")
    check("the restored directory", json.loads(listed)["id"], "acme")
    check("switching to the restored table", stack.deploy(TableName=RESTORED, Deployment="AllAtOnce"), "UPDATE_COMPLETE")
    proves(rehearsal, "stopped")
    guide.run("Restoring data", blocks=[3])
    proves(rehearsal, "restored")
    first_request(rehearsal, "[{")
    answer = rehearsal.api(rehearsal.token).call("GET", f"/{rehearsal.kept['id']}")
    check("an invitation created before the restore", (answer.status, answer.body), (200, rehearsal.kept))
    check(
        "going back", (stack.deploy(TableName=""), stack.outputs()["TableName"]), ("UPDATE_COMPLETE", rehearsal.table)
    )
    check("a call after going back", rehearsal.api(rehearsal.token).call("GET").status, 200)


def time_to_live(rehearsal, table):
    return rehearsal.account.dynamodb.describe_time_to_live(TableName=table)["TimeToLiveDescription"][
        "TimeToLiveStatus"
    ]


def sets_up_sending(rehearsal):
    check, guide = rehearsal.report.check, rehearsal.guide
    seen = json.loads(guide.run("A domain", {"example.com": "acme.example"}))
    check("the domain is verified for sending", seen[0], True)
    guide.run("Out of the sandbox", blocks=[0])
    check("sending is enabled", json.loads(guide.run_inline("aws sesv2 get-account --query SendingEnabled")), True)
    guide.run("Senders of another account")
    policies = rehearsal.account.iam.list_role_policies(RoleName=rehearsal.stack.outputs()["FunctionRoleName"])[
        "PolicyNames"
    ]
    check("policies of the role", sorted(policies), ["DelegatedSenders", "Function"])
    guide.run_inline("aws iam delete-role-policy", {"delete-role-policy": DELETE_POLICY})


DELETE_POLICY = 'delete-role-policy --role-name "$(output FunctionRoleName)" --policy-name DelegatedSenders'


def queries_the_logs(rehearsal):
    answer = json.loads(rehearsal.guide.run("Asking the logs"))
    rehearsal.report.check("the query's status", answer["status"], "Complete")
    counts = [row for row in answer["results"] if len(row) == 2]
    rehearsal.report.check("not emulated: counts in the query's result", counts, [])


def lacks_what_is_not_emulated(rehearsal):
    """Checks features that AWS has and the emulator lacks. A failing check means that the emulator supports it now."""
    account, outputs = rehearsal.account, rehearsal.stack.outputs()

    def lacks(what, seen, nothing):
        rehearsal.report.check(f"not emulated: {what}", seen, nothing)

    lacks("the table's time to live, from the template", time_to_live(rehearsal, rehearsal.table), "DISABLED")
    backups = account.dynamodb.describe_continuous_backups(TableName=rehearsal.table)["ContinuousBackupsDescription"]
    recovery = backups["PointInTimeRecoveryDescription"]["PointInTimeRecoveryStatus"]
    lacks("the table's point-in-time recovery, from the template", recovery, "DISABLED")
    lines = account.logs.filter_log_events(logGroupName=outputs["AccessLogGroupName"])["events"]
    lacks("the access log's lines", lines, [])
    metrics = account.cloudwatch.list_metrics(Namespace="OrganizationInvitations")["Metrics"]
    lacks("metrics from the function's log", metrics, [])
    [api] = account.apigatewayv2.get_apis()["Items"]
    [stage] = account.apigatewayv2.get_stages(ApiId=api["ApiId"])["Items"]
    lacks("throttling of the API", stage.get("DefaultRouteSettings"), {})


def tries_unsupported_commands(rehearsal):
    guide, lost = rehearsal.guide, "A mail that did not arrive"
    check_unsupported(rehearsal, guide.run, lost, only="aws sesv2 get-suppressed-destination")
    check_unsupported(rehearsal, guide.run, lost, only="aws sesv2 delete-suppressed-destination")
    identity = {"<identity>": "acme.example"}
    check_unsupported(rehearsal, guide.run_inline, "aws sesv2 put-email-identity-configuration-set-attributes --", identity)


def check_unsupported(rehearsal, run, *arguments, **options):
    """Runs a command of the guide that the emulator does not support."""
    try:
        run(*arguments, **options)
        seen = None
    except CommandFailed as failed:
        seen = re.search(r"calling the (\w+) operation", str(failed))[1]
    rehearsal.report.check("not emulated: an operation of SES", seen, seen or "an error")


def is_removed(rehearsal):
    check, account = rehearsal.report.check, rehearsal.account
    check("deleting the stack", rehearsal.stack.delete(), "DELETE_COMPLETE")
    table = account.dynamodb.describe_table(TableName=rehearsal.table)["Table"]
    check(
        "the retained table, and its deletion protection",
        (table["TableStatus"], table["DeletionProtectionEnabled"]),
        ("ACTIVE", True),
    )
    check(
        "the retained email identity",
        account.sesv2.get_email_identity(EmailIdentity="acme.example")["IdentityType"],
        "DOMAIN",
    )
    check("remaining functions", functions(account), [rehearsal.pool.resource("TenantClaimFunction")])


def functions(account):
    return [function["FunctionName"] for function in account.lambda_.list_functions()["Functions"]]


def removes_the_pool(rehearsal):
    check, account, guide = rehearsal.report.check, rehearsal.account, rehearsal.guide
    pool, trigger = rehearsal.pool.outputs()["UserPoolId"], rehearsal.pool.resource("TenantClaimFunction")
    check("deleting the stack of the user pool", rehearsal.pool.delete(), "DELETE_COMPLETE")
    check("the retained user pool", account.cognito_idp.describe_user_pool(UserPoolId=pool)["UserPool"]["Id"], pool)
    check("its trigger", functions(account), [trigger])
    guide.run("Removing it", {"<id>": pool, "<the trigger>": trigger}, blocks=[1])
    pools = account.cognito_idp.list_user_pools(MaxResults=10)["UserPools"]
    check("pools and triggers after the guide's commands", (pools, functions(account)), ([], []))


def removes_the_data(rehearsal):
    check, account, guide = rehearsal.report.check, rehearsal.account, rehearsal.guide
    own = rehearsal.stack.resource("InvitationsTable")
    check("deleting the second stack", rehearsal.stack.delete(), "DELETE_COMPLETE")
    guide.run_inline("aws dynamodb update-table", {"<name>": rehearsal.table})
    guide.run_inline("aws dynamodb delete-table", {"<name>": rehearsal.table})
    left = account.dynamodb.list_tables()["TableNames"]
    check("remaining tables", sorted(left), sorted([RESTORED, own]))
    guide.run_inline("aws sesv2 delete-email-identity", {"<identity>": "acme.example"})


# The commands of the guide that are not run, with the reasons.
NOT_RUN = {
    "sam build": ".ci/artefact runs it",
    "sam deploy": "it has CloudFormation run SAM's transform; the rehearsal runs the transform itself and does the rest",
    "sam delete": "it prompts, and deletes the uploads of sam deploy; the rehearsal deletes the stack in the same way",
    "aws cloudformation delete-stack": "the rehearsal deletes the stack by the API",
    "aws cloudformation cancel-update-stack": "every update ends too soon to cancel it",
    "aws logs tail": "it needs version 2 of the CLI, which is in no package registry",
}


def has_run_the_whole_guide(rehearsal):
    guide = rehearsal.guide
    for command, reason in NOT_RUN.items():
        rehearsal.report.note(f"not run: {command}: {reason}")
    rehearsal.report.check(
        "commands of the guide neither run nor listed as not run",
        sorted(guide.commands() - guide.done - set(NOT_RUN)),
        [],
    )
    rehearsal.report.check(
        "commands listed as not run, but run or not in the guide",
        sorted(set(NOT_RUN) - (guide.commands() - guide.done)),
        [],
    )
    rehearsal.report.note(f"{len(guide.done)} commands of the guide were run")

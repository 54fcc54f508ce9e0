"""The steps of those who operate the stack. Where the guide has a command for it, that one is run."""

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
        "not emulated: turning callers of a stopped function away",
        rehearsal.api(rehearsal.token).call("GET").status,
        200,
    )
    guide.run("Stopping it", only="aws lambda delete-function-concurrency")
    check("a call after it was started", rehearsal.api(rehearsal.token).call("GET").status, 200)


def restores_the_table(rehearsal):
    check, guide, stack = rehearsal.report.check, rehearsal.guide, rehearsal.stack
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    guide.run("Restoring data", {"2026-11-22T08:00:00Z": now}, blocks=[0, 1, 2])
    described = rehearsal.account.dynamodb.describe_table(TableName=RESTORED)["Table"]
    check("the restored table's protection", described["DeletionProtectionEnabled"], True)
    check("the restored table's time to live", time_to_live(rehearsal, RESTORED), "ENABLED")
    listed = guide.run_inline("TABLE_NAME=$NEW cargo directory")
    check("the restored directory", json.loads(listed)["id"], "acme")
    check("TableName", stack.deploy(TableName=RESTORED, Deployment="AllAtOnce"), "UPDATE_COMPLETE")
    proves(rehearsal, "stopped")
    guide.run("Restoring data", blocks=[3])
    proves(rehearsal, "restored")
    first_request(rehearsal, "[{")
    answer = rehearsal.api(rehearsal.token).call("GET", f"/{rehearsal.kept['id']}")
    check("an invitation from before", (answer.status, answer.body), (200, rehearsal.kept))
    check(
        "going back", (stack.deploy(TableName=""), stack.outputs()["TableName"]), ("UPDATE_COMPLETE", rehearsal.table)
    )
    check("a call after that", rehearsal.api(rehearsal.token).call("GET").status, 200)


def time_to_live(rehearsal, table):
    return rehearsal.account.dynamodb.describe_time_to_live(TableName=table)["TimeToLiveDescription"][
        "TimeToLiveStatus"
    ]


def looks_after_mail(rehearsal):
    check, guide = rehearsal.report.check, rehearsal.guide
    seen = json.loads(guide.run("A domain", {"example.com": "acme.example"}))
    check("the domain may send", seen[0], True)
    guide.run("Out of the sandbox", blocks=[0])
    check("sending is on", json.loads(guide.run_inline("aws sesv2 get-account --query SendingEnabled")), True)
    guide.run("Senders of another account")
    policies = rehearsal.account.iam.list_role_policies(RoleName=rehearsal.stack.outputs()["FunctionRoleName"])[
        "PolicyNames"
    ]
    check("policies of the role", sorted(policies), ["DelegatedSenders", "Function"])
    guide.run_inline("aws iam delete-role-policy", {"delete-role-policy": DELETE_POLICY})


DELETE_POLICY = 'delete-role-policy --role-name "$(output FunctionRoleName)" --policy-name DelegatedSenders'


def asks_the_logs(rehearsal):
    answer = json.loads(rehearsal.guide.run("Asking the logs"))
    rehearsal.report.check("the query's status", answer["status"], "Complete")
    counts = [row for row in answer["results"] if len(row) == 2]
    rehearsal.report.check("not emulated: rows that the query counts", counts, [])


def meets_the_emulators_limits(rehearsal):
    """What would be different in an account. A check that fails here says that the emulator has learned it."""
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
    lacks("metrics made of the function's log", metrics, [])
    [api] = account.apigatewayv2.get_apis()["Items"]
    [stage] = account.apigatewayv2.get_stages(ApiId=api["ApiId"])["Items"]
    lacks("throttling of the API", stage.get("DefaultRouteSettings"), {})


def asks_for_what_the_emulator_lacks(rehearsal):
    guide, lost = rehearsal.guide, "A mail that did not arrive"
    refused(rehearsal, guide.run, lost, only="aws sesv2 get-suppressed-destination")
    refused(rehearsal, guide.run, lost, only="aws sesv2 delete-suppressed-destination")
    identity = {"<identity>": "acme.example"}
    refused(rehearsal, guide.run_inline, "aws sesv2 put-email-identity-configuration-set-attributes --", identity)


def refused(rehearsal, run, *arguments, **options):
    """Runs a command of the guide, which the emulator does not know."""
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
        "the table that stays, and its protection",
        (table["TableStatus"], table["DeletionProtectionEnabled"]),
        ("ACTIVE", True),
    )
    check(
        "the identity that stays",
        account.sesv2.get_email_identity(EmailIdentity="acme.example")["IdentityType"],
        "DOMAIN",
    )
    check("functions that are left", functions(account), [rehearsal.pool.resource("TenantClaimFunction")])


def functions(account):
    return [function["FunctionName"] for function in account.lambda_.list_functions()["Functions"]]


def removes_the_pool(rehearsal):
    check, account, guide = rehearsal.report.check, rehearsal.account, rehearsal.guide
    pool, trigger = rehearsal.pool.outputs()["UserPoolId"], rehearsal.pool.resource("TenantClaimFunction")
    check("deleting the stack of the user pool", rehearsal.pool.delete(), "DELETE_COMPLETE")
    check("the pool that stays", account.cognito_idp.describe_user_pool(UserPoolId=pool)["UserPool"]["Id"], pool)
    check("its trigger", functions(account), [trigger])
    guide.run("Removing it", {"<id>": pool, "<the trigger>": trigger}, blocks=[1])
    pools = account.cognito_idp.list_user_pools(MaxResults=10)["UserPools"]
    check("pools and triggers for good", (pools, functions(account)), ([], []))


def removes_the_data(rehearsal):
    check, account, guide = rehearsal.report.check, rehearsal.account, rehearsal.guide
    own = rehearsal.stack.resource("InvitationsTable")
    check("deleting the second stack", rehearsal.stack.delete(), "DELETE_COMPLETE")
    guide.run_inline("aws dynamodb update-table", {"<name>": rehearsal.table})
    guide.run_inline("aws dynamodb delete-table", {"<name>": rehearsal.table})
    left = account.dynamodb.list_tables()["TableNames"]
    check("tables that are left", sorted(left), sorted([RESTORED, own]))
    guide.run_inline("aws sesv2 delete-email-identity", {"<identity>": "acme.example"})


# The commands of the guide that are not run, and the reason.
NOT_RUN = {
    "sam build": ".ci/artefact has run it",
    "sam deploy": "it has CloudFormation transform the template, which happens outside here; all else is done likewise",
    "sam delete": "it asks, and deletes what sam deploy has uploaded; the stack is deleted as it does it",
    "aws cloudformation delete-stack": "as above",
    "aws cloudformation cancel-update-stack": "no update takes long enough",
    "aws logs tail": "only version 2 of the CLI has it, which is in no package registry",
}


def has_walked_the_guide(rehearsal):
    guide = rehearsal.guide
    for command, reason in NOT_RUN.items():
        rehearsal.report.note(f"not run: {command}: {reason}")
    rehearsal.report.check(
        "commands of the guide that were neither run nor named",
        sorted(guide.commands() - guide.done - set(NOT_RUN)),
        [],
    )
    rehearsal.report.check(
        "commands that were named and are run, or gone", sorted(set(NOT_RUN) - (guide.commands() - guide.done)), []
    )
    rehearsal.report.note(f"{len(guide.done)} commands of the guide were run")

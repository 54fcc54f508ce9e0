"""The steps of API callers."""

import json
import math
import os
import re
import subprocess

from api import MAIL, claims, invitation
from deployment import ROOT

RETENTION_SECONDS = 30 * 24 * 60 * 60
CLIENT_SECONDS = 30
SENDER = "invitations@acme.example"


def rejects_unauthorized_callers(rehearsal):
    check, api = rehearsal.report.check, rehearsal.api()
    answer = api.call("GET")
    check("a call without a token", (answer.status, answer.body), (401, {"message": "Unauthorized"}))
    answer = api.with_token(rehearsal.token[:-8] + "AAAAAAAA").call("GET")
    check("a call with a forged token", answer.status, 401)
    answer = api.with_token(rehearsal.scopeless_token).call("GET")
    check("a call with a token for another scope", (answer.status, answer.code), (403, "auth.forbidden"))
    answer = api.with_token(rehearsal.token).call("PATCH")
    check("an unsupported method", (answer.status, answer.headers["allow"]), (405, "GET, POST"))


def calls_every_operation(rehearsal):
    rehearsal.kept = every_operation(rehearsal, rehearsal.api(rehearsal.token), "first")


def every_operation(rehearsal, api, name, message=204):
    """Calls every operation of the API, for invitees named after `name`. `message` is the status for a second mail.
    Returns the invitation that remains: pending, and mailed."""
    mailed, quiet = creates(rehearsal, api, name)
    finds(rehearsal, api, mailed, quiet)
    check = rehearsal.report.check
    answer = api.call("POST", f"/{mailed['id']}/message", MAIL["messagePayload"])
    check("message", (answer.status, "retry-after" in answer.headers), (message, message == 429))
    accepts(rehearsal, api, quiet, f"{name}-user")
    revoked = api.call("POST", body=invitation(f"{name}-revoked@example.com")).body["id"]
    check("revoke", api.call("PUT", f"/{revoked}/status", {"status": "Revoked"}).body["status"], "Revoked")
    check("delete", api.call("DELETE", f"/{revoked}").status, 204)
    gone = api.call("GET", f"/{revoked}")
    check("get a deleted invitation", (gone.status, gone.code), (404, "entity.not_found"))
    return mailed


def creates(rehearsal, api, name):
    """Creates an invitation with mail, and one without."""
    check = rehearsal.report.check
    mailed = api.call("POST", body=invitation(f"{name}@example.com") | MAIL)
    mails = len(rehearsal.mails(f"{name}@example.com"))
    check("create with mail", (mailed.status, mailed.body.get("status"), mails), (201, "Pending", 1))
    address = f"{name}-user@example.com"
    quiet = api.call("POST", body=invitation(address))
    mails = len(rehearsal.mails(address))
    check("create without mail", (quiet.status, quiet.body.get("status"), mails), (201, "Pending", 0))
    again = api.call("POST", body=invitation(address.upper()))
    check("create the same again", (again.status, again.code), (422, "entity.unique_integrity_violation"))
    return mailed.body, quiet.body


def finds(rehearsal, api, older, newer):
    check, ids = rehearsal.report.check, [newer["id"], older["id"]]
    check("list, newest first", [each["id"] for each in api.call("GET").body][:2], ids)
    check("list by invitee", api.call("GET", f"?invitee={newer['invitee']}").body, [newer])
    check("pages of one invitation", pages(api, 2), ids)
    check("get", api.call("GET", f"/{older['id']}").body, older)


def accepts(rehearsal, api, invited, user):
    check = rehearsal.report.check
    rehearsal.guide.shell(f"cargo directory --tenant default user put {user} --primary-email {invited['invitee']}")
    accepted = api.call("PUT", f"/{invited['id']}/status", {"status": "Accepted", "acceptedUserId": user})
    check("accept", (accepted.status, accepted.body.get("status")), (200, "Accepted"))
    member = api.call("POST", body=invitation(invited["invitee"]))
    check("create for a member", (member.status, member.code), (422, "request.invalid_input"))


def pages(api, count):
    """The ids of the first `count` pages of one invitation each, following their `Link` headers."""
    ids, path = [], "?page_size=1"
    for _ in range(count):
        page = api.call("GET", path)
        ids += [each["id"] for each in page.body]
        path = re.fullmatch(r'<(\?[^>]*)>; rel="next"', page.headers["link"])[1]
    return ids


def mails(rehearsal):
    check, kept = rehearsal.report.check, rehearsal.kept
    sent = rehearsal.mails(kept["invitee"])
    check("mails sent by create and message", len(sent), 2)
    check(
        "sender and subject",
        (sent[0]["Source"], sent[0]["Subject"]),
        (SENDER, "Ada Lovelace invited you to join Acme Corporation"),
    )
    link = f"https://app.example.com/invitations/{kept['id']}"
    check("the link in both bodies", [link in sent[0]["BodyText"], link in sent[0]["BodyHtml"]], [True, True])


def writes_rows_that_expire(rehearsal):
    check, kept = rehearsal.report.check, rehearsal.kept
    table = rehearsal.stack.outputs()["TableName"]
    expires = math.ceil(kept["expiresAt"] / 1000)
    for row, key, seconds in (
        ("the invitation row", f"INVITATION#{kept['id']}", expires + RETENTION_SECONDS),
        ("the standing row", f"ORG#acme#INVITEE#{kept['invitee']}", expires),
    ):
        key = {"pk": {"S": "TENANT#default"}, "sk": {"S": key}}
        item = rehearsal.account.dynamodb.get_item(TableName=table, Key=key, ConsistentRead=True)["Item"]
        check(f"ttl of {row}", item["ttl"], {"N": str(seconds)})


def log_text(rehearsal):
    group = rehearsal.stack.outputs()["FunctionLogGroupName"]
    return [event["message"] for event in rehearsal.account.logs.filter_log_events(logGroupName=group)["events"]]


def log_lines(rehearsal):
    """The log lines of the function, without Lambda's own."""
    return [json.loads(line) for line in log_text(rehearsal) if line.startswith("{")]


def logs_and_counts(rehearsal):
    check, kept = rehearsal.report.check, rehearsal.kept
    # The emulator's message ids end with this, unlike those of SES v2.
    addresses = [line for line in log_text(rehearsal) if "@" in line.replace("@email.amazonses.com", "")]
    check("addresses in the log", addresses, [])
    lines = log_lines(rehearsal)
    [line] = [line for line in lines if line.get("invitationId") == kept["id"] and line["operation"] == "create"]
    seen = {key: line[key] for key in ("level", "outcome", "tenant", "status", "dynamoDbCalls", "sesCalls")}
    expected = {"level": "INFO", "outcome": "ok", "tenant": "default", "status": 201, "dynamoDbCalls": 2, "sesCalls": 1}
    check("the log line of the create", seen, expected)
    metrics = {
        (directive["Namespace"], metric["Name"], *dimensions)
        for directive in line["_aws"]["CloudWatchMetrics"]
        for dimensions in directive["Dimensions"]
        for metric in directive["Metrics"]
    }
    namespace = "OrganizationInvitations"
    wanted = {(namespace, "Requests", "function", "outcome"), (namespace, "Duration", "function", "operation")}
    check("the metrics in the log line", sorted(wanted & metrics), sorted(wanted))
    check("the metrics have numeric values", all(isinstance(line[name], (int, float)) for _, name, *_ in metrics), True)
    check("the metrics have all their dimensions", all(line.get(key) for _, _, *keys in metrics for key in keys), True)


def keeps_tenants_apart(rehearsal):
    check, api = rehearsal.report.check, rehearsal.api(rehearsal.other_token)
    check("the tenant of the other token", claims(rehearsal.other_token)["tenant_id"], "acme")
    answer = api.call("GET", f"/{rehearsal.kept['id']}")
    check("get another tenant's invitation", (answer.status, answer.code), (404, "entity.not_found"))
    answer = api.call("DELETE", f"/{rehearsal.kept['id']}")
    check("delete another tenant's invitation", (answer.status, answer.code), (404, "entity.not_found"))
    check("the list of the other tenant", api.call("GET").body, [])


def serves_logtos_client(rehearsal):
    api = rehearsal.stack.outputs()["ApiUrl"].removeprefix("https://").split(".")[0]
    address = f"{rehearsal.endpoint}/_aws/execute-api/{api}/$default"
    done = subprocess.run(
        ["node", ROOT / "tests/clients/logto.js", address],
        env=os.environ | {"ACCESS_TOKEN": rehearsal.token},
        capture_output=True,
        text=True,
        timeout=CLIENT_SECONDS,
    )
    rehearsal.report.check("Logto's client runs without an error", (done.returncode, done.stderr), (0, ""))

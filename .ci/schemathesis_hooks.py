"""The hooks of .ci/openapi for schemathesis: requests that pass the first checks, a person's token for self-service, and a
stricter check of client errors."""

import functools
import itertools
import json
import os
import re
import urllib.request

import schemathesis
from schemathesis.auths import AuthStorage

# 2100-01-01
FUTURE = 4_102_444_800_000
LINK = "https://app.example.com/invitations/{invitationId}#token={invitationToken}"
numbers = itertools.count()
# The invitations whose message holds a token, oldest first.
mailed = []


class PersonAuth:
    """The token of the person who is invited as alan@example.com."""

    def get(self, case, context):
        return os.environ["PERSON"]

    def set(self, case, data, context):
        case.headers = {**(case.headers or {}), "Authorization": f"Bearer {data}"}


@schemathesis.hook
def after_load_schema(context, schema):
    """Uses the person's token, not the tenants' tokens, for a person's own invitations."""
    storage = AuthStorage()
    storage.auth(refresh_interval=None).apply_to(path_regex="^/api/my-account/")(PersonAuth)
    schema.auth.providers[:0] = storage.providers


@schemathesis.hook
def map_body(context, body):
    """Gives invitations a future expiry, an invitee without an invitation, and a link with a token. A body stays valid or
    invalid against its schema."""
    if not isinstance(body, dict):
        return body
    expires_at, invitee, payload = body.get("expiresAt"), body.get("invitee"), body.get("messagePayload")
    if type(expires_at) in (int, float) and expires_at < FUTURE:
        body = {**body, "expiresAt": FUTURE}
    if invitee == "grace@example.com":
        body = {**body, "invitee": invitee.replace("@", f"+{next(numbers)}@")}
    if isinstance(payload, dict) and isinstance(payload.get("link"), str):
        body = {**body, "messagePayload": {**payload, "link": LINK}}
    return body


@schemathesis.hook
def after_call(context, case, response):
    if case.operation.definition.raw["operationId"] == "createOrganizationInvitation" and response.status_code == 201:
        if isinstance(case.body, dict) and (case.body.get("messagePayload") or {}).get("link") == LINK:
            mailed.append(response.json()["id"])


@schemathesis.hook
def before_call(context, case, kwargs):
    """Verifies with the latest invitation that has a token, and sets the status of one of the person's invitations, if any.
    Makes every key unique: the examples use one key for different bodies, and a replayed create may name a deleted
    invitation."""
    operation, parameters = case.operation.definition.raw["operationId"], case.path_parameters or {}
    key = (case.headers or {}).get("Idempotency-Key", "")
    if re.fullmatch("[!-~]{1,240}", key):
        case.headers["Idempotency-Key"] = f"{key}{next(numbers)}"
    if not re.fullmatch("[0-9a-z]{21}", str(parameters.get("id"))):
        return
    base_url = case.operation.base_url
    if operation == "verifyOrganizationInvitationToken" and mailed:
        if isinstance(case.body, dict) and isinstance(case.body.get("token"), str):
            case.path_parameters = {"id": mailed[-1]}
            case.body = {**case.body, "token": mailed_token(base_url, mailed[-1])}
    if operation == "setMyOrganizationInvitationStatus":
        own = read(f"{base_url}/api/my-account/organization-invitations")
        case.path_parameters = {"id": own[0]["id"]} if own else parameters


@functools.cache
def mailed_token(base_url, invitation):
    texts = [mail["text"] for mail in read(f"{base_url}/inbox.json") if mail["tags"]["invitation"] == invitation]
    return re.search(r"#token=([\w-]{43})", texts[0])[1]


def read(url):
    request = urllib.request.Request(url, headers={"Authorization": f"Bearer {os.environ['PERSON']}"})
    with urllib.request.urlopen(request) as response:
        return json.load(response)


@schemathesis.check
def schema_is_as_strict_as_the_function(context, response, case):
    """A request that fits the schema gets a 400 only for a rule that no schema can express."""
    if response.status_code != 400 or case.meta is None or not case.meta.generation.mode.is_positive:
        return
    answer = response.json()
    if answer["code"].startswith("connector."):
        return
    # The cursor is from another list, or a list without pages includes deliveries.
    if answer["code"] == "guard.invalid_pagination" and {"cursor", "include"} & (case.query or {}).keys():
        return
    if answer["code"] == "guard.invalid_input" and all(is_too_big(issue, case.body) for issue in answer["data"]["issues"]):
        return
    if answer["code"] == "request.invalid_input" and is_in_the_past(case.body):
        return
    raise AssertionError(f"the request fits the schema, but the response is: {answer}")


def is_too_big(issue, body):
    """True if the text has more UTF-16 units than characters, or there are too many distinct roles."""
    value = body[issue["path"][0]]
    is_wide = isinstance(value, str) and len(value.encode("utf-16-le")) > 2 * len(value)
    return issue["code"] == "too_big" and (is_wide or issue["path"] == ["organizationRoleIds"])


def is_in_the_past(body):
    """True if the expiry is in the past: some phases send a generated body without calling `map_body`."""
    return isinstance(body, dict) and body.get("expiresAt", FUTURE) < FUTURE

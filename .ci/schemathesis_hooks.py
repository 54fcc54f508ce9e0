"""Gives what schemathesis generates a life beyond the first refusal: invitations that have not expired, to addresses
that have not been invited yet. Neither changes whether a body fits its schema."""

import itertools

import schemathesis

# 2100-01-01
FUTURE = 4_102_444_800_000
numbers = itertools.count()


@schemathesis.hook
def map_body(context, body):
    if not isinstance(body, dict):
        return body
    expires_at, invitee = body.get("expiresAt"), body.get("invitee")
    if type(expires_at) in (int, float) and expires_at < FUTURE:
        body = {**body, "expiresAt": FUTURE}
    if invitee in ("alan@example.com", "grace@example.com"):
        body = {**body, "invitee": invitee.replace("@", f"+{next(numbers)}@")}
    return body

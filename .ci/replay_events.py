"""replay_events.py FUNCTION API: invokes the function at FUNCTION, which uses the `cargo dev` at API, with each event of
events/. Compares its response and mails with those of `cargo dev invoke`, which the tests check."""

import json
import os
import pathlib
import re
import subprocess
import sys
import urllib.request

import boto3

function, api = sys.argv[1:]
invocations = f"{function}/2015-03-31/functions/function/invocations"
table = boto3.resource("dynamodb").Table(os.environ["TABLE_NAME"])


def keys():
    return {(row["pk"], row["sk"]) for row in table.scan(ProjectionExpression="pk, sk")["Items"]}


def mails():
    with urllib.request.urlopen(f"{api}/inbox.json") as response:
        return len(json.load(response))


def redacted(body):
    """The body without the identifiers and times of this run."""
    body = re.sub(r"\b0[0-9a-z]{20}\b", "[id]", body)
    return re.sub(r'"(createdAt|updatedAt)": ?\d{13}', r'"\1":0', body)


def parsed(body):
    return json.loads(redacted(body)) if body else None


def expected(event):
    shown = subprocess.run(["target/debug/local", "invoke", event], capture_output=True, text=True, check=True).stdout
    if shown.startswith("["):
        return json.loads(shown)
    answer, *mails = shown.split("\n--- mail ---\n")
    head, _, body = answer.partition("\n\n")
    status, *headers = head.splitlines()
    return int(status), sorted(headers), parsed(body), len(mails)


def answered(event):
    before, sent = keys(), mails()
    with urllib.request.urlopen(urllib.request.Request(invocations, pathlib.Path(event).read_bytes())) as response:
        answer = json.load(response)
    if isinstance(answer, list):
        return answer
    sent = mails() - sent
    # Restores the initial state for the next event, as `cargo dev invoke` does.
    for pk, sk in keys() - before:
        table.delete_item(Key={"pk": pk, "sk": sk})
    headers = [(name, [value]) for name, value in (answer.get("headers") or {}).items()]
    headers += (answer.get("multiValueHeaders") or {}).items()
    lines = sorted(f"{name}: {value}" for name, values in headers for value in values)
    return answer["statusCode"], lines, parsed(answer.get("body")), sent


events = sorted(map(str, pathlib.Path("events").glob("*.json")))
different = 0
for event in events:
    wanted, got = expected(event), answered(event)
    if wanted != got:
        different += 1
        print(f"{event}:\n  expected {wanted}\n  got      {got}", file=sys.stderr)
print(f"{len(events) - different} of {len(events)} events have the expected response and mails")
sys.exit(different > 0 or not events)

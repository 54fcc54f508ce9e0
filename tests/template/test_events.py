"""Events: the resources that exist only with them, the pipe's permissions, and the row changes that its filters pass."""

import http.server
import json
import re
import threading
import urllib.error

import pytest
from deployment import ROOT
from samtranslator.yaml_helper import yaml_parse
from test_resources import FUNCTION, ROLE, statements

PIPE = "EventsPipe"
ONLY_WITH_EVENTS = {PIPE, "EventsPipeRole", "EventBus", "EventsDeadLetters", "EventsLostAlarm"}


def test_without_events_no_resource_of_events_exists(deploy):
    on, off = deploy(Events="on"), deploy()
    assert on.resources.keys() - off.resources.keys() == ONLY_WITH_EVENTS
    # Events change no other resource, except that the table gets a stream and the dashboard one more alarm.
    changed = {name for name in off.resources if on.resources[name] != off.resources[name]}
    assert changed == {"InvitationsTable", "Dashboard"}
    assert "StreamSpecification" not in off.properties("InvitationsTable")
    with_stream = {**off.properties("InvitationsTable"), "StreamSpecification": {"StreamViewType": "NEW_AND_OLD_IMAGES"}}
    assert on.properties("InvitationsTable") == with_stream
    assert on.outputs.keys() - off.outputs.keys() == {"EventBusName", "EventBusArn", "EventsDeadLettersUrl"}


def test_the_function_needs_no_right_for_events(deploy):
    assert list(statements(deploy(Events="on"), ROLE)) == list(statements(deploy(), ROLE))


def test_the_pipe_leads_from_the_stream_through_the_function_to_the_bus(deploy):
    pipe = deploy(Events="on").properties(PIPE)
    assert pipe["Source"] == "<InvitationsTable.StreamArn>"
    assert pipe["Enrichment"] == f"<{FUNCTION}Aliaslive>", "the alias, which moves gradually"
    assert pipe["Target"] == "<EventBus.Arn>"
    assert pipe["TargetParameters"] == {
        "EventBridgeEventBusParameters": {
            "Source": "organization-invitations",
            "DetailType": "Organization Invitation",
        }
    }


def test_a_failing_record_is_isolated_retried_and_given_up(deploy):
    source = deploy(Events="on").properties(PIPE)["SourceParameters"]["DynamoDBStreamParameters"]
    assert source["BatchSize"] <= 10, "PutEvents takes ten"
    # Attempts are limited by age, not by number: with a throttled function, any number is used up in minutes.
    assert source["MaximumRetryAttempts"] == -1
    assert 0 < source["MaximumRecordAgeInSeconds"] < 24 * 3600, "DynamoDB keeps a record for a day"
    assert source["OnPartialBatchItemFailure"] == "AUTOMATIC_BISECT"
    assert source["DeadLetterConfig"] == {"Arn": "<EventsDeadLetters.Arn>"}
    # Parallel batches would not keep the order of an invitation's events.
    assert source.get("ParallelizationFactor", 1) == 1


def test_the_role_of_the_pipe_has_exactly_these_permissions(deploy):
    stack = deploy(Events="on")
    assert list(statements(stack, "EventsPipeRole")) == [
        [
            ["dynamodb:DescribeStream", "dynamodb:GetRecords", "dynamodb:GetShardIterator"],
            ["<InvitationsTable.StreamArn>"],
        ],
        [["dynamodb:ListStreams"], ["*"]],
        [["lambda:InvokeFunction"], [f"<{FUNCTION}Aliaslive>"]],
        [["events:PutEvents"], ["<EventBus.Arn>"]],
        [["sqs:SendMessage"], ["<EventsDeadLetters.Arn>"]],
    ]
    [trust] = stack.properties("EventsPipeRole")["AssumeRolePolicyDocument"]["Statement"]
    assert trust["Principal"] == {"Service": "pipes.amazonaws.com"}
    assert trust["Condition"] == {"StringEquals": {"aws:SourceAccount": "111122223333"}}, "no other account's pipe"


def matches(pattern, event):
    """EventBridge's matching, as far as the filters use it: the record has one of the values at each path."""
    if isinstance(pattern, dict):
        return isinstance(event, dict) and all(name in event and matches(each, event[name]) for name, each in pattern.items())
    return any(event.startswith(each["prefix"]) if isinstance(each, dict) else event == each for each in pattern)


def passes(stack, record):
    filters = stack.properties(PIPE)["SourceParameters"]["FilterCriteria"]["Filters"]
    return any(matches(json.loads(each["Pattern"]), record) for each in filters)


def test_a_filter_uses_only_the_field_dynamodb(deploy):
    """A pipe can filter DynamoDB records only by their field `dynamodb`."""
    filters = deploy(Events="on").properties(PIPE)["SourceParameters"]["FilterCriteria"]["Filters"]
    assert len(filters) <= 5, "a pipe has at most five filters"
    for each in filters:
        assert list(json.loads(each["Pattern"])) == ["dynamodb"]


@pytest.mark.parametrize(
    "sk, old, passed, reason",
    [
        ("INVITATION#0mwshl16meeoe2l4w0lik", None, True, "a new invitation"),
        ("INVITATION#0mwshl16meeoe2l4w0lik", {}, True, "a changed one"),
        ("DELIVERY#0mwshl16meeoe2l4w0lik", None, True, "a delivery status from SES"),
        ("ORG#acme#INVITEE#a@example.com", {"state": {"S": "pending"}}, True, "a pending standing may have expired"),
        ("ORG#acme#INVITEE#a@example.com", None, False, "a new standing has not expired"),
        ("ORG#acme#INVITEE#a@example.com", {"state": {"S": "member"}}, False, "the standing of a member does not expire"),
        ("ORGANIZATION#acme", {"state": {"S": "pending"}}, False, "the directory"),
        ("SENDS#a@example.com", None, False, "a rate limit"),
        ("IDEMPOTENCY#c#k", None, False, "an idempotency record"),
        ("MEMBER#acme#ada", None, False, "a membership"),
    ],
)
def test_the_filters_pass_only_records_that_may_become_events(deploy, sk, old, passed, reason):
    change = {"Keys": {"pk": {"S": "TENANT#t"}, "sk": {"S": sk}}} | ({} if old is None else {"OldImage": old})
    assert passes(deploy(Events="on"), {"eventSource": "aws:dynamodb", "dynamodb": change}) == passed, reason


@pytest.mark.parametrize("file", sorted(path.name for path in (ROOT / "events").glob("changes*.json")))
def test_the_pipe_hands_over_the_records_of_the_examples(deploy, file):
    """tests/api/events.rs tests the function with these records."""
    for record in json.loads((ROOT / "events" / file).read_text()):
        assert passes(deploy(Events="on"), record) or "dynamodb" not in record


# ---- The recipes of docs/events.md ----------------------------------------------------------------------------------

RECIPES = sorted((ROOT / "docs/recipes").glob("*.yaml"))
EVENTS = (ROOT / "docs/events.md").read_text()
TYPES = set(re.findall(r"^\| `(OrganizationInvitation\.\w+)` \|", EVENTS, re.MULTILINE))


def test_the_document_lists_every_type_and_links_every_recipe():
    code = (ROOT / "src/changes.rs").read_text() + "".join(path.read_text() for path in (ROOT / "src/changes").glob("*.rs"))
    assert TYPES == set(re.findall(r'rename = "(OrganizationInvitation\.\w+)"', code))
    assert set(re.findall(r"\(recipes/([\w-]+\.yaml)\)", EVENTS)) == {path.name for path in RECIPES}


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda path: path.stem)
def test_a_recipe_selects_events_that_exist(deploy, recipe):
    stack = deploy(Events="on")
    target = stack.properties(PIPE)["TargetParameters"]["EventBridgeEventBusParameters"]
    template = yaml_parse(recipe.read_text())
    rules = [each["Properties"] for each in template["Resources"].values() if each["Type"] == "AWS::Events::Rule"]
    assert rules
    for rule in rules:
        pattern = rule["EventPattern"]
        assert rule["EventBusName"] == {"Ref": "EventBusName"}
        assert pattern["source"] == [target["Source"]]
        assert pattern.get("detail-type", [target["DetailType"]]) == [target["DetailType"]]
        assert set(pattern.get("detail", {}).get("type", TYPES)) <= TYPES
    # Each parameter of a recipe is an output of the stack, or has to be chosen.
    given = {name for name in template["Parameters"] if f"output {name}" in template["Parameters"][name]["Description"]}
    assert given and given <= stack.outputs.keys()


class Scheduler:
    """The part of the scheduler client that the reminders use. A schedule name can be created once."""

    class exceptions:
        class ConflictException(Exception):
            pass

    def __init__(self):
        self.schedules = {}

    def create_schedule(self, **schedule):
        if schedule["Name"] in self.schedules:
            raise self.exceptions.ConflictException
        self.schedules[schedule["Name"]] = schedule


class Reminded(http.server.BaseHTTPRequestHandler):
    """The issuer and the API. The test sets the status of the response for each invitation."""

    statuses, requests = {}, []

    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"])).decode()
        self.requests.append((self.path, self.headers["authorization"], body))
        status = 200 if self.path == "/token" else self.statuses[self.path.split("/")[-2]]
        self.send_response(status)
        self.end_headers()
        self.wfile.write(b'{"access_token":"t"}' if self.path == "/token" else b"")

    def log_message(self, *_):
        pass


@pytest.fixture
def reminders(monkeypatch):
    """The handler of the reminders, its scheduler, and its HTTP requests."""
    server = http.server.HTTPServer(("127.0.0.1", 0), Reminded)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}"
    settings = {"API": f"{url}/api/organization-invitations", "TOKEN_URL": f"{url}/token", "TOKEN_SCOPE": "all", "DAYS": "3"}
    settings |= {"TOKEN_PARAMETERS": "resource=https://api.example.com", "GROUP": "g", "SCHEDULE_ROLE": "r", "LINK": "https://app.example.com/", "CLIENT_SECRET": "s"}
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    scheduler = Scheduler()

    class Secrets:
        def get_secret_value(self, SecretId):
            return {"SecretString": json.dumps({"id": "client", "secret": "password"})}

    monkeypatch.setattr("boto3.client", lambda name: scheduler if name == "scheduler" else Secrets())
    template = yaml_parse((ROOT / "docs/recipes/reminders.yaml").read_text())
    namespace = {}
    exec(template["Resources"]["Reminders"]["Properties"]["Code"]["ZipFile"], namespace)
    Reminded.statuses, Reminded.requests[:] = {}, []
    yield namespace["handler"], scheduler
    server.shutdown()


class Context:
    invoked_function_arn = "arn:aws:lambda:eu-central-1:111122223333:function:f"


DAY = 86_400_000
CREATED = 1_767_225_600_000


@pytest.mark.parametrize("lifetime, scheduled, reason", [(7, 1, "expires after the reminder"), (3, 0, "expires before the reminder")])
def test_an_invitation_gets_one_schedule_also_when_its_event_comes_twice(reminders, lifetime, scheduled, reason):
    handler, scheduler = reminders
    data = {"id": "0mwshl16meeoe2l4w0lik", "createdAt": CREATED, "expiresAt": CREATED + lifetime * DAY}
    for _ in range(2):
        handler({"detail": {"data": data}}, Context)
    assert len(scheduler.schedules) == scheduled, reason
    for schedule in scheduler.schedules.values():
        assert schedule["ScheduleExpression"] == "at(2026-01-04T00:00:00)"
        assert schedule["ActionAfterCompletion"] == "DELETE"
        assert json.loads(schedule["Target"]["Input"]) == {"remind": data["id"]}


@pytest.mark.parametrize(
    "status, raises, reason",
    [
        (204, False, "mailed"),
        (422, False, "the invitation has ended"),
        (404, False, "the invitation is deleted"),
        (503, True, "the scheduler retries"),
        (403, True, "the client's scope is wrong, which must be visible"),
    ],
)
def test_a_reminder_is_a_message_of_the_invitation(reminders, status, raises, reason):
    handler, _ = reminders
    Reminded.statuses = {"abc": status}
    try:
        handler({"remind": "abc"}, Context)
        raised = False
    except urllib.error.HTTPError:
        raised = True
    assert raised == raises, reason
    [(token, basic, form), (path, bearer, body)] = Reminded.requests
    assert (token, basic) == ("/token", "Basic Y2xpZW50OnBhc3N3b3Jk")
    # Logto's token is opaque without the resource.
    assert form == "grant_type=client_credentials&scope=all&resource=https%3A%2F%2Fapi.example.com"
    assert (path, bearer) == ("/api/organization-invitations/abc/message", "Bearer t")
    assert json.loads(body) == {"link": "https://app.example.com/"}

"""Events: what is there only with them, what the pipe may do, and which changes of the table it hands over."""

import json

import pytest
from deployment import ROOT
from test_resources import FUNCTION, ROLE, statements

PIPE = "EventsPipe"
ONLY_WITH_EVENTS = {PIPE, "EventsPipeRole", "EventBus", "DeadLetterQueue", "DeadLetterAlarm"}


def test_without_events_nothing_of_them_is_there(deploy):
    on, off = deploy(Events="on"), deploy()
    assert on.resources.keys() - off.resources.keys() == ONLY_WITH_EVENTS
    # And with them, nothing else changes but the stream, and the dashboard, which shows one more alarm.
    changed = {name for name in off.resources if on.resources[name] != off.resources[name]}
    assert changed == {"InvitationsTable", "Dashboard"}
    assert "StreamSpecification" not in off.properties("InvitationsTable")
    with_stream = {**off.properties("InvitationsTable"), "StreamSpecification": {"StreamViewType": "NEW_AND_OLD_IMAGES"}}
    assert on.properties("InvitationsTable") == with_stream
    assert on.outputs.keys() - off.outputs.keys() == {"EventBusName", "EventBusArn", "DeadLetterQueueUrl"}


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


def test_what_fails_is_tried_again_by_itself_and_then_given_up(deploy):
    source = deploy(Events="on").properties(PIPE)["SourceParameters"]["DynamoDBStreamParameters"]
    assert source["BatchSize"] <= 10, "PutEvents takes ten"
    # -1 is for ever, which would hold up the stream until it loses what is behind.
    assert source["MaximumRetryAttempts"] > 0
    assert 0 < source["MaximumRecordAgeInSeconds"] < 24 * 3600, "and DynamoDB keeps a record for a day"
    assert source["OnPartialBatchItemFailure"] == "AUTOMATIC_BISECT"
    assert source["DeadLetterConfig"] == {"Arn": "<DeadLetterQueue.Arn>"}
    # More than one batch at a time would not keep the order of one invitation's events.
    assert source.get("ParallelizationFactor", 1) == 1


def test_the_pipe_may_do_this_and_nothing_else(deploy):
    stack = deploy(Events="on")
    assert list(statements(stack, "EventsPipeRole")) == [
        [
            ["dynamodb:DescribeStream", "dynamodb:GetRecords", "dynamodb:GetShardIterator"],
            ["<InvitationsTable.StreamArn>"],
        ],
        [["dynamodb:ListStreams"], ["*"]],
        [["lambda:InvokeFunction"], [f"<{FUNCTION}Aliaslive>"]],
        [["events:PutEvents"], ["<EventBus.Arn>"]],
        [["sqs:SendMessage"], ["<DeadLetterQueue.Arn>"]],
    ]
    [trust] = stack.properties("EventsPipeRole")["AssumeRolePolicyDocument"]["Statement"]
    assert trust["Principal"] == {"Service": "pipes.amazonaws.com"}
    assert trust["Condition"] == {"StringEquals": {"aws:SourceAccount": "111122223333"}}, "no other account's pipe"


def matches(pattern, event):
    """As much of EventBridge's patterns as the filters use: the record has one of the values at each path."""
    if isinstance(pattern, dict):
        return isinstance(event, dict) and all(name in event and matches(each, event[name]) for name, each in pattern.items())
    return any(event.startswith(each["prefix"]) if isinstance(each, dict) else event == each for each in pattern)


def passes(stack, record):
    filters = stack.properties(PIPE)["SourceParameters"]["FilterCriteria"]["Filters"]
    return any(matches(json.loads(each["Pattern"]), record) for each in filters)


def test_a_filter_looks_at_nothing_but_the_change_itself(deploy):
    """Of a record of DynamoDB, a pipe filters by `dynamodb` only."""
    filters = deploy(Events="on").properties(PIPE)["SourceParameters"]["FilterCriteria"]["Filters"]
    assert len(filters) <= 5, "a pipe has no more"
    for each in filters:
        assert list(json.loads(each["Pattern"])) == ["dynamodb"]


@pytest.mark.parametrize(
    "sk, old, passed, reason",
    [
        ("INVITATION#0mwshl16meeoe2l4w0lik", None, True, "a new invitation"),
        ("INVITATION#0mwshl16meeoe2l4w0lik", {}, True, "a changed one"),
        ("DELIVERY#0mwshl16meeoe2l4w0lik", None, True, "what SES said"),
        ("ORG#acme#INVITEE#a@example.com", {"state": {"S": "pending"}}, True, "a pending standing may have expired"),
        ("ORG#acme#INVITEE#a@example.com", None, False, "a new standing has not"),
        ("ORG#acme#INVITEE#a@example.com", {"state": {"S": "member"}}, False, "nor has a member's"),
        ("ORGANIZATION#acme", {"state": {"S": "pending"}}, False, "the directory"),
        ("SENDS#a@example.com", None, False, "a rate limit"),
        ("IDEMPOTENCY#c#k", None, False, "a record of a request"),
        ("MEMBER#acme#ada", None, False, "a membership"),
    ],
)
def test_the_pipe_hands_over_what_may_be_an_event_and_pays_for_nothing_else(deploy, sk, old, passed, reason):
    change = {"Keys": {"pk": {"S": "TENANT#t"}, "sk": {"S": sk}}} | ({} if old is None else {"OldImage": old})
    assert passes(deploy(Events="on"), {"eventSource": "aws:dynamodb", "dynamodb": change}) == passed, reason


@pytest.mark.parametrize("file", sorted(path.name for path in (ROOT / "events").glob("changes*.json")))
def test_the_pipe_hands_over_the_records_of_the_examples(deploy, file):
    """What the function makes of them is in tests/api/events.rs."""
    for record in json.loads((ROOT / "events" / file).read_text()):
        assert passes(deploy(Events="on"), record) or "dynamodb" not in record

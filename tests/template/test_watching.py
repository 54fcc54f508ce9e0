"""Checks the alarms and the dashboard against the existing metrics."""

import json
import re

import pytest

# The metrics that the function publishes.
OUTCOMES = {"ok", "refused", "rate_limited", "mail_refused", "mail_throttled", "mail_unavailable", "mail_unknown"}
OUTCOMES |= {"unavailable", "internal"}
OPERATIONS = {"create", "bulk", "list", "get", "change", "delete", "message", "status", "verify", "my_list", "my_status"}
OPERATIONS |= {"unknown"}
OWN_METRICS = {
    "Requests": [{"function", "outcome"}, {"function", "operation", "outcome"}],
    "Duration": [{"function", "operation"}],
    "DynamoDbDuration": [{"function", "operation"}],
    "SesDuration": [{"function", "operation"}],
    "UnreadableRows": [{"function"}],
}
# The metrics that AWS publishes, with their dimensions, from general to specific.
AWS_METRICS = {
    "AWS/Lambda": (
        ["FunctionName", "Resource", "ExecutedVersion"],
        {"Errors", "Throttles", "Duration", "Invocations", "ConcurrentExecutions"},
    ),
    "AWS/ApiGateway": (["ApiId"], {"Count", "4xx", "5xx", "Latency"}),
    "AWS/DynamoDB": (
        ["TableName", "GlobalSecondaryIndexName"],
        {"ReadThrottleEvents", "WriteThrottleEvents", "ConsumedReadCapacityUnits", "ConsumedWriteCapacityUnits"}
        | {"TransactionConflict"},
    ),
    "AWS/SES": (["ses:configuration-set"], {"Reputation.BounceRate", "Reputation.ComplaintRate"}),
    "AWS/SQS": (["QueueName"], {"ApproximateNumberOfMessagesVisible"}),
}
INDEXES = {"byOrganization", "byInvitee", "byInviter"}
VALUES = {
    "FunctionName": "<OrganizationInvitationsFunction>",
    "function": "<OrganizationInvitationsFunction>",
    "ApiId": "<Api>",
    "TableName": "<InvitationsTable>",
    "ses:configuration-set": "<ConfigurationSet>",
    "Resource": "<OrganizationInvitationsFunction>:live",
}
TOPIC = "arn:aws:sns:eu-central-1:111122223333:alarms"


def assert_exists(stack, namespace, metric, dimensions):
    """Asserts that the function or AWS publishes this metric with these dimensions for this stack."""
    for name, value in dimensions.items():
        choices = {"outcome": OUTCOMES, "operation": OPERATIONS, "GlobalSecondaryIndexName": INDEXES}
        choices["QueueName"] = {"<MailFeedbackDeadLetters.QueueName>", "<EventsDeadLetters.QueueName>"}
        choices["ExecutedVersion"] = {f"<{version}.Version>" for version in stack.of_type("AWS::Lambda::Version")}
        allowed = choices.get(name) or {VALUES[name]}
        assert value in allowed, (metric, name, value)
    if namespace == "OrganizationInvitations":
        assert set(dimensions) in OWN_METRICS[metric], metric
        return
    known, metrics = AWS_METRICS[namespace]
    if namespace == "AWS/SES":
        destination = stack.properties("MailEvents")["EventDestination"]
        published = {event[0].upper() + event[1:] for event in destination["MatchingEventTypes"]}
        [configured] = destination["CloudWatchDestination"]["DimensionConfigurations"]
        assert [configured["DimensionName"]] == known
        metrics = metrics | published
    assert list(dimensions) == known[: len(dimensions)]
    assert metric in metrics, metric


def metrics_of(alarm):
    if "MetricName" in alarm:
        yield alarm["Namespace"], alarm["MetricName"], alarm["Dimensions"]
    for each in alarm.get("Metrics", []):
        if "MetricStat" in each:
            metric = each["MetricStat"]["Metric"]
            yield metric["Namespace"], metric["MetricName"], metric["Dimensions"]


def test_every_alarm_watches_a_metric_that_exists(deploy):
    stack = deploy(MailFeedback="on", Events="on")
    for alarm in stack.of_type("AWS::CloudWatch::Alarm").values():
        watched = list(metrics_of(alarm["Properties"]))
        assert watched
        for namespace, metric, dimensions in watched:
            assert_exists(stack, namespace, metric, {each["Name"]: each["Value"] for each in dimensions})


@pytest.mark.parametrize(
    "alarm, requests, others, sounds, reason",
    [
        ("ApiClientErrorsAlarm", 20, 20, True, "after a change of the issuer's key every request is 401"),
        ("ApiClientErrorsAlarm", 19, 19, False, "one caller with an expired token"),
        ("ApiClientErrorsAlarm", 100, 89, False, "many invitees who are already invited"),
        ("ApiClientErrorsAlarm", 100, 90, True, "one request of ten succeeds"),
        ("ApiServerErrorsAlarm", 50, 5, True, "a tenth of the requests"),
        ("ApiServerErrorsAlarm", 4, 4, False, "a tenant without a connector"),
        ("ApiServerErrorsAlarm", 51, 5, False, "less than a tenth of the requests"),
    ],
)
def test_the_share_of_failures_is_watched(deploy, alarm, requests, others, sounds, reason):
    properties = deploy().properties(alarm)
    [expression] = [each["Expression"] for each in properties["Metrics"] if "Expression" in each]
    names = {each["Id"]: each["MetricStat"]["Metric"]["MetricName"] for each in properties["Metrics"] if "MetricStat" in each}
    assert names.pop("requests") == "Count"
    [failed] = names
    condition, then, otherwise = re.fullmatch(r"IF\((.*), (.*), (.*)\)", expression).groups()
    values = {"requests": requests, failed: others}
    share = eval(then if eval(condition, values) else otherwise, values)
    assert (share >= properties["Threshold"]) == sounds, reason


PAGING = """FunctionErrorsAlarm NewVersionErrorsAlarm UnavailableAlarm InternalErrorsAlarm ApiServerErrorsAlarm
ApiClientErrorsAlarm MailRefusedAlarm MailUnknownAlarm"""


def test_only_these_alarms_page_and_other_metrics_are_on_the_dashboard(deploy):
    stack = deploy()
    assert sorted(stack.of_type("AWS::CloudWatch::Alarm")) == sorted(PAGING.split())
    with_feedback = deploy(MailFeedback="on").of_type("AWS::CloudWatch::Alarm")
    assert with_feedback.keys() - stack.of_type("AWS::CloudWatch::Alarm").keys() == {"MailFeedbackLostAlarm"}
    with_events = deploy(Events="on").of_type("AWS::CloudWatch::Alarm")
    assert sorted(with_events) == sorted([*PAGING.split(), "EventsLostAlarm"])
    shown = {(line[1], *line[4:]) for line in lines_of(stack)}
    for metric in "Throttles Duration TransactionConflict RenderingFailure UnreadableRows".split():
        assert (metric,) in shown
    assert {("Reputation.BounceRate",), ("Reputation.ComplaintRate",)} <= shown
    # DynamoDB counts requests throttled by an index under the index, not under the table.
    for metric in "ReadThrottleEvents", "WriteThrottleEvents":
        assert {(metric,), *((metric, "GlobalSecondaryIndexName", index) for index in INDEXES)} <= shown


def test_no_alarm_sounds_because_nobody_calls(deploy):
    for name, alarm in deploy(MailFeedback="on", Events="on").of_type("AWS::CloudWatch::Alarm").items():
        assert alarm["Properties"]["TreatMissingData"] == "notBreaching", name
        assert alarm["Properties"]["AlarmDescription"].endswith("."), name


@pytest.mark.parametrize("overrides, actions", [({}, None), ({"AlarmTopicArn": TOPIC}, [TOPIC])])
def test_every_alarm_and_its_end_notify_the_topic(deploy, overrides, actions):
    for name, alarm in deploy(MailFeedback="on", Events="on", **overrides).of_type("AWS::CloudWatch::Alarm").items():
        assert alarm["Properties"].get("AlarmActions") == actions, name
        assert alarm["Properties"].get("OKActions") == actions, name


def widgets(stack):
    return json.loads(stack.properties("Dashboard")["DashboardBody"])["widgets"]


@pytest.mark.parametrize("feedback", ["off", "on"])
@pytest.mark.parametrize("events", ["off", "on"])
def test_the_dashboard_shows_every_alarm(deploy, feedback, events):
    stack = deploy(MailFeedback=feedback, Events=events)
    [shown] = [widget["properties"]["alarms"] for widget in widgets(stack) if widget["type"] == "alarm"]
    assert sorted(shown) == sorted(f"<{name}.Arn>" for name in stack.of_type("AWS::CloudWatch::Alarm"))


def spelt_out(rows):
    """The rows of a metric widget, without abbreviations: "." is the value above, and "..." all values but the last."""
    previous = []
    for row in rows:
        row = [each for each in row if not isinstance(each, dict)]
        if row[0] == "...":
            row = previous[: len(previous) - len(row) + 1] + row[1:]
        row = [previous[index] if each == "." else each for index, each in enumerate(row)]
        previous = row
        yield row


def lines_of(stack):
    return [
        line
        for widget in widgets(stack)
        if widget["type"] == "metric"
        for line in spelt_out(widget["properties"]["metrics"])
    ]


def test_every_line_of_the_dashboard_is_a_metric_that_exists(deploy):
    stack = deploy()
    lines = lines_of(stack)
    assert len(lines) > 30
    for namespace, metric, *dimensions in lines:
        assert_exists(stack, namespace, metric, dict(zip(dimensions[::2], dimensions[1::2], strict=True)))
    assert {line[-1] for line in lines if line[1] == "Requests"} == OUTCOMES


def test_widgets_do_not_cover_each_other(deploy):
    cells = [
        (x, y)
        for widget in widgets(deploy())
        for x in range(widget["x"], widget["x"] + widget["width"])
        for y in range(widget["y"], widget["y"] + widget["height"])
    ]
    assert len(cells) == len(set(cells))
    assert max(x for x, _ in cells) < 24

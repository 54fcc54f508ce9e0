"""The alarms and the dashboard, against the metrics that there are."""

import json

import pytest

# What the function publishes.
OUTCOMES = {"ok", "refused", "rate_limited", "mail_refused", "mail_throttled", "mail_unavailable", "unavailable"}
OPERATIONS = {"create", "list", "get", "delete", "message", "status", "unknown"}
OWN_METRICS = {
    "Requests": [{"function", "outcome"}, {"function", "operation", "outcome"}],
    "Duration": [{"function", "operation"}],
    "DynamoDbDuration": [{"function", "operation"}],
    "SesDuration": [{"function", "operation"}],
}
# What AWS publishes, and by which dimension.
AWS_METRICS = {
    "AWS/Lambda": ("FunctionName", {"Errors", "Throttles", "Duration", "Invocations", "ConcurrentExecutions"}),
    "AWS/ApiGateway": ("ApiId", {"Count", "4xx", "5xx", "Latency"}),
    "AWS/DynamoDB": (
        "TableName",
        {"ReadThrottleEvents", "WriteThrottleEvents", "ConsumedReadCapacityUnits", "ConsumedWriteCapacityUnits"}
        | {"TransactionConflict"},
    ),
    "AWS/SES": ("ses:configuration-set", {"Reputation.BounceRate", "Reputation.ComplaintRate"}),
}
VALUES = {
    "FunctionName": "<OrganizationInvitationsFunction>",
    "function": "<OrganizationInvitationsFunction>",
    "ApiId": "<Api>",
    "TableName": "<InvitationsTable>",
    "ses:configuration-set": "<ConfigurationSet>",
}
TOPIC = "arn:aws:sns:eu-central-1:111122223333:alarms"


def assert_exists(stack, namespace, metric, dimensions):
    """The metric is one that something publishes, with these dimensions, for this stack."""
    for name, value in dimensions.items():
        allowed = {"outcome": OUTCOMES, "operation": OPERATIONS}.get(name) or {VALUES[name]}
        assert value in allowed, (metric, name, value)
    if namespace == "OrganizationInvitations":
        assert set(dimensions) in OWN_METRICS[metric], metric
        return
    dimension, metrics = AWS_METRICS[namespace]
    if namespace == "AWS/SES":
        destination = stack.properties("MailEvents")["EventDestination"]
        published = {event[0].upper() + event[1:] for event in destination["MatchingEventTypes"]}
        [configured] = destination["CloudWatchDestination"]["DimensionConfigurations"]
        assert configured["DimensionName"] == dimension
        metrics = metrics | published
    assert set(dimensions) == {dimension}
    assert metric in metrics, metric


def metrics_of(alarm):
    if "MetricName" in alarm:
        yield alarm["Namespace"], alarm["MetricName"], alarm["Dimensions"]
    for each in alarm.get("Metrics", []):
        if "MetricStat" in each:
            metric = each["MetricStat"]["Metric"]
            yield metric["Namespace"], metric["MetricName"], metric["Dimensions"]


def test_every_alarm_watches_a_metric_that_exists(deploy):
    stack = deploy()
    for alarm in stack.of_type("AWS::CloudWatch::Alarm").values():
        watched = list(metrics_of(alarm["Properties"]))
        assert watched
        for namespace, metric, dimensions in watched:
            assert_exists(stack, namespace, metric, {each["Name"]: each["Value"] for each in dimensions})


def test_no_alarm_sounds_because_nobody_calls(deploy):
    for name, alarm in deploy().of_type("AWS::CloudWatch::Alarm").items():
        assert alarm["Properties"]["TreatMissingData"] == "notBreaching", name
        assert alarm["Properties"]["AlarmDescription"].endswith("."), name


@pytest.mark.parametrize("overrides, actions", [({}, None), ({"AlarmTopicArn": TOPIC}, [TOPIC])])
def test_the_topic_is_told_of_every_alarm_and_of_its_end(deploy, overrides, actions):
    for name, alarm in deploy(**overrides).of_type("AWS::CloudWatch::Alarm").items():
        assert alarm["Properties"].get("AlarmActions") == actions, name
        assert alarm["Properties"].get("OKActions") == actions, name


def widgets(stack):
    return json.loads(stack.properties("Dashboard")["DashboardBody"])["widgets"]


def test_the_dashboard_shows_every_alarm(deploy):
    stack = deploy()
    [shown] = [widget["properties"]["alarms"] for widget in widgets(stack) if widget["type"] == "alarm"]
    assert sorted(shown) == sorted(f"<{name}.Arn>" for name in stack.of_type("AWS::CloudWatch::Alarm"))


def spelt_out(rows):
    """The rows of a metric widget without CloudWatch's abbreviations: "." is the value above, "..." all but the last."""
    previous = []
    for row in rows:
        row = [each for each in row if not isinstance(each, dict)]
        if row[0] == "...":
            row = previous[: len(previous) - len(row) + 1] + row[1:]
        row = [previous[index] if each == "." else each for index, each in enumerate(row)]
        previous = row
        yield row


def test_every_line_of_the_dashboard_is_a_metric_that_exists(deploy):
    stack = deploy()
    lines = [
        line
        for widget in widgets(stack)
        if widget["type"] == "metric"
        for line in spelt_out(widget["properties"]["metrics"])
    ]
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

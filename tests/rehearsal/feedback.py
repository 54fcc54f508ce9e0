"""The steps of delivery feedback: SES's reports reach the API, or wait in the dead-letter queue."""

import copy
import json
import time

import boto3
from account import denied
from api import MAIL, invitation
from calling import log_lines
from deployment import ACCOUNT, REGION, ROOT

WAIT_SECONDS = 10
# The attempts to record a report: the first, and two retries.
TRIES = 3


def waited(seen, expected):
    """Calls `seen` until it returns `expected`, or for some seconds, and returns the last value."""
    end = time.monotonic() + WAIT_SECONDS
    while (found := seen()) != expected and time.monotonic() < end:
        time.sleep(0.05)
    return found


def turns_feedback_and_events_on(rehearsal):
    """Turns both on by one update of the stack, which was created without them."""
    check, stack, account = rehearsal.report.check, rehearsal.stack, rehearsal.account
    off = [name for name in ("MailFeedbackDeadLettersUrl", "EventBusName") if name in stack.outputs()]
    check("outputs while both are off", off, [])
    check("turning both on", (stack.deploy(MailFeedback="on", Events="on"), stack.failures()), ("UPDATE_COMPLETE", []))
    outputs = stack.outputs()
    configured = account.sesv2.get_configuration_set_event_destinations(
        ConfigurationSetName=outputs["ConfigurationSetName"]
    )["EventDestinations"]
    [destination] = [each for each in configured if "EventBridgeDestination" in each]
    kinds = "BOUNCE COMPLAINT DELIVERY DELIVERY_DELAY REJECT RENDERING_FAILURE SEND"
    check("event types that SES reports", " ".join(sorted(destination["MatchingEventTypes"])), kinds)
    bus = f"arn:aws:events:{REGION}:{ACCOUNT}:event-bus/default"
    check("the bus that SES reports to", destination["EventBridgeDestination"]["EventBusArn"], bus)
    rule = account.events.describe_rule(Name=stack.resource("MailFeedbackRule"))
    policy = json.loads(account.lambda_.get_policy(FunctionName=outputs["FunctionName"], Qualifier="live")["Policy"])
    sources = [
        each["Condition"]["ArnLike"]["AWS:SourceArn"]
        for each in policy["Statement"]
        if each["Principal"] == {"Service": "events.amazonaws.com"}
    ]
    check("rules that may invoke the function", sources, [rule["Arn"]])
    bus = rehearsal.guide.run("Turning it on", blocks=[1])
    check("the bus of the events, from the guide's command", bus, outputs["EventBusName"])
    # A tenant whose connector names its own configuration set.
    account.sesv2.create_configuration_set(ConfigurationSetName="of-a-tenant")
    rehearsal.guide.run(
        "Turning it on", {"<set>": "of-a-tenant", "<region>": REGION, "<account>": ACCOUNT}, blocks=[0]
    )
    [own] = account.sesv2.get_configuration_set_event_destinations(ConfigurationSetName="of-a-tenant")[
        "EventDestinations"
    ]
    seen, expected = ({**each, "Name": None} for each in (own, destination))
    seen, expected = ({**each, "MatchingEventTypes": sorted(each["MatchingEventTypes"])} for each in (seen, expected))
    check("the guide's command adds the destination to another configuration set", seen, expected)


class Reports:
    """SES's reports about the mail of one invitation, and their way from the bus to the function."""

    def __init__(self, rehearsal, invited):
        self.rehearsal = rehearsal
        self.invited = invited
        account, stack = rehearsal.account, rehearsal.stack
        self.rule = account.events.describe_rule(Name=stack.resource("MailFeedbackRule"))
        [self.target] = account.events.list_targets_by_rule(Rule=self.rule["Name"])["Targets"]
        [mail] = rehearsal.mails(invited["invitee"])
        # SES's own message ids have no host.
        self.mail = mail | {"MessageId": mail["MessageId"].split("@")[0]}

    def report(self, name, stack=None):
        """The example events/feedback/`name`.json, changed to be about this mail. It also gets the tags that the function
        sets, because the emulator does not keep them."""
        event = json.loads((ROOT / "events/feedback" / f"{name}.json").read_text())
        seconds = self.mail["Timestamp"]
        sent_at = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)) + f".{int(seconds * 1000) % 1000:03}Z"
        event["detail"]["mail"] |= {
            "timestamp": sent_at,
            "messageId": self.mail["MessageId"],
            "destination": [self.invited["invitee"]],
            "tags": event["detail"]["mail"]["tags"]
            | {
                "tenant": [self.invited["tenantId"]],
                "invitation": [self.invited["id"]],
                "stack": [stack or self.rehearsal.stack.name],
            },
        }
        return event

    def matches(self, event):
        """True if the stack's rule matches the event."""
        asked = {"EventPattern": self.rule["EventPattern"], "Event": json.dumps(event)}
        return self.rehearsal.account.events.test_event_pattern(**asked)["Result"]

    def hand_over(self, event, target=None):
        """Invokes the rule's target, or `target`, as EventBridge does."""
        self.rehearsal.account.lambda_.invoke(
            FunctionName=target or self.target["Arn"], InvocationType="Event", Payload=json.dumps(event)
        )

    def counted(self):
        """For each report that the function handled: whether the function recorded it."""
        lines = [line for line in log_lines(self.rehearsal) if line.get("message_id") == self.mail["MessageId"]]
        return [line["is_recorded"] for line in lines]

    def delivery(self):
        """The delivery of the mail, from the API."""
        answer = self.rehearsal.api(self.rehearsal.token).call("GET", f"/{self.invited['id']}?include=delivery")
        return answer.body["delivery"] and {
            name: answer.body["delivery"][name] for name in ("status", "permanent", "reason")
        }


def delivery(status, permanent=False, reason=None):
    return {"status": status, "permanent": permanent, "reason": reason}


def mailed(rehearsal, name):
    """Creates an invitation with mail, and returns its reports."""
    answer = rehearsal.api(rehearsal.token).call("POST", body=invitation(f"{name}@example.com") | MAIL)
    return Reports(rehearsal, answer.body)


def records_delivery_feedback(rehearsal):
    check, account = rehearsal.report.check, rehearsal.account
    reports = mailed(rehearsal, "delivered")
    check("not emulated: the tags of a mail", [key for key in reports.mail if "tag" in key.lower()], [])
    event = reports.report("delivered")
    entry = {"Source": event["source"], "DetailType": event["detail-type"], "Detail": json.dumps(event["detail"])}
    [put] = account.events.put_events(Entries=[entry])["Entries"]
    check("a report from a source other than SES", put["ErrorCode"], "NotAuthorizedForSourceException")
    check("the delivery of a mail without a report", reports.delivery(), None)
    for name, reason in (("another-stack", "about another stack"), ("opened", "of an unrequested type")):
        other = json.loads((ROOT / "events/feedback" / f"{name}.json").read_text())
        check(f"the rule matches a report {reason}", reports.matches(other), False)
    for name, expected in (
        ("delivered", delivery("Delivered")),
        ("bounced", delivery("Bounced", True, "NoEmail")),
        ("complained", delivery("Complained", reason="abuse")),
    ):
        reports = reports if name == "delivered" else mailed(rehearsal, name)
        events = [reports.report(name), reports.report("sent")]
        matched = [reports.matches(each) for each in events]
        check(f"the rule matches the reports of {name} mail", matched, [True, True])
        reports.hand_over(events[0])
        check(f"the delivery of {name} mail", waited(reports.delivery, expected), expected)
        reports.hand_over(events[1])
        check("recorded reports, of which the second is older", waited(reports.counted, [True, False]), [True, False])
    listed = rehearsal.api(rehearsal.token).call("GET", "?page_size=1&include=delivery").body
    check("the delivery in a list", listed[0]["delivery"]["status"], "Complained")
    stranger = rehearsal.api(rehearsal.other_token).call("GET", f"/{reports.invited['id']}?include=delivery")
    check("another tenant reads the delivery", (stranger.status, stranger.code), (404, "entity.not_found"))


def replays_dead_letters_of_feedback(rehearsal):
    """Replays two reports that could not be recorded: Lambda gave up one, and EventBridge the other."""
    check, account, guide = rehearsal.report.check, rehearsal.account, rehearsal.guide
    by_lambda, by_bus = mailed(rehearsal, "given-up-by-lambda"), mailed(rehearsal, "given-up-by-the-bus")
    queue = rehearsal.stack.outputs()["MailFeedbackDeadLettersUrl"]
    role = account.as_role(rehearsal.stack.outputs()["FunctionRoleName"])
    refusals = [
        denied(lambda: role.sqs.send_message(QueueUrl=queue, MessageBody="{}")),
        denied(lambda: role.sqs.receive_message(QueueUrl=queue)),
    ]
    check("whether the queue denies the function's role to send, and to receive", refusals, [False, True])
    account.sqs.purge_queue(QueueUrl=queue)
    give_back = take_policy(rehearsal)
    gives_up(rehearsal, by_lambda)
    check("the queue denies a call without TLS", denied(lambda: plain(rehearsal).receive_message(QueueUrl=queue)), True)
    account.sqs.send_message(QueueUrl=queue, MessageBody=json.dumps(by_bus.report("bounced")))
    counted = json.loads(guide.run("Replay a dead letter", blocks=[0]))["Attributes"]
    check("the number of dead letters, from the guide's command", counted, {"ApproximateNumberOfMessages": "2"})
    # Visible again at once.
    guide.run("Replay a dead letter", {"--visibility-timeout 60": "--visibility-timeout 0"}, blocks=[1])
    check("dead letters after a failed replay", letters(rehearsal), 2)
    give_back()
    check("the deliveries after the failed replay", [by_lambda.delivery(), by_bus.delivery()], [None, None])
    guide.run("Replay a dead letter", blocks=[1])
    check("dead letters after a successful replay", letters(rehearsal), 0)
    check(
        "the deliveries after the successful replay",
        [by_lambda.delivery(), by_bus.delivery()],
        [delivery("Delivered"), delivery("Bounced", True, "NoEmail")],
    )


def plain(rehearsal):
    return boto3.client("sqs", endpoint_url=rehearsal.endpoint, region_name=REGION)


def letters(rehearsal):
    """The number of waiting dead letters."""
    asked = {"QueueUrl": rehearsal.stack.outputs()["MailFeedbackDeadLettersUrl"], "AttributeNames": ["All"]}
    counted = rehearsal.account.sqs.get_queue_attributes(**asked)["Attributes"]
    return int(counted["ApproximateNumberOfMessages"])


def take_policy(rehearsal):
    """Removes the policy of the function's role, and returns a function that restores it."""
    iam = rehearsal.account.iam
    policy = {"RoleName": rehearsal.stack.outputs()["FunctionRoleName"], "PolicyName": "Function"}
    document = copy.deepcopy(iam.get_role_policy(**policy)["PolicyDocument"])
    iam.delete_role_policy(**policy)
    return lambda: iam.put_role_policy(**policy, PolicyDocument=json.dumps(document))


def gives_up(rehearsal, reports):
    """Has Lambda give up a report. The emulator ignores an alias's settings, so they are copied to the function."""
    check, functions = rehearsal.report.check, rehearsal.account.lambda_
    function = rehearsal.stack.outputs()["FunctionName"]

    def failures():
        return [line.get("message") for line in log_lines(rehearsal)].count("mail feedback not recorded")

    reports.hand_over(reports.report("delivered"))
    check("attempts to record a report that fails", waited(failures, TRIES), TRIES)
    settings = functions.get_function_event_invoke_config(FunctionName=function, Qualifier="live")
    names = ("MaximumRetryAttempts", "MaximumEventAgeInSeconds", "DestinationConfig")
    settings = {name: settings[name] for name in names}
    check("retries that the alias allows", settings["MaximumRetryAttempts"], TRIES - 1)
    functions.put_function_event_invoke_config(FunctionName=function, **settings)
    reports.hand_over(reports.report("delivered"), function)
    check("not emulated: dead letters of an alias", waited(lambda: letters(rehearsal), 1), 1)
    functions.delete_function_event_invoke_config(FunctionName=function)

"""The steps of events: row changes go through the pipe and the function to the bus.

The emulator stores a pipe, but does not run it. The rehearsal does the pipe's work with the pipe's role: it reads the
stream, filters by the template's patterns, has the function enrich batches, and puts the resulting events on the bus."""

import dataclasses
import json

from account import denied
from api import WEEK_MILLISECONDS, invitation

CREATED, UPDATED, ACCEPTED, REVOKED, DELETED, EXPIRED, DELIVERY = (
    f"OrganizationInvitation.{name}"
    for name in ("Created", "Updated", "Accepted", "Revoked", "Deleted", "Expired", "DeliveryUpdated")
)
TIME_TO_LIVE = {"type": "Service", "principalId": "dynamodb.amazonaws.com"}


class Pipe:
    """Does the work of the template's pipe, with the credentials of its role."""

    def __init__(self, rehearsal):
        account, stack = rehearsal.account, rehearsal.stack
        self.account = account
        self.described = account.pipes.describe_pipe(Name=stack.resource("EventsPipe"))
        self.enrichment = f"{stack.outputs()['FunctionName']}:live"
        properties = stack.evaluated().properties("EventsPipe")
        source = properties["SourceParameters"]
        self.batch_size = source["DynamoDBStreamParameters"]["BatchSize"]
        self.patterns = [each["Pattern"] for each in source["FilterCriteria"]["Filters"]]
        self.target = properties["TargetParameters"]["EventBridgeEventBusParameters"]
        self.role = account.as_role(self.described["RoleArn"].split("/")[-1])

    def records(self):
        """All records of the stream in the form that a pipe hands over, and their shard."""
        streams, arn = self.role.dynamodbstreams, self.described["Source"]
        [shard] = streams.describe_stream(StreamArn=arn)["StreamDescription"]["Shards"]
        where = {"StreamArn": arn, "ShardId": shard["ShardId"], "ShardIteratorType": "TRIM_HORIZON"}
        iterator, records = streams.get_shard_iterator(**where)["ShardIterator"], []
        while page := streams.get_records(ShardIterator=iterator):
            if not page["Records"]:
                return [handed_over(each, arn) for each in records], shard["ShardId"]
            records += page["Records"]
            iterator = page["NextShardIterator"]

    def passes(self, record):
        """True if a filter passes the record. The filters are EventBridge patterns, which the emulator can match."""
        event = {"id": "1", "account": "1", "source": "s", "time": "2026-01-01T00:00:00Z", "region": "r"}
        event |= {"resources": [], "detail-type": "t", "detail": record}
        return any(
            self.account.events.test_event_pattern(
                EventPattern=json.dumps({"detail": json.loads(pattern)}), Event=json.dumps(event)
            )["Result"]
            for pattern in self.patterns
        )

    def enriched(self, records):
        """The events that the function returns for the records, batch by batch."""
        events = []
        for start in range(0, len(records), self.batch_size):
            batch = json.dumps(records[start : start + self.batch_size])
            answer = self.role.lambda_.invoke(FunctionName=self.enrichment, Payload=batch)
            assert "FunctionError" not in answer, answer["Payload"].read()
            events += json.load(answer["Payload"])
        return events

    def put(self, details):
        for start in range(0, len(details), self.batch_size):
            entries = [
                self.target | {"EventBusName": self.described["Target"], "Detail": json.dumps(detail)}
                for detail in details[start : start + self.batch_size]
            ]
            answer = self.role.events.put_events(Entries=entries)
            assert answer["FailedEntryCount"] == 0, answer


def handed_over(record, stream):
    """Converts a record of the stream's API to the form that a pipe hands over."""
    at = record["dynamodb"]["ApproximateCreationDateTime"]
    dynamodb = record["dynamodb"] | {"ApproximateCreationDateTime": at.timestamp()}
    return record | {"dynamodb": dynamodb, "eventSourceARN": stream}


class Subscriber:
    """A queue that receives every event on a bus, by a rule."""

    def __init__(self, account, bus):
        self.account = account
        self.queue = account.sqs.create_queue(QueueName="subscriber")["QueueUrl"]
        named = {"QueueUrl": self.queue, "AttributeNames": ["QueueArn"]}
        arn = account.sqs.get_queue_attributes(**named)["Attributes"]["QueueArn"]
        self.rule = {"Rule": "subscriber", "EventBusName": bus}
        pattern = {"source": ["organization-invitations"], "detail-type": ["Organization Invitation"]}
        account.events.put_rule(Name="subscriber", EventBusName=bus, EventPattern=json.dumps(pattern))
        account.events.put_targets(**self.rule, Targets=[{"Id": "queue", "Arn": arn}])

    def received(self):
        """The events received since the last call."""
        found = []
        while messages := self.account.sqs.receive_message(QueueUrl=self.queue, MaxNumberOfMessages=10).get("Messages"):
            for message in messages:
                found.append(json.loads(message["Body"]))
                self.account.sqs.delete_message(QueueUrl=self.queue, ReceiptHandle=message["ReceiptHandle"])
        return found

    def close(self):
        self.account.events.remove_targets(**self.rule, Ids=["queue"])
        self.account.events.delete_rule(Name="subscriber", EventBusName=self.rule["EventBusName"])
        self.account.sqs.delete_queue(QueueUrl=self.queue)


def publishes_changes(rehearsal):
    check, outputs = rehearsal.report.check, rehearsal.stack.outputs()
    pipe = Pipe(rehearsal)
    table = rehearsal.account.dynamodb.describe_table(TableName=outputs["TableName"])["Table"]
    ends = pipe.described["Source"], pipe.described["Target"], pipe.described["CurrentState"]
    check("the pipe's source, target and state", ends, (table["LatestStreamArn"], outputs["EventBusArn"], "RUNNING"))
    check("not emulated: the enrichment of a pipe", pipe.described.get("Enrichment"), None)
    subscriber = Subscriber(rehearsal.account, outputs["EventBusName"])
    expected = changes_invitations(rehearsal)
    records, shard = pipe.records()
    check("not emulated: a pipe to a bus", subscriber.received(), [])
    passing = [each for each in map(expires, records) if pipe.passes(each)]
    check("the filters pass some of the records, not all", 0 < len(passing) < len(records), True)
    details = pipe.enriched(passing)
    check("the same records give the same events again", pipe.enriched(passing), details)
    pipe.put(details)
    events = subscriber.received()
    kinds = {(event["source"], event["detail-type"]) for event in events}
    check("source and type of the events on the bus", kinds, {("organization-invitations", "Organization Invitation")})
    seen = sorted_by_id(event["detail"] for event in events)
    check("the details of the events are the function's responses", seen, sorted_by_id(details))
    for what, (invited, types) in expected.items():
        own = sorted((each for each in details if each["data"]["id"] == invited), key=lambda each: each["sequence"])
        check(f"events of an invitation that was {what}", [each["type"] for each in own], types)
    check("the tenants of the events", {each["tenantId"] for each in details}, {"default"})
    may_do_no_more(rehearsal, pipe.role)
    [record] = [each for each in records if each["eventID"] == details[0]["id"]]
    replays_a_dead_letter(rehearsal, pipe, Lost(shard, record, details[0]), subscriber)
    subscriber.close()
    rehearsal.pipe, rehearsal.details = pipe, details


def may_do_no_more(rehearsal, role):
    """Tries calls that the policy of the pipe's role does not allow."""
    outputs = rehearsal.stack.outputs()
    entry = {"Source": "organization-invitations", "DetailType": "Organization Invitation", "Detail": "{}"}
    for what, call in (
        ("read the table", lambda: role.dynamodb.scan(TableName=outputs["TableName"])),
        ("invoke another version", lambda: role.lambda_.invoke(FunctionName=outputs["FunctionName"], Payload="[]")),
        ("put on the default bus", lambda: role.events.put_events(Entries=[entry | {"EventBusName": "default"}])),
        (
            "send to the other queue",
            lambda: role.sqs.send_message(QueueUrl=outputs["MailFeedbackDeadLettersUrl"], MessageBody="{}"),
        ),
    ):
        rehearsal.report.check(f"the pipe's role may not {what}", denied(call), True)


@dataclasses.dataclass
class Lost:
    """A record that the pipe gave up, and its event."""

    shard: str
    record: dict
    event: dict


def replays_a_dead_letter(rehearsal, pipe, lost, subscriber):
    """Sends a dead letter as the pipe does, and replays it with the guide's commands."""
    check, guide, queue = rehearsal.report.check, rehearsal.guide, rehearsal.stack.outputs()["EventsDeadLettersUrl"]
    at = lost.record["dynamodb"]["SequenceNumber"]
    batch = {"shardId": lost.shard, "startSequenceNumber": at, "endSequenceNumber": at, "batchSize": 1}
    letter = {
        "context": {"partnerResourceArn": pipe.described["Arn"], "condition": "RetryAttemptsExhausted"},
        "version": "1.0",
        "DDBStreamBatchInfo": batch | {"streamArn": pipe.described["Source"]},
    }
    pipe.role.sqs.send_message(QueueUrl=queue, MessageBody=json.dumps(letter))
    read = json.loads(guide.run("A dead letter", blocks=[0]))["DDBStreamBatchInfo"]
    values = "SHARD={shardId}; SEQUENCE={startSequenceNumber}; STREAM={streamArn}".format(**read)
    files = {name: str(guide.state.parent / name) for name in ("records.json", "events.json", "entries.json")}
    guide.run("A dead letter", {"SHARD=…; SEQUENCE=…; STREAM=…": values} | files, blocks=[1])
    check("the event of a replayed dead letter", [each["detail"] for each in subscriber.received()], [lost.event])


def sorted_by_id(details):
    return sorted(details, key=lambda each: each["id"])


def changes_invitations(rehearsal):
    """Makes each kind of change, and returns the invitation and its expected event types for each."""
    api, found = rehearsal.api(rehearsal.token), {}

    def created(name):
        return api.call("POST", body=invitation(f"event-{name}@example.com")).body["id"]

    found["changed"] = created("changed"), [CREATED, UPDATED]
    later = api.call("GET", f"/{found['changed'][0]}").body["expiresAt"] + WEEK_MILLISECONDS
    api.call("PATCH", f"/{found['changed'][0]}", {"expiresAt": later})
    found["accepted"] = created("accepted"), [CREATED, ACCEPTED]
    rehearsal.guide.shell(
        "cargo directory --tenant default user put event-user --primary-email event-accepted@example.com"
    )
    api.call("PUT", f"/{found['accepted'][0]}/status", {"status": "Accepted", "acceptedUserId": "event-user"})
    found["revoked and deleted"] = created("revoked"), [CREATED, REVOKED, DELETED]
    api.call("PUT", f"/{found['revoked and deleted'][0]}/status", {"status": "Revoked"})
    api.call("DELETE", f"/{found['revoked and deleted'][0]}")
    found["left to expire"] = created("expired"), [CREATED, EXPIRED]
    standing = {"pk": {"S": "TENANT#default"}, "sk": {"S": EXPIRING}}
    rehearsal.account.dynamodb.delete_item(TableName=rehearsal.stack.outputs()["TableName"], Key=standing)
    [bounced] = api.call("GET", "?invitee=bounced@example.com").body
    found["mailed and bounced"] = bounced["id"], [CREATED, DELIVERY]
    return found


EXPIRING = "ORG#acme#INVITEE#event-expired@example.com"


def expires(record):
    """Marks the deletion of the expiring row as one by DynamoDB's time to live, which the emulator lacks."""
    is_deleted = record["dynamodb"]["Keys"]["sk"]["S"] == EXPIRING and "NewImage" not in record["dynamodb"]
    return record | {"userIdentity": TIME_TO_LIVE} if is_deleted else record


def turns_feedback_and_events_off(rehearsal):
    check, stack, account = rehearsal.report.check, rehearsal.stack, rehearsal.account
    turned_off = stack.deploy(MailFeedback="off", Events="off"), stack.failures()
    check("turning both off", turned_off, ("UPDATE_COMPLETE", []))
    table = account.dynamodb.describe_table(TableName=stack.outputs()["TableName"])["Table"]
    buses = [each["Name"] for each in account.events.list_event_buses()["EventBuses"]]
    left = account.pipes.list_pipes()["Pipes"], buses, account.sqs.list_queues().get("QueueUrls", [])
    check("remaining pipes, buses and queues", left, ([], ["default"], []))
    check("the table's stream is enabled", table.get("StreamSpecification", {}).get("StreamEnabled", False), False)
    check("a call after both are off", rehearsal.api(rehearsal.token).call("GET").status, 200)

use serde_json::json;

use super::*;

const ID: &str = "0mjuohs00k3x9abp7q2rs";
const MESSAGE: &str = "0100017c191be45-e9aedb9a-02f9-4d12-a87d-dd0099a07f8a-000000";
/// 2026-01-01T00:00:00Z, when the mail was sent.
const SENT_AT: i64 = 1_767_225_600_000;
const NOW: Timestamp = Timestamp::from_millis(SENT_AT + 60_000);

/// An event in the form of SES's developer guide. `part` is the part that depends on the type, at `key`.
fn event(detail_type: &str, key: &str, part: Value) -> Value {
    let mut detail = json!({
        "eventType": "as in events of SNS",
        "mail": {
            "timestamp": "2026-01-01T00:00:00.000Z",
            "source": "Sender Name <sender@example.com>",
            "sourceArn": "arn:aws:ses:us-east-1:123456789012:identity/sender@example.com",
            "sendingAccountId": "123456789012",
            "messageId": MESSAGE,
            "destination": ["recipient@example.com"],
            "headersTruncated": false,
            "headers": [{ "name": "To", "value": "recipient@example.com" }],
            "commonHeaders": { "to": ["recipient@example.com"], "subject": "Join" },
            "tags": {
                "ses:configuration-set": ["invitations"],
                "ses:source-ip": ["192.0.2.0"],
                "ses:from-domain": ["example.com"],
                "ses:caller-identity": ["ses_user"],
                "tenant": ["default"],
                "invitation": [ID],
                "stack": ["stack-1"],
                "ttl": ["4102444800"],
            },
        },
    });
    detail[key] = part;
    json!({
        "version": "0",
        "id": "6a7e8feb-b491-4cf7-a9f1-bf3703467718",
        "detail-type": detail_type,
        "source": SOURCE,
        "account": "123456789012",
        "time": "2026-01-01T00:00:01Z",
        "region": "us-east-1",
        "resources": ["arn:aws:ses:us-east-1:123456789012:configuration-set/invitations"],
        "detail": detail,
    })
}

fn config(stack_name: Option<&str>) -> Config {
    Config::from_lookup(|name| match name {
        "TABLE_NAME" => Some("t".to_owned()),
        "STACK_NAME" => stack_name.map(str::to_owned),
        _ => None,
    })
    .unwrap()
}

fn read(event: &Value) -> Result<DeliveryReport, Ignored> {
    report(&RawValue::from_string(event.to_string()).unwrap(), &config(Some("stack-1")), NOW)
}

fn bounce(kind: &str, subtype: &str) -> Value {
    let recipient = json!({
        "emailAddress": "recipient@example.com",
        "action": "failed",
        "status": "5.1.1",
        "diagnosticCode": "smtp; 550 5.1.1 user unknown",
    });
    json!({
        "bounceType": kind,
        "bounceSubType": subtype,
        "bouncedRecipients": [recipient],
        "timestamp": "2026-01-01T00:00:02.345Z",
        "feedbackId": "01000157c44f053b-61b59c11-9236-11e6-8f96-7be8aexample-000000",
        "reportingMTA": "dsn; mta.example.com",
    })
}

#[test]
#[rustfmt::skip]
fn every_type_of_event_becomes_the_delivery_that_it_reports() {
    use DeliveryStatus as S;
    const LATER: i64 = SENT_AT + 2_345;
    let bounced = |kind, subtype| ("Email Bounced", "bounce", bounce(kind, subtype));
    let complaint = |part: Value| ("Email Complaint Received", "complaint", part);
    let delivered = |response: &str| {
        let part = json!({ "timestamp": "2026-01-01T00:00:02.345Z", "processingTimeMillis": 2345,
            "recipients": ["recipient@example.com"], "smtpResponse": response, "reportingMTA": "mta.example.com" });
        ("Email Delivered", "delivery", part)
    };
    let delayed = |kind: &str| {
        let recipient = json!({ "emailAddress": "recipient@example.com", "status": "4.4.1",
            "diagnosticCode": "smtp; 421 4.4.1 Unable to connect to remote host" });
        let part = json!({ "delayType": kind, "expirationTime": "2026-01-01T14:00:00.914Z",
            "delayedRecipients": [recipient], "timestamp": "2026-01-01T00:00:02.345Z" });
        ("Email Delivery Delayed", "deliveryDelay", part)
    };
    for (event_parts, status, permanent, reason, smtp_status, at) in [
        (("Email Sent", "send", json!({})), S::Sent, false, None, None, SENT_AT),
        (("Email Rejected", "reject", json!({ "reason": "Bad content" })), S::Rejected, false, None, None, SENT_AT),
        (("Email Rendering Failed", "failure", json!({ "templateName": "t", "errorMessage": "Attribute 'x' is not present" })),
            S::Failed, false, None, None, SENT_AT),
        (delivered("250 2.6.0 Message received"), S::Delivered, false, None, Some("2.6.0"), LATER),
        (delivered("250 ok:  Message 64111812 accepted"), S::Delivered, false, None, None, LATER),
        (delayed("TransientCommunicationFailure"), S::Delayed, false, Some("TransientCommunicationFailure"), Some("4.4.1"), LATER),
        (delayed("SpamDetected"), S::Delayed, false, Some("SpamDetected"), Some("4.4.1"), LATER),
        (bounced("Undetermined", "Undetermined"), S::Bounced, false, Some("Undetermined"), Some("5.1.1"), LATER),
        (bounced("Permanent", "General"), S::Bounced, true, Some("General"), Some("5.1.1"), LATER),
        (bounced("Permanent", "NoEmail"), S::Bounced, true, Some("NoEmail"), Some("5.1.1"), LATER),
        (bounced("Permanent", "Suppressed"), S::Suppressed, true, Some("Suppressed"), Some("5.1.1"), LATER),
        (bounced("Permanent", "OnAccountSuppressionList"), S::Suppressed, true, Some("OnAccountSuppressionList"), Some("5.1.1"), LATER),
        (bounced("Permanent", "OnTenantSuppressionList"), S::Suppressed, true, Some("OnTenantSuppressionList"), Some("5.1.1"), LATER),
        (bounced("Permanent", "UnsubscribedRecipient"), S::Suppressed, true, Some("UnsubscribedRecipient"), Some("5.1.1"), LATER),
        (bounced("Transient", "General"), S::Bounced, false, Some("General"), Some("5.1.1"), LATER),
        (bounced("Transient", "MailboxFull"), S::Bounced, false, Some("MailboxFull"), Some("5.1.1"), LATER),
        (bounced("Transient", "MessageTooLarge"), S::Bounced, false, Some("MessageTooLarge"), Some("5.1.1"), LATER),
        (bounced("Transient", "CustomTimeoutExceeded"), S::Bounced, false, Some("CustomTimeoutExceeded"), Some("5.1.1"), LATER),
        (bounced("Transient", "ContentRejected"), S::Bounced, false, Some("ContentRejected"), Some("5.1.1"), LATER),
        (bounced("Transient", "AttachmentRejected"), S::Bounced, false, Some("AttachmentRejected"), Some("5.1.1"), LATER),
        (bounced("OfTheFuture", "AlsoNew"), S::Bounced, false, Some("AlsoNew"), Some("5.1.1"), LATER),
        (("Email Bounced", "bounce", Value::Null), S::Bounced, false, None, None, SENT_AT),
        (complaint(json!({ "complaintSubType": null, "complaintFeedbackType": "abuse", "timestamp": "2026-01-01T00:00:02.345Z" })),
            S::Complained, false, Some("abuse"), None, LATER),
        (complaint(json!({ "complaintFeedbackType": "auth-failure", "timestamp": "2026-01-01T00:00:02.345Z" })),
            S::Complained, false, Some("auth-failure"), None, LATER),
        (complaint(json!({ "timestamp": "2026-01-01T00:00:02.345Z" })), S::Complained, false, None, None, LATER),
        (complaint(json!({ "complaintSubType": "OnAccountSuppressionList", "timestamp": "2026-01-01T00:00:02.345Z" })),
            S::Suppressed, true, Some("OnAccountSuppressionList"), None, LATER),
    ] {
        let (detail_type, key, part) = event_parts;
        let event = event(detail_type, key, part);
        let expected = Delivery {
            status,
            permanent,
            reason: reason.map(str::to_owned),
            smtp_status: smtp_status.map(str::to_owned),
            message_id: MESSAGE.to_owned(),
            sent_at: Timestamp::from_millis(SENT_AT),
            updated_at: Timestamp::from_millis(at),
        };
        let report = read(&event).unwrap();
        assert_eq!(report.delivery, expected, "{event}");
        assert_eq!((report.tenant.as_str(), report.invitation_id.as_str(), report.ttl), ("default", ID, 4_102_444_800));
        assert!(DETAIL_TYPES.contains(&detail_type));
    }
}

#[test]
fn an_event_that_is_not_about_our_mail_is_ignored_for_a_reason() {
    let set = |path: &str, value: Value| {
        let mut event = event("Email Sent", "send", json!({}));
        *event.pointer_mut(path).unwrap_or_else(|| panic!("{path}")) = value;
        event
    };
    let tag = |name: &str, value: Value| set(&format!("/detail/mail/tags/{name}"), value);
    let complaint = json!({ "complaintFeedbackType": "not-spam" });
    for (event, expected, reason) in [
        (set("/detail-type", json!("Email Opened")), Ignored::UnknownType, "a type that the rule does not forward"),
        (set("/detail-type", json!(["Email Sent"])), Ignored::UnknownType, "not a text"),
        (set("/detail", Value::Null), Ignored::Tenant, "no detail"),
        (set("/detail", json!("x")), Ignored::Tenant, "a detail of another type"),
        (set("/detail/mail", json!([1])), Ignored::Tenant, "a mail of another type"),
        (set("/detail/mail/tags", json!({})), Ignored::Tenant, "somebody else's mail"),
        (set("/detail/mail/tags", Value::Null), Ignored::Tenant, "no tags"),
        (
            set("/detail/mail/destination", json!(["a@example.com", "b@example.com"])),
            Ignored::SeveralRecipients,
            "not ours",
        ),
        (tag("tenant", json!(["a#b"])), Ignored::Tenant, "it would reach into other keys"),
        (tag("tenant", json!(["x".repeat(65)])), Ignored::Tenant, "too long"),
        (tag("tenant", json!([""])), Ignored::Tenant, "empty"),
        (tag("tenant", json!([])), Ignored::Tenant, "no value"),
        (tag("tenant", json!(["default", "other"])), Ignored::Tenant, "two values"),
        (tag("tenant", json!("default")), Ignored::Tenant, "not in SES's form"),
        (tag("tenant", json!([7])), Ignored::Tenant, "a number"),
        (tag("invitation", json!(["0MJUOHS00K3X9ABP7Q2RS"])), Ignored::Invitation, "not of the form of an id"),
        (tag("invitation", json!([format!("{ID}#x")])), Ignored::Invitation, "it would reach into other keys"),
        (tag("stack", json!(["stack-2"])), Ignored::AnotherStack, "another stack of the account"),
        (tag("stack", json!([])), Ignored::AnotherStack, "no stack"),
        (tag("ttl", json!(["4102444800.5"])), Ignored::Ttl, "a fraction"),
        (tag("ttl", json!(["-4102444800"])), Ignored::Ttl, "a sign"),
        (tag("ttl", json!(["99999999999999999999"])), Ignored::Ttl, "too many digits"),
        (tag("ttl", json!(["1767225600"])), Ignored::NoLongerKept, "it would be written and never read"),
        (set("/detail/mail/messageId", Value::Null), Ignored::MessageId, "no message"),
        (set("/detail/mail/messageId", json!("a@example.com")), Ignored::MessageId, "an address"),
        (set("/detail/mail/messageId", json!("a#b")), Ignored::MessageId, "it would change the order"),
        (set("/detail/mail/messageId", json!("x".repeat(129))), Ignored::MessageId, "too long"),
        (set("/detail/mail/timestamp", json!("yesterday")), Ignored::SentAt, "not a time"),
        (
            set("/detail/mail/timestamp", json!("1969-12-31T23:59:59Z")),
            Ignored::SentAt,
            "it would sort after all others",
        ),
        (set("/detail/mail/timestamp", json!(7)), Ignored::SentAt, "a number"),
        (event("Email Complaint Received", "complaint", complaint), Ignored::NotSpam, "the opposite of a complaint"),
    ] {
        assert_eq!(read(&event).err(), Some(expected), "{reason}: {event}");
    }
    for text in ["null", "[]", "7", r#""x""#, "{}"] {
        let raw = RawValue::from_string(text.to_owned()).unwrap();
        assert_eq!(report(&raw, &config(None), NOW).err(), Some(Ignored::UnknownType), "{text}");
    }
}

#[test]
fn a_function_without_a_stack_name_accepts_the_feedback_of_every_stack() {
    for (stack, reason) in [(json!(["stack-1"]), "another's"), (json!([]), "none"), (json!([1]), "an odd one")] {
        let mut event = event("Email Sent", "send", json!({}));
        event["detail"]["mail"]["tags"]["stack"] = stack;
        let raw = RawValue::from_string(event.to_string()).unwrap();
        assert!(report(&raw, &config(None), NOW).is_ok(), "{reason}");
    }
}

#[test]
fn a_text_of_the_recipients_server_never_becomes_a_reason_or_a_code() {
    const SECRET: &str = "550 5.1.1 <recipient@example.com>: user unknown";
    let mut part = bounce(SECRET, SECRET);
    part["bouncedRecipients"][0]["status"] = json!(SECRET);
    let delay = json!({ "delayType": SECRET, "delayedRecipients": [{ "status": "5.1.1 recipient@example.com" }] });
    let delivery = json!({ "smtpResponse": "250 recipient@example.com ok" });
    for event in [
        event("Email Bounced", "bounce", part),
        event("Email Delivery Delayed", "deliveryDelay", delay),
        event("Email Delivered", "delivery", delivery),
        event("Email Complaint Received", "complaint", json!({ "complaintFeedbackType": SECRET })),
        event("Email Rejected", "reject", json!({ "reason": SECRET })),
        event("Email Rendering Failed", "failure", json!({ "errorMessage": SECRET, "templateName": SECRET })),
    ] {
        let report = read(&event).unwrap();
        assert_eq!((report.delivery.reason, report.delivery.smtp_status), (None, None), "{event}");
    }
}

#[test]
fn only_a_well_formed_code_of_a_single_recipient_is_read() {
    for (statuses, expected) in [
        (json!([{ "status": "5.1.1" }]), Some("5.1.1")),
        (json!([{ "status": "4.999.999" }]), Some("4.999.999")),
        (json!([{ "status": "5.1.1" }, { "status": "5.1.1" }]), None),
        (json!([{ "status": "6.1.1" }]), None),
        (json!([{ "status": "5.1" }]), None),
        (json!([{ "status": "5.1.1000" }]), None),
        (json!([{ "status": "5.1.1.1" }]), None),
        (json!([{ "status": "5..1" }]), None),
        (json!([{}]), None),
        (json!([]), None),
        (json!("5.1.1"), None),
        (Value::Null, None),
    ] {
        assert_eq!(smtp_status(&statuses).as_deref(), expected, "{statuses}");
    }
}

#[test]
fn an_unreadable_part_of_an_event_does_not_affect_the_others() {
    let deep = "[".repeat(100_000) + &"]".repeat(100_000);
    let text = event("Email Sent", "send", json!({})).to_string();
    let text = text.replacen("\"headers\":", &format!("\"deep\":{deep},\"number\":1e400,\"headers\":"), 1);
    let raw = RawValue::from_string(text).unwrap();
    assert!(report(&raw, &config(Some("stack-1")), NOW).is_ok());
}

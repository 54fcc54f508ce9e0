//! Mail feedback: converts SES's events, which an `EventBridge` rule forwards, into the delivery of an invitation.
//!
//! The tags of the mail name the tenant and the invitation. They are trusted, because feedback arrives only through the
//! rule: an event in the form of an API request is never read as feedback (see [`crate::trigger`]).
//!
//! An event that cannot become a delivery is logged and dropped, because a retry would not change it. A failure of
//! DynamoDB is an error, so that Lambda retries.

use aws_smithy_types::{DateTime, date_time::Format};
use serde_json::{Value, value::RawValue};

use crate::{
    app::App,
    clock::RequestClock,
    config::Config,
    domain::{
        delivery::{Delivery, DeliveryReport, DeliveryStatus},
        error::Error,
        ids::{InvitationId, TenantId},
        timestamp::Timestamp,
    },
    invitations::delivery,
    json::{self, lenient},
};

/// The `source` of SES's events. Only AWS services can publish events whose source begins with `aws.`.
pub const SOURCE: &str = "aws.ses";

/// The kinds of events that become deliveries, by their `detail-type` ("Monitoring SES events using Amazon
/// `EventBridge`", SES developer guide).
pub const DETAIL_TYPES: [&str; 7] = [
    "Email Sent",
    "Email Delivered",
    "Email Delivery Delayed",
    "Email Bounced",
    "Email Complaint Received",
    "Email Rejected",
    "Email Rendering Failed",
];

/// The levels of an event's `detail` that are read: `mail.tags.<name>[0]` and `bounce.bouncedRecipients[0].status`.
const DETAIL_LEVELS: u8 = 5;

/// The maximum length of a message id, in bytes. SES's have about 60.
const MAX_MESSAGE_ID: usize = 128;

/// The maximum length of a reason, in bytes. SES's have at most 30.
const MAX_REASON: usize = 64;

/// The maximum number of digits of a `ttl` tag: expiry in the year 275760, plus the maximum retention of ten years.
const MAX_TTL_DIGITS: usize = 13;

/// The reason for which an event is ignored. The texts contain no data of the event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
enum Ignored {
    #[error("unknown detail-type")]
    UnknownType,
    #[error("several recipients")]
    SeveralRecipients,
    #[error("missing or invalid tag: tenant")]
    Tenant,
    #[error("missing or invalid tag: invitation")]
    Invitation,
    #[error("missing or invalid tag: ttl")]
    Ttl,
    #[error("the mail is not of this stack")]
    AnotherStack,
    #[error("the invitation is no longer kept")]
    NoLongerKept,
    #[error("missing or invalid message id")]
    MessageId,
    #[error("missing or invalid time of sending")]
    SentAt,
    #[error("a complaint that the mail is not spam")]
    NotSpam,
}

/// Records the delivery that an event reports.
///
/// # Errors
/// A failure of DynamoDB.
pub async fn handle(app: &App, event: &RawValue, clock: RequestClock) -> Result<(), Error> {
    let report = match report(event, &app.config, clock.now) {
        Ok(report) => report,
        Err(ignored) => {
            let event_id = event_id(event);
            tracing::warn!(event_id, reason = %ignored, "mail feedback ignored");
            return Ok(());
        }
    };
    let DeliveryReport { tenant, invitation_id, delivery: Delivery { status, message_id, .. }, .. } = &report;
    let status = status.as_str();
    match delivery::record(app, &report, clock).await {
        Ok(is_recorded) => {
            tracing::info!(%tenant, %invitation_id, message_id, status, is_recorded, "mail feedback");
            Ok(())
        }
        Err(error) => {
            let cause = error.cause();
            tracing::error!(%tenant, %invitation_id, message_id, status, cause, "mail feedback not recorded");
            Err(error)
        }
    }
}

/// `EventBridge`'s id of the event, for the log.
fn event_id(event: &RawValue) -> Option<String> {
    let id: String = serde_json::from_str(json::fields(event).get("id")?.get()).ok()?;
    is_word(&id, 64, |c| c.is_ascii_alphanumeric() || c == '-').then_some(id)
}

/// Reads an event.
fn report(event: &RawValue, config: &Config, now: Timestamp) -> Result<DeliveryReport, Ignored> {
    let fields = json::fields(event);
    let part = |name: &str, levels| fields.get(name).map_or(Value::Null, |raw| lenient(raw, levels));
    let (detail_type, detail) = (part("detail-type", 1), part("detail", DETAIL_LEVELS));
    let mail = &detail["mail"];
    let report = MessageReport::read(detail_type.as_str().unwrap_or_default(), &detail)?;
    if mail["destination"].as_array().is_some_and(|recipients| recipients.len() > 1) {
        return Err(Ignored::SeveralRecipients);
    }
    let tags = &mail["tags"];
    let tenant = tag(tags, "tenant").and_then(TenantId::parse).ok_or(Ignored::Tenant)?;
    let invitation_id = tag(tags, "invitation").and_then(InvitationId::parse).ok_or(Ignored::Invitation)?;
    if config.stack_name.is_some() && config.stack_name.as_deref() != tag(tags, "stack") {
        return Err(Ignored::AnotherStack);
    }
    let ttl = tag(tags, "ttl").and_then(seconds).ok_or(Ignored::Ttl)?;
    if ttl.saturating_mul(1000) <= now.as_millis() {
        return Err(Ignored::NoLongerKept);
    }
    let message_id = mail["messageId"].as_str().filter(|id| is_message_id(id)).ok_or(Ignored::MessageId)?.to_owned();
    let sent_at = time(&mail["timestamp"]).ok_or(Ignored::SentAt)?;
    let MessageReport { status, permanent, reason, smtp_status, at } = report;
    let updated_at = at.unwrap_or(sent_at);
    let delivery = Delivery { status, permanent, reason, smtp_status, message_id, sent_at, updated_at };
    Ok(DeliveryReport { tenant, invitation_id, delivery, ttl })
}

/// The part of an event that depends on its type.
struct MessageReport {
    status: DeliveryStatus,
    permanent: bool,
    reason: Option<String>,
    smtp_status: Option<String>,
    /// The time of the report; `None` for events about the sending, which have only the time of sending.
    at: Option<Timestamp>,
}

impl MessageReport {
    fn read(detail_type: &str, detail: &Value) -> Result<Self, Ignored> {
        match detail_type {
            "Email Sent" => Ok(Self::of(DeliveryStatus::Sent)),
            "Email Rejected" => Ok(Self::of(DeliveryStatus::Rejected)),
            "Email Rendering Failed" => Ok(Self::of(DeliveryStatus::Failed)),
            "Email Delivered" => Ok(Self::of_delivery(&detail["delivery"])),
            "Email Delivery Delayed" => Ok(Self::of_delay(&detail["deliveryDelay"])),
            "Email Bounced" => Ok(Self::of_bounce(&detail["bounce"])),
            "Email Complaint Received" => Self::of_complaint(&detail["complaint"]),
            _ => Err(Ignored::UnknownType),
        }
    }

    const fn of(status: DeliveryStatus) -> Self {
        Self { status, permanent: false, reason: None, smtp_status: None, at: None }
    }

    fn of_delivery(delivery: &Value) -> Self {
        // Such as `250 2.6.0 Message received`.
        let code = delivery["smtpResponse"].as_str().and_then(|response| response.split(' ').nth(1));
        let smtp_status = code.filter(|code| is_smtp_status(code)).map(str::to_owned);
        Self { smtp_status, at: time(&delivery["timestamp"]), ..Self::of(DeliveryStatus::Delivered) }
    }

    fn of_delay(delay: &Value) -> Self {
        Self {
            reason: word(&delay["delayType"]),
            smtp_status: smtp_status(&delay["delayedRecipients"]),
            at: time(&delay["timestamp"]),
            ..Self::of(DeliveryStatus::Delayed)
        }
    }

    fn of_bounce(bounce: &Value) -> Self {
        let reason = word(&bounce["bounceSubType"]);
        let is_suppressed = reason.as_deref().is_some_and(is_suppression);
        Self {
            status: if is_suppressed { DeliveryStatus::Suppressed } else { DeliveryStatus::Bounced },
            permanent: is_suppressed || bounce["bounceType"] == "Permanent",
            reason,
            smtp_status: smtp_status(&bounce["bouncedRecipients"]),
            at: time(&bounce["timestamp"]),
        }
    }

    /// A complaint about a suppressed address comes from SES, not from the recipient: SES accepted the message, but did
    /// not send it.
    fn of_complaint(complaint: &Value) -> Result<Self, Ignored> {
        let at = time(&complaint["timestamp"]);
        let subtype = word(&complaint["complaintSubType"]).filter(|subtype| is_suppression(subtype));
        if let Some(reason) = subtype {
            return Ok(Self { permanent: true, reason: Some(reason), at, ..Self::of(DeliveryStatus::Suppressed) });
        }
        if complaint["complaintFeedbackType"] == "not-spam" {
            return Err(Ignored::NotSpam);
        }
        let reason = word(&complaint["complaintFeedbackType"]);
        Ok(Self { reason, at, ..Self::of(DeliveryStatus::Complained) })
    }
}

/// `true` if the subtype of a bounce or a complaint means that SES did not send: the address is suppressed or
/// unsubscribed.
fn is_suppression(subtype: &str) -> bool {
    subtype == "UnsubscribedRecipient" || subtype.contains("Suppress")
}

/// The value of a tag; `None` for a tag with several values.
fn tag<'a>(tags: &'a Value, name: &str) -> Option<&'a str> {
    match &tags[name].as_array()?[..] {
        [value] => value.as_str(),
        _ => None,
    }
}

/// The enhanced status code of the recipient; `None` for several recipients.
fn smtp_status(recipients: &Value) -> Option<String> {
    match &recipients.as_array()?[..] {
        [recipient] => recipient["status"].as_str().filter(|status| is_smtp_status(status)).map(str::to_owned),
        _ => None,
    }
}

/// A word in the form of SES's. Any other text could come from the recipient's server and contain an address.
fn word(value: &Value) -> Option<String> {
    let text = value.as_str()?.trim();
    is_word(text, MAX_REASON, |c| c.is_ascii_alphabetic() || c == '-').then(|| text.to_owned())
}

fn is_word(text: &str, max_length: usize, allowed: impl Fn(char) -> bool) -> bool {
    (1..=max_length).contains(&text.len()) && text.chars().all(allowed)
}

fn is_message_id(text: &str) -> bool {
    is_word(text, MAX_MESSAGE_ID, |c| c.is_ascii_alphanumeric() || ['-', '_', '.'].contains(&c))
}

/// Matches an enhanced status code (RFC 3463), such as `5.1.1`.
fn is_smtp_status(text: &str) -> bool {
    let is_number = |part: &str| is_word(part, 3, |c| c.is_ascii_digit());
    match text.split('.').collect::<Vec<_>>()[..] {
        [class, subject, detail] => ["2", "4", "5"].contains(&class) && is_number(subject) && is_number(detail),
        _ => false,
    }
}

/// The value of a `ttl` tag, in epoch seconds.
fn seconds(text: &str) -> Option<i64> {
    is_word(text, MAX_TTL_DIGITS, |c| c.is_ascii_digit()).then(|| text.parse().ok())?
}

/// A time as ISO 8601, such as `2016-10-14T05:02:16.645Z`.
fn time(value: &Value) -> Option<Timestamp> {
    let time = DateTime::from_str(value.as_str()?, Format::DateTimeWithOffset).ok()?;
    time.to_millis().ok().filter(|millis| *millis >= 0).map(Timestamp::from_millis)
}

#[cfg(test)]
mod tests;

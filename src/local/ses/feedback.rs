//! The events that SES publishes about a mail, in the form in which `EventBridge` delivers them ("Monitoring SES
//! events using Amazon `EventBridge`", SES developer guide).
//!
//! The addresses of SES's mailbox simulator decide what happens to a mail (`success@`, `bounce@`, `ooto@`, `complaint@`
//! and `suppressionlist@simulator.amazonses.com`, also as `bounce+label@`). A mail to any other address is delivered.
//! Unlike SES, the stand-in publishes without a configuration set too.

use aws_sdk_dynamodb::primitives::{DateTime, DateTimeFormat};
use serde_json::{Map, Value, json};

use super::wire::SendEmail;
use crate::{domain::timestamp::Timestamp, feedback::SOURCE};

const ACCOUNT: &str = "123456789012";
const REGION: &str = "us-east-1";
const SIMULATOR: &str = "simulator.amazonses.com";

/// An accepted message.
pub(super) struct Accepted<'a> {
    pub(super) id: &'a str,
    pub(super) at: Timestamp,
    pub(super) request: &'a SendEmail,
    /// `false` if a variable of its template is missing.
    pub(super) is_rendered: bool,
}

/// An event about a message: the `detail-type`, the kind and key in `detail`, and the value at the key.
type Happening = (&'static str, &'static str, &'static str, Value);

impl Accepted<'_> {
    /// Its events, in the order in which they happen.
    pub(super) fn events(&self) -> Vec<Value> {
        let happenings = if self.is_rendered { self.happenings() } else { vec![self.rendering_failure()] };
        happenings.into_iter().map(|happening| self.event(happening)).collect()
    }

    fn happenings(&self) -> Vec<Happening> {
        let sent = ("Email Sent", "Send", "send", json!({}));
        let recipient = self.request.destination.to.first().map_or("", String::as_str);
        match simulated(recipient).as_deref() {
            Some("bounce") => vec![sent, self.bounce(recipient, "Permanent", "General", "5.1.1")],
            Some("suppressionlist") => vec![sent, self.bounce(recipient, "Permanent", "Suppressed", "5.1.1")],
            // An out-of-office reply comes after the delivery, and counts as a bounce.
            Some("ooto") => vec![sent, self.delivery(), self.bounce(recipient, "Transient", "General", "5.3.2")],
            Some("complaint") => vec![sent, self.delivery(), self.complaint(recipient)],
            _ => vec![sent, self.delivery()],
        }
    }

    fn delivery(&self) -> Happening {
        let delivery = json!({
            "timestamp": self.after(1),
            "processingTimeMillis": 1,
            "recipients": self.request.destination.to,
            "smtpResponse": "250 2.6.0 Message received",
            "reportingMTA": "a8-70.smtp-out.amazonses.com",
        });
        ("Email Delivered", "Delivery", "delivery", delivery)
    }

    fn bounce(&self, recipient: &str, kind: &str, subtype: &str, status: &str) -> Happening {
        let recipient = json!({ "emailAddress": recipient, "action": "failed", "status": status });
        let bounce = json!({
            "bounceType": kind,
            "bounceSubType": subtype,
            "bouncedRecipients": [recipient],
            "timestamp": self.after(2),
            "feedbackId": format!("{}-bounce", self.id),
            "reportingMTA": "dns; a8-70.smtp-out.amazonses.com",
        });
        ("Email Bounced", "Bounce", "bounce", bounce)
    }

    fn complaint(&self, recipient: &str) -> Happening {
        let complaint = json!({
            "complainedRecipients": [{ "emailAddress": recipient }],
            "timestamp": self.after(2),
            "feedbackId": format!("{}-complaint", self.id),
            "complaintSubType": null,
            "userAgent": "Amazon SES Mailbox Simulator",
            "complaintFeedbackType": "abuse",
        });
        ("Email Complaint Received", "Complaint", "complaint", complaint)
    }

    fn rendering_failure(&self) -> Happening {
        let content = self.request.content.as_ref().and_then(|content| content.template.as_ref());
        let name = content.and_then(|template| template.name.as_deref());
        let failure =
            json!({ "templateName": name, "errorMessage": "A variable is not present in the rendering data." });
        ("Email Rendering Failed", "Rendering Failure", "failure", failure)
    }

    fn event(&self, (detail_type, event_type, key, happening): Happening) -> Value {
        let set = self.request.configuration_set_name.as_deref().unwrap_or("none");
        let mut detail = json!({ "eventType": event_type, "mail": self.mail(set) });
        detail[key] = happening;
        json!({
            "version": "0",
            "id": format!("{}-{key}", self.id),
            "detail-type": detail_type,
            "source": SOURCE,
            "account": ACCOUNT,
            "time": iso(Timestamp::from_millis(self.at.as_millis().div_euclid(1000) * 1000)),
            "region": REGION,
            "resources": [format!("arn:aws:ses:{REGION}:{ACCOUNT}:configuration-set/{set}")],
            "detail": detail,
        })
    }

    fn mail(&self, configuration_set: &str) -> Value {
        let own = self.request.email_tags.iter().map(|tag| (tag.name.clone(), json!([tag.value])));
        let mut tags: Map<_, _> = own.collect();
        tags.insert("ses:configuration-set".to_owned(), json!([configuration_set]));
        let to = &self.request.destination.to;
        json!({
            "timestamp": iso(self.at),
            "source": self.request.from_email_address,
            "sendingAccountId": ACCOUNT,
            "messageId": self.id,
            "destination": to,
            "headersTruncated": false,
            "headers": [{ "name": "To", "value": to.join(", ") }],
            "commonHeaders": { "to": to },
            "tags": tags,
        })
    }

    fn after(&self, millis: i64) -> String {
        iso(self.at.plus_millis(millis))
    }
}

/// The mailbox of SES's simulator; `None` for any other address.
fn simulated(address: &str) -> Option<String> {
    let (local, domain) = address.rsplit_once('@')?;
    let mailbox = local.split('+').next().unwrap_or_default().to_ascii_lowercase();
    domain.eq_ignore_ascii_case(SIMULATOR).then_some(mailbox)
}

fn iso(time: Timestamp) -> String {
    DateTime::from_millis(time.as_millis()).fmt(DateTimeFormat::DateTime).unwrap_or_default()
}

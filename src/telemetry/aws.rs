//! The log lines about calls of AWS. They hold the ids that AWS gives: its support asks for that of a failed call, and
//! SES's reports name that of a mail. Neither is personal.
//!
//! They are written for each failed call and each mail, while the line of a request describes one failure.

use crate::domain::ids::InvitationId;

/// Logs a failed attempt of a call, whether or not it is retried. A condition that failed is not a failure.
///
/// `aws_request_id` is `None` if there was no response.
pub(crate) fn call_failed(cause: &str, aws_request_id: Option<&str>) {
    tracing::warn!(cause, aws_request_id, "call to AWS failed");
}

/// Logs that SES accepted an invitation's email.
pub(crate) fn mail_sent(invitation_id: &InvitationId, message_id: &str) {
    tracing::info!(%invitation_id, message_id, "mail sent");
}

//! Replays a create by its idempotency key: returns the first response, and completes an attempt whose lease has
//! expired.

use super::{
    create::{CreateRequest, Unmailed, begin},
    email,
};
use crate::{
    app::App,
    domain::{error::Error, invitation::Status, timestamp::Timestamp},
    store::{
        create::CreatedInvitation,
        idempotency::{IdempotencyRecord, Progress, TakeOverOutcome},
        recipient_rate_limit::RecipientRateLimit,
        token::MessageToken,
    },
    telemetry::statistics,
};

/// Replays the create of `record`: returns the JSON entity of the first attempt. If that attempt died before sending
/// its email, sends it first.
///
/// # Errors
/// [`Error::StillRunning`] while another attempt holds the lease, and the errors of sending an email.
pub(super) async fn replay(app: &App, request: &CreateRequest<'_>, record: IdempotencyRecord) -> Result<String, Error> {
    statistics::invitation(&record.invitation_id);
    let now = request.clock.now;
    match record.progress {
        Progress::Completed => return Ok(record.response),
        Progress::Leased { lease_expires_at } if lease_expires_at > now => {
            return Err(still_running(lease_expires_at, now));
        }
        Progress::Leased { .. } | Progress::UnreadableLease(_) => {}
    }
    if send_missing_email(app, request, &record).await? { Ok(record.response) } else { Err(still_running(now, now)) }
}

/// Sends the email of an attempt that died. If the attempt died after SES took the email, it is sent twice, which is
/// better than never. Returns `false` if another attempt holds the lease.
async fn send_missing_email(app: &App, request: &CreateRequest<'_>, record: &IdempotencyRecord) -> Result<bool, Error> {
    let clock = request.clock;
    let found = app.store.get_with_token(&request.new.tenant, &record.invitation_id, clock.deadline).await?;
    let found = found.filter(|(invitation, _)| invitation.status(clock.now) == Status::Pending);
    let Some(((invitation, token), payload)) = found.zip(request.payload) else {
        // The invitation has ended, so there is no email to send.
        app.store.complete(record, clock).await?;
        return Ok(true);
    };
    let email = match email::of_existing(app, &invitation, payload, clock).await {
        Err(error) if error.is_fault_of_service() => return Err(error),
        email => email,
    };
    let Some(proof) = begin(app, request, true).await? else { return Ok(false) };
    // The email of the attempt that died may be on the way: the new one replaces its token.
    let message = MessageToken::new(&invitation, token, email.as_ref().ok().and_then(|email| email.token))?;
    let record = match app.store.take_over(record, message, clock).await? {
        TakeOverOutcome::TakenOver(record) => record,
        TakeOverOutcome::LeaseLost => return Ok(false),
        TakeOverOutcome::InvitationEnded => {
            app.store.complete(record, clock).await?;
            return Ok(true);
        }
    };
    // The attempt that died reserved the send. A roll-back finds the send in the row and releases it.
    let rate_limit = Some(RecipientRateLimit::of_invitee(&invitation, app.config.message_rate));
    let created = CreatedInvitation { invitation: &invitation, rate_limit, record: Some(&record) };
    let unmailed = Unmailed { app, created, clock, taken_over: Some(message) };
    match email {
        Ok(email) => {
            unmailed.mail(&email, proof).await?;
            Ok(true)
        }
        // The connector or its templates have changed, so that a new request would fail too.
        Err(error) => {
            unmailed.roll_back().await;
            Err(error)
        }
    }
}

fn still_running(lease_expires_at: Timestamp, now: Timestamp) -> Error {
    let millis = u64::try_from(lease_expires_at.as_millis() - now.as_millis()).unwrap_or_default();
    Error::StillRunning { retry_after: millis.div_ceil(1000).max(1) }
}

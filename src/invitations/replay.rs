//! A create that is retried with its idempotency key: answered as it was, after doing what an attempt left undone whose
//! lease has expired.

use super::{
    create::{CreateRequest, Unmailed, begin},
    email,
};
use crate::{
    app::App,
    domain::{
        error::Error,
        invitation::{Invitation, Status},
        timestamp::Timestamp,
    },
    store::{
        create::CreatedInvitation,
        idempotency::{IdempotencyRecord, Progress, TakeOverOutcome},
        recipient_rate_limit::RecipientRateLimit,
    },
    telemetry::statistics,
};

/// Replays the create of `record`: gives the entity that the first attempt made, as JSON, after sending its email where
/// that attempt died before.
///
/// # Errors
/// [`Error::StillRunning`] as long as another attempt holds the lease, and the errors of sending an email.
pub(super) async fn replay(app: &App, request: &CreateRequest<'_>, record: IdempotencyRecord) -> Result<String, Error> {
    statistics::invitation(&record.invitation_id);
    let now = request.clock.now;
    match record.progress {
        Progress::Completed => return Ok(record.response),
        Progress::InProgress { lease_expires_at } if lease_expires_at > now => {
            return Err(still_running(lease_expires_at, now));
        }
        Progress::InProgress { .. } | Progress::UnreadableLease(_) => {}
    }
    if send_missing_email(app, request, &record).await? { Ok(record.response) } else { Err(still_running(now, now)) }
}

/// Sends the email that an earlier attempt may have left unsent. Whether it did cannot be known where it died after SES
/// took the message: then it is sent twice, which is better than not at all. Gives `false` where another attempt has
/// the lease.
async fn send_missing_email(app: &App, request: &CreateRequest<'_>, record: &IdempotencyRecord) -> Result<bool, Error> {
    let clock = request.clock;
    let invitation = app.store.get(&request.new.tenant, &record.invitation_id, clock.deadline).await?;
    let is_pending = |invitation: &Invitation| invitation.status(clock.now) == Status::Pending;
    let Some((invitation, payload)) = invitation.filter(is_pending).zip(request.payload) else {
        // Nobody is left to mail.
        app.store.complete(record, clock).await?;
        return Ok(true);
    };
    let email = match email::of_existing(app, &invitation, payload, clock).await {
        Err(error) if error.is_fault_of_service() => return Err(error),
        email => email,
    };
    let Some(proof) = begin(app, request, true).await? else { return Ok(false) };
    let record = match app.store.take_over(record, &invitation, clock).await? {
        TakeOverOutcome::TakenOver(record) => record,
        TakeOverOutcome::LeaseLost => return Ok(false),
        TakeOverOutcome::InvitationEnded => {
            app.store.complete(record, clock).await?;
            return Ok(true);
        }
    };
    // The send was reserved by the attempt that died. A roll-back finds it in the row.
    let (tenant, invitee) = (&invitation.tenant, invitation.invitee.normalized());
    let rate_limit = Some(RecipientRateLimit::assumed_empty(tenant, &invitee, app.config.message_rate));
    let created = CreatedInvitation { invitation: &invitation, rate_limit, record: Some(&record) };
    let unmailed = Unmailed { app, created, clock };
    match email {
        Ok(email) => {
            unmailed.mail(&email, proof).await?;
            Ok(true)
        }
        // The connector or its templates have changed since: the call would be refused if it were made now.
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

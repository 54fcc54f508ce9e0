//! Sends the email of a pending invitation again. The invitation's entity does not change.

use super::{InvitationKey, email};
use crate::{
    app::App,
    clock::RequestClock,
    domain::{error::Error, ids::InvitationId, invitation::Status},
    mail::MessagePayload,
    store::{
        recipient_rate_limit::{RecipientRateLimit, ReserveOutcome},
        token::MessageToken,
    },
};

/// Sends another email for a pending invitation, which invalidates the token of the previous message.
///
/// # Errors
/// [`Error::UnknownInvitation`], [`Error::InvitationEnded`], [`Error::MessageRateLimited`], and those of composing and
/// sending an email. If SES certainly did not take the message, the send is released.
pub(crate) async fn resend(
    app: &App,
    key: InvitationKey<'_>,
    payload: &MessagePayload,
    clock: RequestClock,
) -> Result<(), Error> {
    let found = app.store.get_with_token(key.tenant, key.id, clock.deadline).await?;
    let (invitation, token) = found.ok_or(Error::UnknownInvitation)?;
    if invitation.status(clock.now) != Status::Pending {
        return Err(Error::InvitationEnded);
    }
    let rate_limit = RecipientRateLimit::of_invitee(&invitation, app.config.message_rate);
    let email = match email::of_existing(app, &invitation, payload, clock).await {
        Ok(email) => email,
        Err(error) if error.is_fault_of_service() || error.precedes_rate_limit() => return Err(error),
        // In the contract, the rate limit takes precedence over these errors.
        Err(error) => {
            let retry_after = app.store.seconds_until_free(&rate_limit, clock).await?;
            return Err(retry_after.map_or(error, |retry_after| Error::MessageRateLimited { retry_after }));
        }
    };
    let proof = app.mailer.prove_connection(clock)?;
    let message = MessageToken::new(&invitation, token, email.token)?;
    let reserved = reserve(app, message, rate_limit, clock).await?;
    match app.mailer.send(&email, proof, clock).await {
        Ok(sent) => {
            sent.note();
            Ok(())
        }
        Err(failure) => {
            if let Err(error) = app.store.release_send(message, reserved, clock).await {
                tracing::error!(%error, invitation_id = %invitation.id, "reserved send not released after a failed send");
            }
            Err(failure.into())
        }
    }
}

/// Reserves the send in the recipient's rate limit, if the invitation is still pending.
async fn reserve(
    app: &App,
    message: MessageToken<'_>,
    rate_limit: RecipientRateLimit,
    clock: RequestClock,
) -> Result<RecipientRateLimit, Error> {
    // A version only has to be unique.
    let version = InvitationId::generate(clock.now)?;
    match app.store.reserve_send(message, rate_limit, version.as_str(), clock).await? {
        ReserveOutcome::Reserved(reserved) => Ok(reserved),
        ReserveOutcome::RateLimited { retry_after } => Err(Error::MessageRateLimited { retry_after }),
        ReserveOutcome::Ended => Err(Error::InvitationEnded),
        ReserveOutcome::Deleted => Err(Error::UnknownInvitation),
    }
}

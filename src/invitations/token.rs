//! The token in the link of an invitation's latest message: verifying it, and counting wrong ones.
//!
//! Reading never uses a token up, since mail scanners open links. Ten wrong ones do: then only a new message helps. An
//! accept never goes beyond them. Of verifications, each that has begun by then may still present one.

use super::InvitationKey;
use crate::{
    app::App,
    clock::RequestClock,
    domain::{
        error::Error,
        invitation::{Invitation, Status},
        token::{StoredToken, TokenHash},
    },
};

/// The invitation with that key, if it is pending and the token is that of its latest message.
///
/// # Errors
/// [`Error::UnknownInvitation`] for each reason alike.
pub(crate) async fn verify(
    app: &App,
    key: InvitationKey<'_>,
    presented: TokenHash,
    clock: RequestClock,
) -> Result<Invitation, Error> {
    let found = app.store.get_with_token(key.tenant, key.id, clock.deadline).await?;
    let (invitation, stored) = found.ok_or(Error::UnknownInvitation)?;
    if invitation.status(clock.now) != Status::Pending {
        return Err(Error::UnknownInvitation);
    }
    if stored.is_some_and(|stored| stored.is_proved_by(presented)) {
        return Ok(invitation);
    }
    count_guess(app, &invitation, stored.map(|stored| (stored, presented)), clock).await?;
    Err(Error::UnknownInvitation)
}

/// Counts a token that was presented for an invitation, if it is a guess. The caller is told that it is wrong only after it
/// was counted.
///
/// # Errors
/// Those of the table.
pub(super) async fn count_guess(
    app: &App,
    invitation: &Invitation,
    stored_and_presented: Option<(StoredToken, TokenHash)>,
    clock: RequestClock,
) -> Result<(), Error> {
    match stored_and_presented {
        Some((stored, presented)) if stored.is_guessed_by(presented) => {
            Ok(app.store.count_wrong_token(invitation, stored, clock.deadline).await?)
        }
        _ => Ok(()),
    }
}

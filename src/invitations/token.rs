//! The token in the link of an invitation's latest message: verifying it, and counting wrong ones.
//!
//! Reading never uses a token up, since mail scanners open links. Ten wrong ones do: then only a new message helps. Requests
//! that run at the same time may present a few more.

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
    count_wrong(app, &invitation, stored, clock).await?;
    Err(Error::UnknownInvitation)
}

/// Counts a wrong token that was presented for an invitation, unless no further one can be presented anyway. The caller is
/// told that it is wrong only after it was counted.
///
/// # Errors
/// Those of the table.
pub(super) async fn count_wrong(
    app: &App,
    invitation: &Invitation,
    stored: Option<StoredToken>,
    clock: RequestClock,
) -> Result<(), Error> {
    match stored.filter(StoredToken::takes_guesses) {
        Some(stored) => Ok(app.store.count_wrong_token(invitation, stored, clock.deadline).await?),
        None => Ok(()),
    }
}

//! Verifies the token in the link of an invitation's latest message, and counts wrong tokens.
//!
//! Verifying never consumes a token, because mail scanners open links. After ten wrong tokens no token is valid until a
//! new message is sent. Accepts enforce the limit exactly, since their transaction checks it; verifications that run
//! concurrently may exceed it.

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

/// Returns the invitation if it is pending and `presented` is the token of its latest message.
///
/// # Errors
/// [`Error::UnknownInvitation`], whatever the reason.
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
    if stored.is_some_and(|stored| stored.accepts(presented)) {
        return Ok(invitation);
    }
    count_guess(app, &invitation, stored.map(|stored| (stored, presented)), clock).await?;
    Err(Error::UnknownInvitation)
}

/// Counts a presented token if it is a guess. Called before the caller learns that the token is wrong.
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
        Some((stored, presented)) if stored.counts_as_guess(presented) => {
            Ok(app.store.count_wrong_token(invitation, stored, clock.deadline).await?)
        }
        _ => Ok(()),
    }
}

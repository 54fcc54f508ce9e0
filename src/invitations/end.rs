//! Ending an invitation: accepting, revoking, deleting. Of several at once, exactly one succeeds.

use super::{InvitationKey, find, token};
use crate::{
    app::App,
    clock::RequestClock,
    domain::{
        directory::{ReferenceChecks, User},
        error::Error,
        invitation::Invitation,
        token::TokenHash,
    },
    store::{
        directory::DirectoryLookup,
        end::{AcceptOutcome, Transition},
    },
};

/// The user who accepts an invitation, and the reason for which they may.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Acceptance<'a> {
    /// The user, who becomes a member.
    pub user_id: &'a str,
    /// The reason.
    pub proof: Proof,
}

/// The reasons for which a user may accept an invitation.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Proof {
    /// The directory: the user has the invitee's address there.
    Directory,
    /// The token of the invitation's latest message, which shows that they read the invitee's mail. The directory has to
    /// know the user.
    Token(TokenHash),
    /// They are the invitee by their own token, as [`super::own::get`] has checked.
    Invitee,
}

impl Proof {
    const fn token(self) -> Option<TokenHash> {
        match self {
            Self::Token(presented) => Some(presented),
            Self::Directory | Self::Invitee => None,
        }
    }
}

/// Accepts an invitation as it was `found`: the user becomes a member with its roles in the same transaction. A request
/// that meets a change begins anew from the invitation as it is by then, so that it grants all of the change or nothing of
/// it.
///
/// # Errors
/// [`Error::UnknownInvitation`], [`Error::InvitationEnded`], [`Error::UnknownUser`], [`Error::AnotherInvitee`] or
/// [`Error::WrongToken`].
pub(crate) async fn accept(
    app: &App,
    found: Invitation,
    acceptance: Acceptance<'_>,
    clock: RequestClock,
) -> Result<Invitation, Error> {
    let (mut invitation, mut is_checked) = (found, false);
    let Acceptance { user_id, proof } = acceptance;
    let token = proof.token();
    loop {
        let accepted = invitation.accepted(user_id, clock.now).map_err(|_| Error::InvitationEnded)?;
        if !is_checked {
            check_user(app, &invitation, acceptance, clock).await?;
            is_checked = true;
        }
        let transition = Transition { read: &invitation, new: &accepted };
        match app.store.accept(transition, user_id, token, clock).await? {
            AcceptOutcome::Accepted => return Ok(accepted),
            AcceptOutcome::WrongToken(stored) => {
                token::count_guess(app, &invitation, stored.zip(token), clock).await?;
                return Err(Error::WrongToken);
            }
            AcceptOutcome::Changed => invitation = find::changed_since(app, &invitation, clock).await?,
        }
    }
}

/// Revokes an invitation as it was `found`, which frees its invitee for another. As of an accept, a request that meets a
/// change begins anew.
///
/// # Errors
/// [`Error::UnknownInvitation`] or [`Error::InvitationEnded`].
pub(crate) async fn revoke(app: &App, found: Invitation, clock: RequestClock) -> Result<Invitation, Error> {
    let mut invitation = found;
    loop {
        let revoked = invitation.revoked(clock.now).map_err(|_| Error::InvitationEnded)?;
        if app.store.revoke(Transition { read: &invitation, new: &revoked }, clock).await? {
            return Ok(revoked);
        }
        invitation = find::changed_since(app, &invitation, clock).await?;
    }
}

/// Deletes an invitation in any status, which frees its invitee for another.
///
/// # Errors
/// [`Error::UnknownInvitation`] if the tenant has none.
pub(crate) async fn delete(app: &App, key: InvitationKey<'_>, clock: RequestClock) -> Result<(), Error> {
    let was_there = app.store.delete_invitation(key.tenant, key.id, clock).await?;
    if was_there { Ok(()) } else { Err(Error::UnknownInvitation) }
}

/// Checks that the user exists and has the invitee's address, as far as the proof and the settings ask for it.
async fn check_user(
    app: &App,
    invitation: &Invitation,
    acceptance: Acceptance<'_>,
    clock: RequestClock,
) -> Result<(), Error> {
    let Acceptance { user_id, proof } = acceptance;
    if matches!(proof, Proof::Invitee) {
        return Ok(());
    }
    let lookup = DirectoryLookup { user_id: Some(user_id), ..DirectoryLookup::default() };
    let directory = app.store.directory(&invitation.tenant, lookup, clock).await?;
    let user = directory.user(user_id)?.ok_or(Error::UnknownUser)?;
    let is_trusted = app.config.reference_checks == ReferenceChecks::Trust || matches!(proof, Proof::Token(_));
    if is_trusted || has_address(&user, invitation) { Ok(()) } else { Err(Error::AnotherInvitee) }
}

fn has_address(user: &User, invitation: &Invitation) -> bool {
    user.primary_email.as_ref().is_some_and(|email| email.eq_ignore_ascii_case(invitation.invitee.as_str()))
}

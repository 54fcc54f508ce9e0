//! Ends an invitation: accept, revoke, delete. Of several concurrent requests, exactly one succeeds.

use super::{InvitationKey, find, token};
use crate::{
    app::App,
    clock::RequestClock,
    domain::{
        directory::{ReferenceChecks, User},
        error::Error,
        ids::DirectoryId,
        invitation::{Invitation, Status},
        token::TokenHash,
    },
    store::{
        directory::DirectoryLookup,
        end::{AcceptOutcome, Transition},
    },
};

/// The user who accepts an invitation, and the proof that they may.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Acceptance<'a> {
    /// The user, who becomes a member.
    pub user_id: &'a str,
    /// The proof that the user may accept.
    pub proof: Proof,
}

/// The proof that a user may accept an invitation.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Proof {
    /// The directory: the user has the invitee's address there, unless `REFERENCE_CHECKS` is `trust`.
    Directory,
    /// The token of the invitation's latest message, which proves access to the invitee's mailbox. The user must exist
    /// in the directory.
    Token(TokenHash),
    /// The user's own access token has the invitee's address, which [`super::own::get`] has checked.
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

/// Accepts the invitation `found`: in the same transaction, the user becomes a member with its roles. After a
/// concurrent change, starts again from the current invitation, so that the grant never mixes old and new roles.
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
    let Some(user_id) = DirectoryId::parse(acceptance.user_id, app.config.id_max_length) else {
        let is_pending = invitation.status(clock.now) == Status::Pending;
        return Err(if is_pending { Error::UnknownUser } else { Error::InvitationEnded });
    };
    let token = acceptance.proof.token();
    loop {
        let accepted = invitation.accepted(&user_id, clock.now).map_err(|_| Error::InvitationEnded)?;
        if !is_checked {
            check_user(app, &invitation, acceptance, clock).await?;
            is_checked = true;
        }
        let transition = Transition { read: &invitation, new: &accepted };
        match app.store.accept(transition, &user_id, token, clock).await? {
            AcceptOutcome::Accepted => return Ok(accepted),
            AcceptOutcome::WrongToken(stored) => {
                token::count_guess(app, &invitation, stored.zip(token), clock).await?;
                return Err(Error::WrongToken);
            }
            AcceptOutcome::Changed => invitation = find::changed_since(app, &invitation, clock).await?,
        }
    }
}

/// Revokes the invitation `found`, after which its invitee can be invited again. After a concurrent change, starts
/// again from the current invitation.
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

/// Deletes an invitation in any status, after which its invitee can be invited again.
///
/// # Errors
/// [`Error::UnknownInvitation`] if the tenant has none.
pub(crate) async fn delete(app: &App, key: InvitationKey<'_>, clock: RequestClock) -> Result<(), Error> {
    let was_there = app.store.delete_invitation(key.tenant, key.id, clock).await?;
    if was_there { Ok(()) } else { Err(Error::UnknownInvitation) }
}

/// Checks that the user exists and has the invitee's address, unless the proof or the settings make a check
/// unnecessary.
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

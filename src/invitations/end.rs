//! Ending an invitation: accepting, revoking, deleting. Of several at once, exactly one succeeds.

use super::{InvitationKey, find};
use crate::{
    app::App,
    clock::RequestClock,
    domain::{
        directory::{ReferenceChecks, User},
        error::Error,
        invitation::Invitation,
    },
    store::{directory::DirectoryLookup, end::Transition},
};

/// Accepts an invitation for `user_id`, who becomes a member with its roles in the same transaction. A request that meets
/// a change begins anew from the invitation as it is by then, so that it grants all of the change or nothing of it.
///
/// # Errors
/// [`Error::UnknownInvitation`], [`Error::InvitationEnded`], [`Error::UnknownUser`] or [`Error::AnotherInvitee`].
pub(crate) async fn accept(
    app: &App,
    key: InvitationKey<'_>,
    user_id: &str,
    clock: RequestClock,
) -> Result<Invitation, Error> {
    let mut invitation = find::get(app, key, clock).await?;
    let mut is_checked = false;
    loop {
        let accepted = invitation.accepted(user_id, clock.now).map_err(|_| Error::InvitationEnded)?;
        if !is_checked {
            check_user(app, &invitation, user_id, clock).await?;
            is_checked = true;
        }
        if app.store.accept(Transition { read: &invitation, new: &accepted }, user_id, clock).await? {
            return Ok(accepted);
        }
        invitation = find::changed_since(app, &invitation, clock).await?;
    }
}

/// Revokes an invitation, which frees its invitee for another. As of an accept, a request that meets a change begins anew.
///
/// # Errors
/// [`Error::UnknownInvitation`] or [`Error::InvitationEnded`].
pub(crate) async fn revoke(app: &App, key: InvitationKey<'_>, clock: RequestClock) -> Result<Invitation, Error> {
    let mut invitation = find::get(app, key, clock).await?;
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

/// Checks that the user exists and is the invitee. With trusted references, checks nothing.
async fn check_user(app: &App, invitation: &Invitation, user_id: &str, clock: RequestClock) -> Result<(), Error> {
    let lookup = DirectoryLookup { user_id: Some(user_id), ..DirectoryLookup::default() };
    let directory = app.store.directory(&invitation.tenant, lookup, clock).await?;
    let user = directory.user(user_id)?.ok_or(Error::UnknownUser)?;
    let is_trusted = app.config.reference_checks == ReferenceChecks::Trust;
    if is_trusted || has_address(&user, invitation) { Ok(()) } else { Err(Error::AnotherInvitee) }
}

fn has_address(user: &User, invitation: &Invitation) -> bool {
    user.primary_email.as_ref().is_some_and(|email| email.eq_ignore_ascii_case(invitation.invitee.as_str()))
}

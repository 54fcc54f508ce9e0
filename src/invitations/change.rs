//! Changing the expiry and the roles of a pending invitation.

use super::{InvitationKey, find, roles};
use crate::{
    app::App,
    clock::RequestClock,
    domain::{
        directory::OrganizationRole,
        error::{Error, UnknownReferences},
        invitation::{Invitation, InvitationChange, Status},
    },
    store::{directory::DirectoryLookup, end::Transition, items},
};

/// Changes a pending invitation, and returns it as changed. After a concurrent change, starts again from the current
/// invitation.
///
/// # Errors
/// [`Error::UnknownInvitation`], [`Error::InvitationEnded`], [`Error::UnknownReferences`] or [`Error::RolesTooLong`].
pub(crate) async fn change(
    app: &App,
    key: InvitationKey<'_>,
    change: &InvitationChange,
    clock: RequestClock,
) -> Result<Invitation, Error> {
    let mut invitation = find::get(app, key, clock).await?;
    loop {
        if invitation.status(clock.now) != Status::Pending {
            return Err(Error::InvitationEnded);
        }
        let roles = match &change.organization_role_ids {
            Some(ids) => Some(find_roles(app, &invitation, ids, clock).await?),
            None => None,
        };
        let changed = invitation.changed(change.expires_at, roles, clock.now).map_err(|_| Error::InvitationEnded)?;
        if app.store.change(Transition { read: &invitation, new: &changed }, clock).await? {
            return Ok(changed);
        }
        invitation = find::changed_since(app, &invitation, clock).await?;
    }
}

/// The roles with these identifiers.
async fn find_roles(
    app: &App,
    invitation: &Invitation,
    role_ids: &[String],
    clock: RequestClock,
) -> Result<Vec<OrganizationRole>, Error> {
    let lookup = DirectoryLookup { role_ids, ..DirectoryLookup::default() };
    let directory = app.store.directory(&invitation.tenant, lookup, clock).await?;
    let (found, unknown) = roles::find(&directory, role_ids)?;
    if !unknown.is_empty() {
        let unknown = UnknownReferences { organization_role_ids: unknown, ..UnknownReferences::default() };
        return Err(Error::UnknownReferences(unknown));
    }
    if items::fit_roles(&found) { Ok(found) } else { Err(Error::RolesTooLong) }
}

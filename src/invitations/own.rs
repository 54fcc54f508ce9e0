//! A person's own invitations: those of their address in their tenant.

use std::collections::{BTreeSet, HashMap};

use super::{
    InvitationKey,
    find::{self, ListRequest, PageRequest},
};
use crate::{
    app::App,
    clock::RequestClock,
    domain::{directory::Organization, error::Error, ids::InvitationId, invitation::Invitation, person::Person},
    store::{StoreError, directory::DirectoryLookup, read::Filters},
};

/// The most invitations of a list: as many as one query of DynamoDB gives.
const MOST_INVITATIONS: usize = 1000;

/// The person's invitation with that identifier, in any status.
///
/// # Errors
/// [`Error::UnknownInvitation`] if there is none, and if it is anybody else's.
pub(crate) async fn get(
    app: &App,
    person: &Person,
    id: Option<&InvitationId>,
    clock: RequestClock,
) -> Result<Invitation, Error> {
    let invitation = find::get(app, InvitationKey::new(&person.tenant, id)?, clock).await?;
    if person.is_invitee_of(&invitation) { Ok(invitation) } else { Err(Error::UnknownInvitation) }
}

/// The person's pending invitations, newest first, as many as `take` takes and at most [`MOST_INVITATIONS`].
///
/// # Errors
/// Those of the table. A row that cannot be read is left out, logged and counted.
pub(crate) async fn pending(
    app: &App,
    person: &Person,
    clock: RequestClock,
    mut take: impl FnMut(&Invitation) -> bool,
) -> Result<Vec<Invitation>, Error> {
    let filters =
        Filters { invitee: Some(person.normalized_address.clone()), pending_at: Some(clock.now), ..Filters::default() };
    let page = Some(PageRequest { size: MOST_INVITATIONS, after: None });
    let request = ListRequest { tenant: &person.tenant, filters: &filters, page, clock };
    let mut taken = Vec::new();
    find::list(app, request, |invitation| {
        let is_taken = take(invitation);
        taken.extend(is_taken.then(|| invitation.clone()));
        is_taken
    })
    .await?;
    Ok(taken)
}

/// The organizations of these invitations, by their identifiers. One that the directory does not have any more has its
/// identifier for a name.
///
/// # Errors
/// Those of the table.
pub(crate) async fn organizations<'a>(
    app: &App,
    person: &Person,
    invitations: &'a [Invitation],
    clock: RequestClock,
) -> Result<HashMap<&'a str, Organization>, Error> {
    let ids: BTreeSet<&str> = invitations.iter().map(|invitation| invitation.organization_id.as_str()).collect();
    let lookup = |id| DirectoryLookup { organization_id: Some(id), ..DirectoryLookup::default() };
    let lookups: Vec<_> = ids.iter().copied().map(lookup).collect();
    let directory = app.store.directory_of_all(&person.tenant, &lookups, clock).await?;
    let named = |id: &'a str| Ok((id, directory.organization(id)?.unwrap_or_else(|| Organization::unnamed(id))));
    ids.into_iter().map(named).collect::<Result<_, StoreError>>().map_err(Error::from)
}

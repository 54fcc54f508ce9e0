//! A person's own invitations: those of their address in their tenant.

use std::collections::{BTreeSet, HashMap};

use super::{
    InvitationKey,
    find::{self, ListRequest},
};
use crate::{
    app::App,
    clock::RequestClock,
    domain::{error::Error, ids::InvitationId, invitation::Invitation, person::Person},
    store::read::Filters,
};

/// The most invitations of a list. Each of them may be of another organization, whose name is then read.
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

/// Gives the person's pending invitations to `take`, newest first, until that takes no more, and at most
/// [`MOST_INVITATIONS`].
///
/// # Errors
/// Those of the table. A row that cannot be read is left out, logged and counted.
pub(crate) async fn pending(
    app: &App,
    person: &Person,
    clock: RequestClock,
    mut take: impl FnMut(&Invitation) -> bool,
) -> Result<(), Error> {
    let filters =
        Filters { invitee: Some(person.normalized_address.clone()), pending_at: Some(clock.now), ..Filters::default() };
    let request = ListRequest { tenant: &person.tenant, filters: &filters, page: None, clock };
    let mut taken = 0;
    let take = |invitation: &Invitation| {
        taken += 1;
        taken <= MOST_INVITATIONS && take(invitation)
    };
    find::list(app, request, take).await.map(drop)
}

/// The names of these organizations. One that the directory does not have any more has its identifier for a name, and so
/// has one whose row cannot be read, which is logged and counted.
///
/// # Errors
/// Those of the table.
pub(crate) async fn organization_names(
    app: &App,
    person: &Person,
    ids: BTreeSet<&str>,
    clock: RequestClock,
) -> Result<HashMap<String, String>, Error> {
    let found = app.store.organization_names(&person.tenant, &ids, clock).await?;
    let name = |id: &str| found.get(id).cloned().unwrap_or_else(|| id.to_owned());
    Ok(ids.into_iter().map(|id| (id.to_owned(), name(id))).collect())
}

//! A person's own invitations: those to their address, within their tenant.

use std::collections::{BTreeSet, HashMap};

use super::{
    InvitationKey,
    find::{self, ListRequest},
};
use crate::{
    app::App,
    clock::RequestClock,
    domain::{email_address::EmailAddress, error::Error, ids::InvitationId, invitation::Invitation, person::Person},
    store::list::Filters,
};

/// The maximum number of invitations in a list. Each may need a read of another organization's name.
const MAX_INVITATIONS: usize = 1000;

/// Reads the person's invitation with that identifier, in any status.
///
/// # Errors
/// [`Error::UnknownInvitation`] if it does not exist or is another person's.
pub(crate) async fn get(
    app: &App,
    person: &Person,
    id: Option<&InvitationId>,
    clock: RequestClock,
) -> Result<Invitation, Error> {
    let invitation = find::get(app, InvitationKey::new(&person.tenant, id)?, clock).await?;
    if person.is_invitee_of(&invitation) { Ok(invitation) } else { Err(Error::UnknownInvitation) }
}

/// Passes the person's pending invitations to `take`, newest first, at most [`MAX_INVITATIONS`], until `take` returns
/// `false`.
///
/// # Errors
/// Those of the table. An unreadable row is skipped, logged and counted.
pub(crate) async fn pending(
    app: &App,
    person: &Person,
    clock: RequestClock,
    mut take: impl FnMut(&Invitation) -> bool,
) -> Result<(), Error> {
    // A text that is no valid address is no invitee's, and may be too long for a key.
    if EmailAddress::parse(person.address.as_str()).is_err() {
        return Ok(());
    }
    let filters = Filters { invitee: Some(person.address.clone()), pending_at: Some(clock.now), ..Filters::default() };
    let request = ListRequest { tenant: &person.tenant, filters: &filters, clock };
    let mut taken = 0;
    let take = |invitation: &Invitation| {
        taken += 1;
        taken <= MAX_INVITATIONS && take(invitation)
    };
    find::all(app, request, take).await.map(drop)
}

/// Reads the names of these organizations. The name is the identifier if the directory has no such organization, or if
/// its row is unreadable, which is logged and counted.
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

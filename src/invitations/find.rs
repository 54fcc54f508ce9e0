//! Reads invitations: one by its identifier, or a list, newest first.

use std::time::Duration;

use super::InvitationKey;
use crate::{
    app::App,
    clock::RequestClock,
    domain::{
        error::Error,
        ids::{InvitationId, TenantId},
        invitation::Invitation,
    },
    store::list::{Filters, MAX_ROWS},
};

/// The maximum number of queries for one page. Each query reads at most [`MAX_ROWS`] rows and 1 MB, which is 128 read
/// units through an index, and 256 without filters.
const MAX_QUERIES: usize = 10;

/// A request for a list.
#[derive(Debug)]
pub(crate) struct ListRequest<'a> {
    /// The tenant of the caller.
    pub tenant: &'a TenantId,
    /// The filters. An invitation must match all of them.
    pub filters: &'a Filters,
    /// The time.
    pub clock: RequestClock,
}

/// A page of a list.
#[derive(Debug)]
pub(crate) struct PageRequest {
    /// The maximum number of invitations in the page.
    pub size: usize,
    /// The cursor: the invitation whose row the previous page read last.
    pub after: Option<InvitationId>,
}

/// Reads an invitation.
///
/// # Errors
/// [`Error::UnknownInvitation`] if the tenant has none.
pub(crate) async fn get(app: &App, key: InvitationKey<'_>, clock: RequestClock) -> Result<Invitation, Error> {
    app.store.get(key.tenant, key.id, clock.deadline).await?.ok_or(Error::UnknownInvitation)
}

/// Reads an invitation again after a concurrent request has changed it.
///
/// # Errors
/// [`Error::UnknownInvitation`] if it was deleted, and [`Error::InvitationEnded`] if it has not changed: then a newer
/// invitation has replaced it.
pub(super) async fn changed_since(app: &App, read: &Invitation, clock: RequestClock) -> Result<Invitation, Error> {
    let found = get(app, InvitationKey { tenant: &read.tenant, id: &read.id }, clock).await?;
    if found == *read { Err(Error::InvitationEnded) } else { Ok(found) }
}

/// Reads a whole list and passes each invitation to `take`, newest first, until `take` returns `false`. Returns `true`
/// at the end of the list.
///
/// # Errors
/// Those of the table. An unreadable row is skipped, logged and counted.
pub(crate) async fn all(
    app: &App,
    request: ListRequest<'_>,
    mut take: impl FnMut(&Invitation) -> bool,
) -> Result<bool, Error> {
    let ListRequest { tenant, filters, clock } = request;
    let mut reader = app.store.list(tenant, filters, None, MAX_ROWS);
    while let Some(mut found) = reader.next(clock.deadline).await? {
        if !found.all(|invitation| take(&invitation)) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// As [`all()`], for a page, of which `take` has to take the first invitation. Returns the cursor of the next page;
/// `None` at the end of the list.
///
/// A page ends early after [`MAX_QUERIES`] queries, if the filters exclude nearly all rows, or after half of the time,
/// which leaves the other half for the query in progress. The next page then starts after the last row that was read.
pub(crate) async fn page(
    app: &App,
    request: ListRequest<'_>,
    PageRequest { size, after }: PageRequest,
    mut take: impl FnMut(&Invitation) -> bool,
) -> Result<Option<InvitationId>, Error> {
    let ListRequest { tenant, filters, clock } = request;
    let begin_by = clock.deadline.leaving(Duration::MAX);
    // One more row than the page holds shows that there is a next page.
    let mut reader = app.store.list(tenant, filters, after.as_ref(), size + 1);
    let (mut taken, mut last) = (0, None);
    while let Some(found) = reader.next(clock.deadline).await? {
        for invitation in found {
            if taken == size || !take(&invitation) {
                return Ok(last);
            }
            (taken, last) = (taken + 1, Some(invitation.id));
        }
        if reader.queries() >= MAX_QUERIES || begin_by.has_passed_in(Duration::ZERO) {
            // `None` if another program wrote the last key: the next query may end with a key of ours.
            if let Some(position) = reader.position() {
                return Ok(Some(position));
            }
        }
    }
    Ok(None)
}

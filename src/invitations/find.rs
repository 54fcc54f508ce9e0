//! Finding invitations: one by its identifier, or a list, newest first.

use std::time::Duration;

use super::InvitationKey;
use crate::{
    app::App,
    clock::RequestClock,
    domain::{
        directory::could_exist,
        email_address::MAX_LENGTH,
        error::Error,
        ids::{InvitationId, TenantId},
        invitation::Invitation,
    },
    store::read::{Filters, ListReader, MOST_ROWS},
};

/// The most queries for one page. Each reads at most [`MOST_ROWS`] rows and 1 MB, which is 128 read units through an
/// index, and 256 without filters.
const MOST_QUERIES: usize = 10;

/// A request for a list.
#[derive(Debug)]
pub(crate) struct ListRequest<'a> {
    /// The tenant of the caller.
    pub tenant: &'a TenantId,
    /// The filters, which combine.
    pub filters: &'a Filters,
    /// The page; `None` asks for all.
    pub page: Option<PageRequest>,
    /// The time.
    pub clock: RequestClock,
}

/// A page of a list.
#[derive(Debug)]
pub(crate) struct PageRequest {
    /// The most invitations in it.
    pub size: usize,
    /// The invitation whose row was read last for the page before.
    pub after: Option<InvitationId>,
}

/// The reason for which a list ended.
#[derive(Debug)]
pub(crate) enum ListEnd {
    /// There are no more invitations.
    Complete,
    /// The next page comes after this invitation.
    After(InvitationId),
    /// The caller took no more.
    Full,
}

/// The invitation with that key.
///
/// # Errors
/// [`Error::UnknownInvitation`] if the tenant has none.
pub(crate) async fn get(app: &App, key: InvitationKey<'_>, clock: RequestClock) -> Result<Invitation, Error> {
    app.store.get(key.tenant, key.id, clock.deadline).await?.ok_or(Error::UnknownInvitation)
}

/// The invitation as it is now, for a request that another one preceded since it was read.
///
/// # Errors
/// [`Error::UnknownInvitation`] where it was deleted, and [`Error::InvitationEnded`] where it has not changed: a newer one
/// has replaced it.
pub(super) async fn changed_since(app: &App, read: &Invitation, clock: RequestClock) -> Result<Invitation, Error> {
    let found = get(app, InvitationKey { tenant: &read.tenant, id: &read.id }, clock).await?;
    if found == *read { Err(Error::InvitationEnded) } else { Ok(found) }
}

/// Reads a list and gives each invitation to `take`, newest first, until that takes no more.
///
/// # Errors
/// Those of the table. A row that cannot be read is left out, logged and counted.
pub(crate) async fn list(
    app: &App,
    request: ListRequest<'_>,
    take: impl FnMut(&Invitation) -> bool,
) -> Result<ListEnd, Error> {
    let ListRequest { tenant, filters, page, clock } = request;
    if !can_match(filters, app.config.id_max_length) {
        return Ok(ListEnd::Complete);
    }
    match page {
        None => everything(app.store.list(tenant, filters, None, MOST_ROWS), take, clock).await,
        Some(PageRequest { size, after }) => {
            // One more than the page holds, to know whether there is another.
            let reader = app.store.list(tenant, filters, after.as_ref(), size + 1);
            one_page(reader, size, take, clock).await
        }
    }
}

/// Reads a list to its end.
async fn everything(
    mut reader: ListReader<'_>,
    mut take: impl FnMut(&Invitation) -> bool,
    clock: RequestClock,
) -> Result<ListEnd, Error> {
    while let Some(mut found) = reader.next(clock.deadline).await? {
        if !found.all(|invitation| take(&invitation)) {
            return Ok(ListEnd::Full);
        }
    }
    Ok(ListEnd::Complete)
}

/// Reads a page. A page is short or empty if the filters exclude nearly all rows of [`MOST_QUERIES`] queries, or if half
/// of the time has passed: the next page then starts after the last row that was read. The other half of the time is for
/// the query in progress.
async fn one_page(
    mut reader: ListReader<'_>,
    size: usize,
    mut take: impl FnMut(&Invitation) -> bool,
    clock: RequestClock,
) -> Result<ListEnd, Error> {
    let begin_by = clock.deadline.leaving(Duration::MAX);
    let (mut taken, mut last) = (0, None);
    while let Some(found) = reader.next(clock.deadline).await? {
        for invitation in found {
            if taken == size || !take(&invitation) {
                return Ok(last.map_or(ListEnd::Full, ListEnd::After));
            }
            (taken, last) = (taken + 1, Some(invitation.id));
        }
        if reader.queries() >= MOST_QUERIES || begin_by.has_passed_in(Duration::ZERO) {
            // The last key may be one that another program wrote; the next query may end with one of ours.
            if let Some(position) = reader.position() {
                return Ok(ListEnd::After(position));
            }
        }
    }
    Ok(ListEnd::Complete)
}

/// Returns `true` if an invitation can match the filters. An identifier that cannot exist is not looked up.
fn can_match(filters: &Filters, id_max_length: usize) -> bool {
    let id_can = |id: &Option<String>| id.as_ref().is_none_or(|id| could_exist(id, id_max_length));
    let invitee_can = filters.invitee.as_ref().is_none_or(|invitee| could_exist(invitee, MAX_LENGTH));
    id_can(&filters.organization_id) && id_can(&filters.inviter_id) && invitee_can
}

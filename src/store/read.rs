//! Reading invitations: one by its identifier, or all that fit some filters, newest first.

use std::fmt;

use aws_sdk_dynamodb::operation::query::builders::QueryFluentBuilder;

use super::{
    Item, Store, StoreError,
    call::call,
    items::{self, string},
    keys,
};
use crate::{
    clock::Deadline,
    domain::{
        ids::{InvitationId, TenantId},
        invitation::Invitation,
    },
    telemetry::statistics,
};

/// The most rows that one query reads. DynamoDB ends a query at 1 MB, which fewer rows of the usual size fill, so that it
/// bounds the memory that small ones take.
pub const MOST_ROWS: usize = 1000;

/// What a list is narrowed to. Filters combine. The `Debug` form leaves the address out.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Filters {
    /// Invitations to this organization.
    pub organization_id: Option<String>,
    /// Invitations by this inviter.
    pub inviter_id: Option<String>,
    /// Invitations of this address, compared case-folded.
    pub invitee: Option<String>,
}

impl fmt::Debug for Filters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { organization_id, inviter_id, .. } = self;
        let mut filters = f.debug_struct("Filters");
        filters.field("organization_id", organization_id).field("inviter_id", inviter_id).finish_non_exhaustive()
    }
}

/// Reads a list, newest first, one query at a time, so that little of a long one is held at once.
#[derive(Debug)]
pub struct ListReader<'a> {
    store: &'a Store,
    tenant: &'a TenantId,
    filters: &'a Filters,
    access: Access,
    /// The key that the next query goes on after; none before the first row.
    start: Option<Item>,
    /// The most rows that the next query reads.
    limit: usize,
    queries: usize,
    has_ended: bool,
}

impl Store {
    /// The invitation with that identifier.
    ///
    /// # Errors
    /// Where its row is there and cannot be read, too: that is no absence.
    pub async fn get(
        &self,
        tenant: &TenantId,
        id: &InvitationId,
        deadline: Deadline,
    ) -> Result<Option<Invitation>, StoreError> {
        let key = Item::from(keys::primary(tenant, keys::invitation(id)));
        let request = self.client.get_item().table_name(&self.table).set_key(Some(key)).consistent_read(true);
        let Some(item) = call(deadline, || request.clone().send()).await?.item else { return Ok(None) };
        let invitation = items::read_invitation(tenant, &item).ok_or_else(|| {
            statistics::unreadable_row();
            StoreError::permanent("invitation row: unreadable")
        })?;
        Ok(Some(invitation))
    }

    /// Begins to read the invitations that fit `filters`, those after `after` where it is given. The first query reads
    /// `rows` at most. Without filters the list is strongly consistent; the indexes that the filters use lag.
    pub fn list<'a>(
        &'a self,
        tenant: &'a TenantId,
        filters: &'a Filters,
        after: Option<&InvitationId>,
        rows: usize,
    ) -> ListReader<'a> {
        let access = Access::choose(tenant, filters);
        let start = after.map(|id| access.start_after(tenant, id));
        let limit = rows.min(MOST_ROWS);
        ListReader { store: self, tenant, filters, access, start, limit, queries: 0, has_ended: false }
    }
}

impl<'a> ListReader<'a> {
    /// The invitations that one more query finds, which may be none; `None` where the list has ended. A row that cannot
    /// be read is left out, logged and counted.
    pub async fn next(
        &mut self,
        deadline: Deadline,
    ) -> Result<Option<impl Iterator<Item = Invitation> + use<'a>>, StoreError> {
        if self.has_ended {
            return Ok(None);
        }
        let query = self.store.client.query().table_name(&self.store.table).scan_index_forward(false);
        let query = self.access.narrow(query, self.tenant, self.filters).set_limit(i32::try_from(self.limit).ok());
        let query = query.set_exclusive_start_key(self.start.take());
        let answer = call(deadline, || query.clone().send()).await?;
        self.start = answer.last_evaluated_key.filter(|key| !key.is_empty());
        self.has_ended = self.start.is_none();
        self.queries += 1;
        // As many rows as are wanted at first; where the filters leave some out, then more and more, so that few
        // queries find the rare ones.
        self.limit = MOST_ROWS.min(self.limit * 4);
        let tenant = self.tenant;
        Ok(Some(answer.items.unwrap_or_default().into_iter().filter_map(move |item| read_row(tenant, &item))))
    }

    /// The invitation whose row was read last, whether or not it fits the filters; `None` before the first, after the
    /// last, and where the row's key is none of ours.
    pub fn position(&self) -> Option<InvitationId> {
        let sk = items::text(self.start.as_ref()?, keys::SK)?;
        InvitationId::parse(sk.strip_prefix(keys::INVITATIONS)?)
    }

    /// How many queries have been made.
    pub const fn queries(&self) -> usize {
        self.queries
    }
}

/// The most unreadable rows of a request that have a line of their own in the log; the others are only counted.
const MOST_LINES: u64 = 10;

fn read_row(tenant: &TenantId, item: &Item) -> Option<Invitation> {
    let invitation = items::read_invitation(tenant, item);
    if invitation.is_none() && statistics::unreadable_row() <= MOST_LINES {
        // The key of a row that others wrote could hold anything.
        let id = items::text(item, keys::SK).and_then(|sk| sk.strip_prefix(keys::INVITATIONS));
        let invitation_id = id.and_then(InvitationId::parse);
        let invitation_id = invitation_id.as_ref().map(InvitationId::as_str);
        tracing::error!(%tenant, invitation_id, "an invitation's row cannot be read and is left out of the list");
    }
    invitation
}

/// The way to the invitations of a list: the table or an index, and the one key to query.
#[derive(Debug)]
struct Access {
    index: Option<&'static str>,
    attribute: &'static str,
    key: String,
}

impl Access {
    /// The narrowest key that the filters allow: an address has few invitations, an organization more.
    fn choose(tenant: &TenantId, filters: &Filters) -> Self {
        let index = |index, attribute, key| Self { index: Some(index), attribute, key };
        match filters {
            Filters { invitee: Some(invitee), .. } => {
                index("byInvitee", keys::INVITEE_KEY, keys::by_invitee(tenant, &invitee.to_ascii_lowercase()))
            }
            Filters { organization_id: Some(id), .. } => {
                index("byOrganization", keys::ORGANIZATION_KEY, keys::by_organization(tenant, id))
            }
            Filters { inviter_id: Some(id), .. } => index("byInviter", keys::INVITER_KEY, keys::by_inviter(tenant, id)),
            _ => Self { index: None, attribute: keys::PK, key: keys::tenant(tenant) },
        }
    }

    /// The key that a query goes on after.
    fn start_after(&self, tenant: &TenantId, id: &InvitationId) -> Item {
        let mut key = Item::from(keys::primary(tenant, keys::invitation(id)));
        key.insert(self.attribute.to_owned(), string(&self.key));
        key
    }

    /// The query with its key, and with the filters that the key does not cover already.
    fn narrow(&self, query: QueryFluentBuilder, tenant: &TenantId, filters: &Filters) -> QueryFluentBuilder {
        let query = query
            .set_index_name(self.index.map(str::to_owned))
            .consistent_read(self.index.is_none())
            .key_condition_expression("#key = :key AND begins_with(sk, :invitations)")
            .expression_attribute_names("#key", self.attribute)
            .expression_attribute_values(":key", string(&self.key))
            .expression_attribute_values(":invitations", string(keys::INVITATIONS));
        let organization = filters.organization_id.as_ref().map(|id| keys::by_organization(tenant, id));
        let inviter = filters.inviter_id.as_ref().map(|id| keys::by_inviter(tenant, id));
        let others = [(keys::ORGANIZATION_KEY, organization), (keys::INVITER_KEY, inviter)];
        let others = others.into_iter().filter(|(attribute, _)| *attribute != self.attribute);
        let others = others.filter_map(|(attribute, key)| Some((attribute, key?)));
        let (query, conditions) = others.fold((query, Vec::new()), |(query, mut conditions), (attribute, key)| {
            conditions.push(format!("{attribute} = :{attribute}"));
            (query.expression_attribute_values(format!(":{attribute}"), string(&key)), conditions)
        });
        query.set_filter_expression((!conditions.is_empty()).then(|| conditions.join(" AND ")))
    }
}

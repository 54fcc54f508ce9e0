//! Reads the invitations that match filters, newest first.

use std::fmt;

use aws_sdk_dynamodb::operation::query::builders::QueryFluentBuilder;

use super::{
    Item, Store, StoreError,
    call::call,
    items::{self, number, string},
    keys,
    read::MAX_LOGGED_ROWS,
};
use crate::{
    clock::Deadline,
    domain::{
        email_address::NormalizedAddress,
        ids::{DirectoryId, InvitationId, TenantId},
        invitation::{Invitation, Status},
        timestamp::Timestamp,
    },
    telemetry::statistics,
};

/// The maximum number of rows per query. DynamoDB ends a query at 1 MB, which fewer rows of the usual size reach; this
/// limit bounds the memory for small rows.
pub(crate) const MAX_ROWS: usize = 1000;

/// The filters of a list. An invitation must match all of them. `Debug` omits the address.
#[derive(Clone, Default, PartialEq, Eq)]
pub(crate) struct Filters {
    /// Invitations to this organization.
    pub organization_id: Option<DirectoryId>,
    /// Invitations by this inviter.
    pub inviter_id: Option<DirectoryId>,
    /// Invitations to this address.
    pub invitee: Option<NormalizedAddress>,
    /// Invitations that are pending at this time.
    pub pending_at: Option<Timestamp>,
}

impl fmt::Debug for Filters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { organization_id, inviter_id, .. } = self;
        let mut filters = f.debug_struct("Filters");
        filters.field("organization_id", organization_id).field("inviter_id", inviter_id).finish_non_exhaustive()
    }
}

/// Reads a list, newest first, one query at a time, so that a long list is never held in memory.
#[derive(Debug)]
pub(crate) struct ListReader<'a> {
    store: &'a Store,
    tenant: &'a TenantId,
    filters: &'a Filters,
    access: Access,
    /// The exclusive start key of the next query; `None` for the first row.
    start: Option<Item>,
    /// The maximum number of rows of the next query.
    limit: usize,
    queries: usize,
    has_ended: bool,
}

impl Store {
    /// Begins to read the invitations that match `filters`, starting after the cursor `after` if given. The first query
    /// reads at most `rows` rows. Without filters the list is strongly consistent; filters use indexes, which are
    /// eventually consistent.
    pub(crate) fn list<'a>(
        &'a self,
        tenant: &'a TenantId,
        filters: &'a Filters,
        after: Option<&InvitationId>,
        rows: usize,
    ) -> ListReader<'a> {
        let access = Access::choose(tenant, filters);
        let start = after.map(|id| access.start_after(tenant, id));
        let limit = rows.min(MAX_ROWS);
        ListReader { store: self, tenant, filters, access, start, limit, queries: 0, has_ended: false }
    }
}

impl<'a> ListReader<'a> {
    /// Runs the next query and returns its invitations, possibly none; `None` if the list has ended. An unreadable row
    /// is skipped, logged and counted.
    pub(crate) async fn next(
        &mut self,
        deadline: Deadline,
    ) -> Result<Option<impl Iterator<Item = Invitation> + use<'a>>, StoreError> {
        if self.has_ended {
            return Ok(None);
        }
        let query = self.store.client.query().table_name(&self.store.table).scan_index_forward(false);
        let query = self.access.narrow(query, self.tenant, self.filters).set_limit(i32::try_from(self.limit).ok());
        let query = query.set_exclusive_start_key(self.start.take());
        let response = call(deadline, || query.clone().send()).await?;
        self.start = response.last_evaluated_key.filter(|key| !key.is_empty());
        self.has_ended = self.start.is_none();
        self.queries += 1;
        // The first query reads as many rows as requested. If the filters exclude some, each further query reads four
        // times as many, so that few queries find rare matches.
        self.limit = MAX_ROWS.min(self.limit * 4);
        let tenant = self.tenant;
        Ok(Some(response.items.unwrap_or_default().into_iter().filter_map(move |item| read_row(tenant, &item))))
    }

    /// The cursor: the invitation whose row was read last, even if the filters exclude it. `None` before the first
    /// query, after the last, and if the row's key is not an invitation's.
    pub(crate) fn position(&self) -> Option<InvitationId> {
        let sk = items::text(self.start.as_ref()?, keys::SK)?;
        InvitationId::parse(sk.strip_prefix(keys::INVITATIONS)?)
    }

    /// The number of queries so far.
    pub(crate) const fn queries(&self) -> usize {
        self.queries
    }
}

fn read_row(tenant: &TenantId, item: &Item) -> Option<Invitation> {
    let invitation = items::read_invitation(tenant, item);
    if invitation.is_none() && statistics::unreadable_row() <= MAX_LOGGED_ROWS {
        // The key may be another program's and contain anything, so only a valid identifier is logged.
        let id = items::text(item, keys::SK).and_then(|sk| sk.strip_prefix(keys::INVITATIONS));
        let invitation_id = id.and_then(InvitationId::parse);
        let invitation_id = invitation_id.as_ref().map(InvitationId::as_str);
        tracing::error!(%tenant, invitation_id, "an invitation's row cannot be read and is left out of the list");
    }
    invitation
}

/// The access path of a list: the table or an index, and the partition key.
#[derive(Debug)]
struct Access {
    index: Option<&'static str>,
    attribute: &'static str,
    key: String,
}

impl Access {
    /// Chooses the most selective key that the filters allow: an address has few invitations, an organization more.
    fn choose(tenant: &TenantId, filters: &Filters) -> Self {
        let index = |index, attribute, key| Self { index: Some(index), attribute, key };
        match filters {
            Filters { invitee: Some(invitee), .. } => {
                index("byInvitee", keys::INVITEE_KEY, keys::by_invitee(tenant, invitee))
            }
            Filters { organization_id: Some(id), .. } => {
                index("byOrganization", keys::ORGANIZATION_KEY, keys::by_organization(tenant, id))
            }
            Filters { inviter_id: Some(id), .. } => index("byInviter", keys::INVITER_KEY, keys::by_inviter(tenant, id)),
            _ => Self { index: None, attribute: keys::PK, key: keys::tenant(tenant) },
        }
    }

    /// The exclusive start key of a query that starts after `id`.
    fn start_after(&self, tenant: &TenantId, id: &InvitationId) -> Item {
        let mut key = Item::from(keys::primary(tenant, keys::invitation(id)));
        key.insert(self.attribute.to_owned(), string(&self.key));
        key
    }

    /// Adds the key condition, and a filter expression for the filters that the key does not cover.
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
        let (query, conditions) = match filters.pending_at {
            Some(now) => {
                let query = query
                    .expression_attribute_names("#status", "status")
                    .expression_attribute_values(":pending", string(Status::Pending.as_str()))
                    .expression_attribute_values(":now", number(now.as_millis()));
                (query, [conditions, vec!["#status = :pending AND expiresAt > :now".to_owned()]].concat())
            }
            None => (query, conditions),
        };
        query.set_filter_expression((!conditions.is_empty()).then(|| conditions.join(" AND ")))
    }
}

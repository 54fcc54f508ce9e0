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
    invitation::{Invitation, InvitationId, TenantId},
    timestamp::Deadline,
};

/// The most rows that a query is worth asking for: hardly any has fewer than 256 bytes, and DynamoDB reads a megabyte at
/// most.
const MOST_ROWS: usize = 4096;

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

/// Which part of a list is wanted.
#[derive(Clone, Debug)]
pub struct PageRequest {
    /// The most invitations in it.
    pub size: usize,
    /// The last invitation of the page before.
    pub after: Option<InvitationId>,
}

/// Invitations, newest first.
#[derive(Debug)]
pub struct Page {
    /// The invitations.
    pub invitations: Vec<Invitation>,
    /// Whether there are more after the last of them.
    pub has_more: bool,
}

impl Store {
    /// The invitation with that identifier.
    pub async fn get(
        &self,
        tenant: &TenantId,
        id: &InvitationId,
        deadline: Deadline,
    ) -> Result<Option<Invitation>, StoreError> {
        let key = Item::from(keys::primary(tenant, keys::invitation(id)));
        let request = self.client.get_item().table_name(&self.table).set_key(Some(key)).consistent_read(true);
        let item = call(deadline, || request.clone().send()).await?.item;
        Ok(item.and_then(|item| items::read_invitation(tenant, &item)))
    }

    /// The part of the invitations that fit `filters` which `page` asks for. Without filters the list is strongly
    /// consistent; the indexes that the filters use are a moment behind.
    pub async fn list(
        &self,
        tenant: &TenantId,
        filters: &Filters,
        page: &PageRequest,
        deadline: Deadline,
    ) -> Result<Page, StoreError> {
        let access = Access::choose(tenant, filters);
        // One more than the page holds, to know whether there is another.
        let wanted = page.size + 1;
        let mut start = page.after.as_ref().map(|id| access.start_after(tenant, id));
        let mut invitations = Vec::new();
        // As many rows as are wanted at first; where the filters leave some out, then more and more, so that few
        // queries find the rare ones.
        let mut limit = wanted.min(MOST_ROWS);
        loop {
            let query = access.narrow(self.client.query().table_name(&self.table), tenant, filters);
            let query = query.set_limit(i32::try_from(limit).ok());
            let query = query.scan_index_forward(false).set_exclusive_start_key(start);
            let answer = call(deadline, || query.clone().send()).await?;
            let found = answer.items.unwrap_or_default();
            invitations.extend(found.iter().filter_map(|item| items::read_invitation(tenant, item)));
            start = answer.last_evaluated_key.filter(|key| !key.is_empty());
            if start.is_none() || invitations.len() >= wanted {
                break;
            }
            limit = MOST_ROWS.min(limit * 4);
        }
        let has_more = invitations.len() >= wanted;
        invitations.truncate(wanted - usize::from(has_more));
        Ok(Page { invitations, has_more })
    }
}

/// The way to the invitations of a list: the table or an index, and the one key to query.
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

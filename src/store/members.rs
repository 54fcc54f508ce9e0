//! Members, as operators write them. Each is two rows that have to agree: the membership, and what the member's
//! address is to the organization, which is the row by which an invitation of a member is refused.

use std::collections::{BTreeSet, HashMap};

use aws_sdk_dynamodb::types::{AttributeValue, TransactWriteItem};

use super::{
    Item, Store, StoreError,
    items::{self, Standing, named, number, string, text},
    keys,
    transaction::{Transacted, delete_part, put_part},
};
use crate::{
    email_address::EmailAddress,
    invitation::TenantId,
    timestamp::{Deadline, Moment, Timestamp},
};

/// The address that the user joined with last, folded. Memberships that others wrote may have none.
const EMAIL: &str = "email";
const JOINED_AT: &str = "joinedAt";

/// A user who is to be a member of an organization.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// The organization.
    pub organization_id: String,
    /// The user.
    pub user_id: String,
    /// The user's address, which invitations to the organization are kept from.
    pub email: EmailAddress,
    /// The user's roles there: these, and no others.
    pub organization_role_ids: BTreeSet<String>,
    /// Since when. A member without one keeps the time that is written, or joins now.
    pub joined_at: Option<Timestamp>,
}

/// What an import has to know of members before it writes them.
#[derive(Debug)]
pub struct Memberships(HashMap<String, Item>);

impl Member {
    /// The rows of the member, to be written in a batch, where nothing is known that is in their way.
    pub fn rows(&self, tenant: &TenantId, written: &Memberships, now: Timestamp) -> [Item; 2] {
        [self.membership(tenant, written.0.get(&self.sort_key()), now), self.standing(tenant)]
    }

    /// Whether the member may have had another address: then the row of that address has to go in the same moment.
    pub fn may_have_moved(&self, written: &Memberships) -> bool {
        written.0.get(&self.sort_key()).is_some_and(|row| self.has_moved(row))
    }

    /// The sort keys of the rows.
    pub fn sort_keys(&self) -> [String; 2] {
        [self.sort_key(), self.standing_sort_key()]
    }

    fn has_moved(&self, row: &Item) -> bool {
        text(row, EMAIL) != Some(&self.email.folded())
    }

    fn sort_key(&self) -> String {
        keys::membership(&self.organization_id, &self.user_id)
    }

    fn standing_sort_key(&self) -> String {
        keys::standing(&self.organization_id, &self.email.folded())
    }

    fn membership(&self, tenant: &TenantId, written: Option<&Item>, now: Timestamp) -> Item {
        let written = written.and_then(|row| items::time(row, JOINED_AT));
        let joined_at = self.joined_at.or(written).unwrap_or(now);
        let attributes = [
            ("organizationId", string(&self.organization_id)),
            ("userId", string(&self.user_id)),
            (EMAIL, string(&self.email.folded())),
            (JOINED_AT, number(joined_at.as_millis())),
        ];
        let mut item = Item::from(keys::primary(tenant, self.sort_key()));
        item.extend(named(attributes));
        // DynamoDB has no empty sets.
        if !self.organization_role_ids.is_empty() {
            let roles = self.organization_role_ids.iter().cloned().collect();
            item.insert("organizationRoleIds".to_owned(), AttributeValue::Ss(roles));
        }
        item
    }

    fn standing(&self, tenant: &TenantId) -> Item {
        items::member(Item::from(keys::primary(tenant, self.standing_sort_key())), &self.user_id)
    }
}

impl Store {
    /// What is written of these members. At most as many as fit one batch.
    pub async fn memberships<'a>(
        &self,
        tenant: &TenantId,
        members: impl Iterator<Item = &'a Member>,
        deadline: Deadline,
    ) -> Result<Memberships, StoreError> {
        let wanted: BTreeSet<String> = members.map(Member::sort_key).collect();
        let rows = self.batch_get(tenant, wanted.into_iter().collect(), deadline).await?;
        let by_key = rows.into_iter().filter_map(|row| Some((text(&row, keys::SK)?.to_owned(), row)));
        Ok(Memberships(by_key.collect()))
    }

    /// Makes a user a member, or gives a member these roles and this address instead of what they had. Whatever the
    /// address was to the organization before, it is a member's now: a pending invitation of it stays, and can be
    /// accepted or revoked.
    pub async fn put_member(&self, tenant: &TenantId, member: &Member, moment: Moment) -> Result<(), StoreError> {
        loop {
            let written = self.item(tenant, &member.sort_key()).await?;
            let mut former = match &written {
                Some(row) if member.has_moved(row) => {
                    self.standings_of(tenant, &member.organization_id, &member.user_id).await?
                }
                _ => Vec::new(),
            };
            former.retain(|sk| *sk != member.standing_sort_key());
            let rows = [member.membership(tenant, written.as_ref(), moment.now), member.standing(tenant)];
            let puts = rows.into_iter().map(|row| put_part(self.put(row)));
            let parts: Vec<_> = puts.chain(self.leave(tenant, former, &member.user_id)).collect();
            if let Transacted::Committed = self.transact(&parts, moment.deadline).await? {
                return Ok(());
            }
        }
    }

    /// Ends a membership: deletes it, and what frees the member's address for invitations again, unless that is
    /// another's by now. Says whether there was anything to delete.
    pub async fn delete_member(
        &self,
        tenant: &TenantId,
        organization_id: &str,
        user_id: &str,
        moment: Moment,
    ) -> Result<bool, StoreError> {
        let sk = keys::membership(organization_id, user_id);
        loop {
            let membership = self.item(tenant, &sk).await?;
            let standings = self.standings_of(tenant, organization_id, user_id).await?;
            if membership.is_none() && standings.is_empty() {
                return Ok(false);
            }
            let mut parts = vec![delete_part(self.delete(Item::from(keys::primary(tenant, &sk))))];
            parts.extend(self.leave(tenant, standings, user_id));
            if let Transacted::Committed = self.transact(&parts, moment.deadline).await? {
                return Ok(true);
            }
        }
    }

    /// The sort keys of the addresses by which a user is a member of an organization: one, unless others wrote more.
    /// All addresses of the organization are read for it, since a membership names the last of them alone, if any: a user
    /// may have accepted invitations of several addresses.
    async fn standings_of(
        &self,
        tenant: &TenantId,
        organization_id: &str,
        user_id: &str,
    ) -> Result<Vec<String>, StoreError> {
        let prefix = keys::standings(organization_id);
        let (mut found, mut start) = (Vec::new(), None);
        loop {
            let page = self.query_prefix(tenant, &prefix, start).await?;
            let rows = page.items.unwrap_or_default();
            let of_user = |row: &&Item| text(row, "userId") == Some(user_id) && Standing::read(row) == Standing::Member;
            found.extend(rows.iter().filter(of_user).filter_map(|row| text(row, keys::SK)).map(str::to_owned));
            start = page.last_evaluated_key.filter(|key| !key.is_empty());
            if start.is_none() {
                return Ok(found);
            }
        }
    }

    /// The parts that delete these standings, as long as they are the user's membership.
    fn leave(
        &self,
        tenant: &TenantId,
        standings: Vec<String>,
        user_id: &str,
    ) -> impl Iterator<Item = TransactWriteItem> {
        standings.into_iter().map(move |sk| {
            let delete = self
                .delete(Item::from(keys::primary(tenant, sk)))
                .condition_expression("attribute_not_exists(pk) OR (userId = :user AND #state = :member)")
                .expression_attribute_names("#state", "state")
                .expression_attribute_values(":user", string(user_id))
                .expression_attribute_values(":member", string(Standing::MEMBER));
            delete_part(delete)
        })
    }
}

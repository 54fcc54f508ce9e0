//! Members, written by operators. Each member has two rows that must agree: the membership, and the standing of the
//! member's address, which blocks invitations of a member.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    time::Duration,
};

use aws_sdk_dynamodb::types::AttributeValue;

use super::{
    Item, Store, StoreError,
    condition::Unchanged,
    items::{self, named, number, string, text},
    keys,
    standing::Standing,
    transaction::{PartRole, TransactionPart},
};
use crate::{
    clock::{Deadline, RequestClock},
    domain::{
        email_address::EmailAddress,
        ids::{DirectoryId, TenantId},
        timestamp::Timestamp,
    },
};

/// The normalized address that the user joined with last. A membership written by another program may have none.
const EMAIL: &str = "email";
const JOINED_AT: &str = "joinedAt";

/// The attributes of a membership that this crate writes.
const ATTRIBUTES: [&str; 5] = ["organizationId", "userId", EMAIL, JOINED_AT, items::ROLE_IDS];

/// A user who is to be a member of an organization.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// The organization.
    pub organization_id: DirectoryId,
    /// The user.
    pub user_id: DirectoryId,
    /// The user's address, which a membership excludes from invitations to the organization.
    pub email: EmailAddress,
    /// The complete set of the user's roles in the organization.
    pub organization_role_ids: BTreeSet<DirectoryId>,
    /// The time of joining. If `None`, an existing member keeps the stored time, and a new member joins now.
    pub joined_at: Option<Timestamp>,
}

/// The existing rows of members, by sort key.
type Found = HashMap<String, Item>;

impl Member {
    /// The sort keys of the rows.
    pub(crate) fn sort_keys(&self) -> [String; 2] {
        [self.sort_key(), self.standing_sort_key()]
    }

    /// Returns `true` if the member may have had another address, from whose standing the user must then be removed.
    fn may_have_moved(&self, found: &Found) -> bool {
        found.get(&self.sort_key()).is_some_and(|row| self.has_moved(row))
    }

    fn has_moved(&self, row: &Item) -> bool {
        text(row, EMAIL) != Some(self.email.normalized().as_str())
    }

    fn sort_key(&self) -> String {
        keys::membership(&self.organization_id, &self.user_id)
    }

    fn standing_sort_key(&self) -> String {
        keys::standing(&self.organization_id, &self.email.normalized())
    }

    fn membership(&self, tenant: &TenantId, found: &Item, now: Timestamp) -> Item {
        let written = items::time(found, JOINED_AT);
        let joined_at = self.joined_at.or(written).unwrap_or(now);
        let attributes = [
            ("organizationId", string(self.organization_id.as_str())),
            ("userId", string(self.user_id.as_str())),
            (EMAIL, string(self.email.normalized().as_str())),
            (JOINED_AT, number(joined_at.as_millis())),
        ];
        let mut item = Item::from(keys::primary(tenant, self.sort_key()));
        item.extend(named(attributes));
        // DynamoDB has no empty sets.
        if !self.organization_role_ids.is_empty() {
            let roles = self.organization_role_ids.iter().map(DirectoryId::to_string).collect();
            item.insert(items::ROLE_IDS.to_owned(), AttributeValue::Ss(roles));
        }
        item
    }
}

impl Store {
    /// Makes users members, as [`Store::put_member`] does, but members without an address change in one transaction.
    /// `members` must fit into one transaction. The time limit `patience` applies to the transaction, and then to each
    /// member that is written alone.
    pub async fn put_members(
        &self,
        tenant: &TenantId,
        members: &[&Member],
        patience: Duration,
    ) -> Result<(), StoreError> {
        let clock = RequestClock::with_budget(patience);
        let found = self.found_rows(tenant, members, clock.deadline).await?;
        // A transaction must not write a row twice.
        let mut keys = HashSet::new();
        let is_usual = |member: &&&Member| !member.may_have_moved(&found) && keys.insert(member.standing_sort_key());
        let (together, mut alone): (Vec<&Member>, Vec<&Member>) = members.iter().partition(is_usual);
        let parts = together.iter().map(|member| self.put_member_rows(tenant, member, &found, clock.now));
        let parts: Vec<_> = parts.collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect();
        if !parts.is_empty() && !self.transact(&parts, clock.deadline).await?.is_committed() {
            // A concurrent request has changed one of the rows.
            alone.splice(0..0, together);
        }
        for member in alone {
            self.put_member(tenant, member, RequestClock::with_budget(patience)).await?;
        }
        Ok(())
    }

    /// Makes a user a member, or replaces a member's roles and address. A pending invitation of the address stays and
    /// can be accepted or revoked; the member's standing keeps it.
    pub async fn put_member(&self, tenant: &TenantId, member: &Member, clock: RequestClock) -> Result<(), StoreError> {
        loop {
            let found = self.found_rows(tenant, &[member], clock.deadline).await?;
            let mut former = if member.may_have_moved(&found) {
                self.standings_of(tenant, &member.organization_id, &member.user_id).await?
            } else {
                Vec::new()
            };
            former.retain(|row| text(row, keys::SK) != Some(&member.standing_sort_key()));
            let mut parts = self.put_member_rows(tenant, member, &found, clock.now)?.to_vec();
            parts.extend(self.remove_user(&former, &member.user_id, clock.now)?);
            if self.transact(&parts, clock.deadline).await?.is_committed() {
                return Ok(());
            }
        }
    }

    /// Deletes a membership, and removes the user from the standings of their addresses. An address without another
    /// member can be invited again, or is pending again if its standing keeps an invitation. Returns `false` if there
    /// was nothing to delete.
    pub(crate) async fn delete_member(
        &self,
        tenant: &TenantId,
        organization_id: &DirectoryId,
        user_id: &DirectoryId,
        clock: RequestClock,
    ) -> Result<bool, StoreError> {
        let sk = keys::membership(organization_id, user_id);
        loop {
            // Read before the standings: an accept that commits between the two reads changes the membership, so the
            // transaction fails.
            let membership = self.row(tenant, &sk, clock.deadline).await?.unwrap_or_default();
            let standings = self.standings_of(tenant, organization_id, user_id).await?;
            if membership.is_empty() && standings.is_empty() {
                return Ok(false);
            }
            let delete = self.delete(Item::from(keys::primary(tenant, &sk)));
            let delete = Unchanged::of(&membership, &ATTRIBUTES).delete(delete);
            let mut parts = vec![TransactionPart::delete(PartRole::Membership, delete)];
            parts.extend(self.remove_user(&standings, user_id, clock.now)?);
            if self.transact(&parts, clock.deadline).await?.is_committed() {
                return Ok(true);
            }
        }
    }

    /// Reads the existing rows of these members.
    async fn found_rows(
        &self,
        tenant: &TenantId,
        members: &[&Member],
        deadline: Deadline,
    ) -> Result<Found, StoreError> {
        let wanted: BTreeSet<String> = members.iter().flat_map(|member| member.sort_keys()).collect();
        let rows = self.batch_get(tenant, wanted.into_iter().collect(), deadline).await?;
        Ok(rows.into_iter().filter_map(|row| Some((text(&row, keys::SK)?.to_owned(), row))).collect())
    }

    /// The parts that write both rows of a member, conditioned on the rows being unchanged since they were found.
    fn put_member_rows(
        &self,
        tenant: &TenantId,
        member: &Member,
        found: &Found,
        now: Timestamp,
    ) -> Result<[TransactionPart; 2], StoreError> {
        let nothing = Item::new();
        let of_key = |sk: String| found.get(&sk).unwrap_or(&nothing);
        let (membership, standing) = (of_key(member.sort_key()), of_key(member.standing_sort_key()));
        let put = self.put(member.membership(tenant, membership, now));
        let put = Unchanged::of(membership, &ATTRIBUTES).put(put);
        let former = (!standing.is_empty()).then(|| Standing::read(standing)).transpose()?;
        let key = Item::from(keys::primary(tenant, member.standing_sort_key()));
        let joined = Standing::joined(former, member.user_id.as_str());
        Ok([TransactionPart::put(PartRole::Membership, put), self.replace_standing(key, standing, Some(&joined))])
    }

    /// Reads the standings that name a user as a member of an organization, usually one. It reads all standings of the
    /// organization, because a membership holds only the last address, and a user may have accepted invitations to
    /// several addresses.
    async fn standings_of(
        &self,
        tenant: &TenantId,
        organization_id: &DirectoryId,
        user_id: &DirectoryId,
    ) -> Result<Vec<Item>, StoreError> {
        let prefix = keys::standings(organization_id);
        let (mut found, mut start) = (Vec::new(), None);
        loop {
            let page = self.query_prefix(tenant, &prefix, start).await?;
            let rows = page.items.unwrap_or_default().into_iter();
            found.extend(rows.filter(|row| Standing::names_user(row, user_id.as_str())));
            start = page.last_evaluated_key.filter(|key| !key.is_empty());
            if start.is_none() {
                return Ok(found);
            }
        }
    }

    /// The parts that remove a user from these standings, conditioned on the standings being unchanged since they were
    /// read.
    fn remove_user(
        &self,
        standings: &[Item],
        user_id: &DirectoryId,
        now: Timestamp,
    ) -> Result<Vec<TransactionPart>, StoreError> {
        let part = |row: &Item| {
            let left = Standing::read(row)?.left(|id| id == user_id.as_str(), now);
            Ok(self.replace_standing(items::key_of(row), row, left.as_ref()))
        };
        standings.iter().map(part).collect()
    }
}

//! One person's data: a tenant's rows about an address, and about the users with that address.
//!
//! All rows of each kind are read, with strong consistency. An index is not enough: indexes are eventually consistent,
//! and standings are in none.

use std::collections::HashSet;

use serde::Serialize;
use serde_json::Value;

use super::{
    Item, Store, StoreError,
    condition::Unchanged,
    items::{self, text},
    keys,
    standing::Standing,
    transaction::{PartRole, TransactionPart},
};
use crate::{
    clock::{Deadline, budgets::OPERATOR_CALL},
    domain::{email_address::NormalizedAddress, ids::TenantId, timestamp::Timestamp},
};

/// The kind of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Kind {
    /// A user with the address.
    User,
    /// An invitation of the address.
    Invitation,
    /// A membership with the address, or of a user with the address.
    Member,
    /// A standing of the address, or one that names a user with the address.
    Standing,
    /// The times of the last sends to the address.
    #[serde(rename = "sendWindow")]
    RecipientRateLimit,
    /// The idempotency record of a request that invited the address.
    Idempotency,
}

/// A row about the person.
#[derive(Clone, Debug, PartialEq)]
pub struct PersonRow {
    /// Its kind.
    pub kind: Kind,
    row: Item,
    /// The row without the person, if it is also about others: the standing of another address.
    without_person: Option<Item>,
}

impl PersonRow {
    /// The sort key, which contains identifiers that no attribute has.
    pub(crate) fn sort_key(&self) -> &str {
        text(&self.row, keys::SK).unwrap_or_default()
    }

    /// The attributes, without the keys of the table and of the indexes.
    pub(crate) fn attributes(&self) -> Value {
        const KEYS: [&str; 5] = [keys::PK, keys::SK, keys::ORGANIZATION_KEY, keys::INVITEE_KEY, keys::INVITER_KEY];
        let attributes = self.row.iter().filter(|(name, _)| !KEYS.contains(&name.as_str()));
        items::to_json(attributes.map(|(name, value)| (name.clone(), value.clone())).collect())
    }
}

/// The person's address and the identifiers found so far.
struct Person {
    address: NormalizedAddress,
    user_ids: HashSet<String>,
    invitation_ids: HashSet<String>,
}

impl Person {
    /// Returns `true` if a row is about the person. Users and invitations must be read first, because they add
    /// identifiers.
    fn matches(&mut self, kind: Kind, row: &Item) -> bool {
        let is_address = |name| text(row, name).is_some_and(|text| NormalizedAddress::of(text) == self.address);
        let is_among = |name, ids: &HashSet<String>| text(row, name).is_some_and(|id| ids.contains(id));
        let sk = text(row, keys::SK).unwrap_or_default();
        let is_theirs = match kind {
            Kind::User => is_address("primaryEmail"),
            Kind::Invitation => is_address("invitee"),
            Kind::Member => is_address("email") || is_among("userId", &self.user_ids),
            Kind::Standing => {
                self.has_address_of(sk) || self.user_ids.iter().any(|user_id| Standing::names_user(row, user_id))
            }
            Kind::RecipientRateLimit => sk == keys::recipient_rate_limit(&self.address),
            Kind::Idempotency => is_among("invitationId", &self.invitation_ids) || self.is_invitee_of_response(row),
        };
        // The identifier in the key is the one that references use.
        let id = sk.split_once('#').map(|(_, id)| id.to_owned()).filter(|_| is_theirs);
        match kind {
            Kind::User => self.user_ids.extend(id),
            Kind::Invitation => self.invitation_ids.extend(id),
            _ => {}
        }
        is_theirs
    }

    fn has_address_of(&self, standing_sk: &str) -> bool {
        standing_sk.ends_with(&keys::standing_of(&self.address))
    }

    /// The row without the person, if it is the standing of another address that other members share.
    fn without_person(&self, kind: Kind, row: &Item, now: Timestamp) -> Result<Option<Item>, StoreError> {
        if kind != Kind::Standing || self.has_address_of(text(row, keys::SK).unwrap_or_default()) {
            return Ok(None);
        }
        let left = Standing::read(row)?.left(|user_id| self.user_ids.contains(user_id), now);
        Ok(left.map(|left| left.row(row.clone())))
    }

    /// The stored response may outlive the invitation.
    fn is_invitee_of_response(&self, row: &Item) -> bool {
        let response = text(row, "answer").and_then(|response| serde_json::from_str::<Value>(response).ok());
        let invitee = response.as_ref().and_then(|response| response.get("invitee")?.as_str());
        invitee.is_some_and(|invitee| NormalizedAddress::of(invitee) == self.address)
    }
}

impl Store {
    /// Reads the rows about the person with that address, compared case-insensitively.
    pub async fn person_rows(&self, tenant: &TenantId, address: &str) -> Result<Vec<PersonRow>, StoreError> {
        let (address, now) = (NormalizedAddress::of(address), Timestamp::now());
        let rate_limit = keys::recipient_rate_limit(&address);
        let sources = [
            (Kind::User, keys::USERS),
            (Kind::Invitation, keys::INVITATIONS),
            (Kind::Member, keys::MEMBERSHIPS),
            (Kind::Standing, keys::STANDINGS),
            (Kind::RecipientRateLimit, &rate_limit),
            (Kind::Idempotency, keys::IDEMPOTENCY),
        ];
        let mut person = Person { address, user_ids: HashSet::new(), invitation_ids: HashSet::new() };
        let mut found = Vec::new();
        for (kind, prefix) in sources {
            let mut start = None;
            loop {
                let page = self.query_prefix(tenant, prefix, start).await?;
                for row in page.items.unwrap_or_default() {
                    if person.matches(kind, &row) {
                        let without_person = person.without_person(kind, &row, now)?;
                        found.push(PersonRow { kind, row, without_person });
                    }
                }
                start = page.last_evaluated_key.filter(|key| !key.is_empty());
                if start.is_none() {
                    break;
                }
            }
        }
        Ok(found)
    }

    /// Deletes a row, or removes the person from it if it is also about others. Returns `false` if the row has changed
    /// since it was read.
    pub async fn delete_person_row(&self, tenant: &TenantId, row: &PersonRow) -> Result<bool, StoreError> {
        let names: Vec<&str> = row.row.keys().map(String::as_str).collect();
        let unchanged = Unchanged::of(&row.row, &names);
        let part = if let Some(without_person) = &row.without_person {
            TransactionPart::put(PartRole::OnlyRow, unchanged.put(self.put(without_person.clone())))
        } else {
            let delete = self.delete(Item::from(keys::primary(tenant, row.sort_key())));
            TransactionPart::delete(PartRole::OnlyRow, unchanged.delete(delete))
        };
        Ok(self.transact(&[part], Deadline::within(OPERATOR_CALL)).await?.is_committed())
    }
}

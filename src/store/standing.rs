//! The standing of an address with an organization: pending or member. It is one row, so that one condition checks both
//! uniqueness and membership.
//!
//! | `state` | attributes |
//! |---|---|
//! | `pending` | `invitationId`, `expiresAt`, and `ttl`, which is `expiresAt` in seconds |
//! | `member` | `userId`; `otherUserIds` (a set) if several users share the address; `pendingInvitationId` and `pendingExpiresAt` if an invitation was pending when the address became a member's |
//!
//! A member's standing keeps the pending invitation, so that it blocks another invitation again after the last
//! membership ends. A change of the invitation also updates the standing; accepting, revoking or deleting it removes it
//! from the standing.

use std::collections::BTreeSet;

use aws_sdk_dynamodb::types::AttributeValue;

use super::{
    Item, Store, StoreError,
    condition::Unchanged,
    items::{self, TTL, named, number, string, text, time, ttl},
    transaction::{PartRole, TransactionPart},
};
use crate::domain::{ids::InvitationId, invitation::Invitation, timestamp::Timestamp};

const STATE: &str = "state";
const INVITATION_ID: &str = "invitationId";
const EXPIRES_AT: &str = "expiresAt";
const USER_ID: &str = "userId";
const OTHER_USER_IDS: &str = "otherUserIds";
const PENDING_INVITATION_ID: &str = "pendingInvitationId";
const PENDING_EXPIRES_AT: &str = "pendingExpiresAt";

/// All attributes except the keys.
const ATTRIBUTES: [&str; 8] =
    [STATE, INVITATION_ID, EXPIRES_AT, TTL, USER_ID, OTHER_USER_IDS, PENDING_INVITATION_ID, PENDING_EXPIRES_AT];

/// The standing of an address with an organization.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// A pending invitation.
    Pending(PendingInvitation),
    /// One member, or several who share the address.
    Member {
        /// The users. Empty if another program wrote the row without any.
        user_ids: BTreeSet<String>,
        /// The invitation that was pending when the address became a member's.
        pending: Option<PendingInvitation>,
    },
}

/// The pending invitation of an address to an organization.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PendingInvitation {
    /// The invitation.
    pub id: InvitationId,
    /// The time from which it no longer blocks another invitation.
    pub expires_at: Timestamp,
}

impl PendingInvitation {
    fn read(row: &Item, id: &'static str, expires_at: &'static str) -> Result<Self, StoreError> {
        let unreadable = |attribute| move || StoreError::unreadable("standing", attribute);
        Ok(Self {
            id: text(row, id).and_then(InvitationId::parse).ok_or_else(unreadable(id))?,
            expires_at: time(row, expires_at).ok_or_else(unreadable(expires_at))?,
        })
    }
}

impl Standing {
    /// The `state` of a pending standing.
    pub(crate) const PENDING: &str = "pending";
    /// The `state` of a member's standing.
    pub(crate) const MEMBER: &str = "member";

    /// Reads a standing.
    ///
    /// # Errors
    /// A permanent error if the row has neither form: nothing must be assumed about the address.
    pub(crate) fn read(row: &Item) -> Result<Self, StoreError> {
        match text(row, STATE) {
            Some(Self::PENDING) => Ok(Self::Pending(PendingInvitation::read(row, INVITATION_ID, EXPIRES_AT)?)),
            Some(Self::MEMBER) => {
                let keeps_invitation =
                    [PENDING_INVITATION_ID, PENDING_EXPIRES_AT].iter().any(|name| row.contains_key(*name));
                let pending = || PendingInvitation::read(row, PENDING_INVITATION_ID, PENDING_EXPIRES_AT);
                Ok(Self::Member { user_ids: user_ids(row)?, pending: keeps_invitation.then(pending).transpose()? })
            }
            _ => Err(StoreError::unreadable("standing", STATE)),
        }
    }

    /// As [`Standing::read`]; `None` if the row is empty, because there is no standing.
    pub(super) fn read_if_exists(row: &Item) -> Result<Option<Self>, StoreError> {
        (!row.is_empty()).then(|| Self::read(row)).transpose()
    }

    /// Returns `true` if a row, even an unreadable one, names this invitation, in either form.
    pub(crate) fn names_invitation(row: &Item, id: &InvitationId) -> bool {
        Self::names_pending(row, id) || text(row, PENDING_INVITATION_ID) == Some(id.as_str())
    }

    /// Returns `true` if a row, even an unreadable one, is a pending standing.
    pub(crate) fn is_pending(row: &Item) -> bool {
        text(row, STATE) == Some(Self::PENDING)
    }

    /// Returns `true` if a row, even an unreadable one, names this invitation as a pending standing does.
    pub(crate) fn names_pending(row: &Item, id: &InvitationId) -> bool {
        text(row, INVITATION_ID) == Some(id.as_str())
    }

    /// Returns `true` if a row, even an unreadable one, names this user as a member.
    pub(crate) fn names_user(row: &Item, user_id: &str) -> bool {
        let others = row.get(OTHER_USER_IDS).and_then(|value| value.as_ss().ok());
        text(row, USER_ID) == Some(user_id) || others.is_some_and(|others| others.iter().any(|id| id == user_id))
    }

    /// Returns `true` if the standing blocks a new invitation at `now`. An expired pending standing does not, even
    /// before DynamoDB deletes it.
    pub(crate) fn blocks_invitation(&self, now: Timestamp) -> bool {
        match self {
            Self::Member { .. } => true,
            Self::Pending(pending) => pending.expires_at > now,
        }
    }

    /// The pending invitation, or the one that a member's standing keeps.
    pub(crate) fn invitation(&self) -> Option<&PendingInvitation> {
        match self {
            Self::Pending(pending) => Some(pending),
            Self::Member { pending, .. } => pending.as_ref(),
        }
    }

    /// The standing after a user with the address has joined.
    #[must_use]
    pub(crate) fn joined(found: Option<Self>, user_id: &str) -> Self {
        let (mut user_ids, pending) = match found {
            None => (BTreeSet::new(), None),
            Some(Self::Pending(pending)) => (BTreeSet::new(), Some(pending)),
            Some(Self::Member { user_ids, pending }) => (user_ids, pending),
        };
        user_ids.insert(user_id.to_owned());
        Self::Member { user_ids, pending }
    }

    /// The standing after some users have left. After the last one, it is pending again if it keeps an unexpired
    /// invitation, otherwise `None`.
    #[must_use]
    pub(crate) fn left(self, is_leaving: impl Fn(&str) -> bool, now: Timestamp) -> Option<Self> {
        let Self::Member { mut user_ids, pending } = self else { return Some(self) };
        user_ids.retain(|id| !is_leaving(id));
        if user_ids.is_empty() {
            return pending.filter(|pending| pending.expires_at > now).map(Self::Pending);
        }
        Some(Self::Member { user_ids, pending })
    }

    /// The standing with `pending` as its invitation.
    #[must_use]
    pub fn with_invitation(found: Option<Self>, pending: PendingInvitation) -> Self {
        match found {
            Some(Self::Member { user_ids, .. }) => Self::Member { user_ids, pending: Some(pending) },
            Some(Self::Pending(_)) | None => Self::Pending(pending),
        }
    }

    /// The standing without that invitation; `None` if nothing is left.
    #[must_use]
    pub(crate) fn without_invitation(self, id: &InvitationId) -> Option<Self> {
        match self {
            Self::Pending(pending) if pending.id == *id => None,
            Self::Member { user_ids, pending } => {
                Some(Self::Member { user_ids, pending: pending.filter(|pending| pending.id != *id) })
            }
            other @ Self::Pending(_) => Some(other),
        }
    }

    /// The row of the standing, based on the existing row or on its key. Attributes of other programs stay.
    pub(crate) fn row(&self, mut row: Item) -> Item {
        row.retain(|name, _| !ATTRIBUTES.contains(&name.as_str()));
        match self {
            Self::Pending(PendingInvitation { id, expires_at }) => row.extend(named([
                (STATE, string(Self::PENDING)),
                (INVITATION_ID, string(id.as_str())),
                (EXPIRES_AT, number(expires_at.as_millis())),
                // An expired standing blocks nothing, so it needs no retention.
                (TTL, ttl(*expires_at, 0)),
            ])),
            Self::Member { user_ids, pending } => {
                let (first, others) = (user_ids.iter().next(), user_ids.iter().skip(1).cloned().collect::<Vec<_>>());
                row.extend(named([(STATE, string(Self::MEMBER))]));
                row.extend(first.map(|id| (USER_ID.to_owned(), string(id))));
                // DynamoDB has no empty sets.
                row.extend((!others.is_empty()).then(|| (OTHER_USER_IDS.to_owned(), AttributeValue::Ss(others))));
                row.extend(pending.iter().flat_map(|pending| {
                    named([
                        (PENDING_INVITATION_ID, string(pending.id.as_str())),
                        (PENDING_EXPIRES_AT, number(pending.expires_at.as_millis())),
                    ])
                }));
            }
        }
        row
    }
}

fn user_ids(row: &Item) -> Result<BTreeSet<String>, StoreError> {
    let first = row.get(USER_ID).map(|id| id.as_s().map_err(|_| StoreError::unreadable("standing", USER_ID)));
    let others = row.get(OTHER_USER_IDS);
    let others = others.map(|ids| ids.as_ss().map_err(|_| StoreError::unreadable("standing", OTHER_USER_IDS)));
    let others = others.transpose()?.into_iter().flatten();
    Ok(first.transpose()?.into_iter().chain(others).cloned().collect())
}

impl Store {
    /// The part that replaces the standing with `new`, or deletes it for `None`, conditioned on the row being unchanged
    /// since it was `found`. An empty `found` means that the row did not exist.
    pub(super) fn replace_standing(&self, key: Item, found: &Item, new: Option<&Standing>) -> TransactionPart {
        let unchanged = Unchanged::of(found, &ATTRIBUTES);
        match new {
            Some(new) => {
                let base = if found.is_empty() { key } else { found.clone() };
                TransactionPart::put(PartRole::Standing, unchanged.put(self.put(new.row(base))))
            }
            None => TransactionPart::delete(PartRole::Standing, unchanged.delete(self.delete(key))),
        }
    }

    /// The part that deletes the standing of a pending invitation's invitee, conditioned on the usual case: the
    /// standing names this invitation as pending, or does not exist. If the condition fails,
    /// [`Store::remove_from_standing`] builds the part from the row that was found.
    pub(super) fn delete_own_standing(&self, invitation: &Invitation) -> TransactionPart {
        let delete = self
            .delete(items::standing_key(invitation))
            .condition_expression("attribute_not_exists(pk) OR invitationId = :id")
            .expression_attribute_values(":id", string(invitation.id.as_str()));
        TransactionPart::delete(PartRole::Standing, delete)
    }

    /// The part that removes an invitation from the standing `found`; `None` if the standing does not name it.
    pub(super) fn remove_from_standing(
        &self,
        invitation: &Invitation,
        found: &Item,
    ) -> Result<Option<TransactionPart>, StoreError> {
        let Some(standing) = Standing::read_if_exists(found)? else { return Ok(None) };
        if standing.invitation().is_none_or(|pending| pending.id != invitation.id) {
            return Ok(None);
        }
        let new = standing.without_invitation(&invitation.id);
        Ok(Some(self.replace_standing(items::standing_key(invitation), found, new.as_ref())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_000);

    fn pending(expires_at: i64) -> PendingInvitation {
        let id = InvitationId::parse("0mwshl16meeoe2l4w0lik").unwrap();
        PendingInvitation { id, expires_at: Timestamp::from_millis(expires_at) }
    }

    fn member(user_ids: &[&str], pending: Option<PendingInvitation>) -> Standing {
        Standing::Member { user_ids: user_ids.iter().map(|id| (*id).to_owned()).collect(), pending }
    }

    #[test]
    fn a_standing_is_pending_again_after_its_last_user_left() {
        let joined = Standing::joined(Some(Standing::Pending(pending(2_000))), "ada");
        assert_eq!(joined, member(&["ada"], Some(pending(2_000))));
        let shared = Standing::joined(Some(joined.clone()), "bob");
        for (standing, leaving, expected, reason) in [
            (joined.clone(), "ada", Some(Standing::Pending(pending(2_000))), "the last user"),
            (joined.clone(), "eve", Some(joined.clone()), "another user"),
            (shared, "ada", Some(member(&["bob"], Some(pending(2_000)))), "one of two"),
            (member(&["ada"], Some(pending(1_000))), "ada", None, "the invitation has expired"),
            (member(&["ada"], None), "ada", None, "no invitation is kept"),
            (Standing::Pending(pending(1)), "ada", Some(Standing::Pending(pending(1))), "nobody is a member"),
        ] {
            assert_eq!(standing.left(|id| id == leaving, NOW), expected, "{reason}");
        }
    }

    #[test]
    fn every_form_survives_a_round_trip_and_other_attributes_stay() {
        let base = Item::from([("note".to_owned(), string("of others"))]);
        for standing in [
            Standing::Pending(pending(2_000)),
            member(&["ada"], None),
            member(&["ada", "bob", "eve"], Some(pending(2_000))),
            member(&[], None),
        ] {
            let row = standing.row(Standing::Pending(pending(1)).row(member(&["x", "y"], None).row(base.clone())));
            assert_eq!(Standing::read(&row).unwrap(), standing);
            assert_eq!(text(&row, "note"), Some("of others"));
            assert_eq!(
                row.contains_key(TTL),
                matches!(standing, Standing::Pending(_)),
                "only a pending standing has a TTL"
            );
        }
    }

    #[test]
    fn a_row_of_neither_form_is_an_error_that_names_the_attribute() {
        for (attributes, attribute) in [
            (vec![], STATE),
            (vec![(STATE, string("Member"))], STATE),
            (vec![(STATE, string("pending"))], INVITATION_ID),
            (vec![(STATE, string("pending")), (INVITATION_ID, string("x"))], INVITATION_ID),
            (vec![(STATE, string("pending")), (INVITATION_ID, string(pending(1).id.as_str()))], EXPIRES_AT),
            (vec![(STATE, string("member")), (USER_ID, number(5))], USER_ID),
            (vec![(STATE, string("member")), (OTHER_USER_IDS, string("ada"))], OTHER_USER_IDS),
            (vec![(STATE, string("member")), (PENDING_EXPIRES_AT, number(5))], PENDING_INVITATION_ID),
        ] {
            let row: Item = attributes.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
            let error = Standing::read(&row).unwrap_err();
            assert_eq!(
                (error.to_string(), error.is_permanent),
                (format!("unreadable standing row: {attribute}"), true)
            );
        }
    }
}

//! Ends an invitation: accept, revoke, delete. Each is one transaction, conditioned on the status that was read, so
//! that exactly one of several concurrent requests succeeds. Accept and revoke are also conditioned on `updatedAt`, so
//! that an accept grants the current roles.

use std::{collections::BTreeSet, iter};

use aws_sdk_dynamodb::types::{AttributeValue, builders::UpdateBuilder};

use super::{
    Item, Store, StoreError,
    condition::Unchanged,
    items::{self, number, string},
    keys,
    standing::Standing,
    token,
    transaction::{PartRole, TransactionOutcome, TransactionPart},
};
use crate::{
    clock::{RequestClock, budgets::TIME_AFTER_ENDING},
    domain::{
        ids::{DirectoryId, InvitationId, TenantId},
        invitation::{Invitation, Status},
        timestamp::Timestamp,
        token::{StoredToken, TokenHash},
    },
};

/// A pending invitation before and after a transaction.
#[derive(Clone, Copy, Debug)]
pub struct Transition<'a> {
    /// The invitation as it was read.
    pub read: &'a Invitation,
    /// The invitation after the transaction.
    pub new: &'a Invitation,
}

/// The outcome of an accept.
#[derive(Debug)]
pub(crate) enum AcceptOutcome {
    /// The user is a member.
    Accepted,
    /// The presented token is not that of the latest message, or too many wrong tokens were presented before. Holds the
    /// stored token.
    WrongToken(Option<StoredToken>),
    /// The invitation has changed since it was read, or a newer one has replaced it: a request that began before the
    /// expiry may write after a request that began later.
    Changed,
}

/// The state in which a transaction leaves an invitation.
#[derive(Clone, Copy)]
pub(super) enum EndState<'a> {
    /// Accepted, revoked or changed. Holds the invitation after the transaction.
    Changed(&'a Invitation),
    /// Deleted. Holds the invitation as it was read.
    Deleted(&'a Invitation),
}

impl EndState<'_> {
    const fn invitation(&self) -> &Invitation {
        match self {
            Self::Changed(invitation) | Self::Deleted(invitation) => invitation,
        }
    }

    /// Returns `true` if the invitation `found` afterwards shows that the transaction has committed.
    fn is_reached(self, found: Option<&Invitation>) -> bool {
        match self {
            Self::Deleted(_) => found.is_none(),
            Self::Changed(changed) => found == Some(changed),
        }
    }
}

impl Store {
    /// Writes an accept: the status, the standing of the invitee, and the membership with the invitation's roles. A
    /// presented `token` must be the stored one when the transaction runs.
    ///
    /// The first attempt assumes the usual rows: a standing that names this invitation, and membership roles stored as
    /// a set. Otherwise the failed conditions return the actual rows, from which the next attempt is built.
    pub(crate) async fn accept(
        &self,
        transition: Transition<'_>,
        user_id: &DirectoryId,
        token: Option<TokenHash>,
        clock: RequestClock,
    ) -> Result<AcceptOutcome, StoreError> {
        let accepted = transition.new;
        let mut parts = vec![
            self.accept_pending(transition, token),
            self.join_standing(accepted, user_id, &Item::new())?,
            self.add_member(accepted, user_id, &Item::new())?,
        ];
        loop {
            let failed = match self.transact_or_read(&parts, EndState::Changed(accepted), clock).await? {
                TransactionOutcome::Committed => return Ok(AcceptOutcome::Accepted),
                TransactionOutcome::ConditionFailed(failed) => failed,
            };
            if let Some(row) = failed.row(PartRole::Invitation) {
                let is_unchanged = items::read_invitation(&accepted.tenant, row).as_ref() == Some(transition.read);
                if token.is_some() && is_unchanged {
                    return Ok(AcceptOutcome::WrongToken(token::read(row)));
                }
                check_readable(&accepted.tenant, row)?;
                return Ok(AcceptOutcome::Changed);
            }
            let standing = failed.row(PartRole::Standing).map(Standing::read_if_exists).transpose()?.flatten();
            if standing.is_some_and(|standing| is_replaced(&standing, accepted, clock.now)) {
                return Ok(AcceptOutcome::Changed);
            }
            parts = failed.rebuild(parts, |role, row| match role {
                PartRole::Standing => self.join_standing(accepted, user_id, row).map(Some),
                _ => self.add_member(accepted, user_id, row).map(Some),
            })?;
        }
    }

    /// Writes a revoke, and removes the invitation from the standing of its invitee. Returns `false` if the invitation
    /// has changed since it was read.
    pub(crate) async fn revoke(&self, transition: Transition<'_>, clock: RequestClock) -> Result<bool, StoreError> {
        self.transact_and_free_invitee(self.end_pending(transition), EndState::Changed(transition.new), clock).await
    }

    /// Deletes an invitation in any status. Removes a pending one from the standing of its invitee. Returns `false` if
    /// it does not exist.
    pub(crate) async fn delete_invitation(
        &self,
        tenant: &TenantId,
        id: &InvitationId,
        clock: RequestClock,
    ) -> Result<bool, StoreError> {
        while let Some(invitation) = self.get(tenant, id, clock.deadline).await? {
            let (delete, end_state) = (self.delete_unchanged(&invitation), EndState::Deleted(&invitation));
            let is_deleted = match invitation.stored_status {
                Status::Pending => self.transact_and_free_invitee(delete, end_state, clock).await?,
                _ => self.transact_or_read(&[delete], end_state, clock).await?.is_committed(),
            };
            if is_deleted {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Writes `change`, and removes the invitation from the standing of its invitee if the standing still names it: an
    /// expired invitation may have been replaced, and an operator may have written a member.
    async fn transact_and_free_invitee(
        &self,
        change: TransactionPart,
        end_state: EndState<'_>,
        clock: RequestClock,
    ) -> Result<bool, StoreError> {
        let invitation = end_state.invitation();
        let mut free = Some(self.delete_own_standing(invitation));
        loop {
            let parts: Vec<_> = iter::once(change.clone()).chain(free).collect();
            let failed = match self.transact_or_read(&parts, end_state, clock).await? {
                TransactionOutcome::Committed => return Ok(true),
                TransactionOutcome::ConditionFailed(failed) => failed,
            };
            if let Some(row) = failed.row(PartRole::Invitation) {
                check_readable(&invitation.tenant, row)?;
                return Ok(false);
            }
            free = match failed.row(PartRole::Standing) {
                Some(row) if row.is_empty() || Standing::names_pending(row, &invitation.id) => {
                    Some(self.delete_own_standing(invitation))
                }
                row => self.remove_from_standing(invitation, row.unwrap_or(&Item::new()))?,
            };
        }
    }

    /// Runs a transaction that ends or changes an invitation. If the outcome is unknown, determines it by reading the
    /// invitation: after a commit, a retry by the caller would wrongly fail.
    pub(super) async fn transact_or_read(
        &self,
        parts: &[TransactionPart],
        end_state: EndState<'_>,
        clock: RequestClock,
    ) -> Result<TransactionOutcome, StoreError> {
        let error = match self.transact(parts, clock.leaving(TIME_AFTER_ENDING)).await {
            Err(error) if error.may_have_committed => error,
            known => return known,
        };
        let invitation = end_state.invitation();
        match self.get(&invitation.tenant, &invitation.id, clock.deadline).await {
            Ok(found) if end_state.is_reached(found.as_ref()) => Ok(TransactionOutcome::Committed),
            _ => Err(error),
        }
    }

    /// The part that ends a pending invitation.
    fn end_pending(&self, transition: Transition<'_>) -> TransactionPart {
        TransactionPart::update(PartRole::Invitation, self.end_update(transition))
    }

    /// The part that accepts a pending invitation, conditioned on `token` if one is presented.
    fn accept_pending(&self, transition: Transition<'_>, token: Option<TokenHash>) -> TransactionPart {
        let update = self.end_update(transition);
        let update = match token {
            Some(presented) => token::require(update, presented),
            None => update,
        };
        TransactionPart::update(PartRole::Invitation, update)
    }

    /// The update that ends a pending invitation. It sets only the changed attributes: the row has other writers.
    fn end_update(&self, Transition { read, new: ended }: Transition<'_>) -> UpdateBuilder {
        let update = self
            .update_pending(read)
            .expression_attribute_values(":status", string(ended.stored_status.as_str()))
            .expression_attribute_values(":updatedAt", number(ended.updated_at.as_millis()));
        let set = "SET #status = :status, updatedAt = :updatedAt";
        match &ended.accepted_user_id {
            Some(user_id) => update
                .update_expression(format!("{set}, acceptedUserId = :user"))
                .expression_attribute_values(":user", string(user_id.as_str())),
            None => update.update_expression(set),
        }
    }

    /// Begins an update conditioned on the invitation being pending and unchanged since it was `read`.
    pub(super) fn update_pending(&self, read: &Invitation) -> UpdateBuilder {
        self.update(invitation_key(read))
            .condition_expression("#status = :pending AND updatedAt = :readUpdatedAt")
            .expression_attribute_names("#status", "status")
            .expression_attribute_values(":pending", string(Status::Pending.as_str()))
            .expression_attribute_values(":readUpdatedAt", number(read.updated_at.as_millis()))
    }

    /// The part that fails unless the stored status of the invitation is pending.
    pub(super) fn check_pending(&self, invitation: &Invitation) -> TransactionPart {
        let check = self
            .check(invitation_key(invitation))
            .condition_expression("#status = :pending")
            .expression_attribute_names("#status", "status")
            .expression_attribute_values(":pending", string(Status::Pending.as_str()));
        TransactionPart::check(PartRole::Invitation, check)
    }

    /// The part that deletes the invitation if it still has the status that was read.
    pub(super) fn delete_unchanged(&self, invitation: &Invitation) -> TransactionPart {
        let delete = self
            .delete(invitation_key(invitation))
            .condition_expression("#status = :status")
            .expression_attribute_names("#status", "status")
            .expression_attribute_values(":status", string(invitation.stored_status.as_str()));
        TransactionPart::delete(PartRole::Invitation, delete)
    }

    /// The part that makes the standing a member's. If `found` is empty, its condition is that the standing does not
    /// exist or names this invitation as pending.
    fn join_standing(
        &self,
        invitation: &Invitation,
        user_id: &DirectoryId,
        found: &Item,
    ) -> Result<TransactionPart, StoreError> {
        let key = items::standing_key(invitation);
        if let Some(standing) = Standing::read_if_exists(found)? {
            let others = standing.without_invitation(&invitation.id);
            return Ok(self.replace_standing(key, found, Some(&Standing::joined(others, user_id.as_str()))));
        }
        let put = self
            .put(Standing::joined(None, user_id.as_str()).row(key))
            .condition_expression("attribute_not_exists(pk) OR (#state = :pending AND invitationId = :id)")
            .expression_attribute_names("#state", "state")
            .expression_attribute_values(":pending", string(Standing::PENDING))
            .expression_attribute_values(":id", string(invitation.id.as_str()));
        Ok(TransactionPart::put(PartRole::Standing, put))
    }

    /// The part that creates the membership, or adds the invitation's roles to it. If `found` is empty, its condition
    /// is that the row has no roles or stores them as a set.
    fn add_member(
        &self,
        invitation: &Invitation,
        user_id: &DirectoryId,
        found: &Item,
    ) -> Result<TransactionPart, StoreError> {
        let key = keys::primary(&invitation.tenant, keys::membership(&invitation.organization_id, user_id));
        let update = self
            .update(Item::from(key))
            .expression_attribute_values(":organization", string(invitation.organization_id.as_str()))
            .expression_attribute_values(":user", string(user_id.as_str()))
            .expression_attribute_values(":email", string(invitation.invitee.normalized().as_str()))
            .expression_attribute_values(":now", number(invitation.updated_at.as_millis()));
        let roles: BTreeSet<String> = invitation.organization_roles.iter().map(|role| role.id.to_string()).collect();
        let update = if roles.is_empty() {
            // DynamoDB has no empty sets.
            update.update_expression(SET_MEMBERSHIP)
        } else if found.is_empty() {
            update
                .update_expression(format!("{SET_MEMBERSHIP} ADD organizationRoleIds :roles"))
                .condition_expression(
                    "attribute_not_exists(organizationRoleIds) OR attribute_type(organizationRoleIds, :set)",
                )
                .expression_attribute_values(":set", string("SS"))
                .expression_attribute_values(":roles", AttributeValue::Ss(roles.into_iter().collect()))
        } else {
            set_roles(update, found, roles)?
        };
        Ok(TransactionPart::update(PartRole::Membership, update))
    }
}

const SET_MEMBERSHIP: &str = "SET organizationId = :organization, userId = :user, email = :email, \
                              joinedAt = if_not_exists(joinedAt, :now)";

/// Adds `roles` to the membership `found`, conditioned on its roles being unchanged.
fn set_roles(update: UpdateBuilder, found: &Item, roles: BTreeSet<String>) -> Result<UpdateBuilder, StoreError> {
    let all = items::role_ids(found)?.into_iter().chain(roles).collect::<BTreeSet<_>>();
    let update = Unchanged::of(found, &[items::ROLE_IDS]).update(update);
    Ok(update
        .update_expression(format!("{SET_MEMBERSHIP}, organizationRoleIds = :roles"))
        .expression_attribute_values(":roles", AttributeValue::Ss(all.into_iter().collect())))
}

pub(super) fn invitation_key(invitation: &Invitation) -> Item {
    Item::from(keys::primary(&invitation.tenant, keys::invitation(&invitation.id)))
}

/// Returns `true` if the standing names another invitation, which has replaced `invitation`.
pub(super) fn is_replaced(found: &Standing, invitation: &Invitation, now: Timestamp) -> bool {
    match found {
        Standing::Pending(pending) => pending.id != invitation.id,
        Standing::Member { pending, .. } => {
            pending.as_ref().is_some_and(|pending| pending.id != invitation.id && pending.expires_at > now)
        }
    }
}

/// Checks that the row of an invitation that failed a condition is readable, or empty because it was deleted.
///
/// # Errors
/// A permanent error if it is unreadable.
pub(super) fn check_readable(tenant: &TenantId, found: &Item) -> Result<(), StoreError> {
    let is_readable = found.is_empty() || items::read_invitation(tenant, found).is_some();
    if is_readable { Ok(()) } else { Err(StoreError::permanent("unreadable invitation row")) }
}

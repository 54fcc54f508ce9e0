//! Ending an invitation: accepting, revoking, deleting. Each is one transaction on the condition that the invitation
//! still is what it was read as, so that of several at once one comes first, and the others meet what it left.

use std::{collections::BTreeSet, iter, time::Duration};

use aws_sdk_dynamodb::types::{
    AttributeValue, ConditionCheck, ReturnValuesOnConditionCheckFailure, TransactWriteItem, Update,
};

use super::{
    Item, Store, StoreError,
    condition::Unchanged,
    items::{self, number, string},
    keys,
    standing::Standing,
    transaction::{Transacted, delete_part, put_part},
};
use crate::{
    clock::RequestClock,
    domain::{
        ids::{InvitationId, TenantId},
        invitation::{Invitation, Status},
        timestamp::Timestamp,
    },
};

/// What is left of a request's time when an invitation is ended, to see whether it was where DynamoDB does not tell.
const TIME_TO_SEE: Duration = Duration::from_secs(3);

impl Store {
    /// Writes that `user_id` accepted `accepted`: its status, what its invitee is to the organization, and the
    /// membership with its roles. Says whether it still was pending, and no newer invitation had taken its place:
    /// a request that began before the expiry may come after one that began behind it.
    ///
    /// The usual rows are assumed first: the standing is the invitation's own, and the roles of a membership are a set.
    /// Where it is not so, the failure brings the rows along.
    pub async fn accept(&self, accepted: &Invitation, user_id: &str, clock: RequestClock) -> Result<bool, StoreError> {
        let (mut standing, mut membership) = (None, None);
        loop {
            let parts = [
                self.replace_pending(accepted),
                self.join_standing(accepted, user_id, standing.as_ref()),
                self.join(accepted, user_id, membership.as_ref(), clock.now)?,
            ];
            let failed = match self.transact_or_see(&parts, accepted, Some(accepted), clock).await? {
                Transacted::Committed => return Ok(true),
                Transacted::Refused(failed) => failed,
            };
            if let Some(row) = failed.at(0) {
                return gone_or_ended(&accepted.tenant, row).map(|_| false);
            }
            if let Some(row) = failed.at(1) {
                let found = (!row.is_empty()).then(|| Standing::read(row)).transpose()?;
                if found.as_ref().is_some_and(|found| is_of_another(found, accepted, clock.now)) {
                    return Ok(false);
                }
                standing = found.map(|found| (row.clone(), found));
            }
            if let Some(row) = failed.at(2) {
                membership = Some(row.clone()).filter(|row| !row.is_empty());
            }
        }
    }

    /// Writes that `revoked` is revoked, which frees its invitee. Says whether it still was pending.
    pub async fn revoke(&self, revoked: &Invitation, clock: RequestClock) -> Result<bool, StoreError> {
        self.free_invitee_and(self.replace_pending(revoked), revoked, Some(revoked), clock).await
    }

    /// Deletes the invitation with that identifier, in whatever status, and frees its invitee where it was what kept
    /// them. Says whether there was one.
    pub async fn delete_invitation(
        &self,
        tenant: &TenantId,
        id: &InvitationId,
        clock: RequestClock,
    ) -> Result<bool, StoreError> {
        while let Some(invitation) = self.get(tenant, id, clock.deadline).await? {
            let delete = self.delete_unchanged(&invitation);
            let deleted = match invitation.stored_status {
                Status::Pending => self.free_invitee_and(delete, &invitation, None, clock).await?,
                _ => self.transact_or_see(&[delete], &invitation, None, clock).await?.is_committed(),
            };
            if deleted {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Does `change` of an invitation, which leaves `wanted` of it, and takes it out of the standing of its invitee,
    /// unless that is another's by now: an expired invitation may have been followed by a new one, and a member may
    /// have been written by others.
    async fn free_invitee_and(
        &self,
        change: TransactWriteItem,
        invitation: &Invitation,
        wanted: Option<&Invitation>,
        clock: RequestClock,
    ) -> Result<bool, StoreError> {
        let mut free = Some(self.free_invitee(invitation));
        loop {
            let parts: Vec<_> = iter::once(change.clone()).chain(free).collect();
            let failed = match self.transact_or_see(&parts, invitation, wanted, clock).await? {
                Transacted::Committed => return Ok(true),
                Transacted::Refused(failed) => failed,
            };
            if let Some(row) = failed.at(0) {
                return gone_or_ended(&invitation.tenant, row).map(|_| false);
            }
            free = match failed.at(1) {
                Some(row) if row.is_empty() || Standing::names_pending(row, &invitation.id) => {
                    Some(self.free_invitee(invitation))
                }
                row => self.forget_invitation(invitation, row.unwrap_or(&Item::new()))?,
            };
        }
    }

    /// Runs a transaction that leaves `wanted` of `invitation`. Where DynamoDB does not tell what became of it, the
    /// invitation does: who calls again would only be told that it has ended, or does not exist.
    async fn transact_or_see(
        &self,
        parts: &[TransactWriteItem],
        invitation: &Invitation,
        wanted: Option<&Invitation>,
        clock: RequestClock,
    ) -> Result<Transacted, StoreError> {
        let error = match self.transact(parts, clock.leaving(TIME_TO_SEE)).await {
            Err(error) if error.may_be_done => error,
            known => return known,
        };
        match self.get(&invitation.tenant, &invitation.id, clock.deadline).await {
            Ok(found) if found.as_ref() == wanted => Ok(Transacted::Committed),
            _ => Err(error),
        }
    }

    /// The part that writes the invitation anew, if it still is pending.
    fn replace_pending(&self, invitation: &Invitation) -> TransactWriteItem {
        let put = self
            .put(items::invitation(invitation, self.retention_seconds))
            .condition_expression("#status = :pending")
            .expression_attribute_names("#status", "status")
            .expression_attribute_values(":pending", string(Status::Pending.as_str()));
        put_part(put)
    }

    /// The part that goes wrong unless the invitation is pending, as far as its status tells.
    pub(super) fn check_pending(&self, invitation: &Invitation) -> TransactWriteItem {
        let check = ConditionCheck::builder()
            .table_name(&self.table)
            .set_key(Some(Item::from(keys::primary(&invitation.tenant, keys::invitation(&invitation.id)))))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .condition_expression("#status = :pending")
            .expression_attribute_names("#status", "status")
            .expression_attribute_values(":pending", string(Status::Pending.as_str()));
        let check = check.build().expect("table, key and condition are set");
        TransactWriteItem::builder().condition_check(check).build()
    }

    /// The part that deletes the invitation, if it still has the status that it was read with.
    pub(super) fn delete_unchanged(&self, invitation: &Invitation) -> TransactWriteItem {
        let delete = self
            .delete(Item::from(keys::primary(&invitation.tenant, keys::invitation(&invitation.id))))
            .condition_expression("#status = :status")
            .expression_attribute_names("#status", "status")
            .expression_attribute_values(":status", string(invitation.stored_status.as_str()));
        delete_part(delete)
    }

    /// The part that makes the invitee's address a member's. Without a standing that was `found`, the standing has to be
    /// the invitation's own where there is one.
    fn join_standing(
        &self,
        invitation: &Invitation,
        user_id: &str,
        found: Option<&(Item, Standing)>,
    ) -> TransactWriteItem {
        let key = items::standing_key(invitation);
        if let Some((row, standing)) = found {
            let others = standing.clone().without_invitation(&invitation.id);
            return self.replace_standing(key, row, Some(&Standing::joined(others, user_id)));
        }
        let put = self
            .put(Standing::joined(None, user_id).row(key))
            .condition_expression("attribute_not_exists(pk) OR (#state = :pending AND invitationId = :id)")
            .expression_attribute_names("#state", "state")
            .expression_attribute_values(":pending", string(Standing::PENDING))
            .expression_attribute_values(":id", string(invitation.id.as_str()));
        put_part(put)
    }

    /// The part that makes a user a member, or gives a member the invitation's roles as well. Without a membership that
    /// was `found`, its roles have to be a set where there are any.
    fn join(
        &self,
        invitation: &Invitation,
        user_id: &str,
        found: Option<&Item>,
        now: Timestamp,
    ) -> Result<TransactWriteItem, StoreError> {
        let key = keys::primary(&invitation.tenant, keys::membership(&invitation.organization_id, user_id));
        let update = Update::builder()
            .table_name(&self.table)
            .set_key(Some(Item::from(key)))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .expression_attribute_values(":organization", string(&invitation.organization_id))
            .expression_attribute_values(":user", string(user_id))
            .expression_attribute_values(":email", string(&invitation.invitee.normalized()))
            .expression_attribute_values(":now", number(now.as_millis()));
        let set = "SET organizationId = :organization, userId = :user, email = :email, \
                   joinedAt = if_not_exists(joinedAt, :now)";
        let roles: BTreeSet<String> = invitation.organization_roles.iter().map(|role| role.id.clone()).collect();
        let update = match found {
            // DynamoDB has no empty sets.
            _ if roles.is_empty() => update.update_expression(set),
            None => update
                .update_expression(format!("{set} ADD organizationRoleIds :roles"))
                .condition_expression(
                    "attribute_not_exists(organizationRoleIds) OR attribute_type(organizationRoleIds, :set)",
                )
                .expression_attribute_values(":set", string("SS"))
                .expression_attribute_values(":roles", AttributeValue::Ss(roles.into_iter().collect())),
            Some(found) => {
                let all = items::role_ids(found)?.into_iter().chain(roles).collect::<BTreeSet<_>>();
                let Unchanged { expression, names, values } = Unchanged::of(found, &[items::ROLE_IDS]);
                let update = values
                    .into_iter()
                    .flatten()
                    .fold(update, |update, (name, value)| update.expression_attribute_values(name, value));
                update
                    .update_expression(format!("{set}, organizationRoleIds = :roles"))
                    .condition_expression(expression)
                    .set_expression_attribute_names(names)
                    .expression_attribute_values(":roles", AttributeValue::Ss(all.into_iter().collect()))
            }
        };
        let update = update.build().expect("table, key and expression are set");
        Ok(TransactWriteItem::builder().update(update).build())
    }
}

/// Whether the standing is a pending one of another invitation, or remembers one: that has taken the place of this one.
fn is_of_another(found: &Standing, invitation: &Invitation, now: Timestamp) -> bool {
    match found {
        Standing::Pending(pending) => pending.id != invitation.id,
        Standing::Member { pending, .. } => {
            pending.as_ref().is_some_and(|pending| pending.id != invitation.id && pending.expires_at > now)
        }
    }
}

/// What an invitation has become that is not as it was expected: gone, where the row that was found is empty, or ended.
///
/// # Errors
/// A permanent one for a row that cannot be read, which is neither.
pub(super) fn gone_or_ended(tenant: &TenantId, found: &Item) -> Result<GoneOrEnded, StoreError> {
    if found.is_empty() {
        return Ok(GoneOrEnded::Gone);
    }
    let readable = items::read_invitation(tenant, found);
    readable.map(|_| GoneOrEnded::Ended).ok_or_else(|| StoreError::permanent("unreadable invitation row"))
}

/// See [`gone_or_ended`].
pub(super) enum GoneOrEnded {
    Gone,
    Ended,
}

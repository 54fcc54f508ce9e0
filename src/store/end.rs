//! Ending an invitation: accepting, revoking, deleting. Each is one transaction on the condition that the invitation
//! still is what it was read as, so that of several at once one comes first, and the others meet what it left.

use std::time::Duration;

use aws_sdk_dynamodb::types::{
    AttributeValue, ConditionCheck, ReturnValuesOnConditionCheckFailure, TransactWriteItem, Update,
};

use super::{
    Item, Store, StoreError,
    items::{self, Standing, number, string},
    keys,
    transaction::{Transacted, delete_part, put_part},
};
use crate::{
    invitation::{Invitation, InvitationId, Status, TenantId},
    timestamp::{Moment, Timestamp},
};

/// What is left of a request's time when an invitation is ended, to see whether it was where DynamoDB does not tell.
const TIME_TO_SEE: Duration = Duration::from_secs(3);

impl Store {
    /// Writes that `user_id` accepted `accepted`: its status, what its invitee is to the organization, and the
    /// membership with its roles. Says whether it still was pending, and no newer invitation had taken its place:
    /// a request that began before the expiry may come after one that began behind it.
    pub async fn accept(&self, accepted: &Invitation, user_id: &str, moment: Moment) -> Result<bool, StoreError> {
        let standing = self
            .put(items::member_standing(accepted, user_id))
            .condition_expression("attribute_not_exists(pk) OR #state <> :pending OR invitationId = :id")
            .expression_attribute_names("#state", "state")
            .expression_attribute_values(":pending", string(Standing::PENDING))
            .expression_attribute_values(":id", string(accepted.id.as_str()));
        let parts = [self.replace_pending(accepted), put_part(standing), self.join(accepted, user_id, moment.now)];
        Ok(self.transact_or_see(&parts, accepted, Some(accepted), moment).await?.is_committed())
    }

    /// Writes that `revoked` is revoked, which frees its invitee. Says whether it still was pending.
    pub async fn revoke(&self, revoked: &Invitation, moment: Moment) -> Result<bool, StoreError> {
        self.free_invitee_and(self.replace_pending(revoked), revoked, Some(revoked), moment).await
    }

    /// Deletes the invitation with that identifier, in whatever status, and frees its invitee where it was what kept
    /// them. Says whether there was one.
    pub async fn delete_invitation(
        &self,
        tenant: &TenantId,
        id: &InvitationId,
        moment: Moment,
    ) -> Result<bool, StoreError> {
        while let Some(invitation) = self.get(tenant, id, moment.deadline).await? {
            let delete = self.delete_unchanged(&invitation);
            let deleted = match invitation.stored_status {
                Status::Pending => self.free_invitee_and(delete, &invitation, None, moment).await?,
                _ => self.transact_or_see(&[delete], &invitation, None, moment).await?.is_committed(),
            };
            if deleted {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Does `change` of an invitation, which leaves `wanted` of it, and deletes the standing of its invitee, unless that
    /// is another's by now: an expired invitation may have been followed by a new one, and a member may have been
    /// written by others.
    async fn free_invitee_and(
        &self,
        change: TransactWriteItem,
        invitation: &Invitation,
        wanted: Option<&Invitation>,
        moment: Moment,
    ) -> Result<bool, StoreError> {
        let parts = [change.clone(), self.free_invitee(invitation)];
        match self.transact_or_see(&parts, invitation, wanted, moment).await? {
            Transacted::Committed => Ok(true),
            Transacted::Refused(failed) if failed.at(0).is_some() => Ok(false),
            Transacted::Refused(_) => {
                Ok(self.transact_or_see(&[change], invitation, wanted, moment).await?.is_committed())
            }
        }
    }

    /// Runs a transaction that leaves `wanted` of `invitation`. Where DynamoDB does not tell what became of it, the
    /// invitation does: who calls again would only be told that it has ended, or does not exist.
    async fn transact_or_see(
        &self,
        parts: &[TransactWriteItem],
        invitation: &Invitation,
        wanted: Option<&Invitation>,
        moment: Moment,
    ) -> Result<Transacted, StoreError> {
        let error = match self.transact(parts, moment.leaving(TIME_TO_SEE)).await {
            Err(error) if error.may_be_done => error,
            known => return known,
        };
        match self.get(&invitation.tenant, &invitation.id, moment.deadline).await {
            Ok(found) if found.as_ref() == wanted => Ok(Transacted::Committed),
            _ => Err(error),
        }
    }

    /// The part that deletes the standing of the invitee, which has to be the invitation's own where there is one.
    pub(super) fn free_invitee(&self, invitation: &Invitation) -> TransactWriteItem {
        let delete = self
            .delete(items::standing_key(invitation))
            .condition_expression("attribute_not_exists(pk) OR invitationId = :id")
            .expression_attribute_values(":id", string(invitation.id.as_str()));
        delete_part(delete)
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

    /// The part that makes a user a member, or gives a member the invitation's roles as well.
    fn join(&self, invitation: &Invitation, user_id: &str, now: Timestamp) -> TransactWriteItem {
        let key = keys::primary(&invitation.tenant, keys::membership(&invitation.organization_id, user_id));
        let update = Update::builder()
            .table_name(&self.table)
            .set_key(Some(Item::from(key)))
            .expression_attribute_values(":organization", string(&invitation.organization_id))
            .expression_attribute_values(":user", string(user_id))
            .expression_attribute_values(":email", string(&invitation.invitee.folded()))
            .expression_attribute_values(":now", number(now.as_millis()));
        let set = "SET organizationId = :organization, userId = :user, email = :email, \
                   joinedAt = if_not_exists(joinedAt, :now)";
        let roles: Vec<String> = invitation.organization_roles.iter().map(|role| role.id.clone()).collect();
        // DynamoDB has no empty sets.
        let update = if roles.is_empty() {
            update.update_expression(set)
        } else {
            update
                .update_expression(format!("{set} ADD organizationRoleIds :roles"))
                .expression_attribute_values(":roles", AttributeValue::Ss(roles))
        };
        TransactWriteItem::builder().update(update.build().expect("table, key and expression are set")).build()
    }
}

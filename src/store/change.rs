//! Changing a pending invitation: one transaction, under the condition that nobody has changed or ended the invitation
//! since it was read.

use super::{
    Item, Store, StoreError,
    end::{EndState, Transition, gone_or_ended, is_of_another},
    items::{self, TTL, number, string, ttl},
    standing::{PendingInvitation, Standing},
    transaction::{PartRole, TransactionOutcome, TransactionPart},
};
use crate::{clock::RequestClock, domain::invitation::Invitation};

impl Store {
    /// Writes the changed expiry and roles of an invitation, with the times to live that follow the expiry. Returns `false`
    /// if the invitation is no longer as it was read, or a newer one has replaced it.
    ///
    /// The first attempt assumes the usual standing: the invitation's own. If it is different, the failed condition returns
    /// it, and the next attempt is built from it.
    pub(crate) async fn change(&self, transition: Transition<'_>, clock: RequestClock) -> Result<bool, StoreError> {
        let Transition { read, new } = transition;
        let mut standing = self.move_standing(new);
        loop {
            let parts = [self.change_pending(transition), standing];
            let failed = match self.transact_or_read(&parts, EndState::Changed(new), clock).await? {
                TransactionOutcome::Committed => return Ok(true),
                TransactionOutcome::ConditionFailed(failed) => failed,
            };
            if let Some(row) = failed.row(PartRole::Invitation) {
                return gone_or_ended(&read.tenant, row).map(|_| false);
            }
            let nothing = Item::new();
            let row = failed.row(PartRole::Standing).unwrap_or(&nothing);
            let found = (!row.is_empty()).then(|| Standing::read(row)).transpose()?;
            if found.as_ref().is_some_and(|found| is_of_another(found, read, clock.now)) {
                return Ok(false);
            }
            let pending = PendingInvitation { id: new.id.clone(), expires_at: new.expires_at };
            let moved = Standing::with_invitation(found, pending);
            standing = self.replace_standing(items::standing_key(new), row, Some(&moved));
        }
    }

    /// The part that writes the attributes that have changed, and no others: the row may have other writers.
    fn change_pending(&self, Transition { read, new }: Transition<'_>) -> TransactionPart {
        let mut set = vec!["updatedAt = :updatedAt"];
        let mut update =
            self.update_pending(read).expression_attribute_values(":updatedAt", number(new.updated_at.as_millis()));
        if new.expires_at != read.expires_at {
            set.extend(["expiresAt = :expiresAt", "#ttl = :ttl"]);
            update = update
                .expression_attribute_names("#ttl", TTL)
                .expression_attribute_values(":expiresAt", number(new.expires_at.as_millis()))
                .expression_attribute_values(":ttl", ttl(new.expires_at, self.retention_seconds));
        }
        if new.organization_roles != read.organization_roles {
            set.push("organizationRoles = :roles");
            update = update.expression_attribute_values(":roles", items::roles(&new.organization_roles));
        }
        let update = update.update_expression(format!("SET {}", set.join(", ")));
        TransactionPart::update(PartRole::Invitation, update)
    }

    /// The part that moves the expiry of the invitation's own standing.
    fn move_standing(&self, invitation: &Invitation) -> TransactionPart {
        let update = self
            .update(items::standing_key(invitation))
            .update_expression("SET expiresAt = :expiresAt, #ttl = :ttl")
            .condition_expression("#state = :pending AND invitationId = :id")
            .expression_attribute_names("#state", "state")
            .expression_attribute_names("#ttl", TTL)
            .expression_attribute_values(":pending", string(Standing::PENDING))
            .expression_attribute_values(":id", string(invitation.id.as_str()))
            .expression_attribute_values(":expiresAt", number(invitation.expires_at.as_millis()))
            .expression_attribute_values(":ttl", ttl(invitation.expires_at, 0));
        TransactionPart::update(PartRole::Standing, update)
    }
}

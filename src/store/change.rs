//! Changes a pending invitation in one transaction, conditioned on the invitation being unchanged since it was read.

use super::{
    Item, Store, StoreError,
    end::{EndState, Transition, check_readable, is_replaced},
    items::{self, TTL, number, string, ttl},
    standing::{PendingInvitation, Standing},
    transaction::{PartRole, TransactionOutcome, TransactionPart},
};
use crate::{clock::RequestClock, domain::invitation::Invitation};

impl Store {
    /// Writes the changed expiry and roles of an invitation, and the TTLs derived from the expiry. Returns `false` if
    /// the invitation has changed since it was read, or a newer one has replaced it.
    ///
    /// The first attempt assumes the usual standing: pending, and naming this invitation. Otherwise the failed
    /// condition returns the actual standing, from which the next attempt is built.
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
                check_readable(&read.tenant, row)?;
                return Ok(false);
            }
            let nothing = Item::new();
            let row = failed.row(PartRole::Standing).unwrap_or(&nothing);
            let found = Standing::read_if_exists(row)?;
            if found.as_ref().is_some_and(|found| is_replaced(found, read, clock.now)) {
                return Ok(false);
            }
            let pending = PendingInvitation { id: new.id.clone(), expires_at: new.expires_at };
            let moved = Standing::with_invitation(found, pending);
            standing = self.replace_standing(items::standing_key(new), row, Some(&moved));
        }
    }

    /// The part that writes only the changed attributes: the row has other writers.
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

    /// The part that changes the expiry of the pending standing that names the invitation.
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

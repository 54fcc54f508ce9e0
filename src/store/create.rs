//! Creates an invitation in one transaction, and rolls it back if its email was certainly not sent.
//!
//! Every row of the transaction belongs to this invitee or idempotency key, so that creates of different invitations
//! never conflict. There is deliberately no condition on the organization or a role: concurrent transactions on a
//! shared row cancel each other, so a bulk invite to one organization would fail.

use super::{
    Store, StoreError,
    idempotency::IdempotencyRecord,
    items::{self, number, string},
    keys,
    recipient_rate_limit::RecipientRateLimit,
    standing::Standing,
    token,
    transaction::{FailedConditions, PartRole, TransactionOutcome, TransactionPart},
};
use crate::{
    clock::{RequestClock, budgets::TIME_AFTER_WRITING},
    domain::{
        email_address::NormalizedAddress,
        ids::{DirectoryId, InvitationId, TenantId},
        invitation::Invitation,
        rate_limit::MessageRate,
        timestamp::Timestamp,
        token::TokenHash,
    },
};

/// A created invitation with the other rows of its create: everything that a roll-back undoes.
#[derive(Debug)]
pub(crate) struct CreatedInvitation<'a> {
    /// The invitation.
    pub invitation: &'a Invitation,
    /// The recipient's rate limit with a send reserved at `createdAt`, if an email is requested.
    pub rate_limit: Option<RecipientRateLimit>,
    /// The idempotency record, if the request has a key.
    pub record: Option<&'a IdempotencyRecord>,
}

/// An address, and the organization to which it is to be invited.
#[derive(Clone, Copy, Debug)]
pub(crate) struct InviteeKey<'a> {
    /// The tenant.
    pub tenant: &'a TenantId,
    /// The organization.
    pub organization_id: &'a DirectoryId,
    /// The address.
    pub invitee: &'a NormalizedAddress,
}

/// The email of a new invitation.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mailing {
    /// The rate limit of its recipient.
    pub rate: MessageRate,
    /// The hash of its token, if it contains one.
    pub token: Option<TokenHash>,
}

/// The outcome of writing a create.
#[derive(Debug)]
pub(crate) enum WriteOutcome<'a> {
    /// The invitation was written.
    Created(CreatedInvitation<'a>),
    /// Nothing was written, because of another row.
    Conflict(Conflict),
    /// Nothing was written, because an earlier request used the same idempotency key.
    Replay(IdempotencyRecord),
}

/// The conflicts that prevent an invitation, in the contract's order of precedence.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Conflict {
    /// The invitee is a member already.
    AlreadyMember,
    /// The invitee has a pending invitation to this organization.
    AlreadyInvited(Option<InvitationId>),
    /// The recipient has reached the rate limit.
    MessageRateLimited {
        /// Seconds until one more message may be sent.
        retry_after: u64,
    },
}

impl Store {
    /// Writes `invitation`, reserves a send if `mailing` is given, and writes `record` if given. Rolls back if the
    /// outcome is unknown, so that the caller can retry, except with a completed `record`, which makes a retry safe.
    pub(crate) async fn create<'a>(
        &self,
        invitation: &'a Invitation,
        mailing: Option<Mailing>,
        record: Option<&'a IdempotencyRecord>,
        clock: RequestClock,
    ) -> Result<WriteOutcome<'a>, StoreError> {
        let mut found = mailing.map(|mailing| RecipientRateLimit::of_invitee(invitation, mailing.rate));
        let token = mailing.and_then(|mailing| mailing.token);
        loop {
            let rate_limit = found.as_ref().map(|found| found.reserve(clock.now, invitation.id.as_str()));
            let created = CreatedInvitation { invitation, rate_limit, record };
            let parts = self.create_parts(&created, found.as_ref(), token, clock.now);
            let failed = match self.transact(&parts, clock.leaving(TIME_AFTER_WRITING)).await {
                Ok(TransactionOutcome::Committed) => return Ok(WriteOutcome::Created(created)),
                Ok(TransactionOutcome::ConditionFailed(failed)) => failed,
                Err(error) => return Err(self.roll_back_if_unknown(created, error, clock).await),
            };
            // An earlier attempt committed but its response was lost.
            if failed.row(PartRole::Standing).is_some_and(|row| Standing::names_invitation(row, &invitation.id)) {
                return Ok(WriteOutcome::Created(created));
            }
            if let Some(outcome) = earlier_row(&failed, clock.now)? {
                return Ok(outcome);
            }
            let rate_limit = found.filter(|_| failed.row(PartRole::Invitation).is_none());
            let Some((rate_limit, row)) = rate_limit.zip(failed.row(PartRole::RecipientRateLimit)) else {
                return Err(StoreError::nothing_written("DynamoDB: a new invitation's identifier is taken"));
            };
            let rate_limit = rate_limit.with_row(row)?;
            if let Some(retry_after) = rate_limit.seconds_until_free(clock.now) {
                return Ok(WriteOutcome::Conflict(Conflict::MessageRateLimited { retry_after }));
            }
            found = Some(rate_limit);
        }
    }

    /// The parts of a create. `found` is the recipient's rate limit before the send is reserved.
    fn create_parts(
        &self,
        created: &CreatedInvitation<'_>,
        found: Option<&RecipientRateLimit>,
        token: Option<TokenHash>,
        now: Timestamp,
    ) -> Vec<TransactionPart> {
        let CreatedInvitation { invitation, rate_limit, record } = created;
        let mut parts = vec![self.put_standing(invitation, now), self.put_invitation(invitation, token)];
        let rate_limit = found.zip(rate_limit.as_ref());
        parts.extend(rate_limit.map(|(found, reserved)| self.replace_rate_limit(found, reserved, now)));
        parts.extend(record.map(|record| self.put_record(record, now)));
        parts
    }

    /// Rolls a create back if its outcome is unknown. Returns the error of the create.
    async fn roll_back_if_unknown(
        &self,
        created: CreatedInvitation<'_>,
        error: StoreError,
        clock: RequestClock,
    ) -> StoreError {
        let invitation_id = &created.invitation.id;
        // A completed record may have been replayed already, so its invitation must stay.
        let may_roll_back = created.record.is_none_or(|record| !record.is_completed());
        if error.may_have_committed
            && may_roll_back
            && let Err(second) = self.roll_back(created, clock).await
        {
            tracing::error!(error = %second, %invitation_id, "invitation of unknown outcome not rolled back");
        }
        error
    }

    /// Reads the conflict that a new invitation would meet in the table. Used only for requests that fail anyway, to
    /// report the error that takes precedence in the contract.
    pub(crate) async fn conflict(
        &self,
        key: InviteeKey<'_>,
        rate: Option<MessageRate>,
        clock: RequestClock,
    ) -> Result<Option<Conflict>, StoreError> {
        let InviteeKey { tenant, organization_id, invitee } = key;
        let standing_key = keys::standing(organization_id, invitee);
        let mut wanted = vec![standing_key.clone()];
        wanted.extend(rate.is_some().then(|| keys::recipient_rate_limit(invitee)));
        let rows = self.batch_get(tenant, wanted, clock.deadline).await?;
        let (standings, rate_limits): (Vec<_>, Vec<_>) =
            rows.iter().partition(|row| items::text(row, keys::SK) == Some(standing_key.as_str()));
        let standing = standings.first().map(|row| Standing::read(row)).transpose()?;
        if let Some(standing) = standing.filter(|standing| standing.blocks_invitation(clock.now)) {
            return Ok(Some(standing.into()));
        }
        let Some((rate, row)) = rate.zip(rate_limits.first()) else { return Ok(None) };
        let rate_limit = RecipientRateLimit::assumed_empty(tenant, invitee, rate).with_row(row)?;
        Ok(rate_limit.seconds_until_free(clock.now).map(|retry_after| Conflict::MessageRateLimited { retry_after }))
    }

    /// Rolls back a created invitation whose email was certainly not sent, so that the caller can retry: deletes it and
    /// the record, and releases the reserved send. An invitation that was accepted or revoked since stays. An expired
    /// one is deleted, even if another invitation has replaced it. If another attempt has taken over the record's
    /// lease, everything stays.
    pub(crate) async fn roll_back(
        &self,
        created: CreatedInvitation<'_>,
        clock: RequestClock,
    ) -> Result<(), StoreError> {
        let CreatedInvitation { invitation, rate_limit, record } = created;
        let reserved_at = invitation.created_at;
        let release =
            |limit: &RecipientRateLimit| self.replace_rate_limit(limit, &limit.release(reserved_at), clock.now);
        let mut parts = vec![self.delete_unchanged(invitation), self.delete_own_standing(invitation)];
        parts.extend(rate_limit.as_ref().map(release));
        parts.extend(record.map(|record| self.delete_record(record)));
        while !parts.is_empty() {
            let TransactionOutcome::ConditionFailed(failed) = self.transact(&parts, clock.deadline).await? else {
                break;
            };
            if failed.row(PartRole::IdempotencyRecord).is_some() {
                break;
            }
            parts = failed.rebuild(parts, |role, row| match role {
                // The invitee has become a member, and the member's standing keeps the invitation, or the standing
                // names another invitation.
                PartRole::Standing => self.remove_from_standing(invitation, row),
                PartRole::RecipientRateLimit => {
                    let found = rate_limit.as_ref().and_then(|limit| limit.still_reserved(row, reserved_at));
                    Ok(found.as_ref().map(release))
                }
                _ => Ok(None),
            })?;
            if failed.row(PartRole::Invitation).is_some() {
                parts.retain(|part| part.role != PartRole::Standing);
            }
        }
        Ok(())
    }

    fn put_standing(&self, invitation: &Invitation, now: Timestamp) -> TransactionPart {
        let put = self
            .put(items::pending_standing(invitation))
            .condition_expression("attribute_not_exists(pk) OR (#state = :pending AND expiresAt <= :now)")
            .expression_attribute_names("#state", "state")
            .expression_attribute_values(":pending", string(Standing::PENDING))
            .expression_attribute_values(":now", number(now.as_millis()));
        TransactionPart::put(PartRole::Standing, put)
    }

    fn put_invitation(&self, invitation: &Invitation, token: Option<TokenHash>) -> TransactionPart {
        let mut item = items::invitation(invitation, self.retention_seconds);
        item.extend(token.map(|hash| (token::TOKEN.to_owned(), token::attribute(hash))));
        let put = self.put(item).condition_expression("attribute_not_exists(pk)");
        TransactionPart::put(PartRole::Invitation, put)
    }
}

/// The outcome of a create that met the record of an earlier request or the invitee's standing.
fn earlier_row(failed: &FailedConditions, now: Timestamp) -> Result<Option<WriteOutcome<'static>>, StoreError> {
    if let Some(row) = failed.row(PartRole::IdempotencyRecord) {
        // The failed condition has compared the record's expiry with the same `now`.
        let expired = || StoreError::nothing_written("DynamoDB: an expired idempotency record failed a condition");
        return IdempotencyRecord::read(row, now)?.map(WriteOutcome::Replay).ok_or_else(expired).map(Some);
    }
    let standing = failed.row(PartRole::Standing).map(Standing::read).transpose()?;
    Ok(standing.map(|standing| WriteOutcome::Conflict(standing.into())))
}

impl From<Standing> for Conflict {
    fn from(standing: Standing) -> Self {
        match standing {
            Standing::Member { .. } => Self::AlreadyMember,
            Standing::Pending(pending) => Self::AlreadyInvited(Some(pending.id)),
        }
    }
}

//! Creating an invitation in one transaction, and rolling it back if its email was certainly not sent.
//!
//! Every part of the transaction is keyed by this one invitee or idempotency key, so that different invitations never
//! contend. There is deliberately no condition on the organization or a role: concurrent transactions on one shared row
//! cancel each other, and inviting many people to one organization at once would fail.

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
        email_address::EmailAddress,
        ids::InvitationId,
        invitation::{Invitation, NewInvitation},
        rate_limit::MessageRate,
        timestamp::Timestamp,
        token::TokenHash,
    },
};

/// A created invitation with the other rows of its create: everything that a rollback removes.
#[derive(Debug)]
pub(crate) struct CreatedInvitation<'a> {
    /// The invitation.
    pub invitation: &'a Invitation,
    /// The recipient's rate limit, if an email is sent: a send at `createdAt` is reserved in it.
    pub rate_limit: Option<RecipientRateLimit>,
    /// The idempotency record, if the request has a key.
    pub record: Option<&'a IdempotencyRecord>,
}

/// The message of a new invitation.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mailing {
    /// The rate limit of its recipient.
    pub rate: MessageRate,
    /// The hash of its token, if it holds one.
    pub token: Option<TokenHash>,
}

/// The outcome of writing a create.
#[derive(Debug)]
pub(crate) enum WriteOutcome<'a> {
    /// The invitation exists.
    Created(CreatedInvitation<'a>),
    /// Nothing was written, because of another row.
    Conflict(Conflict),
    /// Nothing was written, because a request with the same idempotency key came before.
    Replay(IdempotencyRecord),
}

/// The rows that prevent an invitation, in the order in which the contract decides them.
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
    /// Creates `invitation`, with a reserved send if `mailing` is given, and with `record` if it is given. If the outcome is
    /// unknown, rolls back, so that the caller can retry; unless `record` makes a retry safe without.
    pub(crate) async fn create<'a>(
        &self,
        invitation: &'a Invitation,
        mailing: Option<Mailing>,
        record: Option<&'a IdempotencyRecord>,
        clock: RequestClock,
    ) -> Result<WriteOutcome<'a>, StoreError> {
        let (tenant, invitee) = (&invitation.tenant, invitation.invitee.normalized());
        let mut found = mailing.map(|mailing| RecipientRateLimit::assumed_empty(tenant, &invitee, mailing.rate));
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
                return Err(StoreError::nothing_done("DynamoDB: a new invitation's identifier is taken"));
            };
            let rate_limit = rate_limit.with_row(row)?;
            if let Some(retry_after) = rate_limit.seconds_until_free(clock.now) {
                return Ok(WriteOutcome::Conflict(Conflict::MessageRateLimited { retry_after }));
            }
            found = Some(rate_limit);
        }
    }

    /// The parts of a create. `found` is the recipient's rate limit without the send that is to be reserved.
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

    /// Rolls a create back whose outcome is unknown. Returns the error of the create.
    async fn roll_back_if_unknown(
        &self,
        created: CreatedInvitation<'_>,
        error: StoreError,
        clock: RequestClock,
    ) -> StoreError {
        let invitation_id = &created.invitation.id;
        // A completed record may have been replayed by now: its invitation must stay.
        let may_roll_back = created.record.is_none_or(|record| !record.is_completed());
        if error.may_be_done
            && may_roll_back
            && let Err(second) = self.roll_back(created, clock).await
        {
            tracing::error!(error = %second, %invitation_id, "invitation of unknown outcome not rolled back");
        }
        error
    }

    /// Reads the conflicts of the invitation `new` of `invitee` with the table. Only for requests that fail anyway, to
    /// tell the caller first what the contract decides first.
    pub(crate) async fn conflict(
        &self,
        new: &NewInvitation,
        invitee: &EmailAddress,
        rate: Option<MessageRate>,
        clock: RequestClock,
    ) -> Result<Option<Conflict>, StoreError> {
        let (tenant, invitee) = (&new.tenant, invitee.normalized());
        let standing_key = keys::standing(&new.organization_id, &invitee);
        let mut wanted = vec![standing_key.clone()];
        wanted.extend(rate.is_some().then(|| keys::recipient_rate_limit(&invitee)));
        let rows = self.batch_get(tenant, wanted, clock.deadline).await?;
        let (standings, rate_limits): (Vec<_>, Vec<_>) =
            rows.iter().partition(|row| items::text(row, keys::SK) == Some(standing_key.as_str()));
        let standing = standings.first().map(|row| Standing::read(row)).transpose()?;
        if let Some(standing) = standing.filter(|standing| standing.blocks_invitation(clock.now)) {
            return Ok(Some(standing.into()));
        }
        let Some((rate, row)) = rate.zip(rate_limits.first()) else { return Ok(None) };
        let rate_limit = RecipientRateLimit::assumed_empty(tenant, &invitee, rate).with_row(row)?;
        Ok(rate_limit.seconds_until_free(clock.now).map(|retry_after| Conflict::MessageRateLimited { retry_after }))
    }

    /// Rolls back a created invitation whose email was certainly not sent, so that the caller can retry: releases the
    /// reserved send and deletes the record. An invitation that was accepted or revoked since stays. An expired one is
    /// deleted, also if another has replaced it. If another attempt has taken over the lease of the record, everything
    /// stays.
    pub(crate) async fn roll_back(
        &self,
        created: CreatedInvitation<'_>,
        clock: RequestClock,
    ) -> Result<(), StoreError> {
        let CreatedInvitation { invitation, mut rate_limit, record } = created;
        let reserved_at = invitation.created_at;
        let (mut is_unchanged, mut standing) = (true, Some(self.free_invitee(invitation)));
        loop {
            let mut parts = Vec::with_capacity(4);
            if is_unchanged {
                parts.push(self.delete_unchanged(invitation));
                parts.extend(standing.clone());
            }
            let release = |limit| self.replace_rate_limit(limit, &limit.release(reserved_at), clock.now);
            parts.extend(rate_limit.as_ref().map(release));
            parts.extend(record.map(|record| self.delete_record(record)));
            if parts.is_empty() {
                return Ok(());
            }
            let outcome = self.transact(&parts, clock.deadline).await?;
            let TransactionOutcome::ConditionFailed(failed) = outcome else { return Ok(()) };
            if failed.row(PartRole::IdempotencyRecord).is_some() {
                return Ok(());
            }
            // A rate limit that cannot be read must not keep the invitation.
            if let (Some(limit), Some(row)) = (&rate_limit, failed.row(PartRole::RecipientRateLimit)) {
                rate_limit = limit.with_row(row).ok().filter(|found| found.counts(reserved_at));
            }
            // The invitee has become a member, whose standing keeps the invitation; or the standing names another invitation.
            if let Some(row) = failed.row(PartRole::Standing) {
                standing = self.forget_invitation(invitation, row)?;
            }
            is_unchanged &= failed.row(PartRole::Invitation).is_none();
        }
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

/// The outcome of a create for which the record of an earlier request, or the invitee's standing, exists.
fn earlier_row(failed: &FailedConditions, now: Timestamp) -> Result<Option<WriteOutcome<'static>>, StoreError> {
    if let Some(row) = failed.row(PartRole::IdempotencyRecord) {
        // The condition has just found that the record has not expired, by the same clock.
        let expired = || StoreError::nothing_done("DynamoDB: an expired idempotency record failed a condition");
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

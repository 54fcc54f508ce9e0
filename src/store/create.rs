//! Creating an invitation in one transaction, and rolling one back whose mail was certainly not sent.
//!
//! Every part of the transaction is keyed by this one invitee or idempotency key, so that different invitations never
//! wait for each other. There is no condition on the organization or a role on purpose: concurrent transactions on one
//! shared row cancel each other, and inviting many people to one organization at once would fail.

use std::time::Duration;

use aws_sdk_dynamodb::types::TransactWriteItem;

use super::{
    Store, StoreError,
    idempotency::Record,
    items::{self, number, string},
    keys,
    send_window::SendWindow,
    standing::Standing,
    transaction::{Transacted, put_part},
};
use crate::{
    clock::RequestClock,
    domain::{
        email_address::EmailAddress,
        ids::InvitationId,
        invitation::{Invitation, NewInvitation},
        rate_limit::MessageRate,
        timestamp::Timestamp,
    },
};

/// What has to be left of a request's time when it begins to write: to find that the answer is lost, to send the mail,
/// and to take the invitation back.
pub(super) const TIME_AFTER_WRITING: Duration = Duration::from_secs(7);

/// The positions of the transaction's parts. A record, where there is one, is the last.
const STANDING: usize = 0;
const INVITATION: usize = 1;
const SEND_WINDOW: usize = 2;

/// The parts of the transaction that rolls a create back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Invitation,
    Standing,
    Window,
    Record,
}

/// What became of a create.
#[derive(Debug)]
pub enum Creation {
    /// The invitation exists; with the recipient's window, where a send was counted.
    Created(Option<SendWindow>),
    /// It does not, because something stands against it.
    Refused(Refusal),
    /// A request with the same idempotency key came before.
    Repeated(Record),
}

/// What can stand against an invitation in the table, in the order in which it is told.
#[derive(Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The invitee is a member already.
    AlreadyMember,
    /// The invitee has a pending invitation to this organization.
    AlreadyInvited(Option<InvitationId>),
    /// The recipient has had as much mail as one may get for now.
    MessageRateLimited {
        /// Seconds until one more message may be sent.
        retry_after: u64,
    },
}

impl Store {
    /// Creates `invitation`, counts a send to the invitee where `rate` is given, and remembers the request where `record`
    /// is. Where it remains unknown whether that was done, it is undone, so that the same call can be made again; unless
    /// the record is enough for that.
    pub async fn create(
        &self,
        invitation: &Invitation,
        rate: Option<MessageRate>,
        record: Option<&Record>,
        clock: RequestClock,
    ) -> Result<Creation, StoreError> {
        let mut seen = rate.map(|rate| SendWindow::unseen(&invitation.tenant, &invitation.invitee.normalized(), rate));
        loop {
            let counted = seen.as_ref().map(|window| window.with_send(clock.now, invitation.id.as_str()));
            let mut parts = vec![self.put_standing(invitation, clock.now), self.put_invitation(invitation)];
            if let (Some(old), Some(new)) = (&seen, &counted) {
                parts.push(self.replace_send_window(old, new, clock.now));
            }
            let record_position = parts.len();
            parts.extend(record.map(|record| self.put_record(record, clock.now)));
            let failed = match self.transact(&parts, clock.leaving(TIME_AFTER_WRITING)).await {
                Ok(Transacted::Committed) => return Ok(Creation::Created(counted)),
                Ok(Transacted::Refused(failed)) => failed,
                Err(error) => return Err(self.undo_if_done(invitation, counted, record, error, clock).await),
            };
            // Then an attempt has done it of which nothing was heard.
            if failed.at(STANDING).is_some_and(|row| Standing::names_invitation(row, &invitation.id)) {
                return Ok(Creation::Created(counted));
            }
            if let Some(row) = failed.at(record_position) {
                // DynamoDB has just found that it is to be remembered, by the same clock.
                let forgotten = || StoreError::nothing_done("DynamoDB: what is remembered of a request is outdated");
                return Record::read(row, clock.now)?.map(Creation::Repeated).ok_or_else(forgotten);
            }
            if let Some(standing) = failed.at(STANDING) {
                return Ok(Creation::Refused(Standing::read(standing)?.into()));
            }
            let window = seen.filter(|_| failed.at(INVITATION).is_none());
            let Some((window, row)) = window.zip(failed.at(SEND_WINDOW)) else {
                return Err(StoreError::nothing_done("DynamoDB: a new invitation's identifier is taken"));
            };
            let window = window.seen(row)?;
            if let Some(retry_after) = window.seconds_until_free(clock.now) {
                return Ok(Creation::Refused(Refusal::MessageRateLimited { retry_after }));
            }
            seen = Some(window);
        }
    }

    async fn undo_if_done(
        &self,
        invitation: &Invitation,
        window: Option<SendWindow>,
        record: Option<&Record>,
        error: StoreError,
        clock: RequestClock,
    ) -> StoreError {
        // Where nothing is left to do, the request may have been repeated and answered as done by now.
        let may_be_undone = record.is_none_or(|record| record.runs_until.is_some());
        if error.may_be_done
            && may_be_undone
            && let Err(second) = self.roll_back(invitation, window, record, clock).await
        {
            tracing::error!(error = %second, invitation_id = %invitation.id, "invitation of unknown outcome not rolled back");
        }
        error
    }

    /// What stands against the invitation `new` of `invitee` in the table right now, if anything. Asked only where the request fails
    /// anyway, to tell the caller first what the contract decides first.
    pub async fn refusal(
        &self,
        new: &NewInvitation,
        invitee: &EmailAddress,
        rate: Option<MessageRate>,
        clock: RequestClock,
    ) -> Result<Option<Refusal>, StoreError> {
        let (tenant, invitee) = (&new.tenant, invitee.normalized());
        let standing_key = keys::standing(&new.organization_id, &invitee);
        let mut wanted = vec![standing_key.clone()];
        wanted.extend(rate.is_some().then(|| keys::send_window(&invitee)));
        let rows = self.batch_get(tenant, wanted, clock.deadline).await?;
        let (standings, windows): (Vec<_>, Vec<_>) =
            rows.iter().partition(|row| items::text(row, keys::SK) == Some(standing_key.as_str()));
        let standing = standings.first().map(|row| Standing::read(row)).transpose()?;
        if let Some(standing) = standing.filter(|standing| standing.blocks_invitation(clock.now)) {
            return Ok(Some(standing.into()));
        }
        let Some((rate, row)) = rate.zip(windows.first()) else { return Ok(None) };
        let window = SendWindow::unseen(tenant, &invitee, rate).seen(row)?;
        Ok(window.seconds_until_free(clock.now).map(|retry_after| Refusal::MessageRateLimited { retry_after }))
    }

    /// Rolls back a created invitation whose mail was certainly not sent, so that the same call can be made again: releases
    /// the send that is reserved in `window`, and deletes `record`. An invitation that was accepted or revoked since stays.
    /// One that expired goes, also where another has taken its place. Where another attempt has taken over the lease of
    /// `record`, everything stays.
    pub async fn roll_back(
        &self,
        invitation: &Invitation,
        window: Option<SendWindow>,
        record: Option<&Record>,
        clock: RequestClock,
    ) -> Result<(), StoreError> {
        let reserved_at = invitation.created_at;
        let (mut window, mut is_ours, mut standing) = (window, true, Some(self.free_invitee(invitation)));
        loop {
            let mut parts = Vec::with_capacity(4);
            if is_ours {
                parts.push((Part::Invitation, self.delete_unchanged(invitation)));
                parts.extend(standing.clone().map(|standing| (Part::Standing, standing)));
            }
            if let Some(old) = &window {
                let released = self.replace_send_window(old, &old.without_send(reserved_at), clock.now);
                parts.push((Part::Window, released));
            }
            parts.extend(record.map(|record| (Part::Record, self.delete_record(record))));
            let (labels, parts): (Vec<_>, Vec<_>) = parts.into_iter().unzip();
            if parts.is_empty() {
                return Ok(());
            }
            let Transacted::Refused(failed) = self.transact(&parts, clock.deadline).await? else { return Ok(()) };
            let failed = |part| labels.iter().position(|label| *label == part).and_then(|position| failed.at(position));
            if failed(Part::Record).is_some() {
                return Ok(());
            }
            // One that cannot be read must not keep the invitation.
            if let (Some(old), Some(row)) = (&window, failed(Part::Window)) {
                window = old.seen(row).ok().filter(|seen| seen.counts(reserved_at));
            }
            // The invitee has become a member, whose standing remembers the invitation; or the standing is another's.
            if let Some(row) = failed(Part::Standing) {
                standing = self.forget_invitation(invitation, row)?;
            }
            is_ours &= failed(Part::Invitation).is_none();
        }
    }

    fn put_standing(&self, invitation: &Invitation, now: Timestamp) -> TransactWriteItem {
        let put = self
            .put(items::pending_standing(invitation))
            .condition_expression("attribute_not_exists(pk) OR (#state = :pending AND expiresAt <= :now)")
            .expression_attribute_names("#state", "state")
            .expression_attribute_values(":pending", string(Standing::PENDING))
            .expression_attribute_values(":now", number(now.as_millis()));
        put_part(put)
    }

    fn put_invitation(&self, invitation: &Invitation) -> TransactWriteItem {
        let item = items::invitation(invitation, self.retention_seconds);
        let put = self.put(item).condition_expression("attribute_not_exists(pk)");
        put_part(put)
    }
}

impl From<Standing> for Refusal {
    fn from(standing: Standing) -> Self {
        match standing {
            Standing::Member { .. } => Self::AlreadyMember,
            Standing::Pending(pending) => Self::AlreadyInvited(Some(pending.id)),
        }
    }
}

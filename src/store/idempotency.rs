//! The idempotency record of a create: the request's hash, the invitation and the response.
//!
//! The create's transaction writes the record. Without email, the record is then complete. With email, it is in
//! progress: the attempt holds a lease for as long as it can run, and completes the record once the email is sent. A
//! retry that finds an expired lease takes it over.

use std::{collections::HashMap, iter};

use aws_sdk_dynamodb::{error::SdkError, types::AttributeValue};

use super::{
    Item, Store, StoreError,
    call::call,
    end::check_readable,
    items::{TTL, key_of, named, number, string, text, time, ttl},
    keys,
    token::MessageToken,
    transaction::{PartRole, TransactionOutcome, TransactionPart},
};
use crate::{
    clock::{RequestClock, budgets::TIME_AFTER_WRITING},
    domain::{
        idempotency::{IdempotentRequest, KEPT_MILLIS},
        ids::{InvitationId, TenantId},
        invitation::Invitation,
        timestamp::Timestamp,
    },
};

const IN_PROGRESS: &str = "started";
const COMPLETED: &str = "done";
const LEASE: &str = "runsUntil";

/// The record of a create with an idempotency key.
#[derive(Clone, Debug)]
pub(crate) struct IdempotencyRecord {
    key: Item,
    request_hash: String,
    /// The created invitation.
    pub invitation_id: InvitationId,
    /// The JSON entity at creation: the body of every response.
    pub response: String,
    /// The progress of the create.
    pub progress: Progress,
    kept_until: Timestamp,
}

/// The progress of a create with an idempotency key.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Progress {
    /// The invitation is written, but its email not yet sent. An attempt holds the lease.
    Leased {
        /// The end of the lease. Until then the attempt may be running, and no other attempt takes over.
        lease_expires_at: Timestamp,
    },
    /// As [`Progress::Leased`], but the lease is missing or unreadable, which counts as expired. Holds the stored
    /// attribute.
    UnreadableLease(Option<AttributeValue>),
    /// The create is complete.
    Completed,
}

/// The outcome of taking over the lease of a record.
#[derive(Debug)]
pub(crate) enum TakeOverOutcome {
    /// This attempt holds the lease. Holds the record with it.
    TakenOver(IdempotencyRecord),
    /// In the meantime, another attempt took over the lease, completed the record or rolled it back.
    LeaseLost,
    /// In the meantime, the invitation ended or was deleted, so no email must be sent.
    InvitationEnded,
}

impl IdempotencyRecord {
    /// The record of `request`, which creates `invitation`.
    pub(crate) fn new(
        request: &IdempotentRequest,
        invitation: &Invitation,
        is_mailed: bool,
        clock: RequestClock,
    ) -> Self {
        let progress = if is_mailed { Progress::Leased { lease_expires_at: clock.end() } } else { Progress::Completed };
        Self {
            key: key(&invitation.tenant, request),
            request_hash: request.request_hash.clone(),
            invitation_id: invitation.id.clone(),
            response: entity_json(invitation),
            progress,
            kept_until: clock.now.plus_millis(KEPT_MILLIS),
        }
    }

    /// Returns `true` if the record is that of `request`, and `false` if another request used the same key.
    pub(crate) fn is_of(&self, request: &IdempotentRequest) -> bool {
        self.request_hash == request.request_hash
    }

    /// Returns `true` if the create is complete.
    pub(crate) fn is_completed(&self) -> bool {
        self.progress == Progress::Completed
    }

    /// Reads a record; `None` if it has expired at `now`, because DynamoDB deletes expired rows late.
    ///
    /// # Errors
    /// A permanent error if the row is unreadable: the request may not be new.
    pub(super) fn read(row: &Item, now: Timestamp) -> Result<Option<Self>, StoreError> {
        let unreadable = |attribute| move || StoreError::unreadable("idempotency", attribute);
        let owned = |name| text(row, name).map(str::to_owned).ok_or_else(unreadable(name));
        let kept_until = time(row, "keptUntil").ok_or_else(unreadable("keptUntil"))?;
        if kept_until <= now {
            return Ok(None);
        }
        let progress = match (text(row, "state"), time(row, LEASE)) {
            (Some(COMPLETED), _) => Progress::Completed,
            (Some(IN_PROGRESS), Some(lease_expires_at)) => Progress::Leased { lease_expires_at },
            (Some(IN_PROGRESS), None) => Progress::UnreadableLease(row.get(LEASE).cloned()),
            _ => return Err(unreadable("state")()),
        };
        let invitation_id = text(row, "invitationId").and_then(InvitationId::parse);
        Ok(Some(Self {
            key: key_of(row),
            request_hash: owned("requestHash")?,
            invitation_id: invitation_id.ok_or_else(unreadable("invitationId"))?,
            response: owned("answer")?,
            progress,
            kept_until,
        }))
    }

    fn row(&self) -> Item {
        let mut row = self.key.clone();
        let attributes = [
            ("requestHash", string(&self.request_hash)),
            ("invitationId", string(self.invitation_id.as_str())),
            ("state", string(if self.is_completed() { COMPLETED } else { IN_PROGRESS })),
            ("answer", string(&self.response)),
            ("keptUntil", number(self.kept_until.as_millis())),
            (TTL, ttl(self.kept_until, 0)),
        ];
        row.extend(named(attributes));
        row.extend(self.lease().map(|lease| (LEASE.to_owned(), lease)));
        row
    }

    /// The lease as an attribute.
    fn lease(&self) -> Option<AttributeValue> {
        match &self.progress {
            Progress::Leased { lease_expires_at } => Some(number(lease_expires_at.as_millis())),
            Progress::UnreadableLease(stored) => stored.clone(),
            Progress::Completed => None,
        }
    }

    /// The condition that the row is in progress under this record's lease, with its values. The caller must define the
    /// name `#state`.
    fn lease_condition(&self) -> (&'static str, HashMap<String, AttributeValue>) {
        let lease = self.lease();
        let condition = match lease {
            Some(_) => "invitationId = :id AND #state = :inProgress AND runsUntil = :lease",
            None => "invitationId = :id AND #state = :inProgress AND attribute_not_exists(runsUntil)",
        };
        let values = [(":id", string(self.invitation_id.as_str())), (":inProgress", string(IN_PROGRESS))];
        let mut values = HashMap::from(named(values));
        values.extend(lease.map(|lease| (":lease".to_owned(), lease)));
        (condition, values)
    }
}

/// The JSON entity of an invitation at its creation.
fn entity_json(invitation: &Invitation) -> String {
    serde_json::to_string(&invitation.entity(invitation.created_at)).expect("an entity has string keys")
}

fn key(tenant: &TenantId, request: &IdempotentRequest) -> Item {
    Item::from(keys::primary(tenant, keys::idempotency(request)))
}

impl Store {
    /// Reads the record of `request`.
    pub(crate) async fn record(
        &self,
        tenant: &TenantId,
        request: &IdempotentRequest,
        clock: RequestClock,
    ) -> Result<Option<IdempotencyRecord>, StoreError> {
        let row = self.row(tenant, &keys::idempotency(request), clock.deadline).await?;
        Ok(row.map(|row| IdempotencyRecord::read(&row, clock.now)).transpose()?.flatten())
    }

    /// Takes over the expired lease of `record` to send its email with a new token, if the invitation is still pending.
    pub(crate) async fn take_over(
        &self,
        record: &IdempotencyRecord,
        message: MessageToken<'_>,
        clock: RequestClock,
    ) -> Result<TakeOverOutcome, StoreError> {
        let progress = Progress::Leased { lease_expires_at: clock.end() };
        let ours = IdempotencyRecord { progress, ..record.clone() };
        let parts = [self.replace_record(record, &ours), self.replace_token(&message)];
        let failed = match self.transact(&parts, clock.leaving(TIME_AFTER_WRITING)).await? {
            TransactionOutcome::Committed => return Ok(TakeOverOutcome::TakenOver(ours)),
            TransactionOutcome::ConditionFailed(failed) => failed,
        };
        if failed.row(PartRole::IdempotencyRecord).is_some() {
            return Ok(TakeOverOutcome::LeaseLost);
        }
        check_readable(&message.invitation.tenant, failed.row(PartRole::Invitation).unwrap_or(&Item::new()))?;
        Ok(TakeOverOutcome::InvitationEnded)
    }

    /// Releases the lease of `record` after an attempt that took it over failed to send `message`, so that a retry can
    /// take it over at once. Restores the token that `message` replaced. Does nothing if another attempt holds the
    /// lease.
    pub(crate) async fn release_lease(
        &self,
        record: &IdempotencyRecord,
        message: MessageToken<'_>,
        clock: RequestClock,
    ) -> Result<(), StoreError> {
        let progress = Progress::Leased { lease_expires_at: clock.now };
        let released = IdempotencyRecord { progress, ..record.clone() };
        let mut token = self.restore_token(&message, None);
        loop {
            let parts: Vec<_> = iter::once(self.replace_record(record, &released)).chain(token).collect();
            let TransactionOutcome::ConditionFailed(failed) = self.transact(&parts, clock.deadline).await? else {
                return Ok(());
            };
            if failed.row(PartRole::IdempotencyRecord).is_some() {
                return Ok(());
            }
            token = failed.row(PartRole::Invitation).and_then(|row| self.restore_token(&message, Some(row)));
        }
    }

    /// The part that replaces `record` by `new`, if it is still in progress under its lease.
    fn replace_record(&self, record: &IdempotencyRecord, new: &IdempotencyRecord) -> TransactionPart {
        let (condition, values) = record.lease_condition();
        let put = self
            .put(new.row())
            .condition_expression(condition)
            .expression_attribute_names("#state", "state")
            .set_expression_attribute_values(Some(values));
        TransactionPart::put(PartRole::IdempotencyRecord, put)
    }

    /// Completes `record`. Changes nothing if another attempt has taken over its lease.
    pub(crate) async fn complete(&self, record: &IdempotencyRecord, clock: RequestClock) -> Result<(), StoreError> {
        if record.is_completed() {
            return Ok(());
        }
        let (condition, values) = record.lease_condition();
        let update = self
            .client
            .update_item()
            .table_name(&self.table)
            .set_key(Some(record.key.clone()))
            .update_expression("SET #state = :completed REMOVE runsUntil")
            .condition_expression(condition)
            .expression_attribute_names("#state", "state")
            .set_expression_attribute_values(Some(values))
            .expression_attribute_values(":completed", string(COMPLETED));
        let attempt = async || match update.clone().send().await {
            // Another attempt holds the lease, or an earlier call attempt committed but its response was lost.
            Err(SdkError::ServiceError(error)) if error.err().is_conditional_check_failed_exception() => Ok(()),
            result => result.map(drop),
        };
        call(clock.deadline, attempt).await
    }

    /// The part that writes `record` if its key has no unexpired record.
    pub(super) fn put_record(&self, record: &IdempotencyRecord, now: Timestamp) -> TransactionPart {
        let put = self
            .put(record.row())
            .condition_expression("attribute_not_exists(pk) OR keptUntil <= :now")
            .expression_attribute_values(":now", number(now.as_millis()));
        TransactionPart::put(PartRole::IdempotencyRecord, put)
    }

    /// The part that deletes `record`, conditioned on its lease if the row still exists.
    pub(super) fn delete_record(&self, record: &IdempotencyRecord) -> TransactionPart {
        let (condition, values) = record.lease_condition();
        let delete = self
            .delete(record.key.clone())
            .condition_expression(format!("attribute_not_exists(pk) OR ({condition})"))
            .expression_attribute_names("#state", "state")
            .set_expression_attribute_values(Some(values));
        TransactionPart::delete(PartRole::IdempotencyRecord, delete)
    }
}

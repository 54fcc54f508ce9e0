//! Transactions: their labelled parts, retries and cancellation reasons.

use aws_sdk_dynamodb::{
    error::SdkError,
    operation::{RequestId, transact_write_items::TransactWriteItemsError},
    types::{
        CancellationReason, ConditionCheck, Delete, Put, ReturnValuesOnConditionCheckFailure, TransactWriteItem,
        Update,
        builders::{ConditionCheckBuilder, DeleteBuilder, PutBuilder, UpdateBuilder},
        error::TransactionCanceledException,
    },
};

use super::{
    Item, Store, StoreError,
    call::{Backoff, call},
};
use crate::{clock::Deadline, telemetry::aws};

/// The role of a part in its transaction, which identifies its failed condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PartRole {
    /// The invitation.
    Invitation,
    /// The standing of the invitee, or of a member.
    Standing,
    /// The recipient's rate limit.
    RecipientRateLimit,
    /// The idempotency record.
    IdempotencyRecord,
    /// The membership that an accept or an operator writes.
    Membership,
    /// The only row of its transaction.
    #[cfg(feature = "cli")]
    OnlyRow,
}

/// One part of a transaction: a write or a check of one row under a condition.
#[derive(Clone, Debug)]
pub(super) struct TransactionPart {
    pub(super) role: PartRole,
    write: TransactWriteItem,
}

impl TransactionPart {
    /// A part that puts a row.
    pub(super) fn put(role: PartRole, put: PutBuilder) -> Self {
        let put = put.build().expect("table and item are set");
        Self { role, write: TransactWriteItem::builder().put(put).build() }
    }

    /// A part that updates attributes of a row.
    pub(super) fn update(role: PartRole, update: UpdateBuilder) -> Self {
        let update = update.build().expect("table, key and expression are set");
        Self { role, write: TransactWriteItem::builder().update(update).build() }
    }

    /// A part that deletes a row.
    pub(super) fn delete(role: PartRole, delete: DeleteBuilder) -> Self {
        let delete = delete.build().expect("table and key are set");
        Self { role, write: TransactWriteItem::builder().delete(delete).build() }
    }

    /// A part that writes nothing, but fails the transaction unless its condition holds.
    pub(super) fn check(role: PartRole, check: ConditionCheckBuilder) -> Self {
        let check = check.build().expect("table, key and condition are set");
        Self { role, write: TransactWriteItem::builder().condition_check(check).build() }
    }
}

/// The outcome of a transaction.
#[derive(Debug)]
pub(super) enum TransactionOutcome {
    /// Everything was written.
    Committed,
    /// Nothing was written, because conditions failed.
    ConditionFailed(FailedConditions),
}

impl TransactionOutcome {
    /// Returns `true` for a commit and `false` for failed conditions, for callers that ignore the rows.
    pub(super) const fn is_committed(&self) -> bool {
        matches!(self, Self::Committed)
    }
}

/// The parts of a transaction whose conditions failed, each with its existing row.
#[derive(Debug)]
pub(super) struct FailedConditions(Vec<(PartRole, Item)>);

impl FailedConditions {
    /// The row that failed the condition of the part with this role: empty if the row does not exist, `None` if the
    /// condition held.
    pub(super) fn row(&self, role: PartRole) -> Option<&Item> {
        self.0.iter().find(|(failed, _)| *failed == role).map(|(_, row)| row)
    }

    /// The parts of the next attempt: those whose conditions held, and what `rebuild` makes of the others' rows.
    pub(super) fn rebuild(
        &self,
        parts: Vec<TransactionPart>,
        rebuild: impl Fn(PartRole, &Item) -> Result<Option<TransactionPart>, StoreError>,
    ) -> Result<Vec<TransactionPart>, StoreError> {
        let next = parts.into_iter().filter_map(|part| match self.row(part.role) {
            Some(row) => rebuild(part.role, row).transpose(),
            None => Some(Ok(part)),
        });
        next.collect()
    }
}

impl Store {
    /// Runs a transaction. Retries `TransactionConflict` and throttling; no attempt begins after `deadline`. The
    /// retries are safe: a cancelled transaction wrote nothing, and after a lost response the same client request token
    /// lets DynamoDB recognize the transaction.
    pub(super) async fn transact(
        &self,
        parts: &[TransactionPart],
        deadline: Deadline,
    ) -> Result<TransactionOutcome, StoreError> {
        let mut backoff = Backoff::until(deadline);
        loop {
            let token = request_token()?;
            let Err(cancelled) = call(deadline, || self.attempt(parts, &token)).await? else {
                return Ok(TransactionOutcome::Committed);
            };
            if let Some(failed) = failed_conditions(parts, &cancelled) {
                return Ok(TransactionOutcome::ConditionFailed(failed));
            }
            let codes = codes(&cancelled);
            let cause = format!("DynamoDB: TransactionCanceled ({})", codes.join(", "));
            aws::call_failed(&cause, cancelled.request_id());
            if is_permanent(&codes) {
                return Err(StoreError::permanent(cause));
            }
            if !(is_transient(&codes) && backoff.wait().await) {
                return Err(StoreError::nothing_written(cause));
            }
        }
    }

    /// One attempt. A cancellation is a result, not an error.
    async fn attempt(
        &self,
        parts: &[TransactionPart],
        token: &str,
    ) -> Result<Result<(), TransactionCanceledException>, SdkError<TransactWriteItemsError>> {
        let writes = parts.iter().map(|part| part.write.clone()).collect();
        let request = self.client.transact_write_items().set_transact_items(Some(writes));
        match request.client_request_token(token).send().await {
            Ok(_) => Ok(Ok(())),
            Err(error) => match error.as_service_error() {
                Some(TransactWriteItemsError::TransactionCanceledException(cancelled)) => Ok(Err(cancelled.clone())),
                _ => Err(error),
            },
        }
    }

    /// Begins a part that puts `item`.
    pub(super) fn put(&self, item: Item) -> PutBuilder {
        Put::builder()
            .table_name(&self.table)
            .set_item(Some(item))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
    }

    /// Begins a part that updates the row with `key`.
    pub(super) fn update(&self, key: Item) -> UpdateBuilder {
        Update::builder()
            .table_name(&self.table)
            .set_key(Some(key))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
    }

    /// Begins a part that deletes the row with `key`.
    pub(super) fn delete(&self, key: Item) -> DeleteBuilder {
        Delete::builder()
            .table_name(&self.table)
            .set_key(Some(key))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
    }

    /// Begins a part that checks the row with `key`.
    pub(super) fn check(&self, key: Item) -> ConditionCheckBuilder {
        ConditionCheck::builder()
            .table_name(&self.table)
            .set_key(Some(key))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
    }
}

/// The client request token of a transaction: unique, and at most 36 characters.
fn request_token() -> Result<String, StoreError> {
    let mut random = [0; 16];
    getrandom::fill(&mut random).map_err(|error| StoreError::permanent(format!("randomness: {error}")))?;
    Ok(format!("{:032x}", u128::from_ne_bytes(random)))
}

/// The failed conditions; `None` if the cancellation has any other reason, because then some conditions may not have
/// been evaluated.
fn failed_conditions(parts: &[TransactionPart], cancelled: &TransactionCanceledException) -> Option<FailedConditions> {
    let mut failed = Vec::new();
    for (part, reason) in parts.iter().zip(cancelled.cancellation_reasons()) {
        match reason.code() {
            None | Some("None") => {}
            Some("ConditionalCheckFailed") => failed.push((part.role, reason.item().cloned().unwrap_or_default())),
            Some(_) => return None,
        }
    }
    (!failed.is_empty()).then_some(FailedConditions(failed))
}

/// Returns `true` if a retry may succeed.
fn is_transient(codes: &[&str]) -> bool {
    const TRANSIENT: [&str; 3] = ["TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded"];
    codes.iter().any(|code| TRANSIENT.contains(code))
}

/// Returns `true` if DynamoDB can never accept a part, such as an item over 400 KB.
fn is_permanent(codes: &[&str]) -> bool {
    const PERMANENT: [&str; 2] = ["ValidationError", "ItemCollectionSizeLimitExceeded"];
    codes.iter().any(|code| PERMANENT.contains(code))
}

fn codes(cancelled: &TransactionCanceledException) -> Vec<&str> {
    cancelled.cancellation_reasons().iter().filter_map(CancellationReason::code).collect()
}

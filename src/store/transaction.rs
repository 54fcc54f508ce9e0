//! One transaction: what it writes, that it is repeated, and the one place that reads why it was cancelled.

use aws_sdk_dynamodb::{
    error::SdkError,
    operation::transact_write_items::TransactWriteItemsError,
    types::{
        CancellationReason, Delete, Put, ReturnValuesOnConditionCheckFailure, TransactWriteItem,
        builders::{DeleteBuilder, PutBuilder},
        error::TransactionCanceledException,
    },
};

use super::{
    Item, Store, StoreError,
    call::{Pauses, call},
};
use crate::clock::Deadline;

/// What became of a transaction.
#[derive(Debug)]
pub enum Transacted {
    /// Everything was written.
    Committed,
    /// Nothing was written.
    Refused(FailedConditions),
}

impl Transacted {
    /// Whether everything was written.
    pub const fn is_committed(&self) -> bool {
        matches!(self, Self::Committed)
    }
}

/// The parts of a transaction whose conditions failed, each with the row as it was found.
#[derive(Debug)]
pub struct FailedConditions(Vec<Option<Item>>);

impl FailedConditions {
    /// The row that failed the condition of the part at `position`: empty where there was no row, and `None` where
    /// the part was not at fault.
    pub fn at(&self, position: usize) -> Option<&Item> {
        self.0.get(position)?.as_ref()
    }
}

impl Store {
    /// Runs a transaction, and again while others are in its way (`TransactionConflict`) or DynamoDB throttles. No
    /// attempt begins after `deadline`. Repeating is safe: a cancelled transaction wrote nothing, and one whose answer
    /// was lost is asked for again with the same client request token, by which DynamoDB knows it.
    pub(super) async fn transact(
        &self,
        parts: &[TransactWriteItem],
        deadline: Deadline,
    ) -> Result<Transacted, StoreError> {
        let mut pauses = Pauses::until(deadline);
        loop {
            let token = request_token()?;
            let Err(cancelled) = call(deadline, || self.attempt(parts, &token)).await? else {
                return Ok(Transacted::Committed);
            };
            if let Some(refused) = read_reasons(&cancelled) {
                return Ok(Transacted::Refused(refused));
            }
            let codes = codes(&cancelled);
            let cause = format!("DynamoDB: TransactionCanceled ({})", codes.join(", "));
            if is_permanent(&codes) {
                return Err(StoreError::permanent(cause));
            }
            if !(is_passing(&codes) && pauses.next().await) {
                return Err(StoreError::nothing_done(cause));
            }
        }
    }

    /// One attempt, of which a cancellation is no failure but an answer.
    async fn attempt(
        &self,
        parts: &[TransactWriteItem],
        token: &str,
    ) -> Result<Result<(), TransactionCanceledException>, SdkError<TransactWriteItemsError>> {
        let request = self.client.transact_write_items().set_transact_items(Some(parts.to_vec()));
        match request.client_request_token(token).send().await {
            Ok(_) => Ok(Ok(())),
            Err(error) => match error.as_service_error() {
                Some(TransactWriteItemsError::TransactionCanceledException(cancelled)) => Ok(Err(cancelled.clone())),
                _ => Err(error),
            },
        }
    }

    /// A part of a transaction that puts `item`, to be given a condition.
    pub(super) fn put(&self, item: Item) -> PutBuilder {
        Put::builder()
            .table_name(&self.table)
            .set_item(Some(item))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
    }

    /// A part of a transaction that deletes the row with `key`, to be given a condition.
    pub(super) fn delete(&self, key: Item) -> DeleteBuilder {
        Delete::builder()
            .table_name(&self.table)
            .set_key(Some(key))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
    }
}

/// The part that a put is.
pub(super) fn put_part(put: PutBuilder) -> TransactWriteItem {
    TransactWriteItem::builder().put(put.build().expect("table and item are set")).build()
}

/// The part that a deletion is.
pub(super) fn delete_part(delete: DeleteBuilder) -> TransactWriteItem {
    TransactWriteItem::builder().delete(delete.build().expect("table and key are set")).build()
}

/// What DynamoDB knows a transaction by: at most 36 characters that no other transaction has.
fn request_token() -> Result<String, StoreError> {
    let mut random = [0; 16];
    getrandom::fill(&mut random).map_err(|error| StoreError::permanent(format!("randomness: {error}")))?;
    Ok(format!("{:032x}", u128::from_ne_bytes(random)))
}

/// The failed conditions, unless something else was in the way as well: then they may not be the whole story.
fn read_reasons(cancelled: &TransactionCanceledException) -> Option<FailedConditions> {
    let reasons = cancelled.cancellation_reasons();
    let is_clear =
        |reason: &CancellationReason| matches!(reason.code(), None | Some("None" | "ConditionalCheckFailed"));
    let failed = |reason: &CancellationReason| reason.code() == Some("ConditionalCheckFailed");
    (reasons.iter().all(is_clear) && reasons.iter().any(failed)).then(|| {
        let rows = reasons.iter().map(|reason| failed(reason).then(|| reason.item().cloned().unwrap_or_default()));
        FailedConditions(rows.collect())
    })
}

fn is_passing(codes: &[&str]) -> bool {
    const PASSING: [&str; 3] = ["TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded"];
    codes.iter().any(|code| PASSING.contains(code))
}

/// Whether a part is impossible, such as a row of more than 400 KB, so that no retry can help.
fn is_permanent(codes: &[&str]) -> bool {
    const PERMANENT: [&str; 2] = ["ValidationError", "ItemCollectionSizeLimitExceeded"];
    codes.iter().any(|code| PERMANENT.contains(code))
}

fn codes(cancelled: &TransactionCanceledException) -> Vec<&str> {
    cancelled.cancellation_reasons().iter().filter_map(CancellationReason::code).collect()
}

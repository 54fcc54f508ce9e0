//! One transaction: what it writes, its retries, and the one place that reads why it was cancelled.

use std::time::Duration;

use aws_sdk_dynamodb::{
    error::SdkError,
    operation::transact_write_items::TransactWriteItemsError,
    types::{
        CancellationReason, Delete, Put, ReturnValuesOnConditionCheckFailure, TransactWriteItem,
        error::TransactionCanceledException,
    },
};
use tokio::time::{Instant, sleep};

use super::{Item, Store, StoreError};
use crate::log::notes;

/// The waits between attempts begin with at most this and double, with jitter.
const FIRST_WAIT: Duration = Duration::from_millis(20);
const LONGEST_WAIT: Duration = Duration::from_millis(640);

/// What became of a transaction.
#[derive(Debug)]
pub enum Transacted {
    /// Everything was written.
    Committed,
    /// Nothing was written.
    Refused(FailedConditions),
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
    /// attempt begins after `deadline`. Repeating is safe: a cancelled transaction wrote nothing, and a lost answer is
    /// made good within one call of the SDK, which sends the same client request token with each of its attempts.
    pub(super) async fn transact(
        &self,
        parts: &[TransactWriteItem],
        deadline: Instant,
    ) -> Result<Transacted, StoreError> {
        let mut wait = FIRST_WAIT;
        while Instant::now() < deadline {
            let request = self.client.transact_write_items().set_transact_items(Some(parts.to_vec()));
            let Err(error) = request.send().await else { return Ok(Transacted::Committed) };
            let Some(cancelled) = cancellation(&error) else { return Err(error.into()) };
            if let Some(refused) = read_reasons(cancelled) {
                return Ok(Transacted::Refused(refused));
            }
            if !is_passing(cancelled) {
                let codes = codes(cancelled).join(", ");
                return Err(StoreError::nothing_done(format!("DynamoDB: TransactionCanceled ({codes})")));
            }
            notes::retry();
            sleep(jittered(wait)).await;
            wait = (wait * 2).min(LONGEST_WAIT);
        }
        Err(StoreError::nothing_done("DynamoDB: no time left"))
    }

    /// A part of a transaction that puts `item`, to be given a condition.
    pub(super) fn put(&self, item: Item) -> aws_sdk_dynamodb::types::builders::PutBuilder {
        Put::builder()
            .table_name(&self.table)
            .set_item(Some(item))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
    }

    /// A part of a transaction that deletes the row with `key`, to be given a condition.
    pub(super) fn delete(&self, key: Item) -> aws_sdk_dynamodb::types::builders::DeleteBuilder {
        Delete::builder()
            .table_name(&self.table)
            .set_key(Some(key))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
    }
}

fn cancellation(error: &SdkError<TransactWriteItemsError>) -> Option<&TransactionCanceledException> {
    match error.as_service_error() {
        Some(TransactWriteItemsError::TransactionCanceledException(cancelled)) => Some(cancelled),
        _ => None,
    }
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

fn is_passing(cancelled: &TransactionCanceledException) -> bool {
    const PASSING: [&str; 3] = ["TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded"];
    codes(cancelled).iter().any(|code| PASSING.contains(&code.as_str()))
}

fn codes(cancelled: &TransactionCanceledException) -> Vec<String> {
    cancelled.cancellation_reasons().iter().filter_map(|reason| reason.code().map(str::to_owned)).collect()
}

/// A random time of up to `wait`, so that callers who met once do not meet again.
pub(super) fn jittered(wait: Duration) -> Duration {
    let mut byte = [0];
    // Without randomness the full wait is as good.
    let fraction = getrandom::fill(&mut byte).map_or(u8::MAX, |()| byte[0]);
    wait * u32::from(fraction) / u32::from(u8::MAX)
}

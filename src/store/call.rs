//! One call of DynamoDB: how often it is tried, for how long, and what is known when it has failed.

use std::{error::Error, future::Future, time::Duration};

use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use tokio::time::{sleep, timeout_at};

use super::StoreError;
use crate::{clock::Deadline, telemetry::statistics};

/// How often a call may fail. That DynamoDB is busy is no failure: it is asked for as long as there is time.
const MOST_FAILURES: u32 = 3;

/// Makes a call by `attempt`, and again while that fails for a reason that may pass. No attempt begins after the
/// `deadline`. It has to be harmless to repeat: a read, or a write with a request token or a condition.
pub(super) async fn call<T, E, A>(deadline: Deadline, attempt: impl Fn() -> A) -> Result<T, StoreError>
where
    E: ProvideErrorMetadata + Error + 'static,
    A: Future<Output = Result<T, SdkError<E>>>,
{
    let (mut pauses, mut failures, mut may_be_done) = (Pauses::until(deadline), 0, false);
    if deadline.has_passed_in(Duration::ZERO) {
        return Err(StoreError::nothing_done("DynamoDB: no time left"));
    }
    loop {
        let (failure, may_pass) = match timeout_at(deadline.end, attempt()).await {
            Ok(Ok(answer)) => return Ok(answer),
            Ok(Err(error)) => {
                failures += u32::from(!is_busy(&error));
                let may_pass = may_pass(&error) && failures < MOST_FAILURES;
                (StoreError::from(error), may_pass)
            }
            Err(_) => (StoreError::unknown("DynamoDB: no answer in time"), false),
        };
        // What one attempt may have done, another that is refused has not undone.
        may_be_done |= failure.may_be_done;
        if !(may_pass && pauses.next().await) {
            return Err(StoreError { may_be_done, ..failure });
        }
    }
}

/// The pauses between attempts, which grow, and are random so that callers who met once do not meet again.
pub(super) struct Pauses {
    deadline: Deadline,
    longest: Duration,
}

impl Pauses {
    const FIRST: Duration = Duration::from_millis(20);
    const LONGEST: Duration = Duration::from_millis(640);

    pub(super) fn until(deadline: Deadline) -> Self {
        Self { deadline, longest: Self::FIRST }
    }

    /// Pauses, unless what is to follow would begin too late. Says whether there still is time for it.
    pub(super) async fn next(&mut self) -> bool {
        let pause = jittered(self.longest);
        self.longest = (self.longest * 2).min(Self::LONGEST);
        let has_time = !self.deadline.has_passed_in(pause);
        if has_time {
            statistics::retry();
            sleep(pause).await;
        }
        has_time
    }
}

/// A random time of up to `wait`.
pub(super) fn jittered(wait: Duration) -> Duration {
    let mut byte = [0];
    // Without randomness the full wait is as good.
    let fraction = getrandom::fill(&mut byte).map_or(u8::MAX, |()| byte[0]);
    wait * u32::from(fraction) / u32::from(u8::MAX)
}

/// Whether DynamoDB works, and cannot do this at the moment: it throttles, or a transaction is at the same row. A
/// transaction that is in progress is this one: its answer was lost, and DynamoDB may take some seconds to give it again.
///
/// `TransactionConflictException` is the refusal of a single-row request; a transaction is cancelled with the reason
/// `TransactionConflict` instead. `ReplicatedWriteConflictException` is its counterpart of global tables (API reference,
/// `UpdateItem`, "Errors").
pub(super) fn is_busy<E: ProvideErrorMetadata>(error: &SdkError<E>) -> bool {
    const BUSY: [&str; 7] = [
        "ProvisionedThroughputExceededException",
        "ReplicatedWriteConflictException",
        "RequestLimitExceeded",
        "Throttling",
        "ThrottlingException",
        "TransactionConflictException",
        "TransactionInProgressException",
    ];
    error.as_service_error().and_then(ProvideErrorMetadata::code).is_some_and(|code| BUSY.contains(&code))
}

/// Whether the same request may succeed in a moment: unless DynamoDB refuses it for what it is, or for whose it is.
fn may_pass<E: ProvideErrorMetadata>(error: &SdkError<E>) -> bool {
    match error {
        SdkError::ServiceError(answer) => is_busy(error) || !answer.raw().status().is_client_error(),
        SdkError::ConstructionFailure(_) => false,
        _ => true,
    }
}

//! One DynamoDB call: its attempts, the backoff between them, and its error.

use std::{error::Error, future::Future, time::Duration};

use aws_sdk_dynamodb::{
    error::{ProvideErrorMetadata, SdkError},
    operation::RequestId,
};
use tokio::time::{sleep, timeout_at};

use super::StoreError;
use crate::{
    clock::Deadline,
    telemetry::{aws, statistics},
};

/// The maximum number of failed attempts of a call. Throttling and conflicts do not count: they are retried until the
/// deadline.
const MAX_FAILURES: u32 = 3;

/// Calls `attempt`, and retries transient failures. No attempt begins after the `deadline`. The call must be
/// safe to retry: a read, or a write with a request token or a condition.
pub(super) async fn call<T, E, A>(deadline: Deadline, attempt: impl Fn() -> A) -> Result<T, StoreError>
where
    E: ProvideErrorMetadata + Error + 'static,
    A: Future<Output = Result<T, SdkError<E>>>,
{
    let (mut backoff, mut failures, mut may_have_committed) = (Backoff::until(deadline), 0, false);
    if deadline.has_passed_in(Duration::ZERO) {
        return Err(StoreError::nothing_written("DynamoDB: no time left"));
    }
    loop {
        let (failure, is_retryable, aws_request_id) = match timeout_at(deadline.end, attempt()).await {
            Ok(Ok(response)) => return Ok(response),
            Ok(Err(error)) => {
                failures += u32::from(!is_busy(&error));
                let is_retryable = is_retryable(&error) && failures < MAX_FAILURES;
                let aws_request_id = error.request_id().map(str::to_owned);
                (StoreError::from(error), is_retryable, aws_request_id)
            }
            Err(_) => (StoreError::outcome_unknown("DynamoDB: no response in time"), false, None),
        };
        aws::call_failed(&failure.cause, aws_request_id.as_deref());
        // An earlier attempt may have committed even if a later one certainly failed.
        may_have_committed |= failure.may_have_committed;
        if !(is_retryable && backoff.wait().await) {
            return Err(StoreError { may_have_committed, ..failure });
        }
    }
}

/// The backoff between attempts: exponential with full jitter, so that requests that conflicted do not conflict again.
pub(super) struct Backoff {
    deadline: Deadline,
    max_wait: Duration,
}

impl Backoff {
    const FIRST: Duration = Duration::from_millis(20);
    const MAX: Duration = Duration::from_millis(640);

    pub(super) fn until(deadline: Deadline) -> Self {
        Self { deadline, max_wait: Self::FIRST }
    }

    /// Waits before the next attempt. Returns `false` at once if the attempt would begin after the deadline.
    pub(super) async fn wait(&mut self) -> bool {
        let pause = jittered(self.max_wait);
        self.max_wait = (self.max_wait * 2).min(Self::MAX);
        let has_time = !self.deadline.has_passed_in(pause);
        if has_time {
            statistics::retry();
            sleep(pause).await;
        }
        has_time
    }
}

/// A random duration up to `wait`.
fn jittered(wait: Duration) -> Duration {
    let mut byte = [0];
    // Without randomness, wait the full time.
    let fraction = getrandom::fill(&mut byte).map_or(u8::MAX, |()| byte[0]);
    wait * u32::from(fraction) / u32::from(u8::MAX)
}

/// Returns `true` if DynamoDB throttles or a transaction conflicts. `TransactionInProgressException` concerns the same
/// transaction: the response to an earlier attempt was lost while DynamoDB still processes it.
///
/// `TransactionConflictException` is the error of a single-row request; a transaction is cancelled with the reason
/// `TransactionConflict` instead. `ReplicatedWriteConflictException` is its counterpart for global tables (API
/// reference, `UpdateItem`, "Errors").
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

/// Returns `true` if a retry may succeed: DynamoDB has not rejected the request as invalid or forbidden.
fn is_retryable<E: ProvideErrorMetadata>(error: &SdkError<E>) -> bool {
    match error {
        SdkError::ServiceError(answer) => is_busy(error) || !answer.raw().status().is_client_error(),
        SdkError::ConstructionFailure(_) => false,
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_is_a_random_part_of_its_limit() {
        let limit = Duration::from_secs(1);
        let pauses: Vec<Duration> = (0..1000).map(|_| jittered(limit)).collect();
        assert!(pauses.iter().all(|pause| *pause <= limit));
        for (from, to) in [(0, 250), (250, 500), (500, 750), (750, 1000)] {
            let range = Duration::from_millis(from)..=Duration::from_millis(to);
            assert!(pauses.iter().any(|pause| range.contains(pause)), "{range:?}");
        }
    }
}

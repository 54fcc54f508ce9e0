//! The request statistics for the log line: calls of AWS, retries, and the invitation of the request.
//!
//! The statistics are local to the task of the request, so that concurrent requests do not mix and no layer has to pass
//! them on. Outside of a request, as in the directory command, nothing is recorded.

use std::{cell::RefCell, collections::BTreeMap, future::Future, time::Duration};

use aws_sdk_dynamodb::{
    config::{ConfigBag, Intercept, interceptors::BeforeSerializationInterceptorContextRef},
    error::BoxError,
};
use aws_smithy_types::config_bag::{Storable, StoreReplace};
use tokio::time::Instant;

use crate::domain::{error::Error, ids::InvitationId};

/// The statistics of one request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct RequestStatistics {
    /// The calls of DynamoDB.
    pub dynamodb: Tally,
    /// The calls of SES.
    pub ses: Tally,
    /// The number of retries by the function.
    pub retries: u64,
    /// The number of existing rows that could not be parsed.
    pub unreadable_rows: u64,
    /// The invitation of the request.
    pub invitation_id: Option<InvitationId>,
    /// The failures after which SES may or may not have accepted a message, except those of counted items.
    pub unknown_mails: Vec<String>,
    /// The outcomes of the items of a request that has several.
    pub items: Items,
}

/// The outcomes of the items of a request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Items {
    /// The number of items by the name of their outcome.
    pub outcomes: BTreeMap<&'static str, u64>,
    /// The cause of the gravest failure, for operators.
    pub cause: Option<String>,
}

/// The calls of one service.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    /// The number of calls. Every attempt is one call, because the SDK does not retry.
    pub calls: u64,
    /// The total time of the calls, without the pauses between them.
    pub time: Duration,
}

tokio::task_local! {
    static STATISTICS: RefCell<RequestStatistics>;
}

/// Runs `work`, and returns its result and its statistics.
pub(crate) async fn of<T>(work: impl Future<Output = T>) -> (T, RequestStatistics) {
    let recorded = async {
        let done = work.await;
        (done, STATISTICS.with(RefCell::take))
    };
    STATISTICS.scope(RefCell::default(), recorded).await
}

/// Records the invitation of the request.
pub(crate) fn invitation(id: &InvitationId) {
    record(|statistics| statistics.invitation_id = Some(id.clone()));
}

/// Records that SES may have accepted the message; `cause` is the failure.
pub(crate) fn mail_unknown(cause: String) {
    record(|statistics| statistics.unknown_mails.push(cause));
}

/// Counts a retry.
pub(crate) fn retry() {
    record(|statistics| statistics.retries += 1);
}

/// Counts an unreadable row. Returns the count of the request so far; 0 outside of a request.
pub(crate) fn unreadable_row() -> u64 {
    record(|statistics| statistics.unreadable_rows += 1);
    STATISTICS.try_with(|statistics| statistics.borrow().unreadable_rows).unwrap_or_default()
}

/// Counts the outcome of one item, after the work of all items. Clears the invitation of the request, because a request
/// with items concerns several.
pub fn item(error: Option<&Error>, is_failed: bool) {
    record(|statistics| {
        let (mut name, mut cause) = (outcome_name(error, is_failed), error.and_then(Error::cause).map(str::to_owned));
        // An item with an unknown message succeeds. Only counts are kept, so that any successful item can stand for it.
        if name == "ok"
            && let Some(unknown) = statistics.unknown_mails.pop()
        {
            (name, cause) = ("mail_unknown", Some(unknown));
        }
        let items = &mut statistics.items;
        if items.gravest().is_none_or(|gravest| gravity(name) > gravity(gravest)) {
            items.cause = cause;
        }
        *items.outcomes.entry(name).or_default() += 1;
        statistics.invitation_id = None;
    });
}

impl Items {
    /// The gravest outcome; `None` for a request without items.
    pub fn gravest(&self) -> Option<&'static str> {
        self.outcomes.keys().copied().max_by_key(|name| gravity(name))
    }
}

/// The name of an outcome in the metrics. `refused` covers all failures that the caller or the tenant must resolve.
pub(super) const fn outcome_name(error: Option<&Error>, is_failed: bool) -> &'static str {
    match error {
        Some(Error::MessageRateLimited { .. }) => "rate_limited",
        Some(Error::MailRefused { .. }) => "mail_refused",
        Some(Error::MailThrottled { .. }) => "mail_throttled",
        Some(Error::MailUnavailable { .. }) => "mail_unavailable",
        Some(Error::StoreUnavailable { .. }) => "unavailable",
        Some(Error::Internal { .. }) => "internal",
        _ if is_failed => "refused",
        _ => "ok",
    }
}

/// The severity of an item's outcome. A failure that the caller or the recipient must resolve has 0, because it does
/// not fail the request.
pub(super) fn gravity(name: &str) -> usize {
    const GRAVE: [&str; 6] =
        ["mail_unknown", "mail_refused", "mail_throttled", "mail_unavailable", "unavailable", "internal"];
    GRAVE.iter().position(|grave| *grave == name).map_or(0, |position| position + 1)
}

fn record(update: impl FnOnce(&mut RequestStatistics)) {
    // Outside of a request there are no statistics.
    let _ = STATISTICS.try_with(|statistics| update(&mut statistics.borrow_mut()));
}

/// An interceptor that counts the calls of an SDK client.
#[derive(Clone, Copy, Debug)]
pub(crate) enum CountCalls {
    /// The client is DynamoDB's.
    DynamoDb,
    /// The client is SES's.
    Ses,
}

/// A call in progress. Recorded when the SDK drops it, so that cancelled calls are counted too.
#[derive(Debug)]
struct Call {
    service: CountCalls,
    started: Instant,
}

impl Drop for Call {
    fn drop(&mut self) {
        record(|statistics| {
            let tally = match self.service {
                CountCalls::DynamoDb => &mut statistics.dynamodb,
                CountCalls::Ses => &mut statistics.ses,
            };
            tally.calls += 1;
            tally.time += self.started.elapsed();
        });
    }
}

impl Storable for Call {
    type Storer = StoreReplace<Self>;
}

impl Intercept for CountCalls {
    fn name(&self) -> &'static str {
        "CountCalls"
    }

    fn read_before_execution(
        &self,
        _: &BeforeSerializationInterceptorContextRef<'_>,
        call: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        call.interceptor_state().store_put(Call { service: *self, started: Instant::now() });
        Ok(())
    }
}

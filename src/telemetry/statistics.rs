//! What a request notes on its way, for its line in the log: its calls of AWS, what was done again, and which
//! invitation it is about.
//!
//! The notes belong to the task that answers the request, so that requests that are answered at the same time do not
//! write into each other's, and nothing has to be handed through the layers between. Outside of a request, as in the
//! directory command, nothing is noted.

use std::{cell::RefCell, future::Future, time::Duration};

use aws_sdk_dynamodb::{
    config::{ConfigBag, Intercept, interceptors::BeforeSerializationInterceptorContextRef},
    error::BoxError,
};
use aws_smithy_types::config_bag::{Storable, StoreReplace};
use tokio::time::Instant;

use crate::domain::ids::InvitationId;

/// The notes of one request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RequestStatistics {
    /// Calls of DynamoDB.
    pub dynamodb: Tally,
    /// Calls of SES.
    pub ses: Tally,
    /// How often the function tried something again.
    pub retries: u64,
    /// Rows that were there and could not be read.
    pub unreadable_rows: u64,
    /// The invitation that the request is about.
    pub invitation_id: Option<InvitationId>,
    /// The failure after which SES may have taken the message all the same.
    pub mail_unknown: Option<String>,
}

/// Calls of one service.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// How many; each attempt is one, since the SDK makes no other.
    pub calls: u64,
    /// How long they took together, without the pauses between them.
    pub time: Duration,
}

tokio::task_local! {
    static STATISTICS: RefCell<RequestStatistics>;
}

/// Does `work`, and gives what it noted.
pub async fn of<T>(work: impl Future<Output = T>) -> (T, RequestStatistics) {
    let noted = async {
        let done = work.await;
        (done, STATISTICS.with(RefCell::take))
    };
    STATISTICS.scope(RefCell::default(), noted).await
}

/// The request is about this invitation.
pub fn invitation(id: &InvitationId) {
    note(|statistics| statistics.invitation_id = Some(id.clone()));
}

/// SES may have taken the request's message, and `cause` is why nobody knows.
pub fn mail_unknown(cause: String) {
    note(|statistics| statistics.mail_unknown = Some(cause));
}

/// Something is tried again.
pub fn retry() {
    note(|statistics| statistics.retries += 1);
}

/// A row is there and cannot be read. Gives how many there have been, this one included; 0 outside of a request.
pub fn unreadable_row() -> u64 {
    note(|statistics| statistics.unreadable_rows += 1);
    STATISTICS.try_with(|statistics| statistics.borrow().unreadable_rows).unwrap_or_default()
}

fn note(write: impl FnOnce(&mut RequestStatistics)) {
    // Outside of a request there is nowhere to note anything.
    let _ = STATISTICS.try_with(|statistics| write(&mut statistics.borrow_mut()));
}

/// RequestStatistics the calls of a client of the AWS SDK.
#[derive(Clone, Copy, Debug)]
pub enum CountCalls {
    /// The client is DynamoDB's.
    DynamoDb,
    /// The client is SES's.
    Ses,
}

/// A call under way. It is noted when it ends, also when it is given up: the SDK drops it then.
#[derive(Debug)]
struct Call {
    service: CountCalls,
    started: Instant,
}

impl Drop for Call {
    fn drop(&mut self) {
        note(|statistics| {
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

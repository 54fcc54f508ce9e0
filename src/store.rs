//! The DynamoDB table and its access patterns, each within one tenant.
//!
//! | module | owns |
//! |---|---|
//! | [`keys`] | the keys |
//! | [`items`] | conversion of rows |
//! | [`directory`] | reading (with a cache) and writing directory rows |
//! | `directory_rows`, `members` (feature `cli`) | directory rows and members, for the directory command |
//! | `person` (feature `cli`) | one person's data, for the directory command |
//! | [`create`] | creating an invitation, and rolling one back |
//! | [`delivery`] | the deliveries of invitations' messages |
//! | [`idempotency`] | the idempotency records of creates |
//! | [`read`] | reading one invitation, one row, a batch of rows |
//! | [`list`] | reading a list |
//! | [`end`] | accepting, revoking, deleting |
//! | [`mod@change`] | changing a pending invitation |
//! | [`standing`] | the standing of an address with an organization |
//! | [`stream`] | the records of the table's stream |
//! | [`recipient_rate_limit`] | reserving and releasing sends to a recipient |
//! | [`token`] | the token of an invitation's latest message |
//! | `transaction` | transactions of labelled parts, and their cancellation reasons |
//! | `condition` | the condition that a row has not changed |
//! | `call` | one DynamoDB call: its attempts and their backoff |

mod call;
pub mod change;
mod condition;
pub(crate) mod create;
pub(crate) mod delivery;
pub mod directory;
#[cfg(feature = "cli")]
pub(crate) mod directory_rows;
pub(crate) mod end;
pub(crate) mod idempotency;
pub mod items;
pub(crate) mod keys;
pub(crate) mod list;
#[cfg(feature = "cli")]
pub mod members;
#[cfg(feature = "cli")]
pub(crate) mod person;
pub(crate) mod read;
pub mod recipient_rate_limit;
pub(crate) mod standing;
pub(crate) mod stream;
pub mod token;
mod transaction;

use std::collections::HashMap;

use aws_sdk_dynamodb::{
    Client,
    error::{ProvideErrorMetadata, SdkError},
    types::{AttributeValue, KeysAndAttributes},
};

use crate::{config::Config, domain::ids::TenantId, sdk_error};

/// A row of the table.
pub type Item = HashMap<String, AttributeValue>;

/// Access to the table, with the directory's cache.
#[derive(Debug)]
pub struct Store {
    client: Client,
    table: String,
    retention_seconds: i64,
    rules: directory::Rules,
    directory_cache: directory::Cache,
}

/// A failed access to the table, after all retries. The text contains no data of rows.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{cause}")]
pub struct StoreError {
    cause: String,
    /// The outcome is unknown: a response was lost or late, so the write may have committed.
    may_have_committed: bool,
    /// A retry cannot help: a row is unreadable, or DynamoDB rejects the request as invalid.
    is_permanent: bool,
}

impl StoreError {
    /// A failure that wrote nothing.
    fn nothing_written(cause: impl Into<String>) -> Self {
        Self { cause: cause.into(), may_have_committed: false, is_permanent: false }
    }

    /// A failure that wrote nothing and that no retry can help.
    fn permanent(cause: impl Into<String>) -> Self {
        Self { cause: cause.into(), may_have_committed: false, is_permanent: true }
    }

    /// The error of an unreadable row: names its kind, and the attribute that is missing or has a wrong type.
    fn unreadable(kind: &str, attribute: &str) -> Self {
        Self::permanent(format!("unreadable {kind} row: {attribute}"))
    }

    /// A failure with an unknown outcome.
    fn outcome_unknown(cause: impl Into<String>) -> Self {
        Self { cause: cause.into(), may_have_committed: true, is_permanent: false }
    }
}

impl Store {
    /// Access to the table of `config` through `client`.
    pub(crate) fn new(client: Client, config: &Config) -> Self {
        Self {
            client,
            table: config.table_name.clone(),
            retention_seconds: config.retention_seconds,
            rules: directory::Rules::new(config),
            directory_cache: directory::Cache::new(config.directory_cache),
        }
    }

    /// The region of the table.
    #[cfg(feature = "cli")]
    pub fn region(&self) -> Option<&str> {
        self.client.config().region().map(AsRef::as_ref)
    }

    /// Reads a row that does not exist, without retries, to detect missing credentials or an unreachable endpoint
    /// before the calls that retry for long.
    ///
    /// # Errors
    /// Failures without a response from DynamoDB. An error response is ignored: the later calls may need other
    /// permissions.
    #[cfg(feature = "cli")]
    pub async fn check_connection(&self) -> Result<(), StoreError> {
        let once = aws_sdk_dynamodb::config::Builder::new()
            .retry_config(aws_sdk_dynamodb::config::retry::RetryConfig::standard().with_max_attempts(1));
        let nobody = TenantId::parse("-").expect("`-` is a valid tenant");
        let key = keys::primary(&nobody, keys::EMAIL_CONNECTOR.to_owned());
        let request = self.client.get_item().table_name(&self.table).set_key(Some(key.into()));
        match request.customize().config_override(once).send().await {
            Ok(_) | Err(SdkError::ServiceError(_)) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Opens the connection, with the call that requests make first, for a row that does not exist.
    pub(crate) async fn warm_up(&self) {
        let nobody = TenantId::parse("-").expect("`-` is a valid tenant");
        let key = keys::primary(&nobody, keys::EMAIL_CONNECTOR.to_owned());
        let keys = KeysAndAttributes::builder().keys(key.into()).consistent_read(true).build().expect("keys are set");
        // If this fails, so does the first request, which reports it.
        let _ = self.client.batch_get_item().request_items(&self.table, keys).send().await;
    }
}

impl From<StoreError> for crate::domain::error::Error {
    fn from(StoreError { cause, is_permanent, .. }: StoreError) -> Self {
        if is_permanent { Self::Internal { cause } } else { Self::StoreUnavailable { cause } }
    }
}

impl<E: ProvideErrorMetadata + std::error::Error + 'static> From<SdkError<E>> for StoreError {
    fn from(error: SdkError<E>) -> Self {
        const PERMANENT: [&str; 2] = ["ValidationException", "ItemCollectionSizeLimitExceededException"];
        let code = error.as_service_error().and_then(ProvideErrorMetadata::code);
        let is_permanent = code.is_some_and(|code| PERMANENT.contains(&code));
        let may_have_committed = !sdk_error::certainly_failed(&error);
        Self { cause: sdk_error::describe("DynamoDB", &error), may_have_committed, is_permanent }
    }
}

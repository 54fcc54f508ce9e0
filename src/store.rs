//! The table: access patterns over one DynamoDB table, all of them within one tenant.
//!
//! | module | owns |
//! |---|---|
//! | [`keys`] | the keys |
//! | [`items`] | the rows, as they are written and read |
//! | [`directory`] | the read of directory rows, its cache, and their writing |
//! | `directory_rows`, `members` (feature `cli`) | the directory command's side of the directory |
//! | `person` (feature `cli`) | one person's data, for the directory command |
//! | [`create`] | creating an invitation, and rolling one back |
//! | [`idempotency`] | the idempotency records of creates |
//! | [`read`] | one invitation, a list, one row, a batch of rows |
//! | [`end`] | accepting, revoking, deleting |
//! | [`mod@change`] | changing a pending invitation |
//! | [`standing`] | the standing of an address with an organization |
//! | [`recipient_rate_limit`] | the sends to a recipient, reserved and released |
//! | `transaction` | transactions of labelled parts, and why one was cancelled |
//! | `condition` | the condition that a row has not changed |
//! | `call` | one call of DynamoDB: its attempts and their backoff |

mod call;
pub mod change;
mod condition;
pub mod create;
pub mod directory;
#[cfg(feature = "cli")]
pub mod directory_rows;
pub mod end;
pub mod idempotency;
pub mod items;
pub mod keys;
#[cfg(feature = "cli")]
pub mod members;
#[cfg(feature = "cli")]
pub mod person;
pub mod read;
pub mod recipient_rate_limit;
pub mod standing;
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

/// Access to the table. Cheap to share; the directory's cache is inside.
#[derive(Debug)]
pub struct Store {
    client: Client,
    table: String,
    retention_seconds: i64,
    rules: directory::Rules,
    directory_cache: directory::Cache,
}

/// A failed access to the table, after all retries. The text names the kind of failure and nothing of the data.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{cause}")]
pub struct StoreError {
    cause: String,
    /// The outcome is unknown: a response was lost or late, so that the write may have been done.
    may_be_done: bool,
    /// No retry can help: a row cannot be read, or DynamoDB rejects the request as invalid.
    is_permanent: bool,
}

impl StoreError {
    /// A failure after which nothing has been done.
    fn nothing_done(cause: impl Into<String>) -> Self {
        Self { cause: cause.into(), may_be_done: false, is_permanent: false }
    }

    /// A failure after which nothing has been done, and that no retry can help.
    fn permanent(cause: impl Into<String>) -> Self {
        Self { cause: cause.into(), may_be_done: false, is_permanent: true }
    }

    /// A row that exists and cannot be read: its kind, and the attribute that is missing or of a wrong type.
    fn unreadable(kind: &str, attribute: &str) -> Self {
        Self::permanent(format!("unreadable {kind} row: {attribute}"))
    }

    /// A failure with an unknown outcome.
    fn unknown(cause: impl Into<String>) -> Self {
        Self { cause: cause.into(), may_be_done: true, is_permanent: false }
    }
}

impl Store {
    /// Access to the table of `config` through `client`.
    pub fn new(client: Client, config: &Config) -> Self {
        Self {
            client,
            table: config.table_name.clone(),
            retention_seconds: config.retention_seconds,
            rules: directory::Rules::new(config),
            directory_cache: directory::Cache::new(config.directory_cache),
        }
    }

    /// Opens the connection, by the same call that requests make first, for a row that does not exist.
    pub async fn warm_up(&self) {
        let nobody = TenantId::parse("-").expect("a tenant can be called so");
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
        let may_be_done = !sdk_error::certainly_failed(&error);
        Self { cause: sdk_error::describe("DynamoDB", &error), may_be_done, is_permanent }
    }
}

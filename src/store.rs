//! The table: access patterns over one DynamoDB table, all of them within one tenant.
//!
//! | module | owns |
//! |---|---|
//! | [`keys`] | how keys are made |
//! | [`items`] | how items are written and read |
//! | [`directory`] | the read of directory rows, its cache, and their writing |
//! | `directory_rows`, `members` (feature `cli`) | the directory command's side of the directory |
//! | `person` (feature `cli`) | one person's data, for the directory command |
//! | [`create`] | creating an invitation, and taking one back |
//! | [`idempotency`] | what is remembered of a create that may be repeated |
//! | [`read`] | one invitation, or a list |
//! | [`end`] | accepting, revoking, deleting |
//! | [`standing`] | what an address is to an organization |
//! | [`send_window`] | how much mail a recipient has had |
//! | [`transaction`] | one transaction, and why it was cancelled |
//! | `condition` | that a row still is what it was read as |
//! | `call` | one call of DynamoDB: its retries, within the time that is left |

mod call;
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
pub mod send_window;
pub mod standing;
pub mod transaction;

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

/// A failed access to the table, after every retry that was worth making.
///
/// The text names the kind of failure and nothing of the data.
#[derive(Debug, thiserror::Error)]
#[error("{cause}")]
pub struct StoreError {
    cause: String,
    /// Whether what was asked for may have been done all the same: an answer was lost, or never came.
    may_be_done: bool,
    /// Whether no retry can help: a row that cannot be read, or a request that DynamoDB rejects as invalid.
    is_permanent: bool,
}

impl StoreError {
    /// A failure after which nothing has been done.
    fn nothing_done(cause: impl Into<String>) -> Self {
        Self { cause: cause.into(), may_be_done: false, is_permanent: false }
    }

    /// A failure after which nothing has been done, and that no retry can mend.
    fn permanent(cause: impl Into<String>) -> Self {
        Self { cause: cause.into(), may_be_done: false, is_permanent: true }
    }

    /// A row that is there and cannot be read: its kind, and the attribute that is missing or of a wrong type.
    fn unreadable(kind: &str, attribute: &str) -> Self {
        Self::permanent(format!("unreadable {kind} row: {attribute}"))
    }

    /// A failure after which nobody knows whether it has been done.
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
            directory_cache: directory::Cache::new(config.directory_cache_millis),
        }
    }

    /// Opens the connection, by looking once for a row that is not there in the way in which requests look for theirs.
    pub async fn warm_up(&self) {
        let nobody = TenantId::parse("-").expect("a tenant can be called so");
        let key = keys::primary(&nobody, keys::EMAIL_CONNECTOR.to_owned());
        let keys = KeysAndAttributes::builder().keys(key.into()).consistent_read(true).build().expect("keys are set");
        // Where it fails, so does the first request, and tells of it.
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

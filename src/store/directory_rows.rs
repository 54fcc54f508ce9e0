//! Directory rows for operators: read, list, delete, and write in batches.

use std::time::Duration;

use aws_sdk_dynamodb::{
    error::SdkError,
    operation::{batch_write_item::BatchWriteItemError, query::QueryOutput},
    types::{PutRequest, ReturnValue, WriteRequest},
};
use serde_json::Value;

use super::{
    Item, Store, StoreError,
    call::{Backoff, call, is_busy},
    directory,
    items::{self, string},
    keys,
};
use crate::{
    clock::{Deadline, budgets::OPERATOR_CALL},
    domain::{
        directory::{EmailConnector, Organization, OrganizationRole, User},
        ids::{DirectoryId, TenantId},
    },
};

/// The maximum number of rows in one `BatchWriteItem`.
pub(crate) const BATCH: usize = 25;

/// The identity of a directory row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum RowName {
    /// An organization, by its identifier.
    Organization(DirectoryId),
    /// A role, by its identifier.
    Role(DirectoryId),
    /// A user, by their identifier.
    User(DirectoryId),
    /// A membership, by organization and user.
    Member(DirectoryId, DirectoryId),
    /// The email connector.
    Connector,
}

/// The rows of one kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum RowSet {
    /// All organizations.
    Organizations,
    /// All roles.
    Roles,
    /// All users.
    Users,
    /// All memberships, or those of one organization.
    Members(Option<DirectoryId>),
    /// The email connector, if there is one.
    Connectors,
}

/// A page of rows, in the order of their keys.
#[derive(Debug)]
pub(crate) struct RowPage {
    /// The rows as JSON, without their keys.
    pub rows: Vec<Value>,
    /// The cursor of the next page; `None` after the last.
    pub next: Option<Item>,
}

impl RowName {
    /// The sort key of the row.
    pub(crate) fn sort_key(&self) -> String {
        match self {
            Self::Organization(id) => keys::organization(id),
            Self::Role(id) => keys::role(id),
            Self::User(id) => keys::user(id),
            Self::Member(organization_id, user_id) => keys::membership(organization_id, user_id),
            Self::Connector => keys::EMAIL_CONNECTOR.to_owned(),
        }
    }
}

impl RowSet {
    fn prefix(&self) -> String {
        match self {
            Self::Organizations => keys::ORGANIZATIONS.to_owned(),
            Self::Roles => keys::ROLES.to_owned(),
            Self::Users => keys::USERS.to_owned(),
            Self::Members(None) => keys::MEMBERSHIPS.to_owned(),
            Self::Members(Some(organization_id)) => keys::memberships(organization_id),
            Self::Connectors => keys::EMAIL_CONNECTOR.to_owned(),
        }
    }
}

/// The row of an organization, to be written in a batch.
pub(crate) fn organization(tenant: &TenantId, organization: &Organization) -> Result<Item, StoreError> {
    directory::to_item(tenant, &keys::organization(&organization.id), organization)
}

/// The row of a role, to be written in a batch.
pub(crate) fn role(tenant: &TenantId, role: &OrganizationRole) -> Result<Item, StoreError> {
    directory::to_item(tenant, &keys::role(&role.id), role)
}

/// The row of a user, to be written in a batch.
pub(crate) fn user(tenant: &TenantId, user: &User) -> Result<Item, StoreError> {
    directory::to_item(tenant, &keys::user(&user.id), user)
}

/// The row of the email connector, to be written in a batch.
pub(crate) fn connector(tenant: &TenantId, connector: &EmailConnector) -> Result<Item, StoreError> {
    directory::to_item(tenant, keys::EMAIL_CONNECTOR, connector)
}

impl Store {
    /// Reads a row as JSON, without its keys.
    pub(crate) async fn directory_row(&self, tenant: &TenantId, name: &RowName) -> Result<Option<Value>, StoreError> {
        Ok(self.row(tenant, &name.sort_key(), Deadline::within(OPERATOR_CALL)).await?.map(without_keys))
    }

    /// Reads a page of rows with strong consistency: the first page, or the page after `start`.
    pub(crate) async fn directory_rows(
        &self,
        tenant: &TenantId,
        set: &RowSet,
        start: Option<Item>,
    ) -> Result<RowPage, StoreError> {
        let answer = self.query_prefix(tenant, &set.prefix(), start).await?;
        let rows = answer.items.unwrap_or_default().into_iter().map(without_keys).collect();
        Ok(RowPage { rows, next: answer.last_evaluated_key.filter(|key| !key.is_empty()) })
    }

    /// Deletes this row only. Returns `false` if it did not exist.
    pub(crate) async fn delete_directory_row(&self, tenant: &TenantId, name: &RowName) -> Result<bool, StoreError> {
        let key = Item::from(keys::primary(tenant, name.sort_key()));
        let request = self.client.delete_item().table_name(&self.table).set_key(Some(key));
        let request = request.return_values(ReturnValue::AllOld);
        let deleted = call(Deadline::within(OPERATOR_CALL), || request.clone().send()).await?.attributes;
        Ok(deleted.is_some_and(|row| !row.is_empty()))
    }

    /// Writes up to [`BATCH`] rows with distinct keys. Retries unprocessed and throttled rows with backoff, and fails
    /// if no row is written for `patience`.
    pub(crate) async fn write_rows(&self, rows: Vec<Item>, patience: Duration) -> Result<(), StoreError> {
        let put = |row| PutRequest::builder().set_item(Some(row)).build().expect("item is set");
        let mut rest: Vec<_> =
            rows.into_iter().map(|row| WriteRequest::builder().put_request(put(row)).build()).collect();
        let mut backoff = Backoff::until(Deadline::within(patience));
        while !rest.is_empty() {
            let request = self.client.batch_write_item().request_items(&self.table, rest.clone());
            let problem = match request.send().await {
                Err(error) if !is_retryable(&error) => return Err(error.into()),
                Err(error) => StoreError::from(error),
                Ok(answer) => {
                    let left: Vec<_> =
                        answer.unprocessed_items.into_iter().flatten().flat_map(|(_, rows)| rows).collect();
                    if left.len() < rest.len() {
                        backoff = Backoff::until(Deadline::within(patience));
                    }
                    rest = left;
                    StoreError::nothing_written("DynamoDB: UnprocessedItems")
                }
            };
            if !rest.is_empty() && !backoff.wait().await {
                return Err(problem);
            }
        }
        Ok(())
    }

    /// Reads a page of the rows whose sort keys begin with `prefix`, with strong consistency.
    pub(super) async fn query_prefix(
        &self,
        tenant: &TenantId,
        prefix: &str,
        start: Option<Item>,
    ) -> Result<QueryOutput, StoreError> {
        let query = self
            .client
            .query()
            .table_name(&self.table)
            .consistent_read(true)
            .key_condition_expression("pk = :pk AND begins_with(sk, :prefix)")
            .expression_attribute_values(":pk", string(&keys::tenant(tenant)))
            .expression_attribute_values(":prefix", string(prefix))
            .set_exclusive_start_key(start);
        call(Deadline::within(OPERATOR_CALL), || query.clone().send()).await
    }
}

/// Returns `true` if a retry may succeed. The SDK's own retries have failed by then, but an import may wait longer.
fn is_retryable(error: &SdkError<BatchWriteItemError>) -> bool {
    match error {
        SdkError::ServiceError(answer) => is_busy(error) || answer.raw().status().is_server_error(),
        SdkError::TimeoutError(_) => true,
        _ => false,
    }
}

/// Converts a row to JSON for operators: with the `id` from its key, and without the keys.
fn without_keys(mut item: Item) -> Value {
    let sk = items::text(&item, keys::SK).unwrap_or_default().to_owned();
    item.remove(keys::PK);
    item.remove(keys::SK);
    directory::identified(&sk, items::to_json(item))
}

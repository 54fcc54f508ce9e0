//! Reads one invitation, and rows for the other modules.

use aws_sdk_dynamodb::types::KeysAndAttributes;

use super::{
    Item, Store, StoreError,
    call::{Backoff, call},
    items, keys, token,
};
use crate::{
    clock::Deadline,
    domain::{
        ids::{InvitationId, TenantId},
        invitation::Invitation,
        token::StoredToken,
    },
    telemetry::statistics,
};

/// The maximum number of unreadable rows that a request logs; further ones are only counted.
pub(super) const MAX_LOGGED_ROWS: u64 = 10;

/// The maximum number of keys in one `BatchGetItem` (API reference, `BatchGetItem`).
const BATCH_READ: usize = 100;

impl Store {
    /// Reads an invitation.
    ///
    /// # Errors
    /// A permanent error if the row is unreadable, which is not the same as missing.
    pub async fn get(
        &self,
        tenant: &TenantId,
        id: &InvitationId,
        deadline: Deadline,
    ) -> Result<Option<Invitation>, StoreError> {
        Ok(self.get_with_token(tenant, id, deadline).await?.map(|(invitation, _)| invitation))
    }

    /// Reads an invitation, and the token of its latest message.
    ///
    /// # Errors
    /// As of [`Store::get`].
    pub(crate) async fn get_with_token(
        &self,
        tenant: &TenantId,
        id: &InvitationId,
        deadline: Deadline,
    ) -> Result<Option<(Invitation, Option<StoredToken>)>, StoreError> {
        let Some(row) = self.row(tenant, &keys::invitation(id), deadline).await? else { return Ok(None) };
        let invitation = items::read_invitation(tenant, &row).ok_or_else(|| {
            statistics::unreadable_row();
            StoreError::permanent("unreadable invitation row")
        })?;
        Ok(Some((invitation, token::read(&row))))
    }

    /// Reads a row with strong consistency.
    pub(super) async fn row(
        &self,
        tenant: &TenantId,
        sk: &str,
        deadline: Deadline,
    ) -> Result<Option<Item>, StoreError> {
        let key = Item::from(keys::primary(tenant, sk));
        let request = self.client.get_item().table_name(&self.table).set_key(Some(key)).consistent_read(true);
        Ok(call(deadline, || request.clone().send()).await?.item)
    }

    /// Reads the existing rows of one tenant with strong consistency, in no particular order, in batches of at most
    /// [`BATCH_READ`]. Retries unprocessed keys.
    pub(super) async fn batch_get(
        &self,
        tenant: &TenantId,
        sort_keys: Vec<String>,
        deadline: Deadline,
    ) -> Result<Vec<Item>, StoreError> {
        self.batch_get_attributes(tenant, sort_keys, &[], deadline).await
    }

    /// As [`Store::batch_get`], but with a projection on `attributes`; empty reads all.
    pub(super) async fn batch_get_attributes(
        &self,
        tenant: &TenantId,
        sort_keys: Vec<String>,
        attributes: &[&str],
        deadline: Deadline,
    ) -> Result<Vec<Item>, StoreError> {
        let aliases: Vec<String> = (0..attributes.len()).map(|position| format!("#{position}")).collect();
        let names = aliases.iter().cloned().zip(attributes.iter().map(|name| (*name).to_owned())).collect();
        let (projection, names) =
            if attributes.is_empty() { (None, None) } else { (Some(aliases.join(", ")), Some(names)) };
        let mut wanted: Vec<Item> = sort_keys.into_iter().map(|sk| Item::from(keys::primary(tenant, sk))).collect();
        let (mut found, mut backoff) = (Vec::with_capacity(wanted.len()), Backoff::until(deadline));
        while !wanted.is_empty() {
            let later = wanted.split_off(wanted.len().min(BATCH_READ));
            let keys = KeysAndAttributes::builder()
                .set_keys(Some(wanted))
                .consistent_read(true)
                .set_projection_expression(projection.clone())
                .set_expression_attribute_names(names.clone());
            let keys = keys.build().expect("keys are set");
            let request = self.client.batch_get_item().request_items(&self.table, keys);
            let response = call(deadline, || request.clone().send()).await?;
            found.extend(response.responses.into_iter().flatten().flat_map(|(_, items)| items));
            wanted = response.unprocessed_keys.into_iter().flatten().flat_map(|(_, rest)| rest.keys).collect();
            if !wanted.is_empty() && !backoff.wait().await {
                return Err(StoreError::nothing_written("DynamoDB: UnprocessedKeys"));
            }
            wanted.extend(later);
        }
        Ok(found)
    }
}

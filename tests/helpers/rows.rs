//! Rows of the table: reading and writing them.

use super::{FAR_FUTURE, directory_id, tenant};
pub use crate::common::rows::*;
use aws_sdk_dynamodb::{
    Client,
    types::{PutRequest, WriteRequest},
};
use organization_invitations::{
    domain::{
        email_address::EmailAddress,
        ids::InvitationId,
        invitation::{Invitation, Status},
        timestamp::Timestamp,
    },
    store::Item,
};

/// A pending invitation of the tenant `default` by Ada, without roles, created at `created_at` in milliseconds.
pub fn pending_invitation(invitee: &str, created_at: i64) -> Invitation {
    let created_at = Timestamp::from_millis(created_at);
    Invitation {
        tenant: tenant("default"),
        id: InvitationId::generate(created_at).unwrap(),
        inviter_id: Some(directory_id("ada")),
        invitee: EmailAddress::parse(invitee).unwrap(),
        accepted_user_id: None,
        organization_id: directory_id("acme"),
        stored_status: Status::Pending,
        created_at,
        updated_at: created_at,
        expires_at: Timestamp::from_millis(FAR_FUTURE),
        organization_roles: Vec::new(),
    }
}

/// Writes rows unchanged, in batches.
pub async fn put_rows(client: &Client, table: &str, rows: impl IntoIterator<Item = Item>) {
    let put = |row| WriteRequest::builder().put_request(PutRequest::builder().set_item(Some(row)).build().unwrap());
    let requests: Vec<WriteRequest> = rows.into_iter().map(|row| put(row).build()).collect();
    for batch in requests.chunks(25) {
        let write = client.batch_write_item().request_items(table, batch.to_vec());
        assert!(write.send().await.unwrap().unprocessed_items.is_none_or(|rest| rest.is_empty()));
    }
}

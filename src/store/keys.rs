//! How keys are made: the only place that spells them.
//!
//! Every partition key, of the table and of every index, begins with the tenant. No part of a key contains `#`.

use std::fmt::Display;

use aws_sdk_dynamodb::types::AttributeValue;

use crate::domain::{
    idempotency::IdempotentRequest,
    ids::{InvitationId, TenantId},
};

/// The table's partition key.
pub const PK: &str = "pk";
/// The sort key of the table and of the indexes.
pub const SK: &str = "sk";
/// Partition key of the index by organization.
pub const ORGANIZATION_KEY: &str = "organizationKey";
/// Partition key of the index by invitee.
pub const INVITEE_KEY: &str = "inviteeKey";
/// Partition key of the index by inviter.
pub const INVITER_KEY: &str = "inviterKey";

/// The sort key of the tenant's email connector.
pub const EMAIL_CONNECTOR: &str = "CONNECTOR#Email";

/// What the sort keys of all invitations begin with; the rest sorts by time.
pub const INVITATIONS: &str = "INVITATION#";
/// What the sort keys of a tenant's organizations begin with.
pub const ORGANIZATIONS: &str = "ORGANIZATION#";
/// What the sort keys of a tenant's roles begin with.
pub const ROLES: &str = "ROLE#";
/// What the sort keys of a tenant's users begin with.
pub const USERS: &str = "USER#";
/// What the sort keys of all memberships begin with.
pub const MEMBERSHIPS: &str = "MEMBER#";
/// What the sort keys of all that addresses are to organizations begin with.
pub const STANDINGS: &str = "ORG#";
/// What the sort keys of all that is remembered of idempotent requests begin with.
pub const IDEMPOTENCY: &str = "IDEMPOTENCY#";

/// The partition of everything that belongs to a tenant.
pub fn tenant(tenant: &TenantId) -> String {
    format!("TENANT#{tenant}")
}

/// The invitation itself.
pub fn invitation(id: &InvitationId) -> String {
    format!("{INVITATIONS}{id}")
}

/// What an address is to an organization.
pub fn standing(organization_id: &str, folded_address: &str) -> String {
    format!("{}{folded_address}", standings(organization_id))
}

/// What the sort keys of all that addresses are to an organization begin with.
pub fn standings(organization_id: &str) -> String {
    format!("{STANDINGS}{organization_id}#INVITEE#")
}

/// What the sort keys of all that an address is to organizations end with.
pub fn standing_of(folded_address: &str) -> String {
    format!("#INVITEE#{folded_address}")
}

/// The last messages to an address.
pub fn send_window(folded_address: &str) -> String {
    format!("SENDS#{folded_address}")
}

/// What is remembered of an idempotent request.
pub fn idempotency(request: &IdempotentRequest) -> String {
    format!("{IDEMPOTENCY}{}#{}", request.caller, request.key)
}

/// An organization of the directory.
pub fn organization(id: &str) -> String {
    format!("{ORGANIZATIONS}{id}")
}

/// A role of the directory.
pub fn role(id: &str) -> String {
    format!("{ROLES}{id}")
}

/// A user of the directory.
pub fn user(id: &str) -> String {
    format!("{USERS}{id}")
}

/// The identifier of the organization, role or user with that sort key.
pub fn directory_id(sk: &str) -> Option<&str> {
    [ORGANIZATIONS, ROLES, USERS].into_iter().find_map(|prefix| sk.strip_prefix(prefix))
}

/// What the sort keys of an organization's memberships begin with.
pub fn memberships(organization_id: &str) -> String {
    format!("{MEMBERSHIPS}{organization_id}#")
}

/// The membership of a user in an organization.
pub fn membership(organization_id: &str, user_id: &str) -> String {
    format!("{}{user_id}", memberships(organization_id))
}

/// Index partition: the invitations to an organization.
pub fn by_organization(tenant: &TenantId, organization_id: &str) -> String {
    format!("TENANT#{tenant}#ORG#{organization_id}")
}

/// Index partition: the invitations of an address.
pub fn by_invitee(tenant: &TenantId, folded_address: &str) -> String {
    format!("TENANT#{tenant}#INVITEE#{folded_address}")
}

/// Index partition: the invitations that somebody made.
pub fn by_inviter(tenant: &TenantId, inviter_id: &str) -> String {
    format!("TENANT#{tenant}#INVITER#{inviter_id}")
}

/// The primary key of a row.
pub fn primary(tenant_id: &TenantId, sk: impl Display) -> [(String, AttributeValue); 2] {
    [(PK.to_owned(), AttributeValue::S(tenant(tenant_id))), (SK.to_owned(), AttributeValue::S(sk.to_string()))]
}

//! The keys of the table and its indexes. No other file builds or parses keys.
//!
//! Every partition key, of the table and of every index, begins with the tenant. `#` separates the parts of a key, and
//! no identifier contains it.

use std::fmt::Display;

use aws_sdk_dynamodb::types::AttributeValue;

use crate::domain::{
    email_address::NormalizedAddress,
    idempotency::IdempotentRequest,
    ids::{DirectoryId, InvitationId, TenantId},
};

/// The table's partition key.
pub(crate) const PK: &str = "pk";
/// The sort key of the table and of the indexes.
pub(crate) const SK: &str = "sk";
/// Partition key of the index by organization.
pub(crate) const ORGANIZATION_KEY: &str = "organizationKey";
/// Partition key of the index by invitee.
pub(crate) const INVITEE_KEY: &str = "inviteeKey";
/// Partition key of the index by inviter.
pub(crate) const INVITER_KEY: &str = "inviterKey";

/// The sort key of the tenant's email connector.
pub(crate) const EMAIL_CONNECTOR: &str = "CONNECTOR#Email";

/// The prefix of the sort keys of all invitations; the rest sorts by time.
pub(crate) const INVITATIONS: &str = "INVITATION#";
/// The prefix of the sort keys of a tenant's organizations.
pub(crate) const ORGANIZATIONS: &str = "ORGANIZATION#";
/// The prefix of the sort keys of a tenant's roles.
pub(crate) const ROLES: &str = "ROLE#";
/// The prefix of the sort keys of a tenant's users.
pub(crate) const USERS: &str = "USER#";
/// The prefix of the sort keys of all memberships.
pub(crate) const MEMBERSHIPS: &str = "MEMBER#";
/// The prefix of the sort keys of all standings.
pub(crate) const STANDINGS: &str = "ORG#";
/// The prefix of the sort keys of all idempotency records.
pub(crate) const IDEMPOTENCY: &str = "IDEMPOTENCY#";
/// The prefix of the sort keys of all deliveries.
pub(crate) const DELIVERIES: &str = "DELIVERY#";

/// The partition key of all rows of a tenant.
pub(crate) fn tenant(tenant: &TenantId) -> String {
    format!("TENANT#{tenant}")
}

/// Parses the tenant of a partition key.
pub fn tenant_of(pk: &str) -> Option<TenantId> {
    TenantId::parse(pk.strip_prefix("TENANT#")?)
}

/// The sort key of an invitation.
pub(crate) fn invitation(id: &InvitationId) -> String {
    format!("{INVITATIONS}{id}")
}

/// The sort key of the standing of an address with an organization.
pub(crate) fn standing(organization_id: &DirectoryId, address: &NormalizedAddress) -> String {
    format!("{}{}", standings(organization_id), address.as_str())
}

/// Parses the organization and the normalized address of a standing's sort key.
pub fn standing_parts(sk: &str) -> Option<(&str, &str)> {
    sk.strip_prefix(STANDINGS)?.split_once("#INVITEE#")
}

/// Parses the invitation's identifier from the sort key of an invitation or a delivery.
pub fn invitation_id(sk: &str) -> Option<InvitationId> {
    [INVITATIONS, DELIVERIES].into_iter().find_map(|prefix| InvitationId::parse(sk.strip_prefix(prefix)?))
}

/// The prefix of the sort keys of an organization's standings.
pub(crate) fn standings(organization_id: &DirectoryId) -> String {
    format!("{STANDINGS}{organization_id}#INVITEE#")
}

/// The suffix of the sort keys of an address's standings.
pub(crate) fn standing_of(address: &NormalizedAddress) -> String {
    format!("#INVITEE#{}", address.as_str())
}

/// The sort key of a recipient's rate limit.
pub(crate) fn recipient_rate_limit(address: &NormalizedAddress) -> String {
    format!("SENDS#{}", address.as_str())
}

/// The sort key of a request's idempotency record.
pub(crate) fn idempotency(request: &IdempotentRequest) -> String {
    format!("{IDEMPOTENCY}{}#{}", request.caller, request.key)
}

/// The sort key of the delivery of an invitation's latest message.
pub fn delivery(id: &InvitationId) -> String {
    format!("{DELIVERIES}{id}")
}

/// The sort key of an organization of the directory.
pub(crate) fn organization(id: &DirectoryId) -> String {
    format!("{ORGANIZATIONS}{id}")
}

/// The sort key of a role of the directory.
pub(crate) fn role(id: &DirectoryId) -> String {
    format!("{ROLES}{id}")
}

/// The sort key of a user of the directory.
pub(crate) fn user(id: &DirectoryId) -> String {
    format!("{USERS}{id}")
}

/// Parses the identifier from the sort key of an organization, role or user.
pub(crate) fn directory_id(sk: &str) -> Option<&str> {
    [ORGANIZATIONS, ROLES, USERS].into_iter().find_map(|prefix| sk.strip_prefix(prefix))
}

/// The prefix of the sort keys of an organization's memberships.
pub(crate) fn memberships(organization_id: &DirectoryId) -> String {
    format!("{MEMBERSHIPS}{organization_id}#")
}

/// The sort key of a user's membership in an organization.
pub(crate) fn membership(organization_id: &DirectoryId, user_id: &DirectoryId) -> String {
    format!("{}{user_id}", memberships(organization_id))
}

/// The index partition key of the invitations to an organization.
pub(crate) fn by_organization(tenant: &TenantId, organization_id: &DirectoryId) -> String {
    format!("TENANT#{tenant}#ORG#{organization_id}")
}

/// The index partition key of the invitations to an address.
pub(crate) fn by_invitee(tenant: &TenantId, address: &NormalizedAddress) -> String {
    format!("TENANT#{tenant}#INVITEE#{}", address.as_str())
}

/// The index partition key of the invitations by an inviter.
pub(crate) fn by_inviter(tenant: &TenantId, inviter_id: &DirectoryId) -> String {
    format!("TENANT#{tenant}#INVITER#{inviter_id}")
}

/// The primary key of a row.
pub(crate) fn primary(tenant_id: &TenantId, sk: impl Display) -> [(String, AttributeValue); 2] {
    [(PK.to_owned(), AttributeValue::S(tenant(tenant_id))), (SK.to_owned(), AttributeValue::S(sk.to_string()))]
}

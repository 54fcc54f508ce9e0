//! Conversion between rows and domain values or JSON. Rows that other programs wrote never cause a panic.

use aws_sdk_dynamodb::types::AttributeValue;
use serde_json::{Number, Value};

use super::{
    Item, StoreError, keys,
    standing::{PendingInvitation, Standing},
};
use crate::domain::{
    directory::OrganizationRole,
    email_address::EmailAddress,
    ids::{DirectoryId, InvitationId, TenantId},
    invitation::{Invitation, Status},
    timestamp::Timestamp,
};

/// DynamoDB's TTL attribute, in epoch **seconds**.
pub(crate) const TTL: &str = "ttl";

/// The row of an invitation, kept for `retention_seconds` after the invitation expires.
pub fn invitation(invitation: &Invitation, retention_seconds: i64) -> Item {
    let tenant = &invitation.tenant;
    let invitee = invitation.invitee.normalized();
    let mut item = Item::from(keys::primary(tenant, keys::invitation(&invitation.id)));
    let attributes = [
        ("id", string(invitation.id.as_str())),
        ("invitee", string(invitation.invitee.as_str())),
        ("organizationId", string(invitation.organization_id.as_str())),
        ("status", string(invitation.stored_status.as_str())),
        ("createdAt", number(invitation.created_at.as_millis())),
        ("updatedAt", number(invitation.updated_at.as_millis())),
        ("expiresAt", number(invitation.expires_at.as_millis())),
        ("organizationRoles", roles(&invitation.organization_roles)),
        (TTL, ttl(invitation.expires_at, retention_seconds)),
        (keys::ORGANIZATION_KEY, string(&keys::by_organization(tenant, &invitation.organization_id))),
        (keys::INVITEE_KEY, string(&keys::by_invitee(tenant, &invitee))),
    ];
    item.extend(named(attributes));
    if let Some(user_id) = &invitation.accepted_user_id {
        item.insert("acceptedUserId".to_owned(), string(user_id.as_str()));
    }
    if let Some(inviter_id) = &invitation.inviter_id {
        item.insert("inviterId".to_owned(), string(inviter_id.as_str()));
        item.insert(keys::INVITER_KEY.to_owned(), string(&keys::by_inviter(tenant, inviter_id)));
    }
    item
}

/// The roles of an invitation as an attribute.
pub(super) fn roles(roles: &[OrganizationRole]) -> AttributeValue {
    let role = |role: &OrganizationRole| {
        let role = [("id", string(role.id.as_str())), ("name", string(&role.name))];
        AttributeValue::M(named(role).into())
    };
    AttributeValue::L(roles.iter().map(role).collect())
}

/// Returns `true` if an invitation with these roles can be stored. A DynamoDB item has at most 400 KB, including
/// attribute names. The roles are stored twice: in the invitation's row, and in the JSON response of an idempotency
/// record.
pub(crate) fn fit_roles(roles: &[OrganizationRole]) -> bool {
    /// The maximum for the roles, in bytes: that of an item, less an upper bound of all other attributes.
    const MAX_BYTES: usize = 400 * 1024 - 16 * 1024;
    /// The bytes of the names `id` and `name`, and DynamoDB's overhead for a map, its values, and a list element.
    const OVERHEAD: usize = 16;
    /// The maximum growth factor of a character that JSON escapes.
    const MAX_ESCAPE_GROWTH: usize = 6;
    let in_row: usize = roles.iter().map(|role| role.id.as_str().len() + role.name.len() + OVERHEAD).sum();
    let in_json = || serde_json::to_string(roles).map_or(usize::MAX, |json| json.len());
    in_row <= MAX_BYTES && (in_row * MAX_ESCAPE_GROWTH <= MAX_BYTES || in_json() <= MAX_BYTES)
}

/// Reads the row of an invitation; `None` if it is unreadable.
pub(crate) fn read_invitation(tenant: &TenantId, item: &Item) -> Option<Invitation> {
    // An empty text counts as absent, as in a request.
    let given = |name| text(item, name).filter(|id| !id.is_empty());
    let id = |name| given(name).map_or(Some(None), |id| DirectoryId::stored(id).map(Some));
    let roles = item.get("organizationRoles")?.as_l().ok()?.iter().map(read_role);
    Some(Invitation {
        tenant: tenant.clone(),
        id: InvitationId::parse(text(item, "id")?)?,
        inviter_id: id("inviterId")?,
        invitee: EmailAddress::parse(text(item, "invitee")?).ok()?,
        accepted_user_id: id("acceptedUserId")?,
        organization_id: DirectoryId::stored(text(item, "organizationId")?)?,
        stored_status: Status::parse_stored(text(item, "status")?)?,
        created_at: time(item, "createdAt")?,
        updated_at: time(item, "updatedAt")?,
        expires_at: time(item, "expiresAt")?,
        organization_roles: roles.collect::<Option<_>>()?,
    })
}

fn read_role(role: &AttributeValue) -> Option<OrganizationRole> {
    let role = role.as_m().ok()?;
    Some(OrganizationRole { id: DirectoryId::stored(text(role, "id")?)?, name: text(role, "name")?.to_owned() })
}

/// The attribute of a membership that lists its roles.
pub(crate) const ROLE_IDS: &str = "organizationRoleIds";

/// The roles of a membership: a string set, or a list of strings if an application wrote it. A missing or null
/// attribute means no roles.
///
/// # Errors
/// A permanent error for any other attribute type.
pub(crate) fn role_ids(membership: &Item) -> Result<Vec<String>, StoreError> {
    let ids = match membership.get(ROLE_IDS) {
        None | Some(AttributeValue::Null(_)) => Some(Vec::new()),
        Some(AttributeValue::Ss(ids)) => Some(ids.clone()),
        Some(AttributeValue::L(ids)) => ids.iter().map(|id| id.as_s().ok().cloned()).collect(),
        Some(_) => None,
    };
    ids.ok_or_else(|| StoreError::unreadable("membership", ROLE_IDS))
}

/// The key of the standing of an invitation's invitee.
pub(crate) fn standing_key(invitation: &Invitation) -> Item {
    let sk = keys::standing(&invitation.organization_id, &invitation.invitee.normalized());
    Item::from(keys::primary(&invitation.tenant, sk))
}

/// The pending standing of a new invitation, which blocks another invitation of the address to the organization.
pub fn pending_standing(invitation: &Invitation) -> Item {
    let (id, expires_at) = (invitation.id.clone(), invitation.expires_at);
    Standing::Pending(PendingInvitation { id, expires_at }).row(standing_key(invitation))
}

/// The primary key of a row.
pub(super) fn key_of(row: &Item) -> Item {
    [keys::PK, keys::SK].into_iter().filter_map(|name| Some((name.to_owned(), row.get(name)?.clone()))).collect()
}

/// The TTL attribute: `seconds` after `time`, in epoch seconds.
pub(crate) fn ttl(time: Timestamp, seconds: i64) -> AttributeValue {
    number(time.as_secs_ceil().saturating_add(seconds))
}

/// Owned names for attributes, to build a row.
pub(super) fn named<const N: usize>(attributes: [(&str, AttributeValue); N]) -> [(String, AttributeValue); N] {
    attributes.map(|(name, value)| (name.to_owned(), value))
}

/// A string attribute.
pub(crate) fn string(text: &str) -> AttributeValue {
    AttributeValue::S(text.to_owned())
}

/// A number attribute.
pub(crate) fn number(number: i64) -> AttributeValue {
    AttributeValue::N(number.to_string())
}

/// The value of the string attribute `name`.
pub(crate) fn text<'a>(item: &'a Item, name: &str) -> Option<&'a str> {
    item.get(name).and_then(|value| value.as_s().ok()).map(String::as_str)
}

/// The timestamp in the attribute `name`, a number of milliseconds.
pub(crate) fn time(item: &Item, name: &str) -> Option<Timestamp> {
    item.get(name).and_then(millis)
}

/// The timestamp that a number attribute holds, in milliseconds.
pub(crate) fn millis(value: &AttributeValue) -> Option<Timestamp> {
    value.as_n().ok()?.parse().ok().map(Timestamp::from_millis)
}

/// A row as JSON, for rows that are read with serde. Null attributes are left out. Binary attributes and number sets,
/// which no row of ours has, become the number 0: no field takes a number, so they are never taken for absent.
pub fn to_json(item: Item) -> Value {
    let fields = item.into_iter().map(|(name, value)| (name, attribute_to_json(value)));
    Value::Object(fields.filter(|(_, value)| !value.is_null()).collect())
}

/// The fields of a JSON object as attributes; empty for any other JSON.
pub fn from_json(value: Value) -> Item {
    let Value::Object(fields) = value else { return Item::new() };
    fields.into_iter().map(|(name, value)| (name, attribute_from_json(value))).collect()
}

fn attribute_to_json(value: AttributeValue) -> Value {
    match value {
        AttributeValue::S(text) => Value::String(text),
        AttributeValue::N(number) => number.parse::<Number>().map_or(Value::Null, Value::Number),
        AttributeValue::Bool(boolean) => Value::Bool(boolean),
        AttributeValue::L(values) => values.into_iter().map(attribute_to_json).collect(),
        AttributeValue::M(fields) => to_json(fields),
        AttributeValue::Ss(texts) => texts.into_iter().map(Value::String).collect(),
        AttributeValue::B(_) | AttributeValue::Bs(_) | AttributeValue::Ns(_) => Value::from(0),
        _ => Value::Null,
    }
}

fn attribute_from_json(value: Value) -> AttributeValue {
    match value {
        Value::Null => AttributeValue::Null(true),
        Value::Bool(boolean) => AttributeValue::Bool(boolean),
        Value::Number(number) => AttributeValue::N(number.to_string()),
        Value::String(text) => AttributeValue::S(text),
        Value::Array(values) => AttributeValue::L(values.into_iter().map(attribute_from_json).collect()),
        fields @ Value::Object(_) => AttributeValue::M(from_json(fields)),
    }
}

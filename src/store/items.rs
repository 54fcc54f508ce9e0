//! How rows are written and read. A row that cannot be read is treated as if it were not there by the reader that
//! meets it; nothing here panics on what somebody else may have written.

use aws_sdk_dynamodb::types::AttributeValue;
use serde_json::{Number, Value};

use super::{Item, keys};
use crate::{
    directory::OrganizationRole,
    email_address::EmailAddress,
    invitation::{Invitation, InvitationId, Status, TenantId},
    timestamp::Timestamp,
};

/// The attribute that DynamoDB deletes by, in epoch **seconds**.
pub const TTL: &str = "ttl";

/// What an address is to an organization: one row, so that one condition decides both uniqueness and membership.
#[derive(Debug, PartialEq)]
pub enum Standing {
    /// Invited, until `expires_at`.
    Pending {
        /// The invitation, where its identifier is readable.
        invitation_id: Option<InvitationId>,
        /// When the invitation ceases to stand in the way of another.
        expires_at: Timestamp,
    },
    /// A member.
    Member,
}

impl Standing {
    /// The `state` of a pending standing.
    pub const PENDING: &str = "pending";
    /// The `state` of a member's standing.
    pub const MEMBER: &str = "member";

    /// Reads a standing. Anything that is not a pending invitation counts as a membership, which is the safe side.
    pub fn read(item: &Item) -> Self {
        if text(item, "state") == Some(Self::PENDING) {
            let invitation_id = text(item, "invitationId").and_then(InvitationId::parse);
            Self::Pending { invitation_id, expires_at: time(item, "expiresAt").unwrap_or(Timestamp::MAX) }
        } else {
            Self::Member
        }
    }

    /// Whether it keeps a new invitation out at `now`: an expired one does not, whether or not DynamoDB has deleted it.
    pub fn holds(&self, now: Timestamp) -> bool {
        match self {
            Self::Member => true,
            Self::Pending { expires_at, .. } => *expires_at > now,
        }
    }
}

/// The row of an invitation. It is kept for `retention_seconds` after it expires.
pub fn invitation(invitation: &Invitation, retention_seconds: i64) -> Item {
    let tenant = &invitation.tenant;
    let invitee = invitation.invitee.folded();
    let mut item = Item::from(keys::primary(tenant, keys::invitation(&invitation.id)));
    let roles = invitation.organization_roles.iter().map(|role| {
        let role = [("id", string(&role.id)), ("name", string(&role.name))];
        AttributeValue::M(named(role).into())
    });
    let attributes = [
        ("id", string(invitation.id.as_str())),
        ("invitee", string(invitation.invitee.as_str())),
        ("organizationId", string(&invitation.organization_id)),
        ("status", string(invitation.stored_status.as_str())),
        ("createdAt", number(invitation.created_at.as_millis())),
        ("updatedAt", number(invitation.updated_at.as_millis())),
        ("expiresAt", number(invitation.expires_at.as_millis())),
        ("organizationRoles", AttributeValue::L(roles.collect())),
        (TTL, ttl(invitation.expires_at, retention_seconds)),
        (keys::ORGANIZATION_KEY, string(&keys::by_organization(tenant, &invitation.organization_id))),
        (keys::INVITEE_KEY, string(&keys::by_invitee(tenant, &invitee))),
    ];
    item.extend(named(attributes));
    if let Some(user_id) = &invitation.accepted_user_id {
        item.insert("acceptedUserId".to_owned(), string(user_id));
    }
    if let Some(inviter_id) = &invitation.inviter_id {
        item.insert("inviterId".to_owned(), string(inviter_id));
        item.insert(keys::INVITER_KEY.to_owned(), string(&keys::by_inviter(tenant, inviter_id)));
    }
    item
}

/// Reads the row of an invitation; `None` where it is not one.
pub fn read_invitation(tenant: &TenantId, item: &Item) -> Option<Invitation> {
    let owned = |name| text(item, name).map(str::to_owned);
    let roles = item.get("organizationRoles")?.as_l().ok()?.iter().map(read_role);
    Some(Invitation {
        tenant: tenant.clone(),
        id: InvitationId::parse(text(item, "id")?)?,
        inviter_id: owned("inviterId"),
        invitee: EmailAddress::parse(text(item, "invitee")?).ok()?,
        accepted_user_id: owned("acceptedUserId"),
        organization_id: owned("organizationId")?,
        stored_status: Status::parse_stored(text(item, "status")?)?,
        created_at: time(item, "createdAt")?,
        updated_at: time(item, "updatedAt")?,
        expires_at: time(item, "expiresAt")?,
        organization_roles: roles.collect::<Option<_>>()?,
    })
}

fn read_role(role: &AttributeValue) -> Option<OrganizationRole> {
    let role = role.as_m().ok()?;
    Some(OrganizationRole { id: text(role, "id")?.to_owned(), name: text(role, "name")?.to_owned() })
}

/// The row that makes an address a member: it keeps invitations out for good.
pub fn member_standing(invitation: &Invitation, user_id: &str) -> Item {
    member(standing_key(invitation), user_id)
}

/// The row with the key of a standing that says: a member.
pub fn member(standing_key: Item, user_id: &str) -> Item {
    let attributes = [("state", string(Standing::MEMBER)), ("userId", string(user_id))];
    let attributes = named(attributes);
    standing_key.into_iter().chain(attributes).collect()
}

/// The key of what the invitee of an invitation is to its organization.
pub fn standing_key(invitation: &Invitation) -> Item {
    let sk = keys::standing(&invitation.organization_id, &invitation.invitee.folded());
    Item::from(keys::primary(&invitation.tenant, sk))
}

/// The row that keeps a second invitation of the same address to the same organization out. It is of no use once the
/// invitation has expired.
pub fn pending_standing(invitation: &Invitation) -> Item {
    let mut item = standing_key(invitation);
    let attributes = [
        ("state", string(Standing::PENDING)),
        ("invitationId", string(invitation.id.as_str())),
        ("expiresAt", number(invitation.expires_at.as_millis())),
        (TTL, ttl(invitation.expires_at, 0)),
    ];
    item.extend(named(attributes));
    item
}

/// The moment of deletion: `seconds` after `time`, in epoch seconds.
pub fn ttl(time: Timestamp, seconds: i64) -> AttributeValue {
    number(time.as_secs_ceil().saturating_add(seconds))
}

/// Attributes with their names, as a row takes them.
pub(super) fn named<const N: usize>(attributes: [(&str, AttributeValue); N]) -> [(String, AttributeValue); N] {
    attributes.map(|(name, value)| (name.to_owned(), value))
}

/// A string attribute.
pub fn string(text: &str) -> AttributeValue {
    AttributeValue::S(text.to_owned())
}

/// A number attribute.
pub fn number(number: i64) -> AttributeValue {
    AttributeValue::N(number.to_string())
}

/// The text of the attribute `name`.
pub fn text<'a>(item: &'a Item, name: &str) -> Option<&'a str> {
    item.get(name).and_then(|value| value.as_s().ok()).map(String::as_str)
}

/// The moment in the attribute `name`, a number of milliseconds.
pub fn time(item: &Item, name: &str) -> Option<Timestamp> {
    item.get(name).and_then(millis)
}

/// The moment that a number attribute is, in milliseconds.
pub fn millis(value: &AttributeValue) -> Option<Timestamp> {
    value.as_n().ok()?.parse().ok().map(Timestamp::from_millis)
}

/// A row as JSON, for the rows that are read with serde. What is null, or binary, which nothing of ours is, is left out.
pub fn to_json(item: Item) -> Value {
    let fields = item.into_iter().map(|(name, value)| (name, attribute_to_json(value)));
    Value::Object(fields.filter(|(_, value)| !value.is_null()).collect())
}

/// JSON as the attributes of a row. Only an object has any.
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

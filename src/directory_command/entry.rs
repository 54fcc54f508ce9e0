//! One row of the directory as operators write it, and its rules.
//!
//! An unknown field is an error, because it is probably a typo.

mod connector;

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::{Map, Value};

use crate::{
    domain::{
        directory::{EmailConnector, Organization, OrganizationRole, User},
        email_address::EmailAddress,
        ids::DirectoryId,
        timestamp::Timestamp,
    },
    store::{
        directory_rows::{RowName, RowSet},
        members::Member,
    },
};

/// The kind of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Kind {
    /// An organization.
    Organization,
    /// A role that members can have.
    Role,
    /// A user.
    User,
    /// A member of an organization.
    Member,
    /// The email connector.
    Connector,
}

/// A valid row.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Entry {
    /// An organization.
    Organization(Organization),
    /// A role.
    Role(OrganizationRole),
    /// A user.
    User(User),
    /// A member.
    Member(Member),
    /// The email connector, its templates unchecked.
    Connector(Box<EmailConnector>),
}

/// The rules, with the settings that they depend on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rules {
    /// The longest identifier, in UTF-16 units.
    pub id_max_length: usize,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OrganizationFields {
    id: String,
    name: String,
    #[serde(default)]
    branding: Map<String, Value>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RoleFields {
    id: String,
    name: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct UserFields {
    id: String,
    name: Option<String>,
    primary_email: Option<String>,
    avatar: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct MemberFields {
    organization_id: String,
    user_id: String,
    email: String,
    #[serde(default)]
    organization_role_ids: Vec<String>,
    joined_at: Option<i64>,
}

impl Kind {
    /// The kind of the row `name`.
    pub(crate) fn of(name: &RowName) -> Self {
        match name {
            RowName::Organization(_) => Self::Organization,
            RowName::Role(_) => Self::Role,
            RowName::User(_) => Self::User,
            RowName::Member(..) => Self::Member,
            RowName::Connector => Self::Connector,
        }
    }

    /// The kind of the rows in `set`.
    pub(crate) fn of_all(set: &RowSet) -> Self {
        match set {
            RowSet::Organizations => Self::Organization,
            RowSet::Roles => Self::Role,
            RowSet::Users => Self::User,
            RowSet::Members(_) => Self::Member,
            RowSet::Connectors => Self::Connector,
        }
    }
}

impl Entry {
    /// The name of the row.
    pub(crate) fn name(&self) -> RowName {
        match self {
            Self::Organization(organization) => RowName::Organization(organization.id.clone()),
            Self::Role(role) => RowName::Role(role.id.clone()),
            Self::User(user) => RowName::User(user.id.clone()),
            Self::Member(member) => RowName::Member(member.organization_id.clone(), member.user_id.clone()),
            Self::Connector(_) => RowName::Connector,
        }
    }
}

impl Rules {
    /// Reads a row with its `kind` as a field.
    pub(crate) fn parse(self, json: &[u8]) -> Result<Entry, String> {
        let mut fields: Map<String, Value> = serde_json::from_slice(json).map_err(|error| describe(&error))?;
        let kind = fields.remove("kind").ok_or("missing field `kind`")?;
        let kind = Kind::deserialize(kind).map_err(|error| format!("kind: {}", describe(&error)))?;
        self.entry(kind, fields)
    }

    /// Reads the fields of a row of `kind`.
    pub(crate) fn entry(self, kind: Kind, fields: Map<String, Value>) -> Result<Entry, String> {
        match kind {
            Kind::Organization => self.organization(read(fields)?),
            Kind::Role => self.role(read(fields)?),
            Kind::User => self.user(read(fields)?),
            Kind::Member => self.member(read(fields)?),
            Kind::Connector => connector::read(fields),
        }
    }

    /// Parses an identifier; `field` is its name in the error.
    pub(crate) fn id(self, field: &str, id: &str) -> Result<DirectoryId, String> {
        let Self { id_max_length: max } = self;
        let rule =
            || format!("{field}: has to be 1 to {max} characters without `#` and control characters (ID_MAX_LENGTH)");
        DirectoryId::parse(id, max).ok_or_else(rule)
    }

    fn organization(self, OrganizationFields { id, name, branding }: OrganizationFields) -> Result<Entry, String> {
        let id = self.id("id", &id)?;
        not_empty("name", &name)?;
        Ok(Entry::Organization(Organization { id, name, branding }))
    }

    fn role(self, RoleFields { id, name }: RoleFields) -> Result<Entry, String> {
        let id = self.id("id", &id)?;
        not_empty("name", &name)?;
        Ok(Entry::Role(OrganizationRole { id, name }))
    }

    fn user(self, fields: UserFields) -> Result<Entry, String> {
        let UserFields { id, name, primary_email, avatar } = fields;
        let id = self.id("id", &id)?;
        if let Some(email) = &primary_email {
            address("primaryEmail", email)?;
        }
        Ok(Entry::User(User { id, name, primary_email, avatar }))
    }

    fn member(self, fields: MemberFields) -> Result<Entry, String> {
        let MemberFields { organization_id, user_id, email, organization_role_ids, joined_at } = fields;
        let organization_id = self.id("organizationId", &organization_id)?;
        let user_id = self.id("userId", &user_id)?;
        let organization_role_ids = organization_role_ids.iter().map(|id| self.id("organizationRoleIds", id));
        let organization_role_ids = organization_role_ids.collect::<Result<_, _>>()?;
        Ok(Entry::Member(Member {
            organization_id,
            user_id,
            email: address("email", &email)?,
            organization_role_ids,
            joined_at: joined_at.map(timestamp).transpose()?,
        }))
    }
}

fn read<T: DeserializeOwned>(fields: Map<String, Value>) -> Result<T, String> {
    T::deserialize(Value::Object(fields)).map_err(|error| describe(&error))
}

fn not_empty(field: &str, text: &str) -> Result<(), String> {
    if text.trim().is_empty() { Err(format!("{field}: is empty")) } else { Ok(()) }
}

fn address(field: &str, text: &str) -> Result<EmailAddress, String> {
    EmailAddress::parse(text).map_err(|_| format!("{field}: `{text}` is not an e-mail address that can be invited"))
}

fn timestamp(millis: i64) -> Result<Timestamp, String> {
    let timestamp = Timestamp::from_millis(millis);
    let possible = (Timestamp::from_millis(0)..=Timestamp::MAX).contains(&timestamp);
    possible.then_some(timestamp).ok_or_else(|| "joinedAt: must be a number of milliseconds since 1970".to_owned())
}

/// The text of serde's error. The position is kept only for invalid JSON.
fn describe(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let place = format!(" at line {} column {}", error.line(), error.column());
    match text.strip_suffix(&place) {
        Some(text) if error.is_data() => text.to_owned(),
        Some(text) => format!("not JSON: {text} (column {})", error.column()),
        None => text,
    }
}

//! The body of a create: the contract's body table, row by row.

use std::collections::BTreeSet;

use garde::{Report, Validate, error::Path};
use serde_json::{Value, value::RawValue};

use crate::{
    config::Config,
    domain::{
        email_address::{EmailAddress, EmailAddressError},
        ids::TenantId,
        invitation::NewInvitation,
        timestamp::Timestamp,
    },
    http::{
        body::{Field, MAX_ISSUES, Number, check_length, element, field, violation, wrong_type},
        error::{IssueCode, RequestError},
    },
    json::{Json, RawFields},
    mail::MessagePayload,
};

/// The maximum number of distinct roles of an invitation.
const MOST_ROLES: usize = 50;

/// The body with its fields, valid or not.
#[derive(Debug, Validate)]
#[garde(context(Config))]
pub(super) struct CreateBody {
    /// The inviter. An empty string means none, as null does.
    #[garde(custom(is_optional_id))]
    pub(super) inviter_id: Field<String>,
    /// The address of the invitee.
    #[garde(custom(is_address))]
    pub(super) invitee: Field<String>,
    /// The organization.
    #[garde(custom(is_id))]
    pub(super) organization_id: Field<String>,
    /// The time of expiry, in milliseconds since the epoch. The use case checks that it is in the future.
    #[garde(custom(is_timestamp))]
    pub(super) expires_at: Field<Number>,
    /// The roles that an acceptance grants.
    #[garde(dive)]
    pub(super) organization_role_ids: RoleIds,
    /// The request for an email, with its variables.
    #[garde(dive)]
    pub(super) message_payload: PayloadField,
}

/// `organizationRoleIds`: an array of strings, or absent.
#[derive(Debug)]
pub(in crate::http::operations) struct RoleIds(Field<Vec<Field<String>>>);

/// `messagePayload`: an object requests an email; `false` or no value does not.
#[derive(Debug)]
pub(super) enum PayloadField {
    /// No email.
    Unwanted,
    /// An email with these variables.
    Wanted(MessagePayload),
    /// A value of another type.
    Mistyped,
}

impl CreateBody {
    /// The keys, in the order of the contract's table.
    pub(super) const KEYS: [&str; 6] =
        ["inviterId", "invitee", "organizationId", "expiresAt", "organizationRoleIds", "messagePayload"];

    /// Reads the fields.
    ///
    /// # Errors
    /// An error for unreadable JSON. A wrong type is no error here.
    pub(super) fn read(fields: &RawFields<'_>) -> Result<Self, RequestError> {
        Ok(Self {
            inviter_id: field(fields, "inviterId", "string")?,
            invitee: field(fields, "invitee", "string")?,
            organization_id: field(fields, "organizationId", "string")?,
            expires_at: field(fields, "expiresAt", "number")?,
            organization_role_ids: RoleIds::read(fields)?,
            message_payload: PayloadField::read(fields)?,
        })
    }
}

impl CreateBody {
    /// The invitation that a valid body asks for.
    pub(super) fn into_new_invitation(self, tenant: &TenantId) -> NewInvitation {
        NewInvitation {
            tenant: tenant.clone(),
            inviter_id: self.inviter_id.into_value().filter(|id| !id.is_empty()),
            invitee: self.invitee.into_value().unwrap_or_default(),
            organization_id: self.organization_id.into_value().unwrap_or_default(),
            expires_at: self.expires_at.into_value().map_or(Timestamp::from_millis(0), Number::to_timestamp),
            organization_role_ids: self.organization_role_ids.into_distinct(),
        }
    }
}

impl RoleIds {
    pub(in crate::http::operations) fn read(fields: &RawFields<'_>) -> Result<Self, RequestError> {
        Ok(Self(match field::<Vec<&RawValue>>(fields, "organizationRoleIds", "array")? {
            Field::Present(entries) => {
                let entries = entries.into_iter().map(|entry| element(entry, "organizationRoleIds", "string"));
                Field::Present(entries.collect::<Result<_, _>>()?)
            }
            Field::Absent => Field::Absent,
            Field::Mistyped(found) => Field::Mistyped(found),
        }))
    }

    /// The distinct identifiers, sorted.
    pub(super) fn into_distinct(self) -> Vec<String> {
        self.into_present().unwrap_or_default()
    }

    /// The distinct identifiers, sorted, if the body has the key.
    pub(in crate::http::operations) fn into_present(self) -> Option<Vec<String>> {
        let entries = self.0.into_value()?.into_iter();
        Some(entries.filter_map(Field::into_value).collect::<BTreeSet<_>>().into_iter().collect())
    }
}

impl Validate for RoleIds {
    type Context = Config;

    fn validate_into(&self, _: &Config, parent: &mut dyn FnMut() -> Path, report: &mut Report) {
        let entries = match &self.0 {
            Field::Absent => return,
            Field::Mistyped(found) => return report.append(parent(), wrong_type("array", found)),
            Field::Present(entries) => entries,
        };
        let wrong = entries.iter().enumerate().filter_map(|(index, id)| Some((index, id.required("string").err()?)));
        wrong.take(MAX_ISSUES).for_each(|(index, error)| report.append(parent().join(index), error));
        let distinct: BTreeSet<&String> = entries.iter().filter_map(|id| id.required("string").ok()).collect();
        if distinct.len() > MOST_ROLES {
            let message = format!("Array must contain at most {MOST_ROLES} distinct elements");
            report.append(parent(), violation(IssueCode::TooBig, message));
        }
    }
}

impl PayloadField {
    fn read(fields: &RawFields<'_>) -> Result<Self, RequestError> {
        let Some(raw) = fields.get("messagePayload") else { return Ok(Self::Unwanted) };
        if raw.get() == "false" {
            return Ok(Self::Unwanted);
        }
        match element::<Json>(raw, "messagePayload", "object")? {
            Field::Present(Json(Value::Object(fields))) => Ok(Self::Wanted(MessagePayload(fields))),
            _ => Ok(Self::Mistyped),
        }
    }

    /// Takes the variables, if an email is requested.
    pub(super) fn take(&mut self) -> Option<MessagePayload> {
        match std::mem::replace(self, Self::Unwanted) {
            Self::Wanted(payload) => Some(payload),
            Self::Unwanted | Self::Mistyped => None,
        }
    }
}

impl Validate for PayloadField {
    type Context = Config;

    fn validate_into(&self, _: &Config, parent: &mut dyn FnMut() -> Path, report: &mut Report) {
        match self {
            Self::Unwanted => {}
            Self::Wanted(payload) => payload.validate_into(&(), parent, report),
            Self::Mistyped => report.append(parent(), violation(IssueCode::InvalidUnion, "Expected object or false")),
        }
    }
}

fn is_optional_id(inviter_id: &Field<String>, config: &Config) -> garde::Result {
    match inviter_id {
        Field::Absent | Field::Mistyped("null") => Ok(()),
        given => check_length(given.required("string")?, config.id_max_length),
    }
}

fn is_id(organization_id: &Field<String>, config: &Config) -> garde::Result {
    let id = organization_id.required("string")?;
    if id.is_empty() {
        return Err(violation(IssueCode::TooSmall, "String must contain at least 1 character"));
    }
    check_length(id, config.id_max_length)
}

/// Accepts an address that is only too long: the use case reports that with a status of its own.
fn is_address(invitee: &Field<String>, _: &Config) -> garde::Result {
    match EmailAddress::parse(invitee.required("string")?) {
        Ok(_) | Err(EmailAddressError::TooLong) => Ok(()),
        Err(EmailAddressError::Malformed) => Err(violation(IssueCode::InvalidString, "Invalid email")),
    }
}

pub(in crate::http::operations) fn is_timestamp(expires_at: &Field<Number>, _: &Config) -> garde::Result {
    if expires_at.required("number")?.to_timestamp() > Timestamp::MAX {
        let most = Timestamp::MAX.as_millis();
        return Err(violation(IssueCode::TooBig, format_args!("Number must be at most {most}")));
    }
    Ok(())
}

//! The body of a create: the contract's body table, row by row.

use garde::Validate;

use crate::{
    config::Config,
    domain::{ids::TenantId, invitation::NewInvitation, message_payload::MessagePayload, timestamp::Timestamp},
    http::{
        body::{
            Field, Number, array, at_most_distinct, distinct, email, field, message_payload, object_or_false, typed,
        },
        error::RequestError,
    },
    json::RawFields,
};

/// The maximum number of distinct roles of an invitation.
pub(in crate::http::operations) const MAX_ROLES: usize = 50;

/// The body with its fields, valid or not.
#[derive(Debug, Validate)]
#[garde(context(Config as config))]
pub(super) struct CreateBody {
    /// The inviter. An empty string means none, as null does.
    #[garde(custom(typed), length(utf16, max = config.id_max_length))]
    inviter_id: Field<Option<String>>,
    /// The address of the invitee.
    #[garde(required, custom(typed), custom(email))]
    invitee: Field<String>,
    /// The organization.
    #[garde(required, custom(typed), length(utf16, min = 1, max = config.id_max_length))]
    organization_id: Field<String>,
    /// The time of expiry, in milliseconds since the epoch. The use case checks that it is in the future.
    #[garde(required, custom(typed), range(max = Timestamp::MAX.as_millis()))]
    expires_at: Field<Number>,
    /// The roles that an acceptance grants.
    #[garde(custom(typed), inner(custom(typed)), custom(at_most_distinct(MAX_ROLES)))]
    organization_role_ids: Field<Vec<Field<String>>>,
    /// The request for an email, with its variables.
    #[garde(custom(object_or_false), dive)]
    message_payload: Field<MessagePayload>,
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
            inviter_id: field(fields, "inviterId")?,
            invitee: field(fields, "invitee")?,
            organization_id: field(fields, "organizationId")?,
            expires_at: field(fields, "expiresAt")?,
            organization_role_ids: array(fields, "organizationRoleIds")?,
            message_payload: message_payload(fields)?,
        })
    }

    /// The invitation of a valid body, and the variables of its email if it requests one.
    pub(super) fn into_parts(self, tenant: &TenantId) -> (NewInvitation, Option<MessagePayload>) {
        let new = NewInvitation {
            tenant: tenant.clone(),
            inviter_id: self.inviter_id.into_value().flatten().filter(|id| !id.is_empty()),
            invitee: self.invitee.into_value().unwrap_or_default(),
            organization_id: self.organization_id.into_value().unwrap_or_default(),
            expires_at: self.expires_at.into_value().map_or(Timestamp::from_millis(0), Number::to_timestamp),
            organization_role_ids: self.organization_role_ids.into_value().map(distinct).unwrap_or_default(),
        };
        (new, self.message_payload.into_value())
    }
}

//! `PATCH /api/organization-invitations/{id}`: change a pending invitation.

use garde::Validate;
use lambda_http::{
    Body,
    http::{Response, StatusCode},
};

use super::{Request, create::MAX_ROLES};
use crate::{
    app::App,
    config::Config,
    domain::{ids::InvitationId, invitation::InvitationChange, timestamp::Timestamp},
    http::{
        body::{Field, Number, array, at_most_distinct, distinct, field, fields, typed, validate},
        error::{Issue, IssueCode, RequestError},
        response::json_response,
    },
    invitations::{self, InvitationKey},
    json::RawFields,
};

/// Changes the invitation with that identifier, if it is pending.
pub(crate) async fn change(
    app: &App,
    request: &Request<'_>,
    id: Option<&InvitationId>,
) -> Result<Response<Body>, RequestError> {
    let body = ChangeBody::read(&fields(request.event)?)?;
    let body = validate(body, &app.config, &ChangeBody::KEYS)?.into_inner();
    let clock = request.clock;
    let change = body.into_change().checked(clock.now)?;
    let key = InvitationKey::new(&request.caller.tenant, id)?;
    let changed = invitations::change(app, key, &change, clock).await?;
    Ok(json_response(StatusCode::OK, &changed.entity(clock.now)))
}

/// The body with its fields, valid or not.
#[derive(Debug, Validate)]
#[garde(context(Config))]
struct ChangeBody {
    /// The new time of expiry, in milliseconds since the epoch. The use case checks that it is in the future.
    #[garde(custom(typed), range(max = Timestamp::MAX.as_millis()))]
    expires_at: Field<Number>,
    /// The new roles that an acceptance grants.
    #[garde(custom(typed), inner(custom(typed)), custom(at_most_distinct(MAX_ROLES)))]
    organization_role_ids: Field<Vec<Field<String>>>,
}

impl ChangeBody {
    /// The keys, in the documented order.
    const KEYS: [&str; 2] = ["expiresAt", "organizationRoleIds"];

    /// Reads the fields.
    ///
    /// # Errors
    /// An error for unreadable JSON and for a body with none of the fields. A wrong type is no error here.
    fn read(fields: &RawFields<'_>) -> Result<Self, RequestError> {
        if !Self::KEYS.iter().any(|key| fields.contains_key(*key)) {
            return Err(RequestError::InvalidBody { issues: vec![no_field()] });
        }
        Ok(Self {
            expires_at: field(fields, "expiresAt")?,
            organization_role_ids: array(fields, "organizationRoleIds")?,
        })
    }

    fn into_change(self) -> InvitationChange {
        InvitationChange {
            expires_at: self.expires_at.into_value().map(Number::to_timestamp),
            organization_role_ids: self.organization_role_ids.into_value().map(distinct),
        }
    }
}

/// The violation of a body with neither field. Has zod's code for a union of two objects, each with one required field.
fn no_field() -> Issue {
    let message = "Expected expiresAt, organizationRoleIds or both".to_owned();
    Issue { code: IssueCode::InvalidUnion, path: vec![], message }
}

//! `PUT /api/organization-invitations/{id}/status`: accept or revoke an invitation.

use garde::Validate;
use lambda_http::{
    Body,
    http::{Response, StatusCode},
};

use super::Request;
use crate::{
    app::App,
    config::Config,
    domain::ids::InvitationId,
    http::{
        body::{Field, either, field, fields, typed, validate},
        error::RequestError,
        response::json_response,
    },
    invitations::{InvitationKey, end},
    json::RawFields,
};

/// Accepts or revokes the invitation with that identifier.
pub(crate) async fn set_status(
    app: &App,
    request: &Request<'_>,
    id: Option<&InvitationId>,
) -> Result<Response<Body>, RequestError> {
    let body = validate(StatusBody::read(&fields(request.event)?)?, &app.config, &StatusBody::KEYS)?.into_inner();
    let (tenant, clock) = (&request.caller.tenant, request.clock);
    let changed = if body.sets("Accepted") {
        let user_id = body.accepted_user_id.into_value().flatten().filter(|id| !id.is_empty());
        let user_id = user_id.ok_or(RequestError::NoAcceptingUser)?;
        end::accept(app, InvitationKey::new(tenant, id)?, &user_id, clock).await?
    } else {
        end::revoke(app, InvitationKey::new(tenant, id)?, clock).await?
    };
    Ok(json_response(StatusCode::OK, &changed.entity(clock.now)))
}

/// The body with its fields, valid or not.
#[derive(Debug, Validate)]
#[garde(context(Config as config))]
struct StatusBody {
    #[garde(required, custom(typed), custom(either("Accepted", "Revoked")))]
    status: Field<String>,
    /// The user of an acceptance. A revocation ignores the field, even a wrong type.
    #[garde(if(cond = !self.sets("Revoked"), custom(typed), length(utf16, max = config.id_max_length)))]
    accepted_user_id: Field<Option<String>>,
}

impl StatusBody {
    const KEYS: [&str; 2] = ["status", "acceptedUserId"];

    fn read(fields: &RawFields<'_>) -> Result<Self, RequestError> {
        Ok(Self { status: field(fields, "status")?, accepted_user_id: field(fields, "acceptedUserId")? })
    }

    fn sets(&self, status: &str) -> bool {
        self.status.value().is_some_and(|value| value == status)
    }
}

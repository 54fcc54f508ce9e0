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
    domain::{ids::InvitationId, token::TokenHash},
    http::{
        body::{Field, either, field, fields, typed, validate},
        error::RequestError,
        response::json_response,
    },
    invitations::{
        InvitationKey,
        end::{self, Acceptance, Proof},
        find,
    },
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
        let user_id = &user_id.ok_or(RequestError::NoAcceptingUser)?;
        let presented = body.token.value().map(|token| TokenHash::of(token));
        let acceptance = Acceptance { user_id, proof: presented.map_or(Proof::Directory, Proof::Token) };
        let found = find::get(app, InvitationKey::new(tenant, id)?, clock).await?;
        end::accept(app, found, acceptance, clock).await?
    } else {
        let found = find::get(app, InvitationKey::new(tenant, id)?, clock).await?;
        end::revoke(app, found, clock).await?
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
    /// The token of the invitation's latest message. A revocation ignores it too.
    #[garde(if(cond = !self.sets("Revoked"), custom(typed)))]
    token: Field<String>,
}

impl StatusBody {
    const KEYS: [&str; 3] = ["status", "acceptedUserId", "token"];

    fn read(fields: &RawFields<'_>) -> Result<Self, RequestError> {
        Ok(Self {
            status: field(fields, "status")?,
            accepted_user_id: field(fields, "acceptedUserId")?,
            token: field(fields, "token")?,
        })
    }

    fn sets(&self, status: &str) -> bool {
        self.status.value().is_some_and(|value| value == status)
    }
}

//! `POST /api/organization-invitations/{id}/token/verify`: read an invitation by the token in its message.

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
        body::{Field, field, fields, typed, validate},
        error::RequestError,
        response::json_response,
    },
    invitations::{InvitationKey, token},
};

/// Reads the invitation with that identifier, if the token is that of its latest message.
pub(crate) async fn verify(
    app: &App,
    request: &Request<'_>,
    id: Option<&InvitationId>,
) -> Result<Response<Body>, RequestError> {
    let body = TokenBody { token: field(&fields(request.event)?, "token")? };
    let body = validate(body, &app.config, &["token"])?.into_inner();
    let presented = TokenHash::of(&body.token.into_value().unwrap_or_default());
    let key = InvitationKey::new(&request.caller.tenant, id)?;
    let invitation = token::verify(app, key, presented, request.clock).await?;
    Ok(json_response(StatusCode::OK, &invitation.entity(request.clock.now)))
}

/// The body with its field, valid or not.
#[derive(Debug, Validate)]
#[garde(context(Config))]
struct TokenBody {
    #[garde(required, custom(typed))]
    token: Field<String>,
}

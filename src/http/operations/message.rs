//! `POST /api/organization-invitations/{id}/message`: mail an invitation again.

use lambda_http::{Body, http::Response};

use super::Request;
use crate::{
    app::App,
    domain::ids::InvitationId,
    http::{
        body::{TEXT_KEYS, fields, object, validate},
        error::RequestError,
        response::no_content,
    },
    invitations::{InvitationKey, resend},
    mail::MessagePayload,
};

/// Mails the invitation with that identifier, if it is pending.
pub(crate) async fn message(
    app: &App,
    request: &Request<'_>,
    id: Option<&InvitationId>,
) -> Result<Response<Body>, RequestError> {
    let payload = MessagePayload(object(&fields(request.event)?)?);
    let payload = validate(payload, &app.config, &TEXT_KEYS)?.into_inner();
    resend(app, InvitationKey::new(&request.caller.tenant, id)?, &payload, request.clock).await?;
    Ok(no_content())
}

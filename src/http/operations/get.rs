//! `GET /api/organization-invitations/{id}`: read an invitation.

use lambda_http::{
    Body,
    http::{Response, StatusCode},
};

use super::Request;
use crate::{
    app::App,
    domain::ids::InvitationId,
    http::{error::RequestError, response::json_response},
    invitations::{InvitationKey, find},
};

/// Reads the invitation with that identifier.
pub(crate) async fn get(
    app: &App,
    request: &Request<'_>,
    id: Option<&InvitationId>,
) -> Result<Response<Body>, RequestError> {
    let key = InvitationKey::new(&request.caller.tenant, id)?;
    let invitation = find::get(app, key, request.clock).await?;
    Ok(json_response(StatusCode::OK, &invitation.entity(request.clock.now)))
}

//! `GET /api/organization-invitations/{id}`: read an invitation.

use lambda_http::{
    Body,
    http::{Response, StatusCode},
};

use super::{Request, find, json_response};
use crate::{app::{App}, domain::{error::{Error}, ids::{InvitationId}}};

/// Reads the invitation with that identifier.
pub async fn get(app: &App, request: &Request<'_>, id: Option<&InvitationId>) -> Result<Response<Body>, Error> {
    let invitation = find(app, request, id).await?;
    Ok(json_response(StatusCode::OK, &invitation.entity(request.moment.now)))
}

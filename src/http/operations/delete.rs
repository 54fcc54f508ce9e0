//! `DELETE /api/organization-invitations/{id}`: delete an invitation in any status.

use lambda_http::{Body, http::Response};

use super::Request;
use crate::{
    app::App,
    domain::ids::InvitationId,
    http::{error::RequestError, response::no_content},
    invitations::{InvitationKey, end},
};

/// Deletes the invitation with that identifier, so that its invitee can be invited again.
pub(crate) async fn delete(
    app: &App,
    request: &Request<'_>,
    id: Option<&InvitationId>,
) -> Result<Response<Body>, RequestError> {
    end::delete(app, InvitationKey::new(&request.caller.tenant, id)?, request.clock).await?;
    Ok(no_content())
}

//! `DELETE /api/organization-invitations/{id}`: delete an invitation, in whatever status.

use lambda_http::{Body, http::Response};

use super::{Request, no_content};
use crate::{app::{App}, domain::{error::{Error}, ids::{InvitationId}}};

/// Deletes the invitation with that identifier, which frees its invitee for another.
pub async fn delete(app: &App, request: &Request<'_>, id: Option<&InvitationId>) -> Result<Response<Body>, Error> {
    let id = id.ok_or(Error::UnknownInvitation)?;
    if app.store.delete_invitation(&request.caller.tenant, id, request.moment).await? {
        Ok(no_content())
    } else {
        Err(Error::UnknownInvitation)
    }
}

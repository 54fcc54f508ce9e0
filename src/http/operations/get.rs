//! `GET /api/organization-invitations/{id}`: read an invitation.

use lambda_http::{
    Body,
    http::{Response, StatusCode},
};

use super::Request;
use crate::{
    app::App,
    domain::ids::InvitationId,
    http::{
        error::RequestError,
        include::{self, Include, delivery_member},
        response::{json_text_response, to_json},
    },
    invitations::{InvitationKey, delivery, find},
};

/// Reads the invitation with that identifier, with the delivery of its message if `include` names it.
pub(crate) async fn get(
    app: &App,
    request: &Request<'_>,
    id: Option<&InvitationId>,
) -> Result<Response<Body>, RequestError> {
    let (query, clock) = (&request.event.query, request.clock);
    query.check_single(&[include::PARAMETER])?;
    let include = Include::read(query)?;
    let key = InvitationKey::new(&request.caller.tenant, id)?;
    let invitation = find::get(app, key, clock).await?;
    let mut json = to_json(&invitation.entity(clock.now));
    if include.delivery {
        let deliveries = delivery::of(app, key.tenant, [key.id].into_iter(), clock).await?;
        json.insert_str(json.len() - 1, &delivery_member(deliveries.get(key.id)));
    }
    Ok(json_text_response(StatusCode::OK, json))
}

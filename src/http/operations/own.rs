//! `/api/my-account/organization-invitations`: a person lists their pending invitations, and accepts or declines one.

use garde::Validate;
use lambda_http::{
    Body,
    http::{Response, StatusCode},
};
use serde::Serialize;

use super::Request;
use crate::{
    app::App,
    config::Config,
    domain::{ids::InvitationId, invitation::Invitation},
    http::{
        body::{Field, either, field, fields, typed, validate},
        error::RequestError,
        response::{json_response, json_text_response, to_json},
    },
    invitations::{
        end::{self, Acceptance, Proof},
        own,
    },
    json::escaped_length,
};

/// The size of the entities after which no more are read, in bytes after escaping as a JSON string. Lambda's limit is
/// 6 MB for the whole response.
const MAX_ENTITIES_BYTES: usize = 3 << 20;

/// The maximum size of the list including the organizations, in bytes after escaping.
const MAX_LIST_BYTES: usize = 5 << 20;

/// Lists the person's pending invitations, newest first, each with its organization. Omits the oldest if the response
/// would be too long; they appear after the person has decided on newer ones.
pub(crate) async fn list(app: &App, request: &Request<'_>) -> Result<Response<Body>, RequestError> {
    let (person, clock) = (request.caller.person()?, request.clock);
    let (mut entities, mut bytes) = (Vec::new(), 0);
    let take = |invitation: &Invitation| {
        let entity = to_json(&invitation.entity(clock.now));
        bytes += escaped_length(&entity);
        entities.push((invitation.organization_id.clone(), entity));
        bytes <= MAX_ENTITIES_BYTES
    };
    own::pending(app, person, clock, take).await?;
    let ids = entities.iter().map(|(organization_id, _)| organization_id.as_str()).collect();
    let names = own::organization_names(app, person, ids, clock).await?;
    let entities = entities.into_iter().map(|(id, mut entity)| {
        let organization = to_json(&Organization { id: id.as_str(), name: &names[id.as_str()] });
        entity.insert_str(entity.len() - 1, &format!(r#","organization":{organization}"#));
        entity
    });
    let mut sent = 0;
    let fitting = entities.take_while(|entity| {
        sent += escaped_length(entity);
        sent <= MAX_LIST_BYTES
    });
    Ok(json_text_response(StatusCode::OK, format!("[{}]", fitting.collect::<Vec<_>>().join(","))))
}

/// Accepts or declines the person's invitation with that identifier.
pub(crate) async fn set_status(
    app: &App,
    request: &Request<'_>,
    id: Option<&InvitationId>,
) -> Result<Response<Body>, RequestError> {
    let (person, clock) = (request.caller.person()?, request.clock);
    let body = OwnStatusBody { status: field(&fields(request.event)?, "status")? };
    let body = validate(body, &app.config, &["status"])?.into_inner();
    let found = own::get(app, person, id, clock).await?;
    let changed = if body.status.value().is_some_and(|status| status == "Accepted") {
        let acceptance = Acceptance { user_id: person.user_id.as_str(), proof: Proof::Invitee };
        end::accept(app, found, acceptance, clock).await?
    } else {
        end::revoke(app, found, clock).await?
    };
    Ok(json_response(StatusCode::OK, &changed.entity(clock.now)))
}

/// The organization of an invitation, as a person sees it.
#[derive(Debug, Serialize)]
struct Organization<'a> {
    id: &'a str,
    name: &'a str,
}

/// The body with its field, valid or not.
#[derive(Debug, Validate)]
#[garde(context(Config))]
struct OwnStatusBody {
    #[garde(required, custom(typed), custom(either("Accepted", "Revoked")))]
    status: Field<String>,
}

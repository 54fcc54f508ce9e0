//! `POST /api/organization-invitations`: create an invitation, and mail it on request.

mod body;

use lambda_http::{
    Body,
    http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode},
};

use self::body::CreateBody;
pub(super) use self::body::MAX_ROLES;
use super::Request;
use crate::{
    app::App,
    config::Config,
    domain::{
        idempotency::{IdempotencyKey, IdempotentRequest},
        ids::TenantId,
        invitation::NewInvitation,
    },
    http::{
        body::{fields, validate},
        error::RequestError,
        response::{json_response, json_text_response},
    },
    invitations::{self, CreateOutcome, create::CreateRequest},
    json::RawFields,
    mail::MessagePayload,
};

/// The request header that carries an idempotency key.
const IDEMPOTENCY_KEY: &str = "idempotency-key";

/// The response header of a replay.
const REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");

/// Creates an invitation.
pub(crate) async fn create(app: &App, request: &Request<'_>) -> Result<Response<Body>, RequestError> {
    let key = idempotency_key(&request.event.headers)?;
    let fields = fields(request.event)?;
    let idempotent = key.map(|key| IdempotentRequest::new(&request.caller.subject, &key, &fields));
    let (new, payload) = parse(&fields, &request.caller.tenant, &app.config)?;
    let clock = request.clock;
    let (payload, idempotent) = (payload.as_ref(), idempotent.as_ref());
    let create = CreateRequest { new, payload, idempotent, clock, bulk: None };
    match invitations::create(app, create).await? {
        CreateOutcome::Created(invitation) => Ok(json_response(StatusCode::CREATED, &invitation.entity(clock.now))),
        CreateOutcome::Replayed(entity) => Ok(replayed(entity)),
    }
}

/// Parses and validates the body of a create: the invitation, and the variables of its email if one is requested.
pub(super) fn parse(
    fields: &RawFields<'_>,
    tenant: &TenantId,
    config: &Config,
) -> Result<(NewInvitation, Option<MessagePayload>), RequestError> {
    Ok(validate(CreateBody::read(fields)?, config, &CreateBody::KEYS)?.into_inner().into_parts(tenant))
}

/// Reads the idempotency key of a request.
pub(super) fn idempotency_key(headers: &HeaderMap) -> Result<Option<IdempotencyKey>, RequestError> {
    let value = headers.get(IDEMPOTENCY_KEY);
    value.map(|value| IdempotencyKey::parse(value.as_bytes()).ok_or(RequestError::InvalidIdempotencyKey)).transpose()
}

fn replayed(entity: String) -> Response<Body> {
    let mut response = json_text_response(StatusCode::CREATED, entity);
    response.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
    response
}

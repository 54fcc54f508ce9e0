//! `POST /api/organization-invitations/bulk`: create many invitations in one call.

use std::{collections::BTreeMap, iter::zip};

use lambda_http::{
    Body,
    http::{Response, StatusCode},
};
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};

use super::{
    Request,
    create::{idempotency_key, parse},
};
use crate::{
    app::App,
    domain::{
        error::Error,
        idempotency::{IdempotencyKey, IdempotentRequest},
    },
    http::{
        body::{Field, field, fields, object_fields},
        error::{Issue, IssueCode, PathSegment, RequestError},
        response::{json_response, to_json},
    },
    invitations::{self, CreateOutcome, bulk::BulkItem},
    json::{RawFields, escaped_length},
    telemetry::statistics,
};

/// The maximum number of invitations in one call.
const MAX_ITEMS: usize = 100;

/// The key of the body.
const INVITATIONS: &str = "invitations";

/// The maximum size of the failures in a response, in bytes of JSON escaped within the function's response. Lambda
/// limits the whole response to 6 MB, of which the invitations may take 4 MB. Failures can be large because they repeat
/// the request.
const MAX_FAILURE_BYTES: usize = 2_000_000;

/// The response: the results in the order of the request.
#[derive(Debug, Serialize)]
struct Results {
    results: Vec<ItemResult>,
}

/// The result of one invitation: the response of a single create.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct ItemResult {
    status: u16,
    body: Box<RawValue>,
    /// The seconds of the `Retry-After` header.
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after: Option<u64>,
    /// `true` in place of the `Idempotent-Replayed` header of a single create.
    #[serde(skip_serializing_if = "Option::is_none")]
    replayed: Option<bool>,
}

/// Creates the invitations of the body. Each succeeds or fails alone.
pub(crate) async fn bulk(app: &App, request: &Request<'_>) -> Result<Response<Body>, RequestError> {
    let key = idempotency_key(&request.event.headers)?;
    let fields = fields(request.event)?;
    // By position. An item whose body is invalid does not reach the use case.
    let (mut positions, mut valid, mut results) = (Vec::new(), Vec::new(), BTreeMap::new());
    for (position, raw) in items(&fields)?.into_iter().enumerate() {
        match read_item(app, request, raw, key.as_ref()) {
            Ok(item) => {
                positions.push(position);
                valid.push(item);
            }
            Err(error) => drop(results.insert(position, Err(error))),
        }
    }
    let outcomes = invitations::bulk::create_all(app, &valid, request.clock).await;
    results.extend(zip(positions, outcomes.into_iter().map(|outcome| outcome.map_err(RequestError::from))));
    let mut bytes_left = MAX_FAILURE_BYTES;
    let results = results.values().map(|result| item_result(result, request, &mut bytes_left)).collect();
    Ok(json_response(StatusCode::OK, &Results { results }))
}

/// The raw items of the body.
fn items<'a>(fields: &RawFields<'a>) -> Result<Vec<&'a RawValue>, RequestError> {
    let (code, message) = match field::<Vec<&RawValue>>(fields, INVITATIONS)? {
        Field::Absent => (IssueCode::InvalidType, "Required".to_owned()),
        Field::Mistyped(found) => (IssueCode::InvalidType, format!("Expected array, received {found}")),
        Field::Present(items) if items.is_empty() => {
            (IssueCode::TooSmall, "Array must contain at least 1 element".to_owned())
        }
        Field::Present(items) if items.len() > MAX_ITEMS => {
            (IssueCode::TooBig, format!("Array must contain at most {MAX_ITEMS} elements"))
        }
        Field::Present(items) => return Ok(items),
    };
    let path = vec![PathSegment::Key(INVITATIONS.to_owned())];
    Err(RequestError::InvalidBody { issues: vec![Issue { code, path, message }] })
}

/// Reads an item as the body of a single create.
fn read_item(
    app: &App,
    request: &Request<'_>,
    raw: &RawValue,
    key: Option<&IdempotencyKey>,
) -> Result<BulkItem, RequestError> {
    let fields = object_fields(raw.get())?;
    let (new, payload) = parse(&fields, &request.caller.tenant, &app.config)?;
    let idempotent = key.map(|key| {
        let invitee = new.invitee.to_ascii_lowercase();
        IdempotentRequest::of_item(&request.caller.subject, key, [&new.organization_id, &invitee], &fields)
    });
    Ok(BulkItem { new, payload, idempotent })
}

fn item_result(
    result: &Result<CreateOutcome, RequestError>,
    request: &Request<'_>,
    bytes_left: &mut usize,
) -> ItemResult {
    let error = result.as_ref().err();
    let (status, body) = match result {
        Ok(CreateOutcome::Created(invitation)) => (StatusCode::CREATED, to_json(&invitation.entity(request.clock.now))),
        Ok(CreateOutcome::Replayed(entity)) => (StatusCode::CREATED, entity.clone()),
        Err(error) => (error.status_and_code().0, failure(error, bytes_left)),
    };
    statistics::item(error.and_then(RequestError::use_case), error.is_some());
    ItemResult {
        status: status.as_u16(),
        body: raw(&body),
        retry_after: error.and_then(RequestError::use_case).and_then(Error::retry_after),
        replayed: matches!(result, Ok(CreateOutcome::Replayed(_))).then_some(true),
    }
}

/// The body of a failure. Without its data and details if they exceed `bytes_left`, the bytes left for failures.
fn failure(error: &RequestError, bytes_left: &mut usize) -> String {
    let json = to_json(&error.body());
    match bytes_left.checked_sub(escaped_length(&json)) {
        Some(left) => {
            *bytes_left = left;
            json
        }
        None => to_json(&error.body().without_details()),
    }
}

/// Wraps a JSON text. Encodes a text that is not JSON as a string: another program may have written a replayed record.
fn raw(json: &str) -> Box<RawValue> {
    let value = serde_json::from_str(json).or_else(|_| to_raw_value(json));
    value.unwrap_or_else(|_| RawValue::NULL.to_owned())
}

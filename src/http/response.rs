//! Constructors of responses.

use lambda_http::{
    Body,
    http::{HeaderValue, Response, StatusCode, header::CONTENT_TYPE},
};
use serde::Serialize;

/// A JSON response.
///
/// # Panics
/// Never: the bodies have string keys, and none of their values fails to serialize.
pub(super) fn json_response(status: StatusCode, body: &impl Serialize) -> Response<Body> {
    json_text_response(status, to_json(body))
}

/// The JSON of a response.
///
/// # Panics
/// As [`json_response`].
pub(super) fn to_json(body: &impl Serialize) -> String {
    serde_json::to_string(body).expect("responses have string keys")
}

/// A response with a body that is JSON already.
pub(super) fn json_text_response(status: StatusCode, json: String) -> Response<Body> {
    let mut response = Response::new(Body::Text(json));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json; charset=utf-8"));
    response
}

/// A response without a body.
pub(super) fn no_content() -> Response<Body> {
    let mut response = Response::new(Body::Empty);
    *response.status_mut() = StatusCode::NO_CONTENT;
    response
}

//! The operations of the API, one file for each, and what they have in common.

pub mod create;

use lambda_http::{
    Body,
    http::{HeaderValue, Response, StatusCode, header::CONTENT_TYPE},
};
use serde::Serialize;

use crate::{caller::Caller, event::Event, timestamp::Moment};

/// A request that has been let in.
#[derive(Debug)]
pub struct Request<'a> {
    /// Who is asking.
    pub caller: Caller,
    /// What API Gateway handed over.
    pub event: &'a Event,
    /// When.
    pub moment: Moment,
}

/// A JSON response.
///
/// # Panics
/// Never: what is answered has texts for keys, and nothing in it fails to serialize.
pub fn json_response(status: StatusCode, body: &impl Serialize) -> Response<Body> {
    let json = serde_json::to_string(body).expect("answers have texts for keys");
    let mut response = Response::new(Body::Text(json));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json; charset=utf-8"));
    response
}

//! The HTTP API in front of the function: HTTP request → event → handler → HTTP response.
//!
//! It behaves like API Gateway with an HTTP API, payload format 2.0, a `$default` route and a JWT authorizer, so that
//! the function sees no difference. With origins for CORS it also has a route `OPTIONS /{proxy+}` without the authorizer.

mod event;

use std::{sync::Arc, time::Duration};

use axum::{
    Json, Router,
    body::{Body, to_bytes},
    extract::{Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header},
    response::{IntoResponse, Response},
};
use base64::{Engine, prelude::BASE64_STANDARD};
use serde_json::{Value, json};

use self::event::Received;
use super::{
    cors::Cors,
    issuer::{self, Claims},
};
use crate::{app::App, clock::RequestClock, domain::timestamp::Timestamp, http};

/// API Gateway's limit of a request body, in bytes.
const MAX_BODY_BYTES: usize = 10 * 1024 * 1024;
/// The time that API Gateway waits for a response.
const PATIENCE: Duration = Duration::from_secs(29);

/// The function, and the origins whose pages may call it.
#[derive(Clone)]
struct Api {
    app: Arc<App>,
    cors: Cors,
}

/// Routes requests to `pages`, and all others to the function.
pub(crate) fn router(app: Arc<App>, cors: Cors, pages: Router) -> Router {
    Router::new().merge(pages.with_state(())).fallback(forward).with_state(Api { app, cors })
}

async fn forward(State(Api { app, cors }): State<Api>, request: Request) -> Response {
    let now = Timestamp::now();
    if let Some(response) = cors.preflight(request.method(), request.headers()) {
        return response;
    }
    let has_authorizer = !(cors.is_on() && is_of_options_route(&request));
    let claims = has_authorizer.then(|| authorize(request.headers(), now)).transpose();
    let claims = match claims {
        Ok(claims) => claims,
        Err(reason) => return unauthorized(reason),
    };
    let (parts, body) = request.into_parts();
    let Ok(body) = to_bytes(body, MAX_BODY_BYTES).await else {
        return message(StatusCode::PAYLOAD_TOO_LARGE, "Request Entity Too Large");
    };
    let request_id = request_id(now);
    let received = Received { parts: &parts, body: &body, claims: claims.as_ref(), id: &request_id, at: now };
    let event = event::event(&received);
    let output = http::handle(&app, &event.to_string(), RequestClock::with_budget(PATIENCE)).await;
    let output = serde_json::to_value(&output).ok().as_ref().and_then(response);
    let mut response = output.unwrap_or_else(|| message(StatusCode::INTERNAL_SERVER_ERROR, "Internal Server Error"));
    if let Ok(id) = HeaderValue::try_from(request_id) {
        response.headers_mut().insert("apigw-requestid", id);
    }
    cors.apply(&parts.headers, &mut response);
    response
}

/// Returns `true` for requests of the route `OPTIONS /{proxy+}`, which the template adds to an API with CORS.
fn is_of_options_route(request: &Request) -> bool {
    request.method() == Method::OPTIONS && request.uri().path() != "/"
}

/// The reason of a 401 response to a request without a token.
const NO_TOKEN: &str = "there is no Authorization header";

/// The claims of the bearer token, or the reason of the 401 response.
fn authorize(headers: &HeaderMap, now: Timestamp) -> Result<Claims, &'static str> {
    let authorization = headers.get(header::AUTHORIZATION).ok_or(NO_TOKEN)?;
    let token = authorization.to_str().ok().and_then(|text| text.split_once(' '));
    let token = token.filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer")).map(|(_, token)| token.trim());
    issuer::verify(token.unwrap_or_default(), now)
}

/// API Gateway tells the reason in a header only, so the log tells it too.
fn unauthorized(reason: &str) -> Response {
    tracing::info!(reason, "401 Unauthorized");
    let mut response = message(StatusCode::UNAUTHORIZED, "Unauthorized");
    if let Ok(challenge) = HeaderValue::from_str(&challenge(reason)) {
        response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
    }
    response
}

fn challenge(reason: &str) -> String {
    match reason {
        NO_TOKEN => "Bearer".to_owned(),
        reason => format!(r#"Bearer scope="" error="invalid_token" error_description="{reason}""#),
    }
}

/// A response of API Gateway itself.
fn message(status: StatusCode, message: &str) -> Response {
    (status, Json(json!({ "message": message }))).into_response()
}

/// A request id like API Gateway's: sixteen characters of base64.
fn request_id(now: Timestamp) -> String {
    let mut bytes = [0; 11];
    if getrandom::fill(&mut bytes).is_err() {
        bytes[..8].copy_from_slice(&now.as_millis().to_be_bytes());
    }
    BASE64_STANDARD.encode(bytes)
}

/// The function's output as an HTTP response; `None` for an output that API Gateway would reject.
fn response(output: &Value) -> Option<Response> {
    let status = u16::try_from(output.get("statusCode")?.as_u64()?).ok()?;
    let mut response = Response::new(Body::from(body(output)?));
    *response.status_mut() = StatusCode::from_u16(status).ok()?;
    for (name, value) in headers(output) {
        response.headers_mut().append(HeaderName::try_from(name).ok()?, HeaderValue::from_str(value).ok()?);
    }
    Some(response)
}

fn body(output: &Value) -> Option<Vec<u8>> {
    let text = output.get("body").and_then(Value::as_str).unwrap_or_default();
    if output.get("isBase64Encoded").and_then(Value::as_bool).unwrap_or_default() {
        return BASE64_STANDARD.decode(text).ok();
    }
    Some(text.as_bytes().to_vec())
}

/// The headers of the output. `multiValueHeaders` overrides the header of the same name in `headers`; each cookie is a
/// separate header.
fn headers(output: &Value) -> impl Iterator<Item = (&str, &str)> {
    let fields = |name: &str| output.get(name).and_then(Value::as_object).into_iter().flatten();
    let is_multiple = move |name: &str| fields("multiValueHeaders").any(|(other, _)| other.eq_ignore_ascii_case(name));
    let single = fields("headers").filter(move |(name, _)| !is_multiple(name));
    let single = single.filter_map(|(name, value)| Some((name.as_str(), value.as_str()?)));
    let multiple = fields("multiValueHeaders").flat_map(|(name, values)| {
        values.as_array().into_iter().flatten().filter_map(|value| Some((name.as_str(), value.as_str()?)))
    });
    let cookies = output.get("cookies").and_then(Value::as_array).into_iter().flatten();
    let cookies = cookies.filter_map(|cookie| Some(("set-cookie", cookie.as_str()?)));
    single.chain(multiple).chain(cookies)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_valid_output_becomes_a_response() {
        let output = json!({
            "statusCode": 201,
            "headers": { "content-type": "text/plain", "x-many": "ignored" },
            "multiValueHeaders": { "X-Many": ["a", "b"] },
            "cookies": ["c=1", "d=2"],
            "body": "aGk=",
            "isBase64Encoded": true,
        });
        let response = response(&output).unwrap();
        assert_eq!(response.status(), 201);
        assert_eq!(response.headers()["content-type"], "text/plain");
        assert_eq!(response.headers().get_all("x-many").iter().collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(response.headers().get_all("set-cookie").iter().count(), 2);
        assert_eq!(to_bytes(response.into_body(), 10).await.unwrap(), "hi");
    }

    #[test]
    fn an_invalid_output_becomes_no_response() {
        for output in [
            json!(null),
            json!({ "statusCode": 20 }),
            json!({ "statusCode": "200" }),
            json!({ "statusCode": 200, "headers": { "a b": "c" } }),
            json!({ "statusCode": 200, "headers": { "a": "b\n" } }),
            json!({ "statusCode": 200, "body": "%", "isBase64Encoded": true }),
        ] {
            assert!(response(&output).is_none(), "{output}");
        }
    }

    #[test]
    fn a_request_without_a_valid_token_is_challenged() {
        let challenge = |authorization: Option<&str>| {
            let value = authorization.map(|text| (header::AUTHORIZATION, text.parse().unwrap()));
            challenge(authorize(&HeaderMap::from_iter(value), Timestamp::now()).unwrap_err())
        };
        assert_eq!(challenge(None), "Bearer");
        for authorization in ["", "Bearer", "Bearer ", "Bearer x", "Basic YTpi"] {
            assert!(challenge(Some(authorization)).contains("invalid_token"), "{authorization}");
        }
    }
}

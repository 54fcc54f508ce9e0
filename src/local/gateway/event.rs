//! Builds an event of an HTTP API, payload format 2.0, from an HTTP request.

use std::collections::BTreeMap;

use aws_sdk_dynamodb::primitives::{DateTime, DateTimeFormat};
use axum::{
    extract::Query,
    http::{HeaderMap, header, request::Parts},
};
use base64::{Engine, prelude::BASE64_STANDARD};
use serde_json::{Map, Value, json};

use super::Claims;
use crate::domain::timestamp::Timestamp;

const ACCOUNT: &str = "123456789012";
const API: &str = "local";
/// The gateway listens on the loopback interface only.
const SOURCE_IP: &str = "127.0.0.1";

/// An authorized request.
pub(super) struct Received<'a> {
    pub(super) parts: &'a Parts,
    pub(super) body: &'a [u8],
    /// The claims of the token; `None` on the route `OPTIONS /{proxy+}`, which has no authorizer.
    pub(super) claims: Option<&'a Claims>,
    pub(super) id: &'a str,
    pub(super) at: Timestamp,
}

/// The event that API Gateway would send for the request.
pub(super) fn event(received: &Received<'_>) -> Value {
    let Received { parts, body, claims, .. } = *received;
    let query = query(parts);
    let mut event = json!({
        "version": "2.0",
        "routeKey": route_key(claims),
        "rawPath": parts.uri.path(),
        "rawQueryString": parts.uri.query().unwrap_or_default(),
        "headers": headers(&parts.headers),
        "requestContext": context(received),
        "isBase64Encoded": false,
    });
    // Empty parts are absent.
    let cookies = cookies(&parts.headers);
    if !cookies.is_empty() {
        event["cookies"] = json!(cookies);
    }
    if claims.is_none() {
        event["pathParameters"] = json!({ "proxy": parts.uri.path().trim_start_matches('/') });
    }
    if !query.is_empty() {
        event["queryStringParameters"] = json!(query);
    }
    if !body.is_empty() {
        let text = std::str::from_utf8(body).ok().filter(|_| is_text(&parts.headers));
        event["body"] = text.map_or_else(|| BASE64_STANDARD.encode(body), str::to_owned).into();
        event["isBase64Encoded"] = text.is_none().into();
    }
    event
}

fn context(received: &Received<'_>) -> Value {
    let Received { parts, claims, id, at, .. } = *received;
    let host = parts.headers.get(header::HOST).map(text_of).unwrap_or_default();
    let mut context = json!({
        "accountId": ACCOUNT,
        "apiId": API,
        "domainName": host,
        "domainPrefix": host.split(['.', ':']).next(),
        "http": {
            "method": parts.method.as_str(),
            "path": parts.uri.path(),
            "protocol": format!("{:?}", parts.version),
            "sourceIp": SOURCE_IP,
            "userAgent": parts.headers.get(header::USER_AGENT).map(text_of).unwrap_or_default(),
        },
        "requestId": id,
        "routeKey": route_key(claims),
        "stage": "$default",
        "time": common_log_time(at),
        "timeEpoch": at,
    });
    if let Some(claims) = claims {
        let claims: Map<String, Value> =
            claims.iter().map(|(name, value)| (name.clone(), rendered(value).into())).collect();
        context["authorizer"] = json!({ "jwt": { "claims": claims, "scopes": null } });
    }
    context
}

fn route_key(claims: Option<&Claims>) -> &'static str {
    if claims.is_some() { "$default" } else { "OPTIONS /{proxy+}" }
}

/// The string of a claim: API Gateway renders every claim as a string, and an array as `[a b]`.
fn rendered(claim: &Value) -> String {
    match claim {
        Value::String(text) => text.clone(),
        Value::Array(entries) => format!("[{}]", entries.iter().map(rendered).collect::<Vec<_>>().join(" ")),
        other => other.to_string(),
    }
}

/// The headers with lowercase names and values joined by commas, without cookies, which are a separate part of the
/// event.
fn headers(headers: &HeaderMap) -> BTreeMap<String, String> {
    let names = headers.keys().filter(|name| *name != header::COOKIE);
    let mut joined: BTreeMap<String, String> = names
        .map(|name| {
            let values: Vec<String> = headers.get_all(name).iter().map(text_of).collect();
            (name.as_str().to_owned(), values.join(","))
        })
        .collect();
    for (name, value) in [("x-forwarded-for", SOURCE_IP), ("x-forwarded-proto", "http")] {
        joined.entry(name.to_owned()).or_insert_with(|| value.to_owned());
    }
    joined
}

fn cookies(headers: &HeaderMap) -> Vec<String> {
    let values: Vec<String> = headers.get_all(header::COOKIE).iter().map(text_of).collect();
    values.iter().flat_map(|value| value.split(';')).map(|cookie| cookie.trim().to_owned()).collect()
}

/// The decoded parameters; values of the same name are joined by commas.
fn query(parts: &Parts) -> BTreeMap<String, String> {
    let pairs = Query::<Vec<(String, String)>>::try_from_uri(&parts.uri).map(|Query(pairs)| pairs).unwrap_or_default();
    let mut joined = BTreeMap::<String, String>::new();
    for (name, value) in pairs {
        joined.entry(name).and_modify(|values| *values = format!("{values},{value}")).or_insert(value);
    }
    joined
}

/// Returns `true` for media types that API Gateway passes as text. It encodes all others in base64.
fn is_text(headers: &HeaderMap) -> bool {
    let content_type = headers.get(header::CONTENT_TYPE).map(text_of).unwrap_or_default().to_ascii_lowercase();
    let media_type = content_type.split(';').next().unwrap_or_default().trim();
    let named = ["", "application/json", "application/javascript", "application/xml"];
    media_type.starts_with("text/") || named.contains(&media_type)
}

fn text_of(value: &axum::http::HeaderValue) -> String {
    String::from_utf8_lossy(value.as_bytes()).into_owned()
}

/// The time as `01/Jan/2026:00:00:00 +0000`.
fn common_log_time(time: Timestamp) -> String {
    // `Thu, 01 Jan 2026 00:00:00 GMT` has the same parts.
    let date = DateTime::from_millis(time.as_millis()).fmt(DateTimeFormat::HttpDate).unwrap_or_default();
    let parts: Vec<&str> = date.split(' ').collect();
    let [_, day, month, year, time, _] = parts[..] else { return date };
    format!("{day}/{month}/{year}:{} +0000", time.split('.').next().unwrap_or(time))
}

#[cfg(test)]
mod tests {
    use axum::http::Request;

    use super::*;
    use crate::http::event::Event;

    const NOW: Timestamp = Timestamp::from_millis(1_767_225_600_123);

    fn event_of(request: Request<&'static [u8]>) -> Value {
        let claims = json!({ "tenant_id": "t1", "cognito:groups": ["a", "b"], "exp": 7, "ok": true });
        let (parts, body) = request.into_parts();
        event(&Received { parts: &parts, body, claims: claims.as_object(), id: "id=", at: NOW })
    }

    #[test]
    fn an_event_has_the_form_of_api_gateways_events() {
        let request = Request::builder()
            .method("POST")
            .uri("/api/a%20b?x=1&y=%C3%A4&x=2")
            .header("Host", "localhost:3000")
            .header("User-Agent", "curl/8")
            .header("X-Many", "a")
            .header("X-Many", "b")
            .header("Cookie", "c=1; d=2")
            .body(b"{}".as_slice())
            .unwrap();
        let event = event_of(request);
        assert_eq!(
            event,
            json!({
                "version": "2.0",
                "routeKey": "$default",
                "rawPath": "/api/a%20b",
                "rawQueryString": "x=1&y=%C3%A4&x=2",
                "cookies": ["c=1", "d=2"],
                "headers": {
                    "host": "localhost:3000",
                    "user-agent": "curl/8",
                    "x-forwarded-for": "127.0.0.1",
                    "x-forwarded-proto": "http",
                    "x-many": "a,b",
                },
                "queryStringParameters": { "x": "1,2", "y": "ä" },
                "requestContext": {
                    "accountId": "123456789012",
                    "apiId": "local",
                    "authorizer": {
                        "jwt": {
                            "claims": { "tenant_id": "t1", "cognito:groups": "[a b]", "exp": "7", "ok": "true" },
                            "scopes": null,
                        },
                    },
                    "domainName": "localhost:3000",
                    "domainPrefix": "localhost",
                    "http": {
                        "method": "POST",
                        "path": "/api/a%20b",
                        "protocol": "HTTP/1.1",
                        "sourceIp": "127.0.0.1",
                        "userAgent": "curl/8",
                    },
                    "requestId": "id=",
                    "routeKey": "$default",
                    "stage": "$default",
                    "time": "01/Jan/2026:00:00:00 +0000",
                    "timeEpoch": 1_767_225_600_123_i64,
                },
                "body": "{}",
                "isBase64Encoded": false,
            })
        );
    }

    #[test]
    fn an_event_of_the_route_without_authorizer_has_no_claims() {
        let request = Request::builder().method("OPTIONS").uri("/api/x").body(b"".as_slice()).unwrap();
        let (parts, body) = request.into_parts();
        let event = event(&Received { parts: &parts, body, claims: None, id: "id=", at: NOW });
        assert_eq!(event["routeKey"], "OPTIONS /{proxy+}");
        assert_eq!(event["requestContext"]["routeKey"], "OPTIONS /{proxy+}");
        assert_eq!(event["pathParameters"], json!({ "proxy": "api/x" }));
        assert_eq!(event["requestContext"].get("authorizer"), None);
    }

    #[test]
    fn a_body_arrives_unchanged() {
        for (content_type, body, is_base64) in [
            ("application/json; charset=utf-8", b"{}".as_slice(), false),
            ("text/plain", b"{}", false),
            ("application/octet-stream", b"{}", true),
            ("application/json", b"\xff", true),
            ("application/json", b"", false),
        ] {
            let request = Request::builder().header("content-type", content_type).body(body).unwrap();
            let event = event_of(request);
            assert_eq!(event["isBase64Encoded"], is_base64, "{content_type}");
            assert_eq!(Event::read(&event.to_string()).body.unwrap(), body, "{content_type}");
        }
    }
}

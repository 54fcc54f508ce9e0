//! Reads the two forms of API Gateway's events (HTTP API payload 2.0 and REST API), and writes the response in the
//! matching form.
//!
//! `lambda_http` has typed events for both, but parsing them fails as a whole on a claim that is not a string, and its
//! conversion panics on a body that is not base64 or a query that is not a URI. This module therefore reads the raw
//! event leniently; `lambda_http` supplies the types of requests and responses.

use std::fmt;

use base64::{Engine, prelude::BASE64_STANDARD};
use lambda_http::{
    Body,
    aws_lambda_events::apigw::{ApiGatewayProxyResponse, ApiGatewayV2httpResponse},
    http::{self, HeaderMap, HeaderName, HeaderValue, Method},
};
use serde::Serialize;
use serde_json::{Value, value::RawValue};

use crate::{
    http::{
        INVITATIONS_PATH, MY_INVITATIONS_PATH,
        error::{Issue, IssueCode, PathSegment, RequestError},
    },
    json::{self, RawFields, lenient},
};

/// An HTTP request from API Gateway. `Debug` omits its contents.
pub struct Event {
    /// The method.
    pub method: Method,
    /// The path as the caller sent it (percent-encoded on an HTTP API), without the stage.
    pub path: String,
    /// The query.
    pub query: Query,
    /// The headers. An unreadable one has a value that is not text.
    pub headers: HeaderMap,
    /// The body, or the reason that it is unreadable.
    pub body: Result<Vec<u8>, BodyError>,
    /// `requestContext.authorizer` unchanged; null without an authorizer.
    pub authorizer: Value,
    /// API Gateway's request id, for the log.
    pub request_id: Option<String>,
    /// The form of the response.
    pub form: EventForm,
}

/// A body of an event that cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    /// It is not a string.
    #[error("it is not a text: {0}")]
    NotText(serde_json::Error),
    /// It is marked as base64 but is not base64.
    #[error("it is not base64: {0}")]
    NotBase64(base64::DecodeError),
}

/// The kinds of API in front of the function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventForm {
    /// HTTP API, payload format 2.0.
    HttpApi,
    /// REST API (and HTTP API with payload format 1.0).
    RestApi,
}

/// The parameters of a query, decoded.
#[derive(Clone, Default)]
pub struct Query(Vec<(String, String)>);

impl Query {
    /// The value of a parameter; the first of several.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// Checks that none of the `names` is repeated, because its value would be ambiguous.
    pub(crate) fn check_single(&self, names: &[&str]) -> Result<(), RequestError> {
        let issue = |name: &str| Issue {
            code: IssueCode::InvalidType,
            path: vec![PathSegment::Key(name.to_owned())],
            message: "Expected string, received array".to_owned(),
        };
        let issues: Vec<Issue> = self.repeated(names).into_iter().map(issue).collect();
        if issues.is_empty() { Ok(()) } else { Err(RequestError::InvalidQuery { issues }) }
    }

    /// The `names` that occur more than once.
    fn repeated<'a>(&self, names: &[&'a str]) -> Vec<&'a str> {
        let count = |name: &str| self.0.iter().filter(|(key, _)| key == name).count();
        names.iter().copied().filter(|name| count(name) > 1).collect()
    }

    /// The query string with `name` set to `value` and the other parameters that `kept` names.
    pub(crate) fn with(&self, name: &str, value: &str, kept: &[&str]) -> String {
        let others = self.0.iter().filter(|(key, _)| key != name && kept.contains(&key.as_str()));
        form_urlencoded::Serializer::new(String::new()).extend_pairs(others).append_pair(name, value).finish()
    }

    /// Reads the query. An HTTP API passes the query string unchanged, a REST API the decoded parameters.
    fn read(event: &Fields<'_>, form: EventForm) -> Self {
        if form == EventForm::HttpApi {
            let text = event.text("rawQueryString").unwrap_or_default();
            return Self(form_urlencoded::parse(text.as_bytes()).into_owned().collect());
        }
        let several = event.object("multiValueQueryStringParameters");
        let single = event.object("queryStringParameters");
        let all = |name: &String| several.0.get(name).and_then(|raw| texts(raw)).unwrap_or_default();
        let values = |name: &String| match all(name) {
            none if none.is_empty() => single.text(name).into_iter().collect(),
            some => some,
        };
        let names = several.0.keys().chain(single.0.keys().filter(|name| !several.0.contains_key(*name)));
        let pairs = names.flat_map(|name| values(name).into_iter().map(|value| (name.clone(), value)));
        Self(pairs.collect())
    }
}

/// Parses a raw list of strings.
fn texts(raw: &RawValue) -> Option<Vec<String>> {
    serde_json::from_str(raw.get()).ok()
}

/// The response to an event, which is serialized for Lambda.
#[derive(Debug, Serialize)]
#[serde(untagged)]
#[expect(missing_docs, reason = "the variants are the two forms")]
pub enum ApiResponse {
    HttpApi(ApiGatewayV2httpResponse),
    RestApi(ApiGatewayProxyResponse),
}

/// The levels of an authorizer's output that are read: `authorizer.jwt.claims`, a claim, and its elements.
const AUTHORIZER_LEVELS: u8 = 5;

impl Event {
    /// Reads an event. A missing or unreadable part is empty, so that every event gets a regular response: an event
    /// without an authorizer gets a 401 before any other check.
    pub fn read(text: &str) -> Self {
        let event = Fields(serde_json::from_str(text).unwrap_or_default());
        let context = event.object("requestContext");
        let http = context.object("http");
        let form = if !http.0.is_empty() || event.text("version").as_deref() == Some("2.0") {
            EventForm::HttpApi
        } else {
            EventForm::RestApi
        };
        let method = match form {
            EventForm::HttpApi => http.text("method"),
            EventForm::RestApi => event.text("httpMethod"),
        };
        Self {
            method: method.and_then(|method| beginning(&method).parse().ok()).unwrap_or_default(),
            path: path(&event, &context, form),
            query: Query::read(&event, form),
            headers: headers(&event),
            body: body(&event),
            request_id: context.text("requestId").map(|id| beginning(&id)),
            authorizer: context.0.get("authorizer").map_or(Value::Null, |raw| lenient(raw, AUTHORIZER_LEVELS)),
            form,
        }
    }
}

impl fmt::Debug for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Event").field("form", &self.form).field("request_id", &self.request_id).finish_non_exhaustive()
    }
}

/// Truncates a text for the log. Methods and request ids of API Gateway are much shorter.
fn beginning(text: &str) -> String {
    text.chars().take(100).collect()
}

/// An object of an event. Each field is parsed separately, so that an unreadable field does not affect the others.
struct Fields<'a>(RawFields<'a>);

impl<'a> Fields<'a> {
    fn text(&self, name: &str) -> Option<String> {
        serde_json::from_str(self.0.get(name)?.get()).ok()
    }

    fn object(&self, name: &str) -> Fields<'a> {
        Fields(self.0.get(name).map(|raw| json::fields(raw)).unwrap_or_default())
    }
}

impl EventForm {
    /// Converts an HTTP response into this form.
    pub(crate) fn respond(self, response: http::Response<Body>) -> ApiResponse {
        let (parts, body) = response.into_parts();
        let status_code = i64::from(parts.status.as_u16());
        let body = (!matches!(body, Body::Empty)).then_some(body);
        match self {
            Self::HttpApi => {
                let mut response = ApiGatewayV2httpResponse::default();
                response.status_code = status_code;
                response.headers = parts.headers;
                response.body = body;
                ApiResponse::HttpApi(response)
            }
            Self::RestApi => {
                let mut response = ApiGatewayProxyResponse::default();
                response.status_code = status_code;
                response.headers = parts.headers;
                response.body = body;
                ApiResponse::RestApi(response)
            }
        }
    }
}

/// The path without the stage. An HTTP API puts the stage in front of the path, in both payload formats, unless the stage
/// is `$default` or the API has a custom domain; a REST API does not. A path that starts with the API's own path has no
/// stage in front, even if the stage is named `api`.
fn path(event: &Fields<'_>, context: &Fields<'_>, form: EventForm) -> String {
    let name = if form == EventForm::HttpApi { "rawPath" } else { "path" };
    let path = event.text(name).unwrap_or_default();
    if [INVITATIONS_PATH, MY_INVITATIONS_PATH].iter().any(|known| path.starts_with(known)) {
        return path;
    }
    let stage = context.text("stage").unwrap_or_default();
    let within_stage = path.strip_prefix('/').and_then(|path| path.strip_prefix(stage.as_str()));
    within_stage.filter(|rest| rest.starts_with('/')).unwrap_or(&path).to_owned()
}

/// The maximum number of headers that are read: more than API Gateway passes, and fewer than the capacity of a
/// [`HeaderMap`].
const MAX_HEADERS: usize = 1000;

/// Reads the headers. A header with an invalid name is dropped, because the function reads none. A header with an
/// invalid value gets a value that is not text, so that it differs from an absent header.
fn headers(event: &Fields<'_>) -> HeaderMap {
    let headers = event.object("headers");
    let header = |name: &String| {
        let value = headers.text(name).and_then(|text| HeaderValue::try_from(text).ok());
        let unreadable = || HeaderValue::from_bytes(b"\xFF").expect("a header value may be opaque data");
        Some((HeaderName::try_from(name.as_str()).ok()?, value.unwrap_or_else(unreadable)))
    };
    headers.0.keys().filter_map(header).take(MAX_HEADERS).collect()
}

fn body(event: &Fields<'_>) -> Result<Vec<u8>, BodyError> {
    let Some(raw) = event.0.get("body").filter(|raw| raw.get() != "null") else { return Ok(Vec::new()) };
    let text: String = serde_json::from_str(raw.get()).map_err(BodyError::NotText)?;
    match event.0.get("isBase64Encoded").map(|raw| raw.get()) {
        Some("true") => BASE64_STANDARD.decode(text).map_err(BodyError::NotBase64),
        _ => Ok(text.into_bytes()),
    }
}

#[cfg(test)]
mod properties;

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn any_json_is_an_event_without_an_authorizer() {
        for value in [json!(null), json!([]), json!("x"), json!({}), json!({ "requestContext": 1, "body": [] })] {
            let text = value.to_string();
            let event = Event::read(&text);
            assert!(event.authorizer.is_null() && event.path.is_empty(), "{text}");
        }
    }

    #[test]
    fn an_unreadable_value_does_not_affect_the_others() {
        let claims = r#"{"a":1e400,"b":"\ud800","$serde_json::private::RawValue":"[","tenant_id":"t"}"#;
        let event = format!(
            r#"{{"version":"2.0","rawPath":"/x","headers":{{"a":1,"b":"c"}},"extra":1e400,
                "requestContext":{{"authorizer":{{"jwt":{{"claims":{claims}}}}}}},"body":7}}"#
        );
        let event = Event::read(&event);
        assert_eq!(event.authorizer["jwt"]["claims"]["tenant_id"], "t");
        assert_eq!((event.path.as_str(), &event.headers["b"]), ("/x", &HeaderValue::from_static("c")));
        assert!(event.headers["a"].to_str().is_err(), "present, but not text");
        assert!(event.body.is_err());
    }

    #[test]
    fn the_stage_is_not_part_of_the_path() {
        for (stage, raw_path, path) in [
            ("$default", "/api/x", "/api/x"),
            ("prod", "/prod/api/x", "/api/x"),
            ("prod", "/production/api/x", "/production/api/x"),
            ("api", "/api/api/x", "/api/x"),
            ("", "/api/x", "/api/x"),
        ] {
            let event = json!({ "version": "2.0", "rawPath": raw_path, "requestContext": { "stage": stage } });
            assert_eq!(Event::read(&event.to_string()).path, path, "{stage} {raw_path}");
        }
    }

    #[test]
    fn a_query_is_read_from_either_form() {
        let read = |event: Value| Event::read(&event.to_string()).query;
        for (query, reason) in [
            (read(json!({ "version": "2.0", "rawQueryString": "a=x%2By&b=%C3%A4+c&a=z&d" })), "HTTP API"),
            (
                read(json!({ "multiValueQueryStringParameters": { "a": ["x+y", "z"], "b": ["ä c"], "d": [""] },
                    "queryStringParameters": { "a": "z", "b": "ä c", "d": "" } })),
                "REST API",
            ),
            (read(json!({ "queryStringParameters": { "a": "x+y", "b": "ä c", "d": "" } })), "REST API, single values"),
        ] {
            assert_eq!((query.get("a"), query.get("b")), (Some("x+y"), Some("ä c")), "{reason}");
            assert_eq!((query.get("d"), query.get("e")), (Some(""), None), "{reason}");
        }
        let query = read(json!({ "version": "2.0", "rawQueryString": "page_size=2&other=1&cursor=x" }));
        assert_eq!(query.with("cursor", "a b&", &["page_size", "cursor"]), "page_size=2&cursor=a+b%26");
    }

    #[test]
    fn a_repeated_parameter_is_found_in_either_form() {
        let read = |event: Value| Event::read(&event.to_string()).query;
        for (query, reason) in [
            (read(json!({ "version": "2.0", "rawQueryString": "a=1&b=2&%61=1&c=&d=4&d=5" })), "HTTP API"),
            (
                read(
                    json!({ "multiValueQueryStringParameters": { "a": ["1", "1"], "b": ["2"], "c": [""], "d": ["4", "5"] },
                    "queryStringParameters": { "a": "1", "b": "2", "c": "", "d": "5" } }),
                ),
                "REST API",
            ),
        ] {
            assert_eq!(query.repeated(&["d", "c", "b", "a"]), ["d", "a"], "{reason}");
            assert_eq!(query.get("d"), Some("4"), "{reason}");
        }
    }

    #[test]
    fn a_body_that_is_not_base64_is_an_error_not_a_panic() {
        let event = json!({ "version": "2.0", "body": "%%%", "isBase64Encoded": true });
        assert!(Event::read(&event.to_string()).body.is_err());
    }
}

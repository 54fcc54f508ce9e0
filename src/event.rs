//! The two forms in which API Gateway hands a request over (HTTP API payload 2.0 and REST API), read into one, and
//! the answer in the form that fits.
//!
//! `lambda_http` has typed events for both, but parsing with them fails as a whole on a claim that is not a string,
//! and its conversion panics on a body that is not base64 or a query that is not a URI. So the raw event is read
//! here, forgivingly; `lambda_http` gives the types of the HTTP request and of the answers.

use base64::{Engine, prelude::BASE64_STANDARD};
use lambda_http::{
    Body,
    aws_lambda_events::apigw::{ApiGatewayProxyResponse, ApiGatewayV2httpResponse},
    http::{self, HeaderMap, HeaderName, HeaderValue, Method},
};
use serde::Serialize;
use serde_json::Value;

/// An HTTP request as API Gateway saw it.
#[derive(Debug)]
pub struct Event {
    /// The method.
    pub method: Method,
    /// The path as the caller sent it (percent-encoded on an HTTP API), without the stage.
    pub path: String,
    /// The query.
    pub query: Query,
    /// The headers that were readable.
    pub headers: HeaderMap,
    /// The body, or how it is broken.
    pub body: Result<Vec<u8>, base64::DecodeError>,
    /// `requestContext.authorizer`, untouched; null where no authorizer ran.
    pub authorizer: Value,
    /// API Gateway's id of the request, for the log.
    pub request_id: Option<String>,
    /// The form that the answer has to have.
    pub form: EventForm,
}

/// The kinds of API that the function can stand behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventForm {
    /// HTTP API, payload format 2.0.
    HttpApi,
    /// REST API (and HTTP API with payload format 1.0).
    RestApi,
}

/// The parameters of a query, decoded.
#[derive(Clone, Debug, Default)]
pub struct Query(Vec<(String, String)>);

impl Query {
    /// The value of a parameter; the first, where there are several.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The query string with the parameter `name` set to `value`.
    pub fn with(&self, name: &str, value: &str) -> String {
        let others = self.0.iter().filter(|(key, _)| key != name);
        form_urlencoded::Serializer::new(String::new()).extend_pairs(others).append_pair(name, value).finish()
    }

    /// An HTTP API hands the query string over as it was sent, a REST API the decoded parameters.
    fn read(event: &Value, form: EventForm) -> Self {
        match form {
            EventForm::HttpApi => {
                let text = event.get("rawQueryString").and_then(Value::as_str).unwrap_or_default();
                Self(form_urlencoded::parse(text.as_bytes()).into_owned().collect())
            }
            EventForm::RestApi => {
                let parameters = |name| event.get(name).and_then(Value::as_object);
                let parameters =
                    parameters("multiValueQueryStringParameters").or_else(|| parameters("queryStringParameters"));
                let first = |value: &Value| match value {
                    Value::Array(values) => values.first().and_then(Value::as_str).map(str::to_owned),
                    value => value.as_str().map(str::to_owned),
                };
                let pairs = parameters.into_iter().flatten();
                Self(pairs.filter_map(|(key, value)| Some((key.clone(), first(value)?))).collect())
            }
        }
    }
}

/// The answer to an event, ready to be serialized.
#[derive(Debug, Serialize)]
#[serde(untagged)]
#[expect(missing_docs, reason = "the variants are the two forms")]
pub enum Answer {
    HttpApi(ApiGatewayV2httpResponse),
    RestApi(ApiGatewayProxyResponse),
}

impl Event {
    /// Reads an event. Whatever is missing is empty, so that even a nonsensical event can be answered in order: an
    /// event without an authorizer is refused before anything else of it matters.
    pub fn read(mut event: Value) -> Self {
        let form = if event.pointer("/requestContext/http").is_some() || event["version"] == "2.0" {
            EventForm::HttpApi
        } else {
            EventForm::RestApi
        };
        Self {
            method: method(&event, form),
            path: path(&event, form),
            query: Query::read(&event, form),
            headers: headers(&event),
            body: body(&mut event),
            request_id: event.pointer("/requestContext/requestId").and_then(Value::as_str).map(str::to_owned),
            authorizer: event.pointer_mut("/requestContext/authorizer").map(Value::take).unwrap_or_default(),
            form,
        }
    }
}

impl EventForm {
    /// Puts an HTTP response into this form.
    pub fn answer(self, response: http::Response<Body>) -> Answer {
        let (parts, body) = response.into_parts();
        let status_code = i64::from(parts.status.as_u16());
        let body = (!matches!(body, Body::Empty)).then_some(body);
        match self {
            Self::HttpApi => {
                let mut answer = ApiGatewayV2httpResponse::default();
                answer.status_code = status_code;
                answer.headers = parts.headers;
                answer.body = body;
                Answer::HttpApi(answer)
            }
            Self::RestApi => {
                let mut answer = ApiGatewayProxyResponse::default();
                answer.status_code = status_code;
                answer.headers = parts.headers;
                answer.body = body;
                Answer::RestApi(answer)
            }
        }
    }
}

fn method(event: &Value, form: EventForm) -> Method {
    let name = match form {
        EventForm::HttpApi => event.pointer("/requestContext/http/method"),
        EventForm::RestApi => event.get("httpMethod"),
    };
    name.and_then(Value::as_str).and_then(|name| name.parse().ok()).unwrap_or_default()
}

/// An HTTP API puts the stage in front of the path, unless it is `$default`; a REST API does not.
fn path(event: &Value, form: EventForm) -> String {
    let text = |pointer| event.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    match form {
        EventForm::RestApi => text("/path").to_owned(),
        EventForm::HttpApi => {
            let path = text("/rawPath");
            let within_stage = path.strip_prefix('/').and_then(|path| path.strip_prefix(text("/requestContext/stage")));
            within_stage.filter(|rest| rest.starts_with('/')).unwrap_or(path).to_owned()
        }
    }
}

/// Headers with names or values that HTTP does not allow are left out: nothing that the function reads has them.
fn headers(event: &Value) -> HeaderMap {
    let pairs = event.get("headers").and_then(Value::as_object).into_iter().flatten();
    pairs
        .filter_map(|(name, value)| {
            let name = HeaderName::try_from(name.as_str()).ok()?;
            Some((name, HeaderValue::from_str(value.as_str()?).ok()?))
        })
        .collect()
}

fn body(event: &mut Value) -> Result<Vec<u8>, base64::DecodeError> {
    let is_base64 = event["isBase64Encoded"] == true;
    match event.get_mut("body").map(Value::take) {
        Some(Value::String(text)) if is_base64 => BASE64_STANDARD.decode(text),
        Some(Value::String(text)) => Ok(text.into_bytes()),
        _ => Ok(Vec::new()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn any_json_is_an_event_without_an_authorizer() {
        for value in [json!(null), json!([]), json!("x"), json!({}), json!({ "requestContext": 1, "body": [] })] {
            let text = value.to_string();
            let event = Event::read(value);
            assert!(event.authorizer.is_null() && event.path.is_empty(), "{text}");
        }
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
            assert_eq!(Event::read(event).path, path, "{stage} {raw_path}");
        }
    }

    #[test]
    fn a_query_is_read_from_either_form() {
        let read = |event: Value| Event::read(event).query;
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
        let query = read(json!({ "version": "2.0", "rawQueryString": "page_size=2&cursor=x" }));
        assert_eq!(query.with("cursor", "a b&"), "page_size=2&cursor=a+b%26");
    }

    #[test]
    fn a_body_that_is_not_base64_is_an_error_not_a_panic() {
        let event = json!({ "version": "2.0", "body": "%%%", "isBase64Encoded": true });
        assert!(Event::read(event).body.is_err());
    }
}

//! Properties of the parser of events.

use crate::http::event::{Event, EventForm};
use base64::{Engine, prelude::BASE64_STANDARD};
use proptest::{
    collection::{hash_map, vec},
    prelude::*,
};
use serde_json::{Map, Value, json};

use crate::arbitrary::{self, cases};

/// A request, before API Gateway turns it into an event.
#[derive(Clone, Debug)]
struct Request {
    method: String,
    path: String,
    query: Vec<(String, String)>,
    headers: Map<String, Value>,
    body: Vec<u8>,
}

fn request() -> impl Strategy<Value = Request> {
    let query = vec(("[a-c]{1,2}", arbitrary::text()), 0..4);
    let headers = hash_map("[a-z-]{1,8}", "[ -~]{0,8}".prop_map(Value::from), 0..4);
    let bytes = prop_oneof![arbitrary::text().prop_map(String::into_bytes), vec(any::<u8>(), 0..20)];
    ("[A-Z]{1,7}", "/[a-z/%0-9]{0,12}", query, headers, bytes).prop_map(|(method, path, query, headers, body)| {
        Request { method, path, query, headers: headers.into_iter().collect(), body }
    })
}

impl Request {
    fn http_api(&self) -> Value {
        let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(&self.query).finish();
        json!({
            "version": "2.0", "rawPath": self.path, "rawQueryString": query, "headers": self.headers,
            "requestContext": { "http": { "method": self.method }, "stage": "$default" },
            "body": BASE64_STANDARD.encode(&self.body), "isBase64Encoded": true,
        })
    }

    fn rest_api(&self) -> Value {
        let mut parameters: Map<String, Value> = Map::new();
        for (key, value) in &self.query {
            parameters.entry(key).or_insert_with(|| json!([])).as_array_mut().unwrap().push(json!(value));
        }
        json!({
            "path": self.path, "httpMethod": self.method, "headers": self.headers,
            "multiValueQueryStringParameters": parameters, "requestContext": { "stage": "prod" },
            "body": BASE64_STANDARD.encode(&self.body), "isBase64Encoded": true,
        })
    }
}

/// An event with one part replaced by arbitrary JSON.
fn spoilt() -> impl Strategy<Value = Value> {
    let places = [
        "",
        "requestContext",
        "headers",
        "body",
        "rawPath",
        "rawQueryString",
        "version",
        "isBase64Encoded",
        "requestContext/http",
        "requestContext/authorizer",
        "requestContext/http/method",
        "multiValueQueryStringParameters",
        "path",
        "httpMethod",
    ];
    (request(), any::<bool>(), prop::sample::select(places.to_vec()), arbitrary::json()).prop_map(
        |(request, is_http, place, value)| {
            let mut event = if is_http { request.http_api() } else { request.rest_api() };
            let pointer = if place.is_empty() { String::new() } else { format!("/{place}") };
            if let Some(part) = event.pointer_mut(&pointer) {
                *part = value;
            }
            event
        },
    )
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn a_request_is_the_same_through_either_kind_of_api(request in request()) {
        for (event, form) in [(request.http_api(), EventForm::HttpApi), (request.rest_api(), EventForm::RestApi)] {
            let event = Event::read(&event.to_string());
            prop_assert_eq!(event.form, form);
            prop_assert_eq!(event.method.as_str(), &request.method);
            prop_assert_eq!(&event.path, &request.path);
            prop_assert_eq!(event.body.as_ref().unwrap(), &request.body);
            prop_assert_eq!(event.headers.len(), request.headers.len());
            for (name, value) in &request.headers {
                prop_assert_eq!(event.headers[name].to_str().ok(), value.as_str());
            }
            for (name, _) in &request.query {
                let first = request.query.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_str());
                prop_assert_eq!(event.query.get(name), first);
            }
        }
    }

    #[test]
    fn a_query_with_one_parameter_set_keeps_the_listed_others(request in request(), value in arbitrary::text()) {
        let query = Event::read(&request.http_api().to_string()).query;
        let kept: Vec<&str> = request.query.iter().map(|(name, _)| name.as_str()).step_by(2).collect();
        let query = query.with("cursor", &value, &kept);
        let again = json!({ "version": "2.0", "rawQueryString": query });
        let again = Event::read(&again.to_string()).query;
        prop_assert_eq!(again.get("cursor"), Some(value.as_str()));
        for (name, _) in &request.query {
            let first = request.query.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_str());
            let is_kept = kept.contains(&name.as_str());
            prop_assert_eq!(again.get(name), first.filter(|_| is_kept));
        }
    }

    #[test]
    fn a_malformed_part_of_an_event_does_not_affect_the_authorizer(event in spoilt(), claims in arbitrary::json()) {
        let mut event = event;
        if let Some(Value::Object(context)) = event.get_mut("requestContext") {
            context.insert("authorizer".to_owned(), json!({ "claims": { "x": "y" }, "z": claims }));
            let read = Event::read(&event.to_string());
            prop_assert_eq!(&read.authorizer["claims"], &json!({ "x": "y" }));
        } else {
            prop_assert!(Event::read(&event.to_string()).authorizer.is_null());
        }
    }

    #[test]
    fn any_text_is_read_without_a_panic(text in arbitrary::text(), bytes in vec(any::<u8>(), 0..200)) {
        prop_assert!(Event::read(&text).authorizer.is_null());
        prop_assert!(Event::read(&String::from_utf8_lossy(&bytes)).authorizer.is_null());
    }
}

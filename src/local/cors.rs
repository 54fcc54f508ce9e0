//! CORS of the gateway, as of an HTTP API with the `CorsConfiguration` of `template.yaml`.
//!
//! API Gateway answers preflights itself, and replaces the CORS headers in responses of the integration by those of its
//! configuration. An origin that is not listed gets the same responses without CORS headers; browsers then withhold
//! them from the page.

use std::sync::Arc;

use axum::{
    Router,
    extract::{Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, header},
    middleware::{Next, from_fn_with_state},
    response::{IntoResponse, Response},
};

const METHODS: HeaderValue = HeaderValue::from_static("GET,POST,PUT,PATCH,DELETE");
const HEADERS: HeaderValue = HeaderValue::from_static("authorization,content-type,idempotency-key");
const EXPOSED_HEADERS: HeaderValue = HeaderValue::from_static("link,retry-after,idempotent-replayed,apigw-requestid");
const MAX_AGE_SECONDS: HeaderValue = HeaderValue::from_static("3600");

/// The origins whose pages may read responses. CORS is off without origins.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cors {
    origins: Arc<[String]>,
}

impl Cors {
    /// Reads origins, separated by commas, in the form of browsers: `https://app.example.com`, `http://localhost:5173`.
    ///
    /// # Errors
    /// The first text that is not an origin.
    pub fn parse(text: &str) -> Result<Self, String> {
        let origins = text.split(',').map(str::trim).filter(|origin| !origin.is_empty());
        let origins = origins.map(|origin| {
            let message = "is not an origin: a scheme, a host in lower case and a port unless it is the scheme's own, \
                           such as http://localhost:5173";
            is_origin(origin).then(|| origin.to_owned()).ok_or_else(|| format!("{origin:?} {message}"))
        });
        Ok(Self { origins: origins.collect::<Result<_, _>>()? })
    }

    /// Returns `true` if there is a CORS configuration.
    pub(super) fn is_on(&self) -> bool {
        !self.origins.is_empty()
    }

    /// Returns `true` if the origin is listed.
    pub(super) fn lists(&self, origin: &[u8]) -> bool {
        self.origins.iter().any(|listed| listed.as_bytes() == origin)
    }

    /// The response to a preflight request; `None` for any other request, and without a configuration.
    pub(super) fn preflight(&self, method: &Method, headers: &HeaderMap) -> Option<Response> {
        let is_preflight = method == Method::OPTIONS
            && headers.contains_key(header::ORIGIN)
            && headers.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
        if !self.is_on() || !is_preflight {
            return None;
        }
        let mut response = StatusCode::NO_CONTENT.into_response();
        if let Some(origin) = self.listed_origin(headers) {
            let added = response.headers_mut();
            added.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
            added.insert(header::ACCESS_CONTROL_ALLOW_METHODS, METHODS);
            added.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, HEADERS);
            added.insert(header::ACCESS_CONTROL_MAX_AGE, MAX_AGE_SECONDS);
        }
        Some(response)
    }

    /// Replaces the CORS headers in the response to a request with the headers `request`.
    pub(super) fn apply(&self, request: &HeaderMap, response: &mut Response) {
        if !self.is_on() {
            return;
        }
        let headers = response.headers_mut();
        let is_of_cors = |name: &HeaderName| name.as_str().starts_with("access-control-");
        let dropped: Vec<HeaderName> = headers.keys().filter(|name| is_of_cors(name)).cloned().collect();
        for name in dropped {
            headers.remove(name);
        }
        if let Some(origin) = self.listed_origin(request) {
            headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
            headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED_HEADERS);
        }
    }

    /// Adds CORS to a router that is not behind API Gateway.
    pub(super) fn around(&self, router: Router) -> Router {
        router.layer(from_fn_with_state(self.clone(), respond))
    }

    fn listed_origin(&self, headers: &HeaderMap) -> Option<HeaderValue> {
        headers.get(header::ORIGIN).filter(|origin| self.lists(origin.as_bytes())).cloned()
    }
}

async fn respond(State(cors): State<Cors>, request: Request, next: Next) -> Response {
    if let Some(response) = cors.preflight(request.method(), request.headers()) {
        return response;
    }
    let headers = request.headers().clone();
    let mut response = next.run(request).await;
    cors.apply(&headers, &mut response);
    response
}

/// Returns `true` for an origin as browsers write it.
fn is_origin(text: &str) -> bool {
    let Ok(uri) = Uri::try_from(text) else { return false };
    let (Some(scheme), Some(authority)) = (uri.scheme_str(), uri.authority()) else { return false };
    let own_port = match scheme {
        "http" => 80,
        "https" => 443,
        _ => return false,
    };
    let is_complete = format!("{scheme}://{authority}") == text;
    let has_port = match authority.port_u16() {
        Some(port) => port != own_port,
        None => authority.as_str() == authority.host(),
    };
    is_complete && has_port && !text.contains(['@', '*']) && text == text.to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use serde_yaml_ng::Value;

    use super::*;
    use crate::local::table::TEMPLATE;

    #[test]
    fn origins_have_the_form_in_which_browsers_send_them() {
        for (text, origins, reason) in [
            ("", Some(0), "none"),
            ("https://app.example.com", Some(1), "one"),
            ("https://app.example.com, http://localhost:5173", Some(2), "two"),
            ("http://[::1]:5173", Some(1), "an address"),
            ("*", None, "any origin"),
            ("https://*.example.com", None, "any host of a domain"),
            ("app.example.com", None, "no scheme"),
            ("https://app.example.com/", None, "a path"),
            ("https://App.example.com", None, "upper case"),
            ("https://app.example.com:443", None, "the scheme's own port"),
            ("http://localhost:80", None, "the other scheme's own port"),
            ("http://localhost:443", Some(1), "the port of the other scheme"),
            ("https://app.example.com:x", None, "no port"),
            ("https://me@app.example.com", None, "a user"),
            ("capacitor://localhost", None, "another scheme"),
            ("null", None, "no origin"),
        ] {
            let parsed = Cors::parse(text).map(|cors| cors.origins.len());
            assert_eq!(parsed.clone().ok(), origins, "{text}: {reason}: {parsed:?}");
        }
    }

    #[test]
    fn the_configuration_is_that_of_the_template() {
        let template: Value = serde_yaml_ng::from_str(TEMPLATE).unwrap();
        let body = &template["Resources"]["Api"]["Properties"]["DefinitionBody"];
        let Value::Tagged(condition) = &body["x-amazon-apigateway-cors"] else { panic!("no !If: {body:?}") };
        let configuration = &condition.value[1];
        let list = |name: &str| {
            let entries = configuration[name].as_sequence().unwrap().iter();
            HeaderValue::try_from(entries.map(|entry| entry.as_str().unwrap()).collect::<Vec<_>>().join(",")).unwrap()
        };
        assert_eq!(list("allowMethods"), METHODS);
        assert_eq!(list("allowHeaders"), HEADERS);
        assert_eq!(list("exposeHeaders"), EXPOSED_HEADERS);
        assert_eq!(HeaderValue::from(configuration["maxAge"].as_u64().unwrap()), MAX_AGE_SECONDS);
    }
}

//! CORS of the gateway, as in API Gateway: the preflight, the responses, and the responses to other origins.

use organization_invitations::local::stack::StackOptions;
use reqwest::{Client, Method, RequestBuilder, Response, StatusCode};
use serde_json::Value;

use crate::{gateway::Gateway, helpers::body};

const PAGE: &str = "http://localhost:5173";
const REMOTE: &str = "https://app.example.com";
const PATHS: [&str; 3] = [
    "/api/organization-invitations",
    "/api/my-account/organization-invitations/0mwshl16meeoe2l4w0lik/status",
    "/oidc/token",
];

async fn start(origins: &str) -> (Gateway, Client) {
    (Gateway::start_for(StackOptions::default(), &[], origins).await, Client::new())
}

fn preflight(client: &Client, url: String, origin: &str) -> RequestBuilder {
    let request = client.request(Method::OPTIONS, url).header("origin", origin);
    request.header("access-control-request-method", "PUT").header("access-control-request-headers", "authorization")
}

/// The CORS headers without their common prefix, sorted by name.
fn cors(response: &Response) -> Vec<(&str, &str)> {
    let headers = response.headers().iter();
    let mut found: Vec<_> = headers
        .filter_map(|(name, value)| Some((name.as_str().strip_prefix("access-control-")?, value.to_str().unwrap())))
        .collect();
    found.sort_unstable();
    found
}

#[tokio::test]
async fn a_preflight_needs_no_token_and_names_what_pages_may_send() {
    let (gateway, client) = start(&format!("{REMOTE},{PAGE}")).await;
    for path in PATHS {
        for origin in [PAGE, REMOTE] {
            let response = preflight(&client, format!("{}{path}", gateway.url), origin).send().await.unwrap();
            assert_eq!(response.status(), StatusCode::NO_CONTENT, "{path}");
            let expected = [
                ("allow-headers", "authorization,content-type,idempotency-key"),
                ("allow-methods", "GET,POST,PUT,PATCH,DELETE"),
                ("allow-origin", origin),
                ("max-age", "3600"),
            ];
            assert_eq!(cors(&response), expected, "{path}");
            assert!(response.bytes().await.unwrap().is_empty(), "{path}");
        }
    }
}

#[tokio::test]
async fn a_page_of_a_listed_origin_may_read_responses_and_errors_of_the_function() {
    let (gateway, client) = start(PAGE).await;
    let token = gateway.default_token().await;
    let expected = [("allow-origin", PAGE), ("expose-headers", "link,retry-after,idempotent-replayed,apigw-requestid")];
    let url = format!("{}{}", gateway.url, PATHS[0]);
    let create = |body: &Value| client.post(&url).bearer_auth(&token).header("origin", PAGE).json(body).send();
    let created = create(&body("grace@example.com")).await.unwrap();
    assert_eq!((created.status(), cors(&created).as_slice()), (StatusCode::CREATED, &expected[..]));
    let rejected = create(&Value::Null).await.unwrap();
    assert_eq!((rejected.status(), cors(&rejected).as_slice()), (StatusCode::BAD_REQUEST, &expected[..]));
    let program = client.get(&url).bearer_auth(&token).send().await.unwrap();
    assert_eq!((program.status(), cors(&program)), (StatusCode::OK, vec![]), "a request without an origin");
    let issued = client.post(format!("{}/oidc/token", gateway.url)).header("origin", PAGE).form(&[("a", "b")]);
    let issued = issued.send().await.unwrap();
    assert_eq!((issued.status(), cors(&issued).as_slice()), (StatusCode::BAD_REQUEST, &expected[..]), "the issuer");
}

#[tokio::test]
async fn another_origin_gets_no_header_that_would_let_it_read() {
    let (gateway, client) = start(PAGE).await;
    let token = gateway.default_token().await;
    let (near, far) = ("http://localhost:5174", REMOTE);
    for path in PATHS {
        let url = format!("{}{path}", gateway.url);
        let response = preflight(&client, url.clone(), near).send().await.unwrap();
        assert_eq!((response.status(), cors(&response)), (StatusCode::NO_CONTENT, vec![]), "{path}");
        // API Gateway does not do this: the local server rejects requests of pages from other origins.
        let response = preflight(&client, url, far).send().await.unwrap();
        assert_eq!((response.status(), cors(&response)), (StatusCode::FORBIDDEN, vec![]), "{path}");
    }
    let list = client.get(format!("{}{}", gateway.url, PATHS[0])).bearer_auth(&token).header("origin", near);
    let response = list.send().await.unwrap();
    assert_eq!((response.status(), cors(&response)), (StatusCode::OK, vec![]));
}

#[tokio::test]
async fn the_responses_of_api_gateway_itself_have_no_headers_for_pages() {
    let (gateway, client) = start(PAGE).await;
    let list = client.get(format!("{}{}", gateway.url, PATHS[0])).header("origin", PAGE);
    let response = list.send().await.unwrap();
    assert_eq!((response.status(), cors(&response)), (StatusCode::UNAUTHORIZED, vec![]));
}

#[tokio::test]
async fn without_origins_a_preflight_is_a_request_without_a_token() {
    let (gateway, client) = start("").await;
    for path in &PATHS[..2] {
        let response = preflight(&client, format!("{}{path}", gateway.url), PAGE).send().await.unwrap();
        assert_eq!((response.status(), cors(&response)), (StatusCode::UNAUTHORIZED, vec![]), "{path}");
    }
}

#[tokio::test]
async fn the_pages_of_the_server_reject_other_origins() {
    let (gateway, client) = start(&format!("{REMOTE},{PAGE}")).await;
    for path in ["/inbox.json", "/events.json", "/invitations"] {
        let get = |origin: &str| client.get(format!("{}{path}", gateway.url)).header("origin", origin).send();
        let near = get(PAGE).await.unwrap();
        assert_eq!((near.status(), cors(&near)), (StatusCode::OK, vec![]), "{path}");
        let far = get(REMOTE).await.unwrap();
        assert_eq!((far.status(), cors(&far)), (StatusCode::FORBIDDEN, vec![]), "{path}");
    }
}

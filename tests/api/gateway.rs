//! The whole way over HTTP, as `cargo dev` offers it: token, gateway, function, inbox.

use std::sync::Arc;

use organization_invitations::local::{
    serve,
    stack::{self, Stack, StackOptions},
};
use reqwest::{Client, StatusCode};
use serde_json::{Value, json};

use crate::helpers::body;

struct Gateway {
    url: String,
    client: Client,
    /// Stops everything when it is dropped.
    _stack: Stack,
}

impl Gateway {
    async fn start() -> Self {
        let mut stack = Stack::start(StackOptions::default()).await.unwrap();
        let app = Arc::new(stack.app(|_| None).await.unwrap());
        let (listener, url) = stack::listen(0, "--port").await.unwrap();
        stack.serve(listener, serve::router(app, Arc::clone(&stack.ses), url.clone()));
        Self { url, client: Client::new(), _stack: stack }
    }

    async fn token(&self, form: &[(&str, &str)]) -> Value {
        let request = self.client.post(format!("{}/oidc/token", self.url)).form(form);
        request.send().await.unwrap().json().await.unwrap()
    }

    async fn create(&self, token: Option<&str>, body: &Value) -> reqwest::Response {
        let request = self.client.post(format!("{}/api/organization-invitations", self.url)).json(body);
        let request = token.into_iter().fold(request, reqwest::RequestBuilder::bearer_auth);
        request.send().await.unwrap()
    }
}

const CREDENTIALS: [(&str, &str); 3] =
    [("grant_type", "client_credentials"), ("client_id", "any"), ("client_secret", "any")];

#[tokio::test]
async fn a_token_a_create_and_its_mail_in_the_inbox() {
    let gateway = Gateway::start().await;
    let token = gateway.token(&CREDENTIALS).await;
    assert_eq!(token["token_type"], "Bearer");
    let mut invitation = body("someone@example.com");
    invitation["messagePayload"] = json!({ "link": "https://app.example.com/{invitationId}" });
    let response = gateway.create(token["access_token"].as_str(), &invitation).await;
    assert_eq!(response.status(), StatusCode::CREATED);
    assert_eq!(response.headers()["content-type"], "application/json; charset=utf-8");
    let entity: Value = response.json().await.unwrap();
    let inbox: Value =
        gateway.client.get(format!("{}/inbox.json", gateway.url)).send().await.unwrap().json().await.unwrap();
    assert_eq!(inbox[0]["to"], "someone@example.com");
    let link = format!("https://app.example.com/{}", entity["id"].as_str().unwrap());
    assert!(inbox[0]["text"].as_str().unwrap().contains(&link));
    let page = gateway.client.get(format!("{}/inbox", gateway.url)).send().await.unwrap().text().await.unwrap();
    assert!(page.contains("someone@example.com"), "{page}");
}

#[tokio::test]
async fn without_a_good_token_the_function_is_not_reached() {
    let gateway = Gateway::start().await;
    let token = gateway.token(&CREDENTIALS).await["access_token"].as_str().unwrap().to_owned();
    let signature = token.rfind('.').unwrap() + 1;
    let other = if token[signature..].starts_with('A') { "B" } else { "A" };
    let forged = format!("{}{other}{}", &token[..signature], &token[signature + 1..]);
    for (token, reason) in
        [(None, "none"), (Some("x"), "no token at all"), (Some(forged.as_str()), "another signature")]
    {
        let response = gateway.create(token, &body("x@example.com")).await;
        assert_eq!(response.status(), StatusCode::UNAUTHORIZED, "{reason}");
        assert!(response.headers().contains_key("www-authenticate"), "{reason}");
    }
}

#[tokio::test]
async fn the_resource_of_a_token_names_its_tenant() {
    let gateway = Gateway::start().await;
    let resource = [("resource", "https://no-mail.logto.app/api"), ("scope", "all")];
    let token = gateway.token(&[CREDENTIALS.as_slice(), &resource].concat()).await;
    let mut invitation = body("someone@example.com");
    invitation["inviterId"] = Value::Null;
    let response = gateway.create(token["access_token"].as_str(), &invitation).await;
    assert_eq!(response.status(), StatusCode::CREATED);
    assert_eq!(response.json::<Value>().await.unwrap()["tenantId"], "no-mail");
}

#[tokio::test]
async fn a_token_with_another_scope_is_forbidden_what_it_asks() {
    let gateway = Gateway::start().await;
    let token = gateway.token(&[CREDENTIALS.as_slice(), &[("scope", "read")]].concat()).await;
    let response = gateway.create(token["access_token"].as_str(), &body("x@example.com")).await;
    assert_eq!(response.status(), StatusCode::FORBIDDEN);
    assert_eq!(response.json::<Value>().await.unwrap()["code"], "auth.forbidden");
}

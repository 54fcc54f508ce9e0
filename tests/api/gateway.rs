//! `cargo dev` over HTTP: the token endpoint, the gateway, the function and the pages.

use std::{sync::Arc, time::Duration};

use aws_sdk_dynamodb::Client;
use organization_invitations::{
    domain::timestamp::Timestamp,
    local::{
        cors::Cors,
        serve,
        stack::{self, Stack, StackOptions, TABLE_NAME},
    },
    store::items,
};
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::helpers::{NOW, body, body_with_mail, rows, with};

pub struct Gateway {
    pub url: String,
    client: reqwest::Client,
    /// Dropping it stops all servers.
    pub stack: Stack,
}

impl Gateway {
    async fn start() -> Self {
        Self::start_with(StackOptions::default()).await
    }

    async fn start_with(options: StackOptions) -> Self {
        Self::start_with_settings(options, &[]).await
    }

    /// Starts with these settings of the function.
    pub async fn start_with_settings(options: StackOptions, settings: &[(&str, &str)]) -> Self {
        Self::start_for(options, settings, "").await
    }

    /// Starts with these settings of the function, and allows these origins with CORS.
    pub async fn start_for(options: StackOptions, settings: &[(&str, &str)], origins: &str) -> Self {
        let cors = Cors::parse(origins).unwrap();
        let has_stream = options.has_stream;
        let mut stack = Stack::start(options).await.unwrap();
        let setting = |name: &str| settings.iter().find(|(other, _)| *other == name).map(|(_, value)| (*value).into());
        let app = Arc::new(stack.app(setting).await.unwrap());
        let (listener, url) = stack::listen(0, "--port").await.unwrap();
        let events = if has_stream { stack.publish_events(&app).unwrap() } else { Arc::default() };
        let gateway = serve::Gateway { app, ses: Arc::clone(&stack.ses), events, url: url.clone(), cors: cors.clone() };
        stack.serve(listener, gateway.router(), &cors);
        Self { url, client: reqwest::Client::new(), stack }
    }

    async fn token(&self, form: &[(&str, &str)]) -> Value {
        let request = self.client.post(format!("{}/oidc/token", self.url)).form(form);
        request.send().await.unwrap().json().await.unwrap()
    }

    /// A token of the tenant `default`.
    pub async fn default_token(&self) -> String {
        self.token(&CREDENTIALS).await["access_token"].as_str().unwrap().to_owned()
    }

    /// A token for the tenant of this resource.
    pub async fn token_of(&self, resource: &str) -> String {
        let token = self.token(&[CREDENTIALS.as_slice(), &[("resource", resource)]].concat()).await;
        token["access_token"].as_str().unwrap().to_owned()
    }

    /// Writes `number` invitations of the tenant `default` into the table, created a millisecond apart.
    async fn write_invitations(&self, number: i64) {
        let invitation = |n| rows::pending_invitation(&format!("n{n}@example.com"), NOW + n);
        let rows = (0..number).map(|n| items::invitation(&invitation(n), 0));
        rows::put_rows(&Client::new(&self.stack.sdk), TABLE_NAME, rows).await;
    }

    /// A page's status and text.
    async fn page(&self, path: &str) -> (StatusCode, String) {
        let response = self.client.get(format!("{}{path}", self.url)).send().await.unwrap();
        assert!(response.headers().contains_key("content-security-policy"), "{path}");
        (response.status(), response.text().await.unwrap())
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
    let response = gateway.create(token["access_token"].as_str(), &body_with_mail("someone@example.com")).await;
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
async fn without_a_valid_token_the_function_is_not_invoked() {
    let gateway = Gateway::start().await;
    let token = gateway.token(&CREDENTIALS).await["access_token"].as_str().unwrap().to_owned();
    let signature = token.rfind('.').unwrap() + 1;
    let other = if token[signature..].starts_with('A') { "B" } else { "A" };
    let forged = format!("{}{other}{}", &token[..signature], &token[signature + 1..]);
    for (token, reason) in [(None, "no token"), (Some("x"), "not a JWT"), (Some(forged.as_str()), "another signature")]
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
async fn a_token_with_another_scope_is_forbidden() {
    let gateway = Gateway::start().await;
    let token = gateway.token(&[CREDENTIALS.as_slice(), &[("scope", "read")]].concat()).await;
    let response = gateway.create(token["access_token"].as_str(), &body("x@example.com")).await;
    assert_eq!(response.status(), StatusCode::FORBIDDEN);
    assert_eq!(response.json::<Value>().await.unwrap()["code"], "auth.forbidden");
}

#[tokio::test]
async fn the_overview_shows_invitations_and_links_to_their_mail_and_back() {
    let gateway = Gateway::start().await;
    let token = gateway.default_token().await;
    let invitation = body_with_mail("someone@example.com");
    let entity: Value = gateway.create(Some(&token), &invitation).await.json().await.unwrap();
    let id = entity["id"].as_str().unwrap();

    let (status, overview) = gateway.page("/invitations").await;
    assert_eq!(status, StatusCode::OK);
    for part in ["someone@example.com", "acme", "Member", "ada", ">Pending<", "just now", "2100-01-01 00:00:00 UTC"] {
        assert!(overview.contains(part), "{part} in {overview}");
    }
    assert!(overview.contains("1 invitation: 1 pending"), "{overview}");
    let to_mails = format!("/inbox?invitation={id}");
    assert!(overview.contains(&format!(r#"href="{to_mails}""#)), "{overview}");

    let (_, mails) = gateway.page(&to_mails).await;
    assert!(mails.contains("someone@example.com"), "{mails}");
    let (_, others) = gateway.page("/inbox?invitation=0mwshl16meeoe2l4w0lik").await;
    assert!(!others.contains("someone@example.com") && others.contains("No mail of this invitation"), "{others}");
    let (_, rest) = mails.split_once(r#"href="/inbox/"#).unwrap();
    let (_, mail) = gateway.page(&format!("/inbox/{}", rest.split_once('"').unwrap().0)).await;
    assert!(mail.contains(&format!(r#"href="/invitations?tenant=default#invitation-{id}""#)), "{mail}");
    assert!(overview.contains(&format!(r#"id="invitation-{id}""#)), "{overview}");

    let revoke = gateway.client.put(format!("{}/api/organization-invitations/{id}/status", gateway.url));
    let revoke = revoke.bearer_auth(&token).json(&json!({ "status": "Revoked" }));
    assert_eq!(revoke.send().await.unwrap().status(), StatusCode::OK);
    let (_, overview) = gateway.page("/invitations?tenant=default").await;
    assert!(overview.contains(">Revoked<") && overview.contains("1 invitation: 1 revoked"), "{overview}");
}

#[tokio::test]
async fn the_overview_computes_the_status_at_the_time_of_the_request() {
    let gateway = Gateway::start().await;
    let expires_at = Timestamp::now().as_millis() + 1_500;
    let invitation = with(body("someone@example.com"), json!({ "expiresAt": expires_at }));
    let response = gateway.create(Some(&gateway.default_token().await), &invitation).await;
    assert_eq!(response.status(), StatusCode::CREATED);
    tokio::time::sleep(Duration::from_millis(1_550)).await;
    let (_, overview) = gateway.page("/invitations").await;
    assert!(overview.contains(">Expired<") && overview.contains("1 expired"), "{overview}");
}

#[tokio::test]
async fn the_overview_shows_one_tenant_and_gives_a_first_step_when_it_is_empty() {
    let gateway = Gateway::start().await;
    let (_, empty) = gateway.page("/invitations").await;
    assert!(empty.contains("No invitations yet") && empty.contains("curl -iw"), "{empty}");
    gateway.create(Some(&gateway.default_token().await), &body("someone@example.com")).await;
    for tenant in ["no-mail", "never-heard-of"] {
        let (status, page) = gateway.page(&format!("/invitations?tenant={tenant}")).await;
        assert_eq!(status, StatusCode::OK, "{tenant}");
        assert!(!page.contains("someone@example.com"), "{page}");
        assert!(page.contains(&format!("cargo dev token --tenant {tenant}")), "{page}");
    }
    let (status, page) = gateway.page("/invitations?tenant=%3Cb%3E").await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert!(page.contains("&lt;b&gt;") && !page.contains("<b>"), "{page}");
}

#[tokio::test]
async fn the_overview_shows_the_latest_two_hundred_newest_first() {
    let gateway = Gateway::start().await;
    gateway.write_invitations(201).await;
    let (_, overview) = gateway.page("/invitations").await;
    assert_eq!(overview.matches(r#"<li class="invitation""#).count(), 200);
    assert!(overview.contains("n1@example.com") && !overview.contains("n0@example.com"));
    assert!(overview.find("n200@example.com") < overview.find("n199@example.com"));
    assert!(overview.contains("the latest 200"));
}

#[tokio::test]
async fn the_pages_link_to_each_other_and_have_a_stylesheet_and_a_script() {
    let gateway = Gateway::start().await;
    let (_, page) = gateway.page("/inbox").await;
    let (_, rest) = page.split_once(r#"<nav aria-label="Pages">"#).unwrap();
    let links = rest.split_once("</nav>").unwrap().0.split(r#"<a href=""#).skip(1);
    let pages: Vec<&str> = links.map(|link| link.split_once('"').unwrap().0).collect();
    assert!(pages.starts_with(&["/invitations", "/inbox"]) && pages.contains(&"/docs"), "{pages:?}");
    for current in &pages {
        let (status, page) = gateway.page(current).await;
        assert_eq!(status, StatusCode::OK, "{current}");
        assert!(page.contains(" · Organization invitations</title>"), "{page}");
        for path in &pages {
            let mark = if path == current { r#" aria-current="page""# } else { "" };
            assert!(page.contains(&format!(r#"<a href="{path}"{mark}>"#)), "{path} in {page}");
        }
    }
    for (path, content_type) in [("/pages.css", "text/css"), ("/pages.js", "text/javascript")] {
        let response = gateway.client.get(format!("{}{path}", gateway.url)).send().await.unwrap();
        assert_eq!(response.status(), StatusCode::OK, "{path}");
        assert!(response.headers()["content-type"].to_str().unwrap().starts_with(content_type), "{path}");
    }
}

#[tokio::test]
async fn a_search_finds_the_mails_that_contain_a_text_and_unread_ones_are_counted_in_the_title() {
    let gateway = Gateway::start().await;
    let token = gateway.default_token().await;
    for invitee in ["grace@example.com", "alan@example.com"] {
        assert_eq!(gateway.create(Some(&token), &body_with_mail(invitee)).await.status(), StatusCode::CREATED);
    }
    for (search, grace, alan, reason) in [
        ("", true, true, "no text"),
        ("GRACE", true, false, "a recipient, in any case"),
        ("alan%40example", false, true, "a part of an address"),
        ("Acme+Corporation", true, true, "a subject"),
        ("app.example.com", true, true, "a body"),
        ("font-family", false, false, "markup of a body"),
        ("tenant", false, false, "names of tags are not searched"),
        ("%3Cb%3E", false, false, "markup"),
    ] {
        let (status, page) = gateway.page(&format!("/inbox?search={search}")).await;
        let found = |invitee: &str| page.contains(&format!("{invitee}@example.com</span>"));
        assert_eq!((status, found("grace"), found("alan")), (StatusCode::OK, grace, alan), "{reason}: {page}");
        assert!(page.contains("<title>(2) Inbox · ") && !page.contains("<b>"), "{reason}: {page}");
    }
    let id = gateway.stack.ses.mails()[0].id.clone();
    gateway.page(&format!("/inbox/{id}")).await;
    let (_, page) = gateway.page("/inbox").await;
    assert!(page.contains("<title>(1) Inbox · ") && page.matches("row unread").count() == 1, "{page}");
}

#[tokio::test]
async fn the_source_of_a_mail_is_a_message_that_mail_programs_read() {
    let gateway = Gateway::start().await;
    gateway.create(Some(&gateway.default_token().await), &body_with_mail("grace@example.com")).await;
    let mail = gateway.stack.ses.mails().remove(0);
    let get = |id: &str| gateway.client.get(format!("{}/inbox/{id}/source", gateway.url)).send();
    let response = get(&mail.id).await.unwrap();
    assert_eq!(response.headers()["content-type"], "message/rfc822");
    let source = response.text().await.unwrap();
    for part in ["To: grace@example.com\r\n", "multipart/alternative", mail.html.lines().last().unwrap()] {
        assert!(source.contains(part), "{part} in {source}");
    }
    assert_eq!(get("unknown").await.unwrap().status(), StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn the_inbox_is_cleared_by_a_page_of_this_machine_and_by_no_other() {
    let gateway = Gateway::start().await;
    gateway.create(Some(&gateway.default_token().await), &body_with_mail("grace@example.com")).await;
    let clear = || gateway.client.post(format!("{}/inbox/clear", gateway.url));
    for (origin, status, left) in [
        ("https://evil.example", StatusCode::FORBIDDEN, 1),
        ("null", StatusCode::FORBIDDEN, 1),
        (gateway.url.as_str(), StatusCode::OK, 0),
    ] {
        let response = clear().header("origin", origin).send().await.unwrap();
        assert_eq!((response.status(), gateway.stack.ses.mails().len()), (status, left), "{origin}");
    }
    assert_eq!(gateway.client.get(format!("{}/inbox/clear", gateway.url)).send().await.unwrap().status(), 405);
    let (_, page) = gateway.page("/inbox").await;
    assert!(page.contains("No mail yet") && page.contains("<title>Inbox · "), "{page}");
}

#[tokio::test]
async fn the_reference_is_the_description_of_the_api() {
    let gateway = Gateway::start().await;
    let file = gateway.client.get(format!("{}/openapi.yaml", gateway.url)).send().await.unwrap();
    assert_eq!(file.headers()["content-type"], "application/yaml; charset=utf-8");
    assert_eq!(file.text().await.unwrap(), std::fs::read_to_string("openapi.yaml").unwrap());
    let (status, page) = gateway.page("/docs").await;
    assert_eq!(status, StatusCode::OK);
    assert!(page.contains(r#"id="createOrganizationInvitation""#), "{page}");
}

#[tokio::test]
async fn every_server_accepts_only_loopback_names_and_pages_of_this_machine() {
    let gateway = Gateway::start_with(StackOptions { guards_dynamodb: true, ..StackOptions::default() }).await;
    let token = gateway.default_token().await;
    gateway.create(Some(&token), &body_with_mail("secret@example.com")).await;
    let (dynamodb, ses) = (gateway.stack.dynamodb_url.clone(), gateway.stack.ses_url.clone());
    let list_tables = |url: &str| {
        let request = gateway.client.post(url).header("x-amz-target", "DynamoDB_20120810.ListTables");
        let request = request.header("content-type", "application/x-amz-json-1.0").body("{}");
        let credential = "AWS4-HMAC-SHA256 Credential=local/20260101/us-east-1/dynamodb/aws4_request";
        let signature = format!("{credential}, SignedHeaders=host;x-amz-date, Signature=0");
        request.header("authorization", signature).header("x-amz-date", "20260101T000000Z")
    };
    let get = |path: &str| gateway.client.get(format!("{}{path}", gateway.url));
    let requests = || {
        [
            ("the mail, for programs", get("/inbox.json"), false),
            ("a page", get("/invitations"), false),
            ("the API", get("/api/organization-invitations").bearer_auth(&token), false),
            ("a token", gateway.client.post(format!("{}/oidc/token", gateway.url)).form(&CREDENTIALS), false),
            ("SES", gateway.client.get(format!("{ses}/v2/email/templates")), true),
            ("DynamoDB", list_tables(&dynamodb), true),
        ]
    };
    for (header, value, rejected, is_for_containers) in [
        ("x-none", "", None, false),
        ("host", "localhost:1", None, false),
        ("host", "evil.example:3000", Some(StatusCode::MISDIRECTED_REQUEST), false),
        ("host", "host.docker.internal:8000", Some(StatusCode::MISDIRECTED_REQUEST), true),
        ("origin", "http://localhost:5173", None, false),
        ("origin", "https://evil.example", Some(StatusCode::FORBIDDEN), false),
        ("origin", "null", Some(StatusCode::FORBIDDEN), false),
    ] {
        for (name, request, is_emulator) in requests() {
            let response = request.header(header, value).send().await.unwrap();
            let rejected = rejected.filter(|_| !(is_for_containers && is_emulator));
            assert_eq!(response.status(), rejected.unwrap_or(StatusCode::OK), "{name}: {header} {value}");
            let headers = response.headers().clone();
            let text = response.text().await.unwrap();
            if rejected.is_some() {
                let told = text.contains("\"message\":\"This server") && !text.contains("secret");
                assert!(told && !headers.contains_key("access-control-allow-origin"), "{name}: {headers:?} {text}");
            }
        }
    }
    let preflight =
        gateway.client.request(reqwest::Method::OPTIONS, &dynamodb).header("origin", "https://evil.example");
    assert_eq!(preflight.send().await.unwrap().status(), StatusCode::FORBIDDEN);
    // The SDK's client is accepted, and receives an error of DynamoDB unchanged.
    let client = Client::new(&gateway.stack.sdk);
    let tables = client.list_tables().send().await.unwrap().table_names.unwrap();
    assert_eq!(tables, [TABLE_NAME]);
    let missing = client.describe_table().table_name("nowhere").send().await.unwrap_err().into_service_error();
    assert!(missing.is_resource_not_found_exception(), "{missing:?}");
}

#[tokio::test]
async fn events_are_published_as_by_a_pipe_and_shown_newest_first() {
    let options = StackOptions { has_stream: true, ..StackOptions::default() };
    let mut gateway = Gateway::start_with(options).await;
    gateway.stack.sweep_every(Duration::from_millis(500));
    let token = gateway.default_token().await;
    let url = format!("{}/api/organization-invitations", gateway.url);
    let mut ids = Vec::new();
    for (invitee, lifetime) in [("ada@example.com", 600_000), ("b@example.com", 600_000), ("c@example.com", 500)] {
        let expires_at = Timestamp::now().as_millis() + lifetime;
        let body = with(body(invitee), json!({ "expiresAt": expires_at }));
        let created = gateway.client.post(&url).bearer_auth(&token).json(&body).send().await.unwrap();
        assert_eq!(created.status(), StatusCode::CREATED);
        ids.push(created.json::<Value>().await.unwrap()["id"].as_str().unwrap().to_owned());
    }
    for (id, status) in
        [(&ids[0], json!({ "status": "Accepted", "acceptedUserId": "ada" })), (&ids[1], json!({ "status": "Revoked" }))]
    {
        let request = gateway.client.put(format!("{url}/{id}/status")).bearer_auth(&token).json(&status);
        assert_eq!(request.send().await.unwrap().status(), StatusCode::OK);
    }
    // The emulator deletes a row within a second after its time to live.
    let mut events = Vec::new();
    for _ in 0..200 {
        let response = gateway.client.get(format!("{}/events.json", gateway.url)).send().await.unwrap();
        events = response.json::<Vec<Value>>().await.unwrap();
        if events.len() >= 6 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let kinds: Vec<(usize, &str)> = events
        .iter()
        .map(|event| {
            assert_eq!(event["direction"], "out");
            let detail = &event["detail"];
            let id = ids.iter().position(|id| detail["data"]["id"] == *id).unwrap();
            (id, detail["type"].as_str().unwrap().strip_prefix("OrganizationInvitation.").unwrap())
        })
        .collect();
    let expected = [(2, "Expired"), (1, "Revoked"), (0, "Accepted"), (2, "Created"), (1, "Created"), (0, "Created")];
    assert_eq!(kinds, expected);
    for (path, shown) in [("/events".to_owned(), 6), (format!("/events?invitation={}", ids[2]), 2)] {
        let (status, page) = gateway.page(&path).await;
        assert_eq!((status, page.matches("<summary").count()), (StatusCode::OK, shown), "{path}");
    }
}

#[tokio::test]
async fn a_file_that_is_no_database_is_named_and_left_as_it_is() {
    let path = std::env::temp_dir().join(format!("organization-invitations-{}.txt", std::process::id()));
    let text = "No database. ".repeat(1000);
    std::fs::write(&path, &text).unwrap();
    let started = Stack::start(StackOptions { persist: Some(path.clone()), ..StackOptions::default() }).await;
    let (error, after) = (started.err().unwrap().to_string(), std::fs::read_to_string(&path).unwrap());
    std::fs::remove_file(&path).unwrap();
    assert!(error.starts_with("cannot keep the data in ") && error.ends_with("not a valid SQLite database"), "{error}");
    assert_eq!(after, text);
}

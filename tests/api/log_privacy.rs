//! The log names nobody: no address, token, link, subject, name or text of a body gets into it, whatever fails.

use std::collections::BTreeSet;

use axum::{Router, body::Bytes, http::StatusCode};
use base64::{Engine, prelude::BASE64_STANDARD};
use organization_invitations::{
    app::App,
    local::{
        ses::{Mail, SesFault},
        stack::{self, sdk_config},
    },
};
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use crate::{
    create_bodies, events, faults,
    helpers::{
        Call, TestApp, body,
        log::{Log, lines},
        rows, with,
    },
    proxy::Intervention,
};

/// All that the function could be made to log: the default, and whatever our own code tells besides.
const EVERYTHING: &str = "info,organization_invitations=trace";

/// What the log is asked for.
const DIRECTIVES: [&str; 2] = ["info", EVERYTHING];

/// A text shorter than this says nothing, and is found in any log.
const SHORTEST_SECRET: usize = 5;

/// What of a request may be logged: the identifiers of things, and what everybody's requests say.
const NO_SECRETS: [&str; 10] = [
    "organizationId",
    "organizationRoleIds",
    "inviterId",
    "acceptedUserId",
    "status",
    "tenant_id",
    "tenantId",
    "custom:tenant_id",
    "scope",
    "scopes",
];

/// The people of the demo directory and of the examples.
const NAMES: [&str; 6] = ["Ada", "Lovelace", "Acme", "Grace", "Hopper", "@"];

/// All that the log of a request must not repeat: what its body, headers, query and claims say, and who sent it.
fn secrets(event: &Value) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let text = event["body"].as_str().unwrap_or_default();
    let decoded = BASE64_STANDARD.decode(text).ok().filter(|_| event["isBase64Encoded"] == true);
    let text = decoded.map_or_else(|| text.to_owned(), |bytes| String::from_utf8_lossy(&bytes).into_owned());
    match serde_json::from_str(&text) {
        Ok(body) => collect(&body, &mut found),
        Err(_) => found.extend([text]),
    }
    let context = &event["requestContext"];
    for part in ["headers", "multiValueHeaders", "queryStringParameters", "cookies"] {
        collect(&event[part], &mut found);
    }
    for part in ["authorizer", "identity"] {
        collect(&context[part], &mut found);
    }
    collect(&context["http"]["sourceIp"], &mut found);
    collect(&context["http"]["userAgent"], &mut found);
    collect(&event["rawQueryString"], &mut found);
    // As a value of its own, `false` is in every line.
    found.retain(|text| text.len() >= SHORTEST_SECRET && text != "false");
    found
}

fn collect(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::String(text) => found.extend([text.clone()]),
        Value::Array(values) => values.iter().for_each(|value| collect(value, found)),
        Value::Object(fields) => fields
            .iter()
            .filter(|(key, _)| !NO_SECRETS.contains(&key.as_str()))
            .for_each(|(_, value)| collect(value, found)),
        _ => {}
    }
}

/// What a mail says, line by line.
pub fn words(mail: &Mail) -> BTreeSet<String> {
    let parts = [&mail.subject, &mail.text, &mail.html, &mail.to, &mail.from];
    let lines = parts.into_iter().flat_map(|part| part.lines()).map(|line| line.trim().to_owned());
    lines.filter(|line| line.len() >= SHORTEST_SECRET).collect()
}

/// Asserts that `log` has one line for each of so many requests, and none of `secrets`.
#[track_caller]
pub fn assert_names_nobody(log: &str, requests: usize, secrets: &BTreeSet<String>, what: &str) {
    let about_requests = lines(log).into_iter().filter(|line| line.get("status").is_some()).count();
    assert_eq!(about_requests, requests, "{what}: {log}");
    let escaped = |secret: &str| serde_json::to_string(secret).unwrap().trim_matches('"').to_owned();
    let names = NAMES.map(str::to_owned);
    for secret in secrets.iter().chain(&names) {
        assert!(!log.contains(secret) && !log.contains(&escaped(secret)), "{what}: {secret:?} is in {log}");
    }
}

/// The secrets of every event of `events/`, together.
pub fn secrets_of_events() -> BTreeSet<String> {
    events::all().flat_map(|(_, event)| secrets(&serde_json::from_str(&event).unwrap())).collect()
}

#[tokio::test]
async fn no_example_event_is_repeated_in_the_log() {
    for directives in DIRECTIVES {
        let app = TestApp::start().await;
        let log = Log::capture(directives);
        for (file, event) in events::all() {
            let mut secrets = secrets(&serde_json::from_str(&event).unwrap());
            let sent = app.mails().len();
            app.invoke(&event).await;
            secrets.extend(app.mails().iter().take(app.mails().len() - sent).flat_map(words));
            assert_names_nobody(&log.take(), 1, &secrets, file);
        }
    }
}

#[tokio::test]
async fn no_odd_body_is_repeated_in_the_log() {
    for directives in DIRECTIVES {
        let app = TestApp::start().await;
        let log = Log::capture(directives);
        for row in create_bodies::rows() {
            row.send(&app).await;
            let secrets = secrets(&json!({ "body": String::from_utf8_lossy(&row.body) }));
            assert_names_nobody(&log.take(), 1, &secrets, &row.reason);
        }
    }
}

/// One call of each operation on the invitation with that identifier, each with something to keep to itself.
fn calls(id: &str) -> [Call; 7] {
    let payload =
        json!({ "link": "https://app.example.com/secret-link", "code": "secret-code", "note": "secret-note" });
    [
        Call::create(&with(body("secret-invitee@example.com"), json!({ "messagePayload": payload }))),
        Call::list("invitee=secret-invitee%40example.com&page_size=1&cursor=secret-cursor"),
        Call::list("invitee=secret-invitee%40example.com"),
        Call::get(id),
        Call::message(id, &payload),
        Call::status(id, &json!({ "status": "Accepted", "acceptedUserId": "ada", "note": "secret-note" })),
        Call::delete(id),
    ]
}

/// Makes every call, and asserts that the log tells of each without a secret.
async fn assert_calls_name_nobody(app: &TestApp, log: &Log, before: impl AsyncFn(), what: &str) {
    let rows = app.rows().await;
    let invited = rows::of_kind(&rows, "INVITATION").next().and_then(|row| row["id"].as_str());
    let id = invited.map_or_else(|| "0".repeat(21), str::to_owned);
    for call in calls(&id) {
        before().await;
        log.take();
        app.call(call.clone()).await;
        let secrets = secrets(&call.event()).into_iter().chain(["secret-".to_owned()]).collect();
        assert_names_nobody(&log.take(), 1, &secrets, &format!("{what}: {} {}", call.method, call.path));
    }
}

/// A service that answers everything with that status, and quotes all that it was told.
async fn quoting(status: u16, error: &'static str) -> (String, JoinHandle<()>) {
    let (listener, url) = stack::listen(0, "").await.unwrap();
    let answer = move |request: Bytes| async move {
        let quote = format!("secret-invitee@example.com: {}", String::from_utf8_lossy(&request));
        let headers = [("x-amzn-errortype", error), ("content-type", "application/x-amz-json-1.0")];
        let body = match error {
            "" => quote,
            error => json!({ "__type": error, "message": quote, "Message": quote, "Item": { "a": { "S": quote } } })
                .to_string(),
        };
        (StatusCode::from_u16(status).unwrap(), headers, body)
    };
    let router = Router::new().fallback(answer);
    (url, tokio::spawn(async { axum::serve(listener, router).await.unwrap() }))
}

#[tokio::test]
async fn no_failure_of_aws_puts_a_request_into_the_log() {
    let mut app = TestApp::start().await;
    let log = Log::capture(EVERYTHING);
    for (status, error) in [
        (400, "ValidationException"),
        (400, "AccessDeniedException"),
        (400, "ConditionalCheckFailedException"),
        (400, "TransactionCanceledException"),
        (400, "MessageRejected"),
        (400, "BadRequestException"),
        (500, "InternalServerError"),
        (418, ""),
        (200, ""),
    ] {
        let (url, server) = quoting(status, error).await;
        let config = app.app.config.clone();
        let (dynamodb, ses) = (&app.stack.dynamodb_url, &app.stack.ses_url);
        let failing = [("DynamoDB", sdk_config(&url, ses)), ("SES", sdk_config(dynamodb, &url))];
        for (service, sdk) in failing {
            app.app = App::new(config.clone(), &app.stack.sdk).unwrap();
            app.call(Call::create(&body("secret-invited@example.com"))).await;
            app.app = App::new(config.clone(), &sdk).unwrap();
            let what = format!("{service} says {status} {error:?}");
            assert_calls_name_nobody(&app, &log, async || {}, &what).await;
        }
        server.abort();
    }
}

#[tokio::test]
async fn no_injected_fault_puts_a_request_into_the_log() {
    let app = TestApp::start_behind_proxy(&[]).await;
    let log = Log::capture(EVERYTHING);
    for intervention in [Intervention::CancelWith("TransactionConflict"), Intervention::LoseAnswer] {
        app.call(Call::create(&body("secret-invited@example.com"))).await;
        let fail = async || app.proxy().next("TransactWriteItems", intervention);
        assert_calls_name_nobody(&app, &log, fail, &format!("{intervention:?}")).await;
    }
    let is_answered = |fault: &SesFault| !matches!(fault, SesFault::Silence { .. } | SesFault::Delay(_));
    let lost_answers = faults::ses::LOST_ANSWERS.map(|(fault, ..)| fault);
    let all = faults::ses::FAULTS.map(|(fault, ..)| fault).into_iter().chain(lost_answers);
    for fault in all.filter(is_answered) {
        app.call(Call::create(&body("secret-invited@example.com"))).await;
        let fail = async || app.stack.ses.fail_next(fault);
        assert_calls_name_nobody(&app, &log, fail, &format!("{fault:?}")).await;
    }
}

#[tokio::test]
async fn a_database_that_cannot_be_reached_is_told_of_without_the_request() {
    let app = TestApp::start_without_database().await;
    let log = Log::capture(EVERYTHING);
    for call in calls("0mwshl16meeoe2l4w0lik") {
        app.call(call.clone()).await;
        assert_names_nobody(&log.take(), 1, &secrets(&call.event()), &call.path);
    }
}

//! The log has no personal data: no address, token, link, subject, name or text of a body, even after faults.

use std::collections::BTreeSet;

use axum::{Router, body::Bytes, http::StatusCode};
use organization_invitations::{
    app::App,
    local::{
        ses::SesFault,
        stack::{self, sdk_config},
    },
};
use serde_json::json;
use tokio::task::JoinHandle;

use crate::{
    common::{
        events,
        log::{assert_names_nobody, secrets, words},
        operation::Operation::{
            self, Accept, AcceptByToken, AcceptOwn, Bulk, Change, Create, CreateWithKey, CreateWithMail,
            CreateWithMailAndKey, Delete, Get, GetWithDelivery, List, ListOwn, Message, Revoke, VerifyToken,
        },
    },
    create_bodies,
    helpers::{Call, TestApp, body, log::Log, rows, ses_faults, with},
    proxy::Intervention,
};

/// A value of `RUST_LOG` with the default level for dependencies, and with every line of the function's own code.
const EVERYTHING: &str = "info,organization_invitations=trace";

#[tokio::test]
async fn no_example_event_is_repeated_in_the_log() {
    let app = TestApp::start().await;
    let log = Log::capture(EVERYTHING);
    for (file, event) in events::all() {
        let mut secrets = secrets(&serde_json::from_str(&event).unwrap());
        let sent = app.mails().len();
        app.invoke(&event).await;
        secrets.extend(app.mails().iter().take(app.mails().len() - sent).flat_map(words));
        assert_names_nobody(&log.take(), 1, &secrets, &file);
    }
}

#[tokio::test]
async fn no_odd_body_is_repeated_in_the_log() {
    let app = TestApp::start().await;
    let log = Log::capture(EVERYTHING);
    for row in create_bodies::rows() {
        row.send(&app).await;
        let secrets = secrets(&json!({ "body": String::from_utf8_lossy(&row.body) }));
        assert_names_nobody(&log.take(), 1, &secrets, &row.reason);
    }
}

/// Calls of an operation on the invitation with this identifier, each with texts that have to stay secret.
fn calls(operation: Operation, id: &str) -> Vec<Call> {
    let payload = json!({ "link": "https://app.example.com/secret-link/{invitationToken}", "code": "secret-code", "note": "secret-note" });
    let invitee = body("secret-invitee@example.com");
    let mailed = with(invitee.clone(), json!({ "messagePayload": payload }));
    let key = format!("secret-key-{id}");
    match operation {
        Create => vec![Call::create(&invitee)],
        CreateWithKey => vec![Call::create(&invitee).with_key(&key)],
        CreateWithMail => vec![Call::create(&mailed)],
        CreateWithMailAndKey => vec![Call::create(&mailed).with_key(&key)],
        Bulk => vec![Call::bulk(&json!({ "invitations": [mailed], "note": "secret-note" })).with_key(&key)],
        List => vec![
            Call::list("invitee=secret-invitee%40example.com&page_size=1&cursor=secret-cursor"),
            Call::list("invitee=secret-invitee%40example.com"),
        ],
        Get | GetWithDelivery | Delete => vec![operation.call(id)],
        Message => vec![Call::message(id, &payload)],
        VerifyToken => vec![Call::verify(id, "secret-token")],
        ListOwn => vec![Call::list_own("secret-subject", "secret-invitee@example.com")],
        Change | Accept | AcceptByToken | Revoke | AcceptOwn => {
            let call = operation.call(id);
            let body =
                with(serde_json::from_str(call.body.as_deref().unwrap()).unwrap(), json!({ "note": "secret-note" }));
            vec![Call { body: Some(body.to_string()), ..call }]
        }
    }
}

/// The calls of every operation, in the order of the list.
fn all_calls(id: &str) -> impl Iterator<Item = Call> {
    Operation::ALL.into_iter().flat_map(move |operation| calls(operation, id))
}

/// Makes every call, and asserts that each has one log line without a secret.
async fn assert_calls_name_nobody(app: &TestApp, log: &Log, before: impl AsyncFn(), what: &str) {
    let rows = app.rows().await;
    let invited = rows::of_kind(&rows, "INVITATION").next().and_then(|row| row["id"].as_str());
    let id = invited.map_or_else(|| "0".repeat(21), str::to_owned);
    for call in all_calls(&id) {
        before().await;
        log.take();
        app.call(call.clone()).await;
        let mut secrets: BTreeSet<String> = secrets(&call.event()).into_iter().chain(["secret-".to_owned()]).collect();
        secrets.extend(app.mails().iter().flat_map(|mail| tokens(&mail.text)));
        assert_names_nobody(&log.take(), 1, &secrets, &format!("{what}: {} {}", call.method, call.path));
    }
}

/// The tokens in the links of a mail.
fn tokens(text: &str) -> Vec<String> {
    text.split("secret-link/").skip(1).map(|rest| rest.chars().take(43).collect()).collect()
}

/// Starts a service that responds to every request with this status and quotes the request in the response.
async fn quoting_service(status: u16, error: &'static str) -> (String, JoinHandle<()>) {
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
async fn no_error_of_aws_puts_a_request_into_the_log() {
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
        let (url, server) = quoting_service(status, error).await;
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
    let lost_answers = ses_faults::LOST_ANSWERS.map(|(fault, ..)| fault);
    let all = ses_faults::FAULTS.map(|(fault, ..)| fault).into_iter().chain(lost_answers);
    for fault in all.filter(is_answered) {
        app.call(Call::create(&body("secret-invited@example.com"))).await;
        let fail = async || app.stack.ses.fail_next(fault);
        assert_calls_name_nobody(&app, &log, fail, &format!("{fault:?}")).await;
    }
}

#[tokio::test]
async fn a_failed_connection_to_dynamodb_is_logged_without_the_request() {
    let app = TestApp::start_with_unreachable_dynamodb().await;
    let log = Log::capture(EVERYTHING);
    for call in all_calls("0mwshl16meeoe2l4w0lik") {
        app.call(call.clone()).await;
        assert_names_nobody(&log.take(), 1, &secrets(&call.event()), &call.path);
    }
}

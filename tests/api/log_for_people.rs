//! The log of `cargo dev`: one short line for each request, without personal data.

use organization_invitations::{
    domain::{ids::TenantId, timestamp::Timestamp},
    local::{
        issuer::{self, Holder},
        ses::SesFault,
        stack::StackOptions,
    },
};
use serde_json::json;

use crate::{
    gateway::Gateway,
    helpers::{Call, TestApp, body, body_with_mail, log::Log},
    proxy::Intervention,
};

const PATH: &str = "/api/organization-invitations";

/// The line with `N` in place of each number of milliseconds or calls.
fn without_numbers(line: &str) -> String {
    let words: Vec<&str> = line.trim_end().split(' ').collect();
    let is_counted = |index: usize| words.get(index + 1).is_some_and(|unit| ["ms", "calls"].contains(unit));
    let is_number = |index: usize| words[index].parse::<f64>().is_ok();
    let told = (0..words.len()).map(|index| if is_counted(index) && is_number(index) { "N" } else { words[index] });
    told.collect::<Vec<_>>().join(" ")
}

#[tokio::test]
async fn each_request_is_one_short_line_without_warnings() {
    let app = TestApp::start().await;
    let log = Log::capture_for_people(false);
    let invitation = body_with_mail("ada@example.com");
    let id = app.invite(&invitation).await;
    let expected = "201 N ms · dynamodb N ms in N calls · mail N ms";
    assert_eq!(without_numbers(&log.take()), format!("POST {PATH} {expected}"));
    let at = |rest: &str| format!("{PATH}/{id}{rest}");
    for (call, expected, reason) in [
        (
            Call::create(&invitation),
            format!("POST {PATH} 422 entity.unique_integrity_violation N ms · dynamodb N ms in N calls"),
            "a failed condition of DynamoDB is not a warning",
        ),
        (Call::create(&json!({})), format!("POST {PATH} 400 guard.invalid_input N ms"), "no AWS call"),
        (Call::list("invitee=ada@example.com"), format!("GET {PATH} 200 N ms · dynamodb N ms"), "without the query"),
        (Call::get(&id), format!("GET {} 200 N ms · dynamodb N ms", at("")), "an id"),
        (Call::get("ada@example.com"), format!("GET {PATH}/{{id}} 404 entity.not_found N ms"), "no id"),
        (
            Call::message(&id, &json!({ "link": "https://app.example.com" })),
            format!("POST {} 204 N ms · dynamodb N ms in N calls · mail N ms", at("/message")),
            "several calls",
        ),
        (Call::accept(&id, "ada"), format!("PUT {} 200 N ms · dynamodb N ms in N calls", at("/status")), "a change"),
        (Call::delete(&id), format!("DELETE {} 204 N ms · dynamodb N ms in N calls", at("")), "no body"),
        (
            Call::new("PUT", "/ada@example.com"),
            "unknown path or method 405 request.method_not_allowed N ms".to_owned(),
            "the caller's path is not logged",
        ),
    ] {
        app.call(call).await;
        assert_eq!(without_numbers(&log.take()), format!("{expected}"), "{reason}");
    }
}

#[tokio::test]
async fn a_failure_tells_its_cause_and_its_retries_on_the_same_line() {
    let app = TestApp::start().await;
    let log = Log::capture_for_people(false);
    app.stack.ses.fail_next(SesFault::MessageRejected);
    app.call(Call::create(&body_with_mail("ada@example.com"))).await.assert_error(400, "connector.invalid_response");
    let line = without_numbers(&log.take());
    let expected =
        format!("POST {PATH} 400 connector.invalid_response N ms · dynamodb N ms in N calls · mail N ms · SES: ");
    assert!(line.starts_with(&expected) && line.contains("MessageRejected") && line.lines().count() == 1, "{line}");

    let app = TestApp::start_behind_proxy(&[]).await;
    app.proxy().next("TransactWriteItems", Intervention::CancelWith("TransactionConflict"));
    app.call(Call::create(&body("ada@example.com"))).await;
    let expected = format!("POST {PATH} 201 N ms · dynamodb N ms in N calls · 1 retry");
    assert_eq!(without_numbers(&log.take()), expected);
}

#[tokio::test]
async fn a_request_without_a_valid_token_tells_the_reason() {
    let gateway = Gateway::start_with_settings(StackOptions::default(), &[]).await;
    let log = Log::capture_for_people(false);
    let client = Holder::Client { id: "me", scope: "all" };
    let expired = issuer::token(&TenantId::parse("default").unwrap(), client, Timestamp::now(), -1);
    for (token, reason) in [
        (None, "there is no Authorization header"),
        (Some("x"), "the token is not a JWT"),
        (Some(expired.as_str()), "the token has expired"),
    ] {
        let request = reqwest::Client::new().get(format!("{}{PATH}", gateway.url));
        let request = token.iter().fold(request, reqwest::RequestBuilder::bearer_auth);
        assert_eq!(request.send().await.unwrap().status(), 401, "{reason}");
        assert_eq!(log.take().trim(), format!("INFO 401 Unauthorized reason=\"{reason}\""));
    }
}

#[tokio::test]
async fn only_a_terminal_gets_colours() {
    let app = TestApp::start().await;
    for (color, status) in [(false, " 201 "), (true, " \u{1b}[32m201\u{1b}[0m ")] {
        let log = Log::capture_for_people(color);
        app.invite(&body(&format!("{color}@example.com"))).await;
        let line = log.take();
        assert!(line.contains(status) && line.contains('\u{1b}') == color, "{line:?}");
    }
}

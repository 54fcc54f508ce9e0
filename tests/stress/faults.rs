//! Faults of AWS: the caller gets the right response, and nothing is half-written.

mod dynamodb;
mod ses;

use std::time::Duration;

use organization_invitations::{local::ses::SesFault, store::items};
use serde_json::json;

use crate::helpers::{Call, NOW, TestApp, body, body_with_mail, create_event, invariant, ses_faults, with};

#[tokio::test]
async fn a_create_without_time_left_writes_nothing() {
    let app = TestApp::start().await;
    let before = app.rows().await;
    let event = create_event("default", None, &body_with_mail("a@example.com").to_string(), false).to_string();
    let answer = app.invoke_within(Duration::ZERO, NOW, &event).await;
    answer.assert_error(503, "service.unavailable");
    assert_eq!(app.rows().await, before);
    assert!(app.mails().is_empty());
}

#[tokio::test]
async fn a_released_send_leaves_a_row_that_dynamodb_deletes() {
    let app = TestApp::start().await;
    app.stack.ses.fail_next(SesFault::MessageRejected);
    app.create_at(NOW, &body_with_mail("a@example.com")).await.assert_error(400, "connector.invalid_response");
    let rate_limit = app.row("default", "SENDS#a@example.com").await.unwrap();
    assert_eq!(rate_limit["sends"], json!([]));
    assert_eq!(rate_limit["ttl"], NOW / 1000 + 600, "a ttl in 1970 would mean never to DynamoDB");
}

#[tokio::test]
async fn a_recipient_rate_limit_row_without_a_version_counts_and_is_replaced() {
    let app = TestApp::start().await;
    let first = app.invite(&body("a@example.com")).await;
    let second = app.invite(&body("b@example.com")).await;
    for (call, invitee, attributes) in [
        (Call::message(&first, &json!({})), "a@example.com", json!({})),
        (Call::message(&second, &json!({})), "b@example.com", json!({ "latestSend": NOW - 1000 })),
        (Call::create(&body_with_mail("c@example.com")), "c@example.com", json!({})),
        (Call::create(&body_with_mail("d@example.com")), "d@example.com", json!({ "latestSend": NOW - 1000 })),
    ] {
        let sk = format!("SENDS#{invitee}");
        let row = with(json!({ "pk": "TENANT#default", "sk": sk, "sends": [NOW - 1000] }), attributes);
        app.put_rows([items::from_json(row)]).await;
        let answer = app.call(call).await;
        assert!(answer.status < 300, "{invitee}: {answer:?}");
        assert_eq!(app.row("default", &sk).await.unwrap()["sends"], json!([NOW - 1000, NOW]), "{invitee}");
    }
    invariant::check(&app, NOW).await;
}

#[test]
fn docs_reliability_md_lists_the_injected_faults() {
    let page = include_str!("../../docs/reliability.md");
    let names: Vec<&str> = page.split('`').skip(1).step_by(2).collect();
    let of_ses = ses_faults::FAULTS.map(|(fault, ..)| format!("{fault:?}"));
    for name in dynamodb::error_names() {
        assert!(names.contains(&name), "the page lacks {name}");
    }
    for fault in &of_ses {
        assert!(names.iter().any(|name| name.starts_with(fault.as_str())), "the page lacks {fault}");
    }
    for name in names.iter().filter(|name| name.ends_with("Exception")) {
        let is_of_ses = of_ses.iter().any(|fault| name.starts_with(fault.as_str()));
        assert!(is_of_ses || dynamodb::error_names().any(|error| error == *name), "nothing injects {name}");
    }
}

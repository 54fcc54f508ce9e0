//! AWS failing: what the caller is told, and that nothing is half-written.

mod dynamodb;
pub mod ses;

use std::time::Duration;

use organization_invitations::{local::ses::SesFault, store::items};
use serde_json::{Value, json};

use crate::{
    helpers::{NOW, TestApp, body, create_event, with},
    invariant,
    proxy::Intervention,
};

fn mailed(invitee: &str) -> Value {
    with(body(invitee), json!({ "messagePayload": { "link": "https://app.example.com/{invitationId}" } }))
}

fn invitations_and_standings(rows: &[Value]) -> usize {
    let sort_keys = rows.iter().filter_map(|row| row["sk"].as_str());
    sort_keys.filter(|sk| sk.starts_with("INVITATION#") || sk.starts_with("ORG#")).count()
}

#[tokio::test]
async fn a_transaction_in_the_way_of_others_is_repeated() {
    let app = TestApp::start_behind_proxy(&[]).await;
    for _ in 0..3 {
        app.proxy().next("TransactWriteItems", Intervention::CancelWith("TransactionConflict"));
    }
    let answer = app.create_at(NOW, &mailed("a@example.com")).await;
    assert_eq!(answer.status, 201, "{answer:?}");
    assert_eq!(app.proxy().count("TransactWriteItems"), 4);
    assert_eq!(app.mails().len(), 1);
}

#[tokio::test]
async fn a_create_of_which_every_answer_is_lost_is_undone_and_can_be_made_again() {
    for body in [mailed("a@example.com"), body("a@example.com")] {
        let app = TestApp::start_behind_proxy(&[("MESSAGE_RATE_LIMIT", "1")]).await;
        for _ in 0..3 {
            app.proxy().next("TransactWriteItems", Intervention::LoseAnswer);
        }
        let answer = app.create_at(NOW, &body).await;
        answer.assert_refused(503, "service.unavailable");
        assert_eq!(invitations_and_standings(&app.rows().await), 0);
        assert!(app.mails().is_empty());
        assert_eq!(app.create_at(NOW, &body).await.status, 201);
    }
}

#[tokio::test]
async fn a_create_without_any_time_left_writes_nothing() {
    let app = TestApp::start().await;
    let before = app.rows().await;
    let event = create_event("default", None, &mailed("a@example.com").to_string(), false).to_string();
    let answer = app.invoke_within(Duration::ZERO, NOW, &event).await;
    answer.assert_refused(503, "service.unavailable");
    assert_eq!(app.rows().await, before);
    assert!(app.mails().is_empty());
}

#[tokio::test]
async fn a_send_that_was_given_back_leaves_a_row_that_dynamodb_will_delete() {
    let app = TestApp::start().await;
    app.stack.ses.fail_next(SesFault::MessageRejected);
    app.create_at(NOW, &mailed("a@example.com")).await.assert_refused(400, "connector.invalid_response");
    let window = app.row("default", "SENDS#a@example.com").await.unwrap();
    assert_eq!(window["sends"], json!([]));
    assert_eq!(window["ttl"], NOW / 1000 + 600, "not in 1970, which DynamoDB takes for never");
}

#[tokio::test]
async fn a_send_window_that_others_wrote_without_a_version_is_replaced() {
    let app = TestApp::start().await;
    let row = json!({ "pk": "TENANT#default", "sk": "SENDS#a@example.com", "sends": [NOW - 1000] });
    app.put_rows([items::from_json(row)]).await;
    assert_eq!(app.create_at(NOW, &mailed("a@example.com")).await.status, 201);
    invariant::check(&app, NOW).await;
    let window = app.row("default", "SENDS#a@example.com").await.unwrap();
    assert_eq!(window["sends"], json!([NOW - 1000, NOW]));
}

#[tokio::test]
async fn a_create_without_a_database_is_a_503() {
    let app = TestApp::start_without_database().await;
    for body in [body("a@example.com"), mailed("a@example.com")] {
        let answer = app.create_at(NOW, &body).await;
        answer.assert_refused(503, "service.unavailable");
        assert_eq!(answer.headers["retry-after"], "1");
    }
    assert_eq!(invitations_and_standings(&app.rows().await), 0);
}

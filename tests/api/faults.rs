//! AWS failing: what the caller is told, and that nothing is half-written.

use std::time::Duration;

use organization_invitations::local::ses::SesFault;
use serde_json::{Value, json};

use crate::{
    helpers::{NOW, SES_REFUSALS, TestApp, body, create_event, with},
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
async fn a_transaction_whose_answer_was_lost_is_not_done_twice() {
    let app = TestApp::start_behind_proxy(&[]).await;
    app.proxy().next("TransactWriteItems", Intervention::LoseAnswer);
    let answer = app.create_at(NOW, &mailed("a@example.com")).await;
    assert_eq!(answer.status, 201, "the request token tells that it was done: {answer:?}");
    assert_eq!(app.mails().len(), 1);
    assert_eq!(invitations_and_standings(&app.rows().await), 2);
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
async fn a_mail_service_that_never_answers_is_a_503_in_time_and_the_invitation_is_taken_back() {
    let app = TestApp::start_with_time_limits().await;
    app.stack.ses.fail_next(SesFault::Silence { accepts: false });
    let started = std::time::Instant::now();
    app.create_at(NOW, &mailed("a@example.com")).await.assert_refused(503, "connector.general");
    assert!(started.elapsed() < Duration::from_secs(4), "{:?}", started.elapsed());
    assert_eq!(invitations_and_standings(&app.rows().await), 0);
    assert_eq!(app.stack.ses.calls(), 1, "it may have been accepted, so it is not sent again");
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
async fn a_database_that_fails_is_a_503_and_nothing_is_written() {
    for operation in ["BatchGetItem", "TransactWriteItems"] {
        let app = TestApp::start_behind_proxy(&[]).await;
        let before = app.rows().await;
        for _ in 0..3 {
            app.proxy().next(operation, Intervention::Fail(500, "InternalServerError"));
        }
        let answer = app.create_at(NOW, &mailed("a@example.com")).await;
        answer.assert_refused(503, "service.unavailable");
        assert_eq!(answer.headers["retry-after"], "1", "{operation}");
        assert_eq!(app.rows().await, before, "{operation}");
        assert!(app.mails().is_empty(), "{operation}");
    }
}

#[tokio::test]
async fn a_database_that_cannot_be_reached_is_a_503() {
    let app = TestApp::start_without_database().await;
    let answer = app.create_at(NOW, &body("a@example.com")).await;
    answer.assert_refused(503, "service.unavailable");
    assert_eq!(answer.headers["retry-after"], "1");
}

#[tokio::test]
async fn an_invitation_whose_mail_ses_refuses_is_taken_back_and_can_be_made_again() {
    for (fault, times, status, code, retry_after) in SES_REFUSALS {
        let app = TestApp::start_with(&[("MESSAGE_RATE_LIMIT", "1")]).await;
        (0..times).for_each(|_| app.stack.ses.fail_next(fault));
        let refused = app.create_at(NOW, &mailed("a@example.com")).await;
        refused.assert_refused(status, code);
        assert_eq!(refused.headers.get("retry-after").map(String::as_str), retry_after, "{fault:?}");
        assert_eq!(invitations_and_standings(&app.rows().await), 0, "{fault:?}");
        let again = app.create_at(NOW, &mailed("a@example.com")).await;
        assert_eq!(again.status, 201, "the send was given back too, {fault:?}: {again:?}");
        assert_eq!(app.mails().len(), 1, "{fault:?}");
    }
}

#[tokio::test]
async fn a_throttled_message_is_sent_again_and_a_failed_one_is_not() {
    for (fault, calls, status) in [(SesFault::TooManyRequests, 2, 201), (SesFault::InternalFailure, 1, 503)] {
        let app = TestApp::start().await;
        app.stack.ses.fail_next(fault);
        assert_eq!(app.create_at(NOW, &mailed("a@example.com")).await.status, status, "{fault:?}");
        assert_eq!(app.stack.ses.calls(), calls, "{fault:?}");
    }
}

#[tokio::test]
async fn an_error_tells_the_caller_nothing_of_what_is_inside() {
    let app = TestApp::start_behind_proxy(&[]).await;
    for _ in 0..3 {
        app.proxy().next("TransactWriteItems", Intervention::Fail(400, "AccessDeniedException"));
    }
    let answer = app.create_at(NOW, &body("a@example.com")).await;
    answer.assert_refused(503, "service.unavailable");
    for word in ["DynamoDB", "AccessDenied", "table", "arn:"] {
        assert!(!answer.text.contains(word), "{word}: {answer:?}");
    }
}

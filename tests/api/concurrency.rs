//! Many concurrent callers.

use std::sync::Arc;

use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::helpers::{Answer, NOW, TestApp, body, body_with_mail, rows, with};

async fn all_at_once(app: &Arc<TestApp>, bodies: impl Iterator<Item = Value>) -> Vec<Answer> {
    let mut calls = JoinSet::new();
    for body in bodies {
        let app = Arc::clone(app);
        calls.spawn(async move { app.create_at(NOW, &body).await });
    }
    calls.join_all().await
}

#[tokio::test(flavor = "multi_thread")]
async fn of_fifty_concurrent_creates_for_one_invitee_one_succeeds_and_one_mail_is_sent() {
    let app = Arc::new(TestApp::start().await);
    let answers = all_at_once(&app, (0..50).map(|_| body_with_mail("wanted@example.com"))).await;
    let (won, lost): (Vec<_>, Vec<_>) = answers.iter().partition(|answer| answer.status == 201);
    assert_eq!(won.len(), 1);
    let winner = &won[0].json()["id"];
    for answer in lost {
        answer.assert_error(422, "entity.unique_integrity_violation");
        assert_eq!(&answer.json()["data"]["invitationId"], winner);
    }
    assert_eq!(app.mails().len(), 1);
    assert_eq!(rows::of_kind(&app.rows().await, "INVITATION").count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_creates_in_one_organization_all_succeed() {
    let app = Arc::new(TestApp::start().await);
    let answers = all_at_once(&app, (0..100).map(|n| body(&format!("person{n}@example.com")))).await;
    assert!(answers.iter().all(|answer| answer.status == 201), "{answers:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_parallel_messages_to_one_recipient_exactly_the_limit_is_sent() {
    let app = Arc::new(TestApp::start().await);
    for n in 0..24 {
        app.add_organization(&format!("org{n}")).await;
    }
    let to_everywhere =
        (0..24).map(|n| with(body_with_mail("busy@example.com"), json!({ "organizationId": format!("org{n}") })));
    let answers = all_at_once(&app, to_everywhere).await;
    let (sent, limited): (Vec<_>, Vec<_>) = answers.iter().partition(|answer| answer.status == 201);
    assert_eq!(sent.len(), 10);
    for answer in limited {
        answer.assert_error(429, "request.message_rate_limited");
        assert_eq!(answer.headers["retry-after"], "600");
    }
    assert_eq!(app.mails().len(), 10);
}

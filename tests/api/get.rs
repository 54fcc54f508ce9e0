//! Reading one invitation.

use serde_json::json;

use crate::helpers::{Call, NOW, TestApp, body, with};

#[tokio::test]
async fn a_get_returns_the_entity_that_the_create_returned() {
    let app = TestApp::start().await;
    let changes = json!({ "organizationRoleIds": ["member", "admin"], "messagePayload": {} });
    for body in [
        with(body("New.Person@Example.com"), changes),
        with(body("plain@example.com"), json!({ "inviterId": null, "organizationRoleIds": [] })),
    ] {
        let created = app.create_at(NOW, &body).await;
        let read = app.call_at(NOW + 1, Call::get(created.json()["id"].as_str().unwrap())).await;
        assert_eq!((read.status, &read.text), (200, &created.text));
        assert_eq!(read.headers["content-type"], "application/json; charset=utf-8");
    }
}

#[tokio::test]
async fn an_invitation_is_expired_from_the_millisecond_of_its_expiry_without_a_write() {
    let app = TestApp::start().await;
    let id = app.invite(&with(body("late@example.com"), json!({ "expiresAt": NOW + 1000 }))).await;
    let before = app.rows().await;
    for (now, status) in [(NOW + 999, "Pending"), (NOW + 1000, "Expired"), (NOW + 1_000_000, "Expired")] {
        let entity = app.call_at(now, Call::get(&id)).await.json();
        assert_eq!((&entity["status"], &entity["updatedAt"]), (&json!(status), &json!(NOW)), "at {now}");
        assert_eq!(app.call_at(now, Call::list("")).await.json()[0], entity, "a list shows the same");
    }
    assert_eq!(app.rows().await, before);
}

#[tokio::test]
async fn an_ended_invitation_does_not_expire() {
    let app = TestApp::start().await;
    let short = json!({ "expiresAt": NOW + 1000 });
    let accepted = app.invite(&with(body("ada@example.com"), short.clone())).await;
    let revoked = app.invite(&with(body("sorry@example.com"), short)).await;
    app.call(Call::accept(&accepted, "ada")).await;
    app.call(Call::revoke(&revoked)).await;
    for (id, status) in [(accepted, "Accepted"), (revoked, "Revoked")] {
        assert_eq!(app.call_at(NOW + 2000, Call::get(&id)).await.json()["status"], status);
    }
}

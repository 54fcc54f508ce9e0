//! Delete: in every status, and the rows that remain.

use serde_json::json;

use crate::{
    helpers::{Call, NOW, TestApp, body, with},
    invariant,
};

const STANDING: &str = "ORG#acme#INVITEE#ada@example.com";

#[tokio::test]
async fn an_invitation_in_any_status_can_be_deleted_once() {
    for (end, now, reason) in [
        (None, NOW + 1, "pending"),
        (Some(Call::accept as fn(&str, &str) -> Call), NOW + 1, "accepted"),
        (Some(|id, _| Call::revoke(id)), NOW + 1, "revoked"),
        (None, NOW + 1000, "expired"),
    ] {
        let app = TestApp::start().await;
        let id = app.invite(&with(body("ada@example.com"), json!({ "expiresAt": NOW + 1000 }))).await;
        if let Some(end) = end {
            assert_eq!(app.call(end(&id, "ada")).await.status, 200, "{reason}");
        }
        let deleted = app.call_at(now, Call::delete(&id)).await;
        assert_eq!((deleted.status, deleted.text.as_str()), (204, ""), "{reason}");
        assert_eq!(deleted.headers.get("content-type"), None, "{reason}: no body, so no content type");
        for gone in [Call::get(&id), Call::delete(&id), Call::message(&id, &json!({})), Call::revoke(&id)] {
            app.call_at(now, gone).await.assert_error(404, "entity.not_found");
        }
        assert_eq!(app.call_at(now, Call::list("")).await.text, "[]", "{reason}");
        invariant::check(&app, now).await;
    }
}

#[tokio::test]
async fn after_a_delete_the_invitee_can_be_invited_again() {
    for (revoked_first, reason) in [(false, "pending"), (true, "revoked")] {
        let app = TestApp::start().await;
        let id = app.invite(&body("Ada@Example.com")).await;
        if revoked_first {
            app.call(Call::revoke(&id)).await;
        }
        assert_eq!(app.call(Call::delete(&id)).await.status, 204, "{reason}");
        assert_eq!(app.row("default", STANDING).await, None, "{reason}");
        app.invite(&body("ada@example.com")).await;
        invariant::check(&app, NOW).await;
    }
}

#[tokio::test]
async fn deleting_an_accepted_invitation_keeps_the_membership() {
    let app = TestApp::start().await;
    let id = app.invite(&body("ada@example.com")).await;
    app.call(Call::accept(&id, "ada")).await;
    let (standing, membership) = (app.row("default", STANDING).await, app.row("default", "MEMBER#acme#ada").await);
    assert_eq!(app.call(Call::delete(&id)).await.status, 204);
    assert_eq!(app.row("default", STANDING).await, standing);
    assert_eq!(app.row("default", "MEMBER#acme#ada").await, membership);
    app.create_at(NOW, &body("ada@example.com")).await.assert_error(422, "request.invalid_input");
}

#[tokio::test]
async fn deleting_an_older_invitation_keeps_the_standing_of_the_newer() {
    for (revoked, reason) in [(false, "the older has expired"), (true, "the older was revoked")] {
        let app = TestApp::start().await;
        let older = app.invite(&with(body("ada@example.com"), json!({ "expiresAt": NOW + 1000 }))).await;
        if revoked {
            app.call(Call::revoke(&older)).await;
        }
        let newer = app.invite_at(NOW + 1000, &body("ada@example.com")).await;
        assert_eq!(app.call_at(NOW + 1001, Call::delete(&older)).await.status, 204, "{reason}");
        assert_eq!(app.row("default", STANDING).await.unwrap()["invitationId"], newer.as_str(), "{reason}");
        let again = app.create_at(NOW + 1002, &body("ada@example.com")).await;
        again.assert_error(422, "entity.unique_integrity_violation");
        assert_eq!(again.json()["data"]["invitationId"], newer.as_str(), "{reason}");
        invariant::check(&app, NOW + 1002).await;
    }
}

#[tokio::test]
async fn an_expired_invitation_can_be_deleted_after_dynamodb_deleted_its_standing() {
    let app = TestApp::start().await;
    let id = app.invite(&with(body("ada@example.com"), json!({ "expiresAt": NOW + 1000 }))).await;
    app.delete_row("default", STANDING).await;
    assert_eq!(app.call_at(NOW + 5000, Call::delete(&id)).await.status, 204);
}

#[tokio::test]
async fn a_delete_changes_no_other_row() {
    let app = TestApp::start().await;
    app.add_organization("other").await;
    app.invite(&body("bob@example.com")).await;
    app.invite(&with(body("ada@example.com"), json!({ "organizationId": "other", "messagePayload": {} }))).await;
    let before = app.rows().await;
    let id = app.invite(&body("ada@example.com")).await;
    // A body is ignored, even if it is JSON.
    let call = Call::delete(&id).text("text/plain", "{");
    assert_eq!(app.call(call).await.status, 204);
    assert_eq!(app.rows().await, before);
}

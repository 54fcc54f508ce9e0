//! Accept and revoke: the body, the order of errors, and the rows afterwards.

use organization_invitations::store::items;
use serde_json::{Value, json};

use crate::{
    helpers::{Call, NOW, TestApp, body, with},
    invariant,
};

const STANDING: &str = "ORG#acme#INVITEE#ada@example.com";
const MEMBERSHIP: &str = "MEMBER#acme#ada";

fn roles(row: &Value) -> Vec<&str> {
    let mut roles: Vec<&str> =
        row["organizationRoleIds"].as_array().map_or(&[][..], Vec::as_slice).iter().filter_map(Value::as_str).collect();
    roles.sort_unstable();
    roles
}

#[tokio::test]
async fn accepting_makes_the_invitee_a_member_with_the_invitations_roles() {
    let app = TestApp::start().await;
    let created =
        app.create_at(NOW, &with(body("Ada@Example.com"), json!({ "organizationRoleIds": ["member", "admin"] }))).await;
    let id = created.json()["id"].as_str().unwrap().to_owned();
    let answer = app.call_at(NOW + 5, Call::accept(&id, "ada")).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let expected = created.text.replace("\"acceptedUserId\":null", "\"acceptedUserId\":\"ada\"");
    let expected = expected.replace("\"status\":\"Pending\"", "\"status\":\"Accepted\"");
    let expected = expected.replace(&format!("\"updatedAt\":{NOW}"), &format!("\"updatedAt\":{}", NOW + 5));
    assert_eq!(answer.text, expected, "only these three attributes have changed");
    assert_eq!(app.call_at(NOW + 6, Call::get(&id)).await.text, answer.text);

    let standing = app.row("default", STANDING).await.unwrap();
    assert_eq!(standing, json!({ "pk": "TENANT#default", "sk": STANDING, "state": "member", "userId": "ada" }));
    let membership = app.row("default", MEMBERSHIP).await.unwrap();
    assert_eq!(roles(&membership), ["admin", "member"]);
    assert_eq!((&membership["joinedAt"], &membership["userId"]), (&json!(NOW + 5), &json!("ada")));
    invariant::check(&app, NOW + 5).await;
}

#[tokio::test]
async fn a_member_cannot_be_invited_again() {
    let app = TestApp::start().await;
    let id = app.invite(&body("ada@example.com")).await;
    app.call(Call::accept(&id, "ada")).await;
    app.create_at(NOW + 1, &body("ADA@example.com")).await.assert_error(422, "request.invalid_input");
    app.add_organization("other").await;
    app.invite(&with(body("ada@example.com"), json!({ "organizationId": "other" }))).await;
}

#[tokio::test]
async fn accepting_an_invitation_without_roles_makes_a_member_without_any() {
    let app = TestApp::start().await;
    let id = app.invite(&with(body("ada@example.com"), json!({ "organizationRoleIds": [] }))).await;
    assert_eq!(app.call(Call::accept(&id, "ada")).await.json()["organizationRoles"], json!([]));
    assert_eq!(app.row("default", MEMBERSHIP).await.unwrap().get("organizationRoleIds"), None);
    invariant::check(&app, NOW).await;
}

#[tokio::test]
async fn a_member_who_accepts_with_another_address_gets_the_roles_as_well() {
    let app = TestApp::start().await;
    app.add_user("ada", Some("old@example.com")).await;
    let first = app.invite(&body("old@example.com")).await;
    assert_eq!(app.call(Call::accept(&first, "ada")).await.status, 200);
    app.add_user("ada", Some("New@Example.com")).await;
    let second = with(body("new@example.com"), json!({ "organizationRoleIds": ["admin", "member"] }));
    let second = app.invite_at(NOW + 1, &second).await;
    let third = with(body("new@example.com"), json!({ "organizationId": "string", "organizationRoleIds": [] }));
    let third = app.invite_at(NOW + 1, &third).await;
    for id in [&second, &third] {
        assert_eq!(app.call_at(NOW + 2, Call::accept(id, "ada")).await.status, 200);
    }
    let membership = app.row("default", MEMBERSHIP).await.unwrap();
    assert_eq!(roles(&membership), ["admin", "member"], "merged");
    assert_eq!(membership["joinedAt"], NOW, "the joining time of the first membership");
    invariant::check(&app, NOW + 2).await;
}

#[tokio::test]
async fn an_invitee_who_became_a_member_meanwhile_can_accept() {
    let app = TestApp::start().await;
    let id = app.invite(&body("ada@example.com")).await;
    app.make_member("acme", "ada@example.com").await;
    let key = json!({ "pk": "TENANT#default", "sk": "MEMBER#acme#somebody" });
    let membership = json!({ "organizationId": "acme", "userId": "somebody", "joinedAt": NOW });
    app.put_rows([items::from_json(with(key, membership))]).await;
    let answer = app.call(Call::accept(&id, "ada")).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(app.row("default", STANDING).await.unwrap()["userId"], "ada");
    invariant::check(&app, NOW).await;
}

#[tokio::test]
async fn ending_an_invitation_keeps_the_attributes_of_other_writers() {
    for (end, changes) in [
        (Call::accept as fn(&str, &str) -> Call, json!({ "status": "Accepted", "acceptedUserId": "ada" })),
        (|id, _| Call::revoke(id), json!({ "status": "Revoked" })),
    ] {
        let app = TestApp::start().await;
        let id = app.invite(&body("ada@example.com")).await;
        let sk = format!("INVITATION#{id}");
        let row = app.row("default", &sk).await.unwrap();
        let row = with(row, json!({ "note": "another writer's", "ttl": 9_999_999_999_i64 }));
        app.put_rows([items::from_json(row.clone())]).await;
        assert_eq!(app.call_at(NOW + 5, end(&id, "ada")).await.status, 200);
        let expected = with(with(row, changes), json!({ "updatedAt": NOW + 5 }));
        assert_eq!(app.row("default", &sk).await.unwrap(), expected);
    }
}

#[tokio::test]
async fn after_a_revoke_the_invitee_can_be_invited_again() {
    let app = TestApp::start().await;
    let created = app.create_at(NOW, &body("Ada@Example.com")).await;
    let id = created.json()["id"].as_str().unwrap().to_owned();
    let answer = app.call_at(NOW + 5, Call::revoke(&id)).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let expected = created.text.replace("\"status\":\"Pending\"", "\"status\":\"Revoked\"");
    let expected = expected.replace(&format!("\"updatedAt\":{NOW}"), &format!("\"updatedAt\":{}", NOW + 5));
    assert_eq!(answer.text, expected, "only these two attributes have changed");
    assert_eq!(app.call_at(NOW + 6, Call::get(&id)).await.text, answer.text);
    assert_eq!(app.row("default", STANDING).await, None);
    assert_eq!(app.row("default", MEMBERSHIP).await, None);
    app.invite_at(NOW + 6, &body("ada@example.com")).await;
    invariant::check(&app, NOW + 6).await;
}

#[tokio::test]
async fn revoking_ignores_a_user_of_any_type() {
    let app = TestApp::start().await;
    for user in [
        json!("ada"),
        json!("nobody"),
        json!(""),
        json!("x".repeat(5000)),
        json!(null),
        json!(1),
        json!(true),
        json!([]),
        json!({ "a": 1 }),
    ] {
        let id = app.invite(&body("ada@example.com")).await;
        let answer = app.call(Call::status(&id, &json!({ "status": "Revoked", "acceptedUserId": user }))).await;
        assert_eq!((answer.status, &answer.json()["acceptedUserId"]), (200, &Value::Null), "{user}: {answer:?}");
    }
}

#[tokio::test]
async fn the_status_is_accepted_or_revoked() {
    let app = TestApp::start().await;
    let id = app.invite(&body("ada@example.com")).await;
    let before = app.rows().await;
    for (body, issues, reason) in [
        ("", json!([["status", "invalid_type"]]), "no body counts as {}"),
        ("{}", json!([["status", "invalid_type"]]), "no status"),
        (r#"{"status":null}"#, json!([["status", "invalid_type"]]), "null"),
        (r#"{"status":1}"#, json!([["status", "invalid_type"]]), "a number"),
        (
            r#"{"status":"Pending"}"#,
            json!([["status", "invalid_enum_value"]]),
            "an invitation cannot become pending again",
        ),
        (r#"{"status":"Expired"}"#, json!([["status", "invalid_enum_value"]]), "only time makes an invitation expire"),
        (
            r#"{"status":"accepted","acceptedUserId":"ada"}"#,
            json!([["status", "invalid_enum_value"]]),
            "a status is case-sensitive",
        ),
        (r#"{"status":""}"#, json!([["status", "invalid_enum_value"]]), "nothing"),
        (
            r#"{"status":"Accepted","acceptedUserId":"0123456789012345678901"}"#,
            json!([["acceptedUserId", "too_big"]]),
            "22 characters",
        ),
        (
            r#"{"status":"Accepted","acceptedUserId":"01234567890123456789\ud83d\ude00"}"#,
            json!([["acceptedUserId", "too_big"]]),
            "22 UTF-16 units",
        ),
        (r#"{"status":"Accepted","acceptedUserId":1}"#, json!([["acceptedUserId", "invalid_type"]]), "a number"),
        (r#"{"status":"Accepted","acceptedUserId":["ada"]}"#, json!([["acceptedUserId", "invalid_type"]]), "an array"),
        (
            r#"{"acceptedUserId":{},"status":"Pending"}"#,
            json!([["status", "invalid_enum_value"], ["acceptedUserId", "invalid_type"]]),
            "all violations at once, in order",
        ),
        ("[]", json!([[null, "invalid_type"]]), "an array"),
        ("\"Revoked\"", json!([[null, "invalid_type"]]), "a text"),
        ("null", json!([[null, "invalid_type"]]), "null instead of an object"),
    ] {
        let answer = app.call(Call::revoke(&id).text("application/json", body)).await;
        answer.assert_error(400, "guard.invalid_input");
        let found = answer.json()["data"]["issues"].clone();
        let found: Vec<Value> = found.as_array().unwrap().iter().map(|it| json!([it["path"][0], it["code"]])).collect();
        assert_eq!(json!(found), issues, "{reason}");
    }
    for (content_type, body) in [("application/json", "{"), ("text/plain", r#"{"status":"Revoked"}"#)] {
        let answer = app.call(Call::revoke(&id).text(content_type, body)).await;
        answer.assert_error(400, "request.invalid_input");
    }
    let huge = json!({ "status": "Revoked", "x": "y".repeat(1 << 20) });
    app.call(Call::status(&id, &huge)).await.assert_error(413, "request.invalid_input");
    assert_eq!(app.rows().await, before);
}

#[tokio::test]
async fn of_a_duplicate_key_the_last_counts_and_unknown_keys_are_ignored() {
    let app = TestApp::start().await;
    let id = app.invite(&body("ada@example.com")).await;
    let body =
        r#"{"status":"Revoked","status":"Accepted","acceptedUserId":1,"acceptedUserId":"ada","id":2,"__proto__":3}"#;
    let answer = app.call(Call::revoke(&id).text("application/json", body)).await;
    assert_eq!((answer.status, &answer.json()["status"]), (200, &json!("Accepted")), "{answer:?}");
}

#[tokio::test]
async fn errors_have_the_order_of_the_contract() {
    let app = TestApp::start().await;
    app.add_user("bob", Some("bob@example.com")).await;
    app.add_user("mute", None).await;
    let pending = app.invite(&body("ada@example.com")).await;
    let ended = app.invite(&body("sorry@example.com")).await;
    app.call(Call::revoke(&ended)).await;
    let before = app.rows().await;
    let nowhere = "0".repeat(21);
    let with_user = |user: Value| json!({ "status": "Accepted", "acceptedUserId": user });
    let accept = json!({ "status": "Accepted" });
    for (id, body, status, code, reason) in [
        (&nowhere, json!({ "status": "Pending" }), 400, "guard.invalid_input", "the body before the invitation"),
        (&ended, with_user(json!(1)), 400, "guard.invalid_input", "the body before its status"),
        (&nowhere, accept.clone(), 422, "request.invalid_input", "the missing user before the invitation"),
        (&nowhere, with_user(json!(null)), 422, "request.invalid_input", "null instead of a user"),
        (&nowhere, with_user(json!("")), 422, "request.invalid_input", "an empty user"),
        (&ended, accept.clone(), 422, "request.invalid_input", "the missing user before its status"),
        (&pending, accept, 422, "request.invalid_input", "the missing user"),
        (&nowhere, with_user(json!("nobody")), 404, "entity.not_found", "the invitation before the user"),
        (&nowhere, json!({ "status": "Revoked" }), 404, "entity.not_found", "the invitation"),
        (&ended, with_user(json!("nobody")), 422, "request.invalid_input", "the status before the user"),
        (&pending, with_user(json!("nobody")), 404, "entity.not_found", "the user"),
        (&pending, with_user(json!("a#b")), 404, "entity.not_found", "a user with an invalid identifier"),
        (&pending, with_user(json!("a\u{0}b")), 404, "entity.not_found", "a user with NUL"),
        (&pending, with_user(json!("x".repeat(22))), 400, "guard.invalid_input", "a user longer than an identifier"),
        (&nowhere, with_user(json!("x".repeat(5000))), 400, "guard.invalid_input", "the body comes first"),
        (&pending, with_user(json!("bob")), 422, "request.invalid_input", "the user's address"),
        (&pending, with_user(json!("mute")), 422, "request.invalid_input", "a user without an address"),
    ] {
        let answer = app.call(Call::status(id, &body)).await;
        assert_eq!((answer.status, answer.code().as_str()), (status, code), "{reason}");
    }
    assert_eq!(app.rows().await, before, "nothing was written");
    let message = async |user: &str| app.call(Call::accept(&pending, user)).await.json()["message"].clone();
    assert_ne!(
        message("nobody").await,
        app.call(Call::get(&nowhere)).await.json()["message"],
        "the error names the missing user"
    );
}

#[tokio::test]
async fn an_ended_invitation_cannot_be_changed() {
    let app = TestApp::start().await;
    let short = json!({ "expiresAt": NOW + 1000 });
    let accepted = app.invite(&with(body("ada@example.com"), short.clone())).await;
    let elsewhere = with(with(body("ada@example.com"), short), json!({ "organizationId": "string" }));
    let revoked = app.invite(&elsewhere).await;
    app.call(Call::accept(&accepted, "ada")).await;
    app.call(Call::revoke(&revoked)).await;
    let expired = app.invite(&with(elsewhere, json!({ "expiresAt": NOW + 1000 }))).await;
    let before = app.rows().await;
    for (id, now, reason) in [
        (&accepted, NOW + 1, "accepted"),
        (&revoked, NOW + 1, "revoked"),
        (&accepted, NOW + 1000, "accepted, and past its expiry"),
        (&revoked, NOW + 1000, "revoked, and past its expiry"),
        (&expired, NOW + 1000, "expired, in the millisecond of its expiry"),
    ] {
        for call in [Call::accept(id, "ada"), Call::revoke(id)] {
            let answer = app.call_at(now, call).await;
            assert_eq!((answer.status, answer.code().as_str()), (422, "request.invalid_input"), "{reason}");
        }
    }
    assert_eq!(app.rows().await, before);
    assert_eq!(
        app.call_at(NOW + 999, Call::accept(&expired, "ada")).await.status,
        200,
        "the last millisecond before the expiry"
    );
}

#[tokio::test]
async fn a_slow_clock_cannot_accept_an_invitation_whose_standing_a_newer_one_has() {
    let app = TestApp::start().await;
    let older = app.invite(&with(body("ada@example.com"), json!({ "expiresAt": NOW + 1000 }))).await;
    let newer = app.invite_at(NOW + 1000, &body("ada@example.com")).await;
    // A request that started before the expiry, or on a machine whose clock is behind.
    app.call_at(NOW + 999, Call::accept(&older, "ada")).await.assert_error(422, "request.invalid_input");
    invariant::check(&app, NOW + 1000).await;
    assert_eq!(
        app.call_at(NOW + 999, Call::revoke(&older)).await.status,
        200,
        "the revoke does not change the newer invitation"
    );
    invariant::check(&app, NOW + 1000).await;
    assert_eq!(app.call_at(NOW + 1001, Call::accept(&newer, "ada")).await.status, 200);
    invariant::check(&app, NOW + 1001).await;
}

#[tokio::test]
async fn with_trusted_references_any_valid_user_can_accept() {
    let app = TestApp::start_with(&[("REFERENCE_CHECKS", "trust"), ("ID_MAX_LENGTH", "36")]).await;
    let user = "0b2f6a5e-5d0c-4f0e-9d7e-3a2b1c0d9e8f";
    let changes = json!({ "organizationId": "anywhere", "inviterId": null, "organizationRoleIds": ["b", "a"] });
    let id = app.invite(&with(body("someone@example.com"), changes)).await;
    app.call(Call::accept(&id, "a#b")).await.assert_error(404, "entity.not_found");
    app.call(Call::accept(&id, &"x".repeat(37))).await.assert_error(400, "guard.invalid_input");
    app.call(Call::accept(&id, "")).await.assert_error(422, "request.invalid_input");
    let answer = app.call(Call::accept(&id, user)).await;
    assert_eq!((answer.status, &answer.json()["acceptedUserId"]), (200, &json!(user)), "{answer:?}");
    assert_eq!(roles(&app.row("default", &format!("MEMBER#anywhere#{user}")).await.unwrap()), ["a", "b"]);
    invariant::check(&app, NOW).await;
}

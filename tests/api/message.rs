//! Message: the body, the recipient, the rate limit, and what stays unchanged.

use std::time::Duration;

use organization_invitations::{
    clock::RequestClock,
    domain::{directory::EmailConnector, ids::InvitationId},
    store::{
        recipient_rate_limit::{RecipientRateLimit, ReserveOutcome},
        token::MessageToken,
    },
};
use serde_json::{Value, json};

use crate::{
    helpers::{Call, NOW, TestApp, body, body_with_mail, connector, connector_with, inline, rows, tenant, with},
    invariant,
};

const LINK: &str = "https://app.example.com/join/{invitationId}";

#[tokio::test]
async fn a_pending_invitation_is_mailed_to_its_invitee_again() {
    let app = TestApp::start().await;
    let id = app.invite(&with(body("Someone@Example.com"), json!({ "messagePayload": { "locale": "de" } }))).await;
    let payload = json!({ "link": LINK, "code": "482 915", "locale": "fr", "uiLocales": "fr en", "own": { "x": [1] } });
    let answer = app.call(Call::message(&id, &payload)).await;
    assert_eq!((answer.status, answer.text.as_str()), (204, ""));
    assert_eq!(answer.headers.get("content-type"), None, "no body, so no content type");
    let mail = app.mails().remove(0);
    assert_eq!(mail.to, "Someone@Example.com");
    assert_eq!(mail.tags["invitation"], id);
    for part in [&format!("https://app.example.com/join/{id}"), "482 915", "Acme Corporation", "Ada Lovelace", "Rôle"]
    {
        assert!(mail.text.contains(part), "{part} is in {}", mail.text);
    }
    assert_eq!(app.mails().len(), 2);
}

#[tokio::test]
async fn no_body_counts_as_an_empty_payload() {
    let app = TestApp::start().await;
    let id = app.invite(&body("someone@example.com")).await;
    let without = Call { body: None, ..Call::message(&id, &json!({})) };
    let empty = Call { body: Some(String::new()), ..without.clone() };
    let untyped = Call { content_type: None, ..Call::message(&id, &json!({})) };
    let suffixed = Call::message(&id, &json!({})).text("application/vnd.x+json; charset=utf-8", "{}");
    for call in [without, empty, untyped, suffixed] {
        assert_eq!(app.call(call.clone()).await.status, 204, "{call:?}");
    }
    assert_eq!(app.mails().len(), 4);
}

#[tokio::test]
async fn the_body_of_a_message_is_a_payload() {
    let app = TestApp::start().await;
    let id = app.invite(&body("someone@example.com")).await;
    let before = app.rows().await;
    for (body, issues, reason) in [
        ("null", &[("", "invalid_type")][..], "nothing"),
        ("true", &[("", "invalid_type")], "a boolean"),
        ("false", &[("", "invalid_type")], "false, which only a create accepts"),
        ("[]", &[("", "invalid_type")], "an array"),
        ("\"text\"", &[("", "invalid_type")], "a text"),
        ("1", &[("", "invalid_type")], "a number"),
        (r#"{"code":1}"#, &[("code", "invalid_type")], "a number as the code"),
        (r#"{"link":null}"#, &[("link", "invalid_type")], "null instead of a text"),
        (
            r#"{"uiLocales":[],"x":1,"locale":{},"link":false,"code":true}"#,
            &[
                ("code", "invalid_type"),
                ("link", "invalid_type"),
                ("locale", "invalid_type"),
                ("uiLocales", "invalid_type"),
            ],
            "all violations at once, in order",
        ),
    ] {
        let answer = app.call(Call::message(&id, &json!({})).text("application/json", body)).await;
        answer.assert_error(400, "guard.invalid_input");
        let found = answer.json()["data"]["issues"].clone();
        let expected: Vec<Value> = issues.iter().map(|(path, code)| json!([path, code])).collect();
        let found: Vec<Value> = found.as_array().unwrap().iter().map(|it| json!([path(it), it["code"]])).collect();
        assert_eq!(found, expected, "{reason}");
        let lines = answer.json()["details"].as_str().unwrap().lines().count();
        assert_eq!(lines, issues.len(), "{reason}: a line for each");
    }
    for (content_type, body, reason) in [
        ("application/json", "{", "truncated JSON"),
        ("application/json", "{} {}", "two JSON values"),
        ("application/json", r#"{"code":"\ud800"}"#, "a lone surrogate"),
        ("text/plain", "{}", "not called JSON"),
        ("application/x-www-form-urlencoded", "code=1", "a form"),
    ] {
        let answer = app.call(Call::message(&id, &json!({})).text(content_type, body)).await;
        assert_eq!((answer.status, answer.code().as_str()), (400, "request.invalid_input"), "{reason}");
        assert!(answer.json()["details"].is_string(), "{reason}: {answer:?}");
    }
    let huge = json!({ "x": "y".repeat(1 << 20) });
    app.call(Call::message(&id, &huge)).await.assert_error(413, "request.invalid_input");
    assert_eq!((app.rows().await, app.mails().len()), (before, 0));
}

fn path(issue: &Value) -> String {
    issue["path"].as_array().unwrap().iter().map(|key| key.as_str().unwrap()).collect::<Vec<_>>().join(".")
}

#[tokio::test]
async fn only_a_pending_invitation_is_mailed() {
    let app = TestApp::start().await;
    let short = json!({ "expiresAt": NOW + 1000 });
    let expiring = app.invite(&with(body("late@example.com"), short)).await;
    let revoked = app.invite(&body("sorry@example.com")).await;
    let accepted = app.invite(&body("ada@example.com")).await;
    app.call(Call::revoke(&revoked)).await;
    app.call(Call::accept(&accepted, "ada")).await;
    let call = Call::message(&expiring, &json!({}));
    assert_eq!(app.call_at(NOW + 999, call.clone()).await.status, 204, "the last millisecond before the expiry");
    let before = app.rows().await;
    for (id, now, reason) in
        [(&expiring, NOW + 1000, "expired"), (&revoked, NOW + 1, "revoked"), (&accepted, NOW + 1, "accepted")]
    {
        let answer = app.call_at(now, Call::message(id, &json!({}))).await;
        assert_eq!((answer.status, answer.code().as_str()), (422, "request.invalid_input"), "{reason}");
    }
    assert_eq!((app.rows().await, app.mails().len()), (before, 1));
}

#[tokio::test]
async fn errors_have_the_order_of_the_contract() {
    let app = TestApp::start_with(&[("MESSAGE_RATE_LIMIT", "1")]).await;
    app.add_organization("other").await;
    let fresh = app.invite(&body("fresh@example.com")).await;
    let mailed = app.invite(&body_with_mail("mailed@example.com")).await;
    let ended = app.invite(&with(body("mailed@example.com"), json!({ "organizationId": "other" }))).await;
    app.call(Call::revoke(&ended)).await;
    let no_mail = with(body("someone@example.com"), json!({ "inviterId": null }));
    let without_connector = app.create_as("no-mail", &no_mail).await.json()["id"].as_str().unwrap().to_owned();
    let ended_without_connector = {
        let other = with(no_mail, json!({ "invitee": "other@example.com" }));
        let id = app.create_as("no-mail", &other).await.json()["id"].as_str().unwrap().to_owned();
        app.call(Call::revoke(&id).by("no-mail")).await;
        id
    };
    let nowhere = "0".repeat(21);
    let strict = json!({ "locale": "x-strict" });
    for (tenant, id, payload, status, code, reason) in [
        ("default", &nowhere, json!([]), 400, "guard.invalid_input", "the body before the invitation"),
        (
            "default",
            &nowhere,
            json!({ "code": 1 }),
            400,
            "guard.invalid_input",
            "the fields of the body before the invitation",
        ),
        ("no-mail", &nowhere, json!({}), 404, "entity.not_found", "the invitation before the connector"),
        (
            "default",
            &ended,
            strict.clone(),
            422,
            "request.invalid_input",
            "the status before the rate limit and the template",
        ),
        (
            "no-mail",
            &ended_without_connector,
            json!({}),
            422,
            "request.invalid_input",
            "the status before the connector",
        ),
        ("no-mail", &without_connector, strict.clone(), 501, "connector.not_found", "the connector"),
        ("default", &mailed, strict.clone(), 429, "request.message_rate_limited", "the rate limit before the template"),
        ("default", &fresh, strict, 400, "connector.insufficient_request_parameters", "the template"),
    ] {
        let answer = app.call(Call::message(id, &payload).by(tenant)).await;
        assert_eq!((answer.status, answer.code().as_str()), (status, code), "{reason}");
    }
    assert_eq!(app.mails().len(), 1, "only the mail of the create");
}

#[tokio::test]
async fn missing_variables_and_forbidden_links_reserve_no_send() {
    let app = TestApp::start_with(&[("MESSAGE_RATE_LIMIT", "1")]).await;
    let id = app.invite(&body("someone@example.com")).await;
    let before = app.rows().await;
    for (locale, missing) in [("x-strict", json!(["link", "code"])), ("x-stored", json!(["link"]))] {
        let answer = app.call(Call::message(&id, &json!({ "locale": locale }))).await;
        answer.assert_error(400, "connector.insufficient_request_parameters");
        assert_eq!(answer.json()["data"], json!({ "missing": missing }));
    }
    assert_eq!((app.rows().await, app.stack.ses.calls()), (before, 0));
    let payload = json!({ "locale": "x-stored", "link": LINK });
    assert_eq!(app.call(Call::message(&id, &payload)).await.status, 204);
    assert!(app.mails()[0].text.contains(&LINK.replace("{invitationId}", &id)), "{:?}", app.mails());
}

#[tokio::test]
async fn a_message_does_not_change_the_invitation() {
    let app = TestApp::start().await;
    let id = app.invite(&body("someone@example.com")).await;
    let (before, entity) = (app.rows().await, app.call(Call::get(&id)).await.text);
    assert_eq!(app.call_at(NOW + 5000, Call::message(&id, &json!({}))).await.status, 204);
    let mut rows = app.rows().await;
    rows.retain(|row| rows::kind(row) != "SENDS");
    assert_eq!(rows, before);
    assert_eq!(
        app.call_at(NOW + 5000, Call::get(&id)).await.text,
        entity,
        "the entity is unchanged, including updatedAt"
    );
    invariant::check(&app, NOW + 5000).await;
}

#[tokio::test]
async fn creates_and_messages_share_the_recipient_rate_limit() {
    let app = TestApp::start_with(&[("MESSAGE_RATE_LIMIT", "3"), ("MESSAGE_RATE_WINDOW_SECONDS", "60")]).await;
    app.add_organization("other").await;
    let mailed = |organization: &str| {
        with(body("Busy@Example.com"), json!({ "organizationId": organization, "messagePayload": {} }))
    };
    let id = app.invite(&mailed("acme")).await;
    let again = Call::message(&id, &json!({}));
    assert_eq!(app.call_at(NOW + 10_000, again.clone()).await.status, 204);
    assert_eq!(app.call_at(NOW + 20_000, again.clone()).await.status, 204);
    let limited = app.call_at(NOW + 30_000, again.clone()).await;
    limited.assert_error(429, "request.message_rate_limited");
    assert_eq!(limited.headers["retry-after"], "30", "until the first send leaves the window");
    app.create_at(NOW + 30_000, &mailed("other")).await.assert_error(429, "request.message_rate_limited");
    assert_eq!(app.call_at(NOW + 60_000, again.clone()).await.status, 204, "the first send has left the window");
    app.create_at(NOW + 60_000, &mailed("other")).await.assert_error(429, "request.message_rate_limited");
    assert_eq!(app.create_at(NOW + 70_000, &mailed("other")).await.status, 201, "the second send has left the window");
    assert_eq!(app.mails().len(), 5);
    invariant::check(&app, NOW + 70_000).await;
}

#[tokio::test]
async fn an_invitation_is_mailed_without_its_organization_and_inviter_in_the_directory() {
    let app = TestApp::start().await;
    let id = app.invite(&body("someone@example.com")).await;
    app.delete_row("default", "ORGANIZATION#acme").await;
    app.delete_row("default", "USER#ada").await;
    assert_eq!(app.call(Call::message(&id, &json!({ "link": LINK }))).await.status, 204);
    let mail = app.mails().remove(0);
    assert!(mail.text.contains("acme"), "{}", mail.text);
}

#[tokio::test]
async fn a_missing_or_broken_template_is_an_error() {
    let app = TestApp::start().await;
    let id = app.invite(&body("someone@example.com")).await;
    let french = EmailConnector { default_locale: "fr".to_owned(), ..connector_with(inline("s", "h", "t")) };
    let broken = connector_with(inline("{{#if a}}", "h", "t"));
    let hosts = EmailConnector { allowed_link_hosts: vec!["elsewhere.example.com".to_owned()], ..connector() };
    for (connector, status, code) in [
        (french, 400, "connector.template_not_found"),
        (broken, 400, "connector.invalid_config"),
        (hosts, 400, "connector.invalid_request_parameters"),
    ] {
        app.set_connector(&connector).await;
        let before = app.rows().await;
        app.call(Call::message(&id, &json!({ "link": LINK }))).await.assert_error(status, code);
        assert_eq!(app.rows().await, before, "{code}");
    }
}

#[tokio::test]
async fn a_tenant_without_a_connector_uses_the_stacks_connector() {
    let app = TestApp::start_with(&[("DEFAULT_FROM_EMAIL_ADDRESS", "stack@example.com")]).await;
    let created = app.create_as("no-mail", &with(body("someone@example.com"), json!({ "inviterId": null }))).await;
    let id = created.json()["id"].as_str().unwrap().to_owned();
    assert_eq!(app.call(Call::message(&id, &json!({})).by("no-mail")).await.status, 204);
    assert_eq!(app.mails()[0].from, "stack@example.com");
}

#[tokio::test]
async fn an_invitation_that_ends_while_its_message_is_prepared_is_not_mailed() {
    let app = TestApp::start().await;
    let clock = RequestClock::with_budget(Duration::from_secs(10));
    for (end, is_deleted) in [(Call::revoke as fn(&str) -> Call, false), (Call::delete, true)] {
        let id = app.invite(&body("a@example.com")).await;
        let id = InvitationId::parse(&id).unwrap();
        let read = app.app.store.get(&tenant("default"), &id, clock.deadline).await.unwrap().unwrap();
        assert!(app.call(end(id.as_str())).await.status < 300);
        let rate_limit = RecipientRateLimit::of_invitee(&read, app.app.config.message_rate);
        let outcome = app
            .app
            .store
            .reserve_send(MessageToken { invitation: &read, replaced: None, hash: None }, rate_limit, "v", clock)
            .await
            .unwrap();
        assert!(matches!((outcome, is_deleted), (ReserveOutcome::Ended, false) | (ReserveOutcome::Deleted, true)));
    }
    assert_eq!(app.row("default", "SENDS#a@example.com").await, None);
}

//! The token in the link of a message: its recipient, its verification, and its end.

use organization_invitations::{domain::directory::EmailConnector, local::ses::SesFault};
use serde_json::{Value, json};

use crate::{
    common::operation::TOKEN,
    helpers::{
        Answer, Call, FAR_FUTURE, NOW, TestApp, body, connector, connector_with, inline, invariant,
        proxy::Intervention, with,
    },
};

const LINK: &str = "https://app.example.com/{invitationId}#{invitationToken}";
const INVITEE: &str = "ada@example.com";

/// A body that requests a mail whose link contains a token.
fn with_token(invitee: &str) -> Value {
    with(body(invitee), json!({ "messagePayload": { "link": LINK } }))
}

async fn start() -> TestApp {
    let app = TestApp::start().await;
    app.set_connector(&hosts()).await;
    app
}

/// A connector that lists the host of [`LINK`].
fn hosts() -> EmailConnector {
    EmailConnector { allowed_link_hosts: vec!["app.example.com".to_owned()], ..connector() }
}

/// The token in the text of the latest mail.
fn mailed_token(app: &TestApp) -> String {
    let text = app.mails()[0].text.clone();
    let token = text.split('#').nth(1).unwrap_or_else(|| panic!("{text}"));
    let is_base64url = |c: &char| c.is_ascii_alphanumeric() || "-_".contains(*c);
    let token: String = token.chars().take_while(is_base64url).collect();
    assert_eq!(token.len(), 43, "{text}");
    token
}

async fn verify(app: &TestApp, id: &str, token: &str) -> Answer {
    app.call(Call::verify(id, token)).await
}

async fn is_right(app: &TestApp, id: &str, token: &str) -> bool {
    let answer = verify(app, id, token).await;
    if answer.status == 200 {
        return true;
    }
    answer.assert_error(404, "entity.not_found");
    false
}

#[tokio::test]
async fn the_token_of_the_link_proves_the_mailbox_however_often_the_link_is_opened() {
    let app = start().await;
    let id = app.invite(&with_token("someone@example.com")).await;
    let token = mailed_token(&app);
    let before = app.rows().await;
    let entity = app.call(Call::get(&id)).await;
    for _ in 0..3 {
        let answer = verify(&app, &id, &token).await;
        assert_eq!((answer.status, &answer.text), (200, &entity.text));
    }
    assert_eq!(app.rows().await, before, "verifying writes nothing");
    app.call(Call::accept(&id, "ada")).await.assert_error(422, "request.invalid_input");
    let accepted = app.call(Call::accept_by_token(&id, "ada", &token)).await;
    assert_eq!((accepted.status, &accepted.json()["acceptedUserId"]), (200, &json!("ada")), "{accepted:?}");
    assert!(app.row("default", "MEMBER#acme#ada").await.is_some());
    invariant::check(&app, NOW).await;
    assert!(!is_right(&app, &id, &token).await, "the token has ended");
    app.call(Call::accept_by_token(&id, "ada", &token)).await.assert_error(422, "request.invalid_input");
}

#[tokio::test]
async fn only_the_mail_holds_the_token() {
    let app = start().await;
    let created = app.call(Call::create(&with_token(INVITEE)).with_key("k")).await;
    let token = mailed_token(&app);
    let id = created.json()["id"].as_str().unwrap().to_owned();
    let replayed = app.call(Call::create(&with_token(INVITEE)).with_key("k")).await;
    assert_eq!((replayed.text.as_str(), app.mails().len()), (created.text.as_str(), 1));
    let rows = serde_json::to_string(&app.rows().await).unwrap();
    let listed = app.call(Call::list("")).await.text;
    let verified = verify(&app, &id, &token).await.text;
    for text in [&rows, &created.text, &listed, &verified] {
        assert!(!text.contains(&token), "{text}");
        assert!(text == &rows || !text.contains("oken"), "{text}");
    }
    let row = app.row("default", &format!("INVITATION#{id}")).await.unwrap();
    assert_eq!((row["token"]["hash"].as_str().unwrap().len(), &row["token"]["failures"]), (43, &json!(0)));
}

#[tokio::test]
async fn wrong_ended_and_unknown_are_the_same_404() {
    let app = start().await;
    let mut answers = Vec::new();
    for end in ["wrong", "accept", "revoke", "delete", "expire", "no token"] {
        let invitee = format!("{}@example.com", end.replace(' ', ""));
        let body = with(with_token(&invitee), json!({ "expiresAt": NOW + 1000 }));
        let body = if end == "no token" { with(body, json!({ "messagePayload": false })) } else { body };
        let id = app.invite(&body).await;
        let token = if end == "no token" { "x".repeat(43) } else { mailed_token(&app) };
        let (now, token) = match end {
            "accept" => (app.call(Call::accept_by_token(&id, "ada", &token)).await.status.into(), token),
            "revoke" => (app.call(Call::revoke(&id)).await.status.into(), token),
            "delete" => (app.call(Call::delete(&id)).await.status.into(), token),
            "wrong" => (200, token.to_uppercase()),
            _ => (200, token),
        };
        assert!(now < 300, "{end}");
        let now = if end == "expire" { NOW + 1000 } else { NOW };
        answers.push(app.call_at(now, Call::verify(&id, &token)).await);
    }
    answers.push(verify(&app, &"0".repeat(21), "x").await);
    answers.push(verify(&app, "x", "x").await);
    for answer in &answers {
        answer.assert_error(404, "entity.not_found");
        assert_eq!(answer.text, answers[0].text);
    }
}

#[tokio::test]
async fn a_newer_message_ends_the_token_of_the_one_before() {
    let app = start().await;
    let id = app.invite(&with_token(INVITEE)).await;
    let first = mailed_token(&app);
    for (payload, has_token) in [(json!({ "link": LINK }), true), (json!({}), false), (json!({ "link": LINK }), true)] {
        let updated_at = app.call(Call::get(&id)).await.json()["updatedAt"].clone();
        assert_eq!(app.call_at(NOW + 5, Call::message(&id, &payload)).await.status, 204);
        assert!(!is_right(&app, &id, &first).await);
        if has_token {
            let token = mailed_token(&app);
            assert_ne!(token, first);
            assert!(is_right(&app, &id, &token).await);
        }
        assert_eq!(
            app.call(Call::get(&id)).await.json()["updatedAt"],
            updated_at,
            "a message changes no other attribute"
        );
    }
}

#[tokio::test]
async fn a_message_that_ses_did_not_accept_leaves_the_previous_link_valid() {
    let app = start().await;
    let id = app.invite(&with_token(INVITEE)).await;
    let token = mailed_token(&app);
    assert!(!is_right(&app, &id, "wrong").await);
    let before = app.row("default", &format!("INVITATION#{id}")).await;
    for payload in [json!({ "link": LINK }), json!({})] {
        app.stack.ses.fail_next(SesFault::MessageRejected);
        app.call(Call::message(&id, &payload)).await.assert_error(400, "connector.invalid_response");
        assert_eq!(
            app.row("default", &format!("INVITATION#{id}")).await,
            before,
            "the row is unchanged, including its count of wrong tokens"
        );
        assert!(is_right(&app, &id, &token).await);
    }
    // After the rollback, an invitation without a token has none again.
    let id = app.invite(&body("bob@example.com")).await;
    app.stack.ses.fail_next(SesFault::MessageRejected);
    app.call(Call::message(&id, &json!({ "link": LINK }))).await.assert_error(400, "connector.invalid_response");
    assert_eq!(app.row("default", &format!("INVITATION#{id}")).await.unwrap().get("token"), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_concurrent_messages_the_one_that_ses_rejects_leaves_the_others_link_valid() {
    for has_token in [true, false] {
        let app = std::sync::Arc::new(start().await);
        let first = if has_token { with_token(INVITEE) } else { body(INVITEE) };
        let id = app.invite(&first).await;
        let former = has_token.then(|| mailed_token(&app));
        let message = Call::message(&id, &json!({ "link": LINK }));
        for round in 0..10 {
            app.stack.ses.fail_next(SesFault::MessageRejected);
            let now = NOW + 3_600_000 * round;
            let answers = app.call_all_at_once(vec![(now, message.clone()), (now + 1, message.clone())]).await;
            let statuses: Vec<u16> = answers.iter().map(|answer| answer.status).collect();
            assert!(statuses.contains(&204) && statuses.contains(&400), "{statuses:?}");
            let latest = mailed_token(&app);
            // If the rejected message was the last to write its token, the mailed token is restored. If it was the
            // first, its token has already been replaced.
            assert!(is_right(&app, &id, &latest).await);
            if let Some(former) = &former {
                assert!(!is_right(&app, &id, former).await);
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_concurrent_messages_that_ses_did_not_accept_leave_the_previous_link_valid() {
    let app = std::sync::Arc::new(start().await);
    let id = app.invite(&with_token(INVITEE)).await;
    let token = mailed_token(&app);
    let before = app.row("default", &format!("INVITATION#{id}")).await;
    let [linked, plain] = [json!({ "link": LINK }), json!({})].map(|payload| Call::message(&id, &payload));
    for round in 0..9 {
        // Each message is throttled three times, which takes long enough for both to replace the token.
        (0..6).for_each(|_| app.stack.ses.fail_next(SesFault::TooManyRequests));
        let [one, other] = [[&linked, &linked], [&plain, &plain], [&linked, &plain]][round % 3].map(Clone::clone);
        let now = NOW + 3_600_000 * i64::try_from(round).unwrap();
        let answers = app.call_all_at_once(vec![(now, one), (now + 1, other)]).await;
        assert!(answers.iter().all(|answer| answer.status == 429), "{answers:?}");
        assert!(is_right(&app, &id, &token).await, "{round}");
        assert_eq!(app.row("default", &format!("INVITATION#{id}")).await, before, "{round}");
    }
}

#[tokio::test]
async fn the_link_of_the_previous_message_never_counts_as_a_wrong_token() {
    let app = start().await;
    let id = app.invite(&with_token(INVITEE)).await;
    let former = mailed_token(&app);
    assert_eq!(app.call(Call::message(&id, &json!({ "link": LINK }))).await.status, 204);
    let before = app.rows().await;
    for _ in 0..12 {
        assert!(!is_right(&app, &id, &former).await);
        app.call(Call::accept_by_token(&id, "ada", &former)).await.assert_error(422, "request.invalid_input");
    }
    assert_eq!(app.rows().await, before);
    assert!(is_right(&app, &id, &mailed_token(&app)).await);
}

#[tokio::test]
async fn a_rate_limit_that_cannot_be_released_does_not_keep_a_token_that_was_never_mailed() {
    let app = start().await;
    let id = app.invite(&with_token(INVITEE)).await;
    let token = mailed_token(&app);
    // Three throttled attempts take long enough for the concurrent delete.
    (0..3).for_each(|_| app.stack.ses.fail_next(SesFault::TooManyRequests));
    let message = Call::message(&id, &json!({ "link": LINK }));
    let (answer, ()) = tokio::join!(app.call(message), async {
        let sends = format!("SENDS#{INVITEE}");
        while app.row("default", &sends).await.is_none_or(|row| row["sends"].as_array().unwrap().len() < 2) {
            tokio::time::sleep(std::time::Duration::from_millis(2)).await;
        }
        app.delete_row("default", &sends).await;
    });
    answer.assert_error(429, "connector.rate_limit_exceeded");
    assert!(is_right(&app, &id, &token).await);
}

#[tokio::test]
async fn after_ten_wrong_tokens_only_a_new_message_helps() {
    let app = start().await;
    let id = app.invite(&with_token(INVITEE)).await;
    let token = mailed_token(&app);
    for n in 0..10 {
        assert!(is_right(&app, &id, &token).await, "after {n}");
        let wrong = format!("{}{}", &token[..42], if token.ends_with('A') { "B" } else { "A" });
        if n % 2 == 0 {
            assert!(!is_right(&app, &id, &wrong).await);
        } else {
            app.call(Call::accept_by_token(&id, "ada", &wrong)).await.assert_error(422, "request.invalid_input");
        }
    }
    let before = app.rows().await;
    for token in [&token, "wrong"] {
        assert!(!is_right(&app, &id, token).await);
        app.call(Call::accept_by_token(&id, "ada", token)).await.assert_error(422, "request.invalid_input");
    }
    assert_eq!(app.rows().await, before, "further wrong tokens are not recorded");
    assert_eq!(app.call(Call::message(&id, &json!({ "link": LINK }))).await.status, 204);
    assert_eq!(app.call(Call::accept_by_token(&id, "ada", &mailed_token(&app))).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_wrong_tokens_at_once_ten_are_counted() {
    let app = std::sync::Arc::new(start().await);
    let id = app.invite(&with_token(INVITEE)).await;
    let token = mailed_token(&app);
    let calls = (0..40).map(|n| match n % 2 {
        0 => (NOW, Call::verify(&id, &format!("wrong {n}"))),
        _ => (NOW, Call::accept_by_token(&id, "ada", &format!("wrong {n}"))),
    });
    for answer in app.call_all_at_once(calls.collect()).await {
        assert!([404, 422].contains(&answer.status), "{answer:?}");
    }
    let row = app.row("default", &format!("INVITATION#{id}")).await.unwrap();
    assert_eq!((&row["token"]["failures"], &row["status"]), (&json!(10), &json!("Pending")));
    assert!(!is_right(&app, &id, &token).await);
}

#[tokio::test]
async fn a_wrong_token_that_cannot_be_counted_is_not_called_wrong() {
    let app = TestApp::start_behind_proxy(&[]).await;
    let id = app.invite_with_token(&body(INVITEE)).await;
    let guesses = [Call::verify(&id, "wrong"), Call::accept_by_token(&id, "ada", "wrong")];
    for (fault, reason) in [
        (Intervention::Fail(400, "ThrottlingException"), "throttled"),
        (Intervention::Fail(500, "InternalServerError"), "DynamoDB fails"),
        (Intervention::Fail(400, "TransactionConflictException"), "an accept locks the same row"),
        (Intervention::Disconnect, "the connection closes"),
    ] {
        for (guess, status) in guesses.iter().zip([404, 422]) {
            app.proxy().next("UpdateItem", fault);
            assert_eq!(app.call(guess.clone()).await.status, status, "{reason}, once");
        }
    }
    assert_eq!(
        app.row("default", &format!("INVITATION#{id}")).await.unwrap()["token"]["failures"],
        8,
        "each wrong token is counted once"
    );
    app.proxy().always("UpdateItem", Intervention::Fail(500, "InternalServerError"));
    for guess in guesses {
        let answer = app.invoke_within(std::time::Duration::from_secs(2), NOW, &guess.event().to_string()).await;
        answer.assert_error(503, "service.unavailable");
    }
    app.proxy().stop_faults();
    assert!(is_right(&app, &id, TOKEN).await, "the right token is verified without a write");
}

#[tokio::test]
async fn a_token_stands_in_for_the_address_and_for_nothing_else() {
    let app = start().await;
    for (changes, user, status, code, reason) in [
        (json!({}), "bob", 404, "entity.not_found", "the directory does not know the user"),
        (
            json!({ "token": "wrong" }),
            "ada",
            422,
            "request.invalid_input",
            "a wrong token, although the address is right",
        ),
        (json!({ "token": "" }), "ada", 422, "request.invalid_input", "an empty token is a wrong one"),
        (json!({ "token": null }), "ada", 400, "guard.invalid_input", "no text"),
        (json!({ "token": 5 }), "ada", 400, "guard.invalid_input", "no text"),
        (json!({ "acceptedUserId": null }), "ada", 422, "request.invalid_input", "no user"),
    ] {
        let id = app.invite(&with_token(INVITEE)).await;
        let status_change = json!({ "status": "Accepted", "acceptedUserId": user, "token": mailed_token(&app) });
        let answer = app.call(Call::status(&id, &with(status_change, changes))).await;
        assert_eq!((answer.status, answer.code().as_str()), (status, code), "{reason}: {answer:?}");
        let revoked = json!({ "status": "Revoked", "token": 5 });
        assert_eq!(app.call(Call::status(&id, &revoked)).await.status, 200, "a revoke ignores the token");
    }
}

#[tokio::test]
async fn a_body_without_a_token_text_is_reported() {
    let app = start().await;
    let id = app.invite(&with_token(INVITEE)).await;
    for (body, issue) in [
        (json!({}), "Required"),
        (json!({ "token": null }), "Expected string, received null"),
        (json!({ "token": ["x"] }), "Expected string, received array"),
    ] {
        let answer = app.call(Call::new("POST", &format!("/{id}/token/verify")).json(&body)).await;
        answer.assert_error(400, "guard.invalid_input");
        assert_eq!(answer.json()["data"]["issues"][0]["message"], issue, "{answer:?}");
    }
}

#[tokio::test]
async fn a_link_holds_a_token_only_for_hosts_that_the_tenant_trusts() {
    let strict = |connector| EmailConnector { allow_token_in_any_link: false, ..connector };
    for (connector, link, status, reason) in [
        (strict(hosts()), LINK, 201, "a listed host"),
        (hosts(), "https://evil.example/{invitationToken}", 400, "another host"),
        (strict(connector()), LINK, 400, "no host is listed"),
        (strict(connector()), "https://app.example.com/{invitationId}", 201, "no token"),
        (connector(), "https://evil.example/{invitationToken}", 201, "the tenant allows any host"),
        (connector(), "acme-app://join/{invitationToken}", 201, "an application's own scheme"),
        (connector(), "javascript:{invitationToken}", 400, "runs code"),
    ] {
        let app = TestApp::start().await;
        app.set_connector(&connector).await;
        let answer = app.call(Call::create(&with(body(INVITEE), json!({ "messagePayload": { "link": link } })))).await;
        assert_eq!(answer.status, status, "{reason}: {answer:?}");
        if status == 400 {
            answer.assert_error(400, "connector.invalid_request_parameters");
            assert!(app.mails().is_empty(), "{reason}");
        }
    }
}

#[tokio::test]
async fn a_template_of_the_tenants_gets_the_token_where_it_has_a_place_for_it() {
    let stored = |variables: &[&str]| {
        let template = json!({ "kind": "stored", "name": "invite", "variables": variables });
        serde_json::from_value(template).unwrap()
    };
    let uses = "https://app.example.com/#{{invitation.token}}";
    for (template, has_token, reason) in [
        (inline("s", "<a href=\"https://app.example.com/#{{invitation.token}}\">join</a>", uses), true, "inline"),
        (inline("s", "h", "{{#each invitation}}#{{this}} {{/each}}"), true, "inline, in a loop"),
        (inline("s", "h", "{{link}}"), false, "inline, without the token"),
        (inline("s", "h", "{{#if invitation.token}}yes{{/if}}"), false, "inline, with the token only as a condition"),
        (stored(&["invitation.token"]), true, "stored, listed"),
        (stored(&["invitation.id"]), false, "stored, not listed"),
    ] {
        let app = TestApp::start().await;
        app.set_connector(&connector_with(template)).await;
        app.put_template("invite", "s", "h", uses).await;
        let id = app.invite(&with(body(INVITEE), json!({ "messagePayload": { "link": "https://x.example/" } }))).await;
        let row = app.row("default", &format!("INVITATION#{id}")).await.unwrap();
        assert_eq!(row.get("token").is_some(), has_token, "{reason}");
        if has_token && reason != "inline, in a loop" {
            assert!(is_right(&app, &id, &mailed_token(&app)).await, "{reason}");
        }
    }
}

#[tokio::test]
async fn a_payload_cannot_bring_a_token_of_its_own() {
    let app = TestApp::start().await;
    app.set_connector(&connector_with(inline("s", "h", "#{{invitation.token}} {{note}}"))).await;
    let forged =
        json!({ "invitation": { "token": "forged" }, "note": "{invitationToken}", "link": "https://x.example/" });
    let id = app.invite(&with(body(INVITEE), json!({ "messagePayload": forged }))).await;
    let text = app.mails()[0].text.clone();
    assert!(!text.contains("forged") && text.ends_with(" {invitationToken}"), "{text}");
    assert!(is_right(&app, &id, &mailed_token(&app)).await);
    assert!(!is_right(&app, &id, "forged").await);
}

#[tokio::test]
async fn an_idempotent_retry_that_mails_again_mails_another_token() {
    let app = start().await;
    let call = Call::create(&with_token(INVITEE)).with_key("k");
    let id = app.call(call.clone()).await.json()["id"].as_str().unwrap().to_owned();
    let first = mailed_token(&app);
    // The record of an attempt that died before it could complete it.
    let sk = app.rows_of("default").await.into_iter().find(|row| row["sk"].as_str().unwrap().starts_with("IDEM"));
    let sk = sk.unwrap()["sk"].as_str().unwrap().to_owned();
    let mut record = app.row("default", &sk).await.unwrap();
    record["state"] = "started".into();
    record["runsUntil"] = (NOW - 1).into();
    app.put_rows([organization_invitations::store::items::from_json(record)]).await;
    let retried = app.call(call).await;
    assert_eq!((retried.status, app.mails().len()), (201, 2), "{retried:?}");
    let second = mailed_token(&app);
    assert!(!is_right(&app, &id, &first).await && is_right(&app, &id, &second).await);
}

#[tokio::test]
async fn a_change_of_the_invitation_keeps_its_token() {
    let app = start().await;
    let id = app.invite(&with_token(INVITEE)).await;
    let token = mailed_token(&app);
    assert_eq!(app.call(Call::change(&id, &json!({ "expiresAt": FAR_FUTURE + 1 }))).await.status, 200);
    assert!(is_right(&app, &id, &token).await);
}

#[tokio::test]
async fn a_bulk_create_gives_each_message_a_token_of_its_own() {
    let app = start().await;
    let items: Vec<Value> = (0..5).map(|n| with_token(&format!("person{n}@example.com"))).collect();
    let answer = app.call(Call::bulk(&json!({ "invitations": items }))).await;
    assert_eq!(answer.status, 200);
    let tokens: std::collections::BTreeSet<String> =
        app.mails().iter().map(|mail| mail.text.split('#').nth(1).unwrap().chars().take(43).collect()).collect();
    assert_eq!(tokens.len(), 5);
    assert!(tokens.iter().all(|token| !answer.text.contains(token)));
}

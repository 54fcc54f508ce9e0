//! Retries of a create with the same idempotency key: replayed, mailed once, and completed after a crash.

use std::{sync::Arc, time::Duration};

use organization_invitations::local::ses::SesFault;
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::{
    helpers::{Answer, Call, FAR_FUTURE, NOW, TestApp, body, body_with_mail, rows, ses_faults, with},
    invariant,
    proxy::Intervention,
};

/// A time when the lease of an attempt that started at [`NOW`] has expired, with allowance for clock skew.
const LATER: i64 = NOW + 60_000;
const DAY: i64 = 86_400_000;

fn create(body: &Value) -> Call {
    Call::create(body).with_key("a-key")
}

#[track_caller]
fn assert_created(answer: &Answer) {
    assert_eq!((answer.status, answer.headers.get("idempotent-replayed")), (201, None), "{answer:?}");
}

#[track_caller]
fn assert_replayed(answer: &Answer, first: &str) {
    let replayed = answer.headers.get("idempotent-replayed").map(String::as_str);
    assert_eq!((answer.status, replayed, answer.text.as_str()), (201, Some("true"), first), "{answer:?}");
    assert_eq!(answer.headers["content-type"], "application/json; charset=utf-8");
}

/// A create with mail whose process dies while SES does not respond. `accepts`: SES has accepted the message.
async fn die_while_sending(app: &TestApp, call: &Call, accepts: bool) {
    let calls = app.stack.ses.calls();
    app.stack.ses.fail_next(SesFault::Silence { accepts });
    let reached_ses = async {
        while app.stack.ses.calls() == calls {
            sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::select! {
        answer = app.call(call.clone()) => panic!("the attempt got a response: {answer:?}"),
        () = reached_ses => {}
    }
}

async fn records(app: &TestApp) -> Vec<Value> {
    rows::of_kind(&app.rows().await, "IDEMPOTENCY").cloned().collect()
}

async fn invitations(app: &TestApp) -> usize {
    rows::of_kind(&app.rows().await, "INVITATION").count()
}

#[tokio::test]
async fn a_retry_with_the_same_key_replays_the_first_response_and_writes_nothing() {
    for body in [body("a@example.com"), body_with_mail("a@example.com")] {
        let app = TestApp::start().await;
        let first = app.call(create(&body)).await;
        assert_created(&first);
        let (rows, mails) = (app.rows().await, app.mails().len());
        for later in [0, 1, 1000, DAY - 1] {
            assert_replayed(&app.call_at(NOW + later, create(&body)).await, &first.text);
        }
        assert_eq!((app.rows().await, app.mails().len()), (rows, mails));
        invariant::check(&app, NOW).await;
    }
}

#[tokio::test]
async fn a_create_is_replayed_in_either_format_of_the_event() {
    let app = TestApp::start().await;
    let call = create(&body("a@example.com"));
    let first = app.invoke_at(NOW, &call.rest_event().to_string()).await;
    assert_created(&first);
    assert_replayed(&app.invoke_at(NOW, &call.rest_event().to_string()).await, &first.text);
    app.call(call).await.assert_error(422, "entity.unique_integrity_violation"); // another caller: another `sub`
}

#[tokio::test]
async fn json_of_equal_meaning_is_the_same_request() {
    let app = TestApp::start().await;
    let first = app.call(create(&body("a@example.com"))).await;
    let spaced = format!(
        " {{ \"messagePayload\" : false, \"organizationRoleIds\":[ \"member\" ],\n\"expiresAt\":{FAR_FUTURE}.0,\
         \"organizationId\":\"ac\\u006de\", \"invitee\":\"a@example.com\", \"inviterId\":\"ada\"}}\t"
    );
    assert_replayed(&app.call(create(&json!({})).text("application/json", &spaced)).await, &first.text);
}

#[tokio::test]
async fn a_key_with_another_request_is_an_error() {
    let app = TestApp::start().await;
    assert_created(&app.call(create(&body("a@example.com"))).await);
    let rows = app.rows().await;
    for (changes, reason) in [
        (json!({ "invitee": "b@example.com" }), "another invitee"),
        (json!({ "invitee": "A@example.com" }), "the invitee in another case"),
        (json!({ "organizationRoleIds": ["member", "member"] }), "the same roles in another list"),
        (json!({ "organizationId": "unknown" }), "a missing reference"),
        (json!({ "expiresAt": 1 }), "an invalid body"),
        (json!({ "messagePayload": {} }), "with mail"),
        (json!({ "ignored": true }), "an unknown field"),
    ] {
        let answer = app.call(create(&with(body("a@example.com"), changes))).await;
        assert_eq!((answer.status, answer.code().as_str()), (422, "request.idempotency_key_reused"), "{reason}");
    }
    assert_eq!((app.rows().await, app.mails().len()), (rows, 0));
}

#[tokio::test]
async fn keys_of_different_callers_and_tenants_are_independent() {
    let app = TestApp::start_with(&[("REFERENCE_CHECKS", "trust")]).await;
    let calls = [
        create(&body("a@example.com")),
        create(&body("a@example.com")).by("other"),
        create(&body("b@example.com")).by_subject("another"),
        create(&body("c@example.com")).with_key("A-key"),
    ];
    let mut answers = Vec::new();
    for call in &calls {
        answers.push(app.call(call.clone()).await);
        assert_created(answers.last().unwrap());
    }
    for (call, first) in calls.iter().zip(&answers) {
        assert_replayed(&app.call(call.clone()).await, &first.text);
    }
    assert_eq!(records(&app).await.len(), 4);
    let tenants = app.rows_of("other").await;
    assert_eq!(tenants.len(), 3, "the invitation, its standing and the idempotency record");
}

#[tokio::test]
async fn a_key_replays_nothing_for_another_tenant() {
    let app = TestApp::start_with(&[("REFERENCE_CHECKS", "trust")]).await;
    assert_created(&app.call(create(&body("a@example.com"))).await);
    // The same key with another body in another tenant: neither a 422 nor a replay.
    assert_created(&app.call(create(&body("b@example.com")).by("other")).await);
}

#[tokio::test]
async fn a_key_expires_after_24_hours_even_if_its_row_still_exists() {
    let app = TestApp::start().await;
    let first = app.call(create(&body("a@example.com"))).await;
    let id = first.json()["id"].as_str().unwrap().to_owned();
    assert_eq!(app.call(Call::delete(&id)).await.status, 204);
    assert_replayed(&app.call_at(NOW + DAY - 1, create(&body("a@example.com"))).await, &first.text);
    let second = app.call_at(NOW + DAY, create(&body("a@example.com"))).await;
    assert_created(&second);
    assert_ne!(second.text, first.text);
    assert_replayed(&app.call_at(NOW + DAY, create(&body("a@example.com"))).await, &second.text);
}

#[tokio::test]
async fn a_replay_returns_the_first_response_after_any_change() {
    let soon = NOW + 5000;
    let app = TestApp::start().await;
    let call = create(&with(body("a@example.com"), json!({ "expiresAt": soon })));
    let first = app.call(call.clone()).await;
    assert_created(&first);
    assert_replayed(&app.call_at(soon + 1, call.clone()).await, &first.text); // expired
    app.delete_row("default", "ORGANIZATION#acme").await;
    assert_replayed(&app.call(call.clone()).await, &first.text);
    app.make_member("acme", "a@example.com").await;
    assert_replayed(&app.call(call.clone()).await, &first.text);
    let id = first.json()["id"].as_str().unwrap().to_owned();
    app.call(Call::delete(&id)).await;
    assert_replayed(&app.call(call).await, &first.text);
}

#[tokio::test]
async fn a_create_with_an_error_does_not_use_up_its_key() {
    let app = TestApp::start().await;
    let call = create(&with(body_with_mail("a@example.com"), json!({ "organizationId": "new" })));
    app.call(call.clone()).await.assert_error(422, "entity.relation_foreign_key_not_found");
    app.add_organization("new").await;
    assert_created(&app.call(call).await);

    let taken = Call::create(&body_with_mail("b@example.com")).with_key("another");
    let id = app.invite(&body("b@example.com")).await;
    app.call(taken.clone()).await.assert_error(422, "entity.unique_integrity_violation");
    app.call(Call::revoke(&id)).await;
    assert_created(&app.call(taken).await);
}

#[tokio::test]
async fn a_create_whose_email_ses_rejects_does_not_use_up_its_key() {
    for (fault, times, (status, code, _), reason) in ses_faults::FAULTS {
        let app = TestApp::start_with(&[("MESSAGE_RATE_LIMIT", "1")]).await.with_time_limits();
        (0..times).for_each(|_| app.stack.ses.fail_next(fault));
        app.call(create(&body_with_mail("a@example.com"))).await.assert_error(status, code);
        assert_eq!((records(&app).await.len(), invitations(&app).await), (0, 0), "{fault:?}: {reason}");
        assert_created(&app.call(create(&body_with_mail("a@example.com"))).await);
        invariant::check(&app, NOW).await;
    }
}

#[tokio::test]
async fn a_create_without_a_key_has_no_idempotency_record() {
    let app = TestApp::start().await;
    assert_created(&app.call(Call::create(&body_with_mail("a@example.com"))).await);
    assert!(records(&app).await.is_empty());
}

#[tokio::test]
async fn an_invalid_key_is_the_first_error_of_a_request() {
    let app = TestApp::start().await;
    for (key, reason) in [
        (json!(""), "empty"),
        (json!("a b"), "a space"),
        (json!(" a"), "a leading space"),
        (json!("a\r\nx: y"), "a line break and another header"),
        (json!("\u{0}"), "a control character"),
        (json!("schlüssel"), "not ASCII"),
        (json!("k".repeat(256)), "too long"),
        (json!(7), "not a text"),
    ] {
        let mut event = Call::create(&json!({})).event();
        event["headers"]["idempotency-key"] = key;
        let answer = app.invoke_at(NOW, &event.to_string()).await;
        assert_eq!((answer.status, answer.code().as_str()), (400, "request.invalid_input"), "{reason}: {answer:?}");
        assert!(answer.text.contains("Idempotency-Key"), "{reason}: {answer:?}");
    }
    assert_created(&app.call(Call::create(&body("a@example.com")).with_key(&"~".repeat(255))).await);
}

#[tokio::test]
async fn of_many_concurrent_creates_with_one_key_one_succeeds_and_one_mail_is_sent() {
    for body in [body("a@example.com"), body_with_mail("a@example.com")] {
        let app = Arc::new(TestApp::start().await);
        let answers = app.call_all_at_once(vec![(NOW, create(&body)); 24]).await;
        let first: Vec<&Answer> = answers.iter().filter(|answer| answer.status == 201).collect();
        assert_eq!(first.iter().filter(|answer| !answer.headers.contains_key("idempotent-replayed")).count(), 1);
        for answer in &answers {
            match answer.status {
                201 => assert_eq!(answer.text, first[0].text),
                _ => answer.assert_error(409, "request.idempotency_in_progress"),
            }
        }
        let is_mailed = body["messagePayload"].is_object();
        assert_eq!(app.mails().len(), usize::from(is_mailed));
        assert!(is_mailed || first.len() == 24, "without mail all concurrent creates are replayed");
        assert_eq!(invitations(&app).await, 1);
        assert_replayed(&app.call(create(&body)).await, &first[0].text);
        invariant::check(&app, NOW).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_duplicates_of_a_create_do_not_make_it_mail_twice() {
    const KEYS: usize = 8;
    let app = Arc::new(TestApp::start_behind_proxy(&[]).await);
    app.proxy().simulate_transaction_conflicts();
    let call = |key: usize| Call::create(&body_with_mail(&format!("a{key}@example.com"))).with_key(&format!("k{key}"));
    let with_duplicates = (0..KEYS).flat_map(|key| [(); 4].map(|()| (NOW, call(key)))).collect();
    let answers = app.call_all_at_once(with_duplicates).await;
    assert!(answers.iter().all(|answer| [201, 409].contains(&answer.status)), "{answers:?}");
    for key in 0..KEYS {
        let retried = app.call_at(LATER, call(key)).await;
        assert_replayed(&retried, &retried.text);
    }
    assert_eq!((app.mails().len(), invitations(&app).await), (KEYS, KEYS));
    invariant::check(&app, LATER).await;
}

#[tokio::test]
async fn a_retry_is_a_409_until_the_lease_of_the_first_attempt_expires() {
    let app = TestApp::start().await;
    let call = create(&body_with_mail("a@example.com"));
    die_while_sending(&app, &call, false).await;
    for (later, retry_after) in [(0, "21"), (1, "21"), (10_000, "11"), (20_999, "1")] {
        let answer = app.call_at(NOW + later, call.clone()).await;
        answer.assert_error(409, "request.idempotency_in_progress");
        assert_eq!(answer.headers["retry-after"], retry_after, "20 s and 1 s for clock skew; after {later} ms");
    }
    let another = create(&body_with_mail("b@example.com"));
    app.call(another).await.assert_error(422, "request.idempotency_key_reused");
    assert!(app.mails().is_empty());
    assert_eq!(app.call_at(NOW + 21_000, call).await.status, 201);
}

#[tokio::test]
async fn a_retry_completes_a_create_whose_process_died_before_sending() {
    let app = TestApp::start().await;
    let call = create(&body_with_mail("a@example.com"));
    die_while_sending(&app, &call, false).await;
    let finished = app.call_at(LATER, call.clone()).await;
    let id = finished.json()["id"].as_str().unwrap().to_owned();
    assert_replayed(&finished, &finished.text);
    assert_eq!(app.call(Call::get(&id)).await.text, finished.text, "the invitation of the first attempt");
    assert_eq!(app.mails().len(), 1);
    assert!(app.mails()[0].html.contains(&format!("https://app.example.com/{id}")));
    assert_replayed(&app.call_at(LATER, call).await, &finished.text);
    assert_eq!((app.mails().len(), invitations(&app).await), (1, 1));
    invariant::check(&app, LATER).await;
}

#[tokio::test]
async fn an_email_is_sent_twice_only_after_a_death_between_sending_and_recording() {
    let app = TestApp::start().await;
    let call = create(&body_with_mail("a@example.com"));
    die_while_sending(&app, &call, true).await;
    let finished = app.call_at(LATER, call.clone()).await;
    assert_replayed(&finished, &finished.text);
    let links: Vec<bool> =
        app.mails().iter().map(|mail| mail.html.contains(finished.json()["id"].as_str().unwrap())).collect();
    assert_eq!(links, [true, true], "both mails are of the same invitation");
    assert_replayed(&app.call_at(LATER, call).await, &finished.text);
    assert_eq!(app.mails().len(), 2);
}

#[tokio::test]
async fn of_many_concurrent_retries_one_takes_over_the_lease() {
    let app = Arc::new(TestApp::start().await);
    let call = create(&body_with_mail("a@example.com"));
    die_while_sending(&app, &call, false).await;
    let answers = app.call_all_at_once(vec![(LATER, call.clone()); 16]).await;
    assert!(answers.iter().any(|answer| answer.status == 201));
    for answer in answers.iter().filter(|answer| answer.status != 201) {
        answer.assert_error(409, "request.idempotency_in_progress");
    }
    assert_eq!(app.mails().len(), 1);
    invariant::check(&app, LATER).await;
}

#[tokio::test]
async fn a_retry_sends_no_email_for_an_invitation_that_has_ended() {
    for end in [Call::delete as fn(&str) -> Call, Call::revoke] {
        let app = TestApp::start().await;
        let call = create(&body_with_mail("a@example.com"));
        die_while_sending(&app, &call, false).await;
        let id = app.call(Call::list("")).await.json()[0]["id"].as_str().unwrap().to_owned();
        assert!(app.call(end(&id)).await.status < 300);
        let answer = app.call_at(LATER, call.clone()).await;
        assert_replayed(&answer, &answer.text);
        assert_eq!((answer.json()["id"].as_str(), app.mails().len()), (Some(id.as_str()), 0));
        assert_replayed(&app.call_at(LATER, call).await, &answer.text);
    }
}

#[tokio::test]
async fn a_retry_that_cannot_send_the_email_rolls_the_invitation_back() {
    let app = TestApp::start_with(&[("MESSAGE_RATE_LIMIT", "1")]).await;
    let call = create(&body_with_mail("a@example.com"));
    die_while_sending(&app, &call, false).await;
    app.stack.ses.fail_next(SesFault::MessageRejected);
    app.call_at(LATER, call.clone()).await.assert_error(400, "connector.invalid_response");
    assert_eq!((records(&app).await.len(), invitations(&app).await), (0, 0));
    assert_created(&app.call_at(LATER, call.clone()).await);

    let app = TestApp::start().await;
    die_while_sending(&app, &call, false).await;
    app.delete_row("default", "CONNECTOR#Email").await;
    app.call_at(LATER, call.clone()).await.assert_error(501, "connector.not_found");
    assert_eq!((records(&app).await.len(), invitations(&app).await), (0, 0));
}

#[tokio::test]
async fn a_retry_that_ses_throttles_keeps_the_invitation_whose_first_mail_may_be_out() {
    let app = TestApp::start().await;
    let call = create(&body_with_mail("a@example.com"));
    die_while_sending(&app, &call, true).await;
    let before = rows::of_kind(&app.rows().await, "INVITATION").cloned().collect::<Vec<_>>();
    for (fault, attempts, status) in [(SesFault::TooManyRequests, 3, 429), (SesFault::ServiceUnavailable, 1, 503)] {
        (0..attempts).for_each(|_| app.stack.ses.fail_next(fault));
        assert_eq!(app.call_at(LATER, call.clone()).await.status, status);
        assert_eq!(rows::of_kind(&app.rows().await, "INVITATION").cloned().collect::<Vec<_>>(), before);
    }
    let finished = app.call_at(LATER, call.clone()).await;
    assert_replayed(&finished, &finished.text);
    let id = finished.json()["id"].as_str().unwrap().to_owned();
    assert!(
        app.mails().len() == 2 && app.mails().iter().all(|mail| mail.html.contains(&id)),
        "both mails are of this invitation"
    );
    invariant::check(&app, LATER).await;
}

#[tokio::test]
async fn a_create_succeeds_although_its_idempotency_record_cannot_be_completed() {
    let app = TestApp::start_behind_proxy(&[]).await;
    (0..3).for_each(|_| app.proxy().next("UpdateItem", Intervention::Fail(500, "InternalServerError")));
    assert_created(&app.call(create(&body_with_mail("a@example.com"))).await);
    app.call(create(&body_with_mail("a@example.com"))).await.assert_error(409, "request.idempotency_in_progress");
    assert_eq!(app.mails().len(), 1);
}

#[tokio::test]
async fn a_create_with_an_unknown_outcome_is_rolled_back_with_its_key_if_mail_is_due() {
    let app = TestApp::start_behind_proxy(&[]).await;
    let lose_all_answers = || {
        app.proxy().next("TransactWriteItems", Intervention::LoseAnswer);
        (0..2).for_each(|_| app.proxy().next("TransactWriteItems", Intervention::Fail(500, "InternalServerError")));
    };
    lose_all_answers();
    app.call(create(&body_with_mail("a@example.com"))).await.assert_error(503, "service.unavailable");
    assert_eq!((records(&app).await.len(), invitations(&app).await), (0, 0));
    assert_created(&app.call(create(&body_with_mail("a@example.com"))).await);

    // Without mail the create is complete, and a concurrent retry may have replayed it.
    lose_all_answers();
    let call = create(&body("b@example.com")).with_key("another");
    app.call(call.clone()).await.assert_error(503, "service.unavailable");
    let repeated = app.call(call).await;
    assert_replayed(&repeated, &repeated.text);
    assert_eq!(invitations(&app).await, 2);
    invariant::check(&app, NOW).await;
}

#[tokio::test]
async fn a_create_does_not_conflict_with_its_own_attempt_whose_response_was_lost() {
    for key in [None, Some("a-key".to_owned())] {
        let app = TestApp::start_behind_proxy(&[]).await;
        app.proxy().next("TransactWriteItems", Intervention::LoseAnswer);
        app.proxy().next("TransactWriteItems", Intervention::CancelWith("TransactionConflict"));
        let call = Call { idempotency_key: key, ..Call::create(&body_with_mail("a@example.com")) };
        assert_created(&app.call(call).await);
        assert_eq!((app.mails().len(), invitations(&app).await), (1, 1));
        invariant::check(&app, NOW).await;
    }
}

#[tokio::test]
async fn a_key_costs_no_further_call_and_with_mail_one() {
    for (body, calls) in [(body("a@example.com"), 2), (body_with_mail("a@example.com"), 3)] {
        let app = TestApp::start_behind_proxy(&[]).await;
        assert_created(&app.call(create(&body)).await);
        assert_eq!(
            app.proxy().total(),
            calls,
            "the directory, the transaction, and with mail the completion of the record"
        );
    }
}

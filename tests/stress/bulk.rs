//! Bulk creates that exceed the time budget, the rate of SES, the capacity of the table or the size of a response, and
//! concurrent bulk creates.

use std::{
    collections::BTreeSet,
    ops::Range,
    sync::Arc,
    time::{Duration, Instant},
};

use organization_invitations::{domain::directory::OrganizationRole, local::ses::SesFault};
use serde_json::{Value, json};

use crate::helpers::{
    Answer, Call, FAR_FUTURE, NOW, TestApp, body,
    bulk::{FAST, SES_PATH, address, bulk, count, mailed, results, statuses},
    directory_id, invariant,
    proxy::{Intervention, Proxy},
    tenant, with,
};

#[tokio::test]
async fn items_that_do_not_fit_into_the_time_budget_fail_before_they_are_written() {
    let app = TestApp::start_behind_proxy(&[("MAIL_RATE_PER_SECOND", "4")]).await;
    let items = mailed(0..40);
    let budget = Duration::from_secs(6);
    let started = Instant::now();
    let answer = app.call_within(budget, bulk(&items).with_key("k")).await;
    assert!(started.elapsed() < budget, "{:?}", started.elapsed());
    let found = results(&answer);
    let done = statuses(&found).iter().filter(|status| **status == 201).count();
    assert!((4..40).contains(&done), "{done}");
    for result in &found[done..] {
        assert_eq!(
            (&result["status"], &result["retryAfter"]),
            (&json!(503), &json!(1)),
            "only the first items are done: {result}"
        );
        assert_eq!(result["body"]["code"], "connector.general");
    }
    assert_eq!(app.proxy().count("GetItem"), 0, "the items that do not fit are not read either");
    let kinds = (count(&app, "INVITATION").await, count(&app, "ORG").await, count(&app, "SENDS").await);
    assert_eq!((kinds, count(&app, "IDEMPOTENCY").await, app.mails().len()), ((done, done, done), done, done));
    invariant::check(&app, NOW).await;
    let again = results(&app.call(bulk(&items).with_key("k")).await);
    assert_eq!(again.iter().filter(|result| result["replayed"] == true).count(), done);
    assert_eq!((statuses(&again), app.mails().len()), (vec![201; 40], 40));
}

#[tokio::test]
async fn throttling_slows_the_pace_and_fails_no_item_while_there_is_time() {
    let app = TestApp::start_with(&[("MAIL_RATE_PER_SECOND", "50")]).await;
    // A single message fails after three throttled attempts.
    (0..12).for_each(|_| app.stack.ses.fail_next(SesFault::TooManyRequests));
    let items = mailed(0..20);
    let found = results(&app.call(bulk(&items)).await);
    assert_eq!((statuses(&found), app.mails().len()), (vec![201; 20], 20));
    assert_eq!(app.stack.ses.calls(), 32);
    invariant::check(&app, NOW).await;
}

#[tokio::test]
async fn continued_throttling_is_reported_in_time_and_the_invitations_are_rolled_back() {
    let app = TestApp::start_with(&[("MAIL_RATE_PER_SECOND", "50")]).await;
    let before = app.rows().await;
    (0..1000).for_each(|_| app.stack.ses.fail_next(SesFault::TooManyRequests));
    let (budget, started) = (Duration::from_secs(6), Instant::now());
    let found = results(&app.call_within(budget, bulk(&mailed(0..30))).await);
    assert!(started.elapsed() < budget, "{:?}", started.elapsed());
    for result in &found {
        let reported = (result["status"].as_u64().unwrap(), result["body"]["code"].as_str().unwrap());
        assert!([(429, "connector.rate_limit_exceeded"), (503, "connector.general")].contains(&reported), "{result}");
        assert_eq!(result["retryAfter"], 1);
    }
    let left: Vec<Value> = app.rows().await.into_iter().filter(|row| row["sends"] != json!([])).collect();
    assert_eq!((left, app.mails().len()), (before, 0));
}

#[tokio::test]
async fn items_without_mail_do_not_wait_for_a_silent_ses() {
    let app = TestApp::start_with(&[FAST]).await;
    let proxy = Proxy::start(&app.stack.ses_url).await;
    let app = app.behind_ses_proxy(proxy.url());
    proxy.always(SES_PATH, Intervention::Silence);
    let mut items = mailed(0..16);
    items.push(body("plain@example.com"));
    let found = results(&app.call_within(Duration::from_secs(16), bulk(&items)).await);
    assert_eq!(statuses(&found), [&[503; 16][..], &[201]].concat());
    assert_eq!((count(&app, "INVITATION").await, app.mails().len()), (1, 0));
}

/// Fifty roles whose names take four times `length` bytes in the response.
async fn long_roles(app: &TestApp, length: usize) -> Vec<String> {
    let ids: Vec<String> = (0..50).map(|number| format!("long{number}")).collect();
    for id in &ids {
        let role = OrganizationRole { id: directory_id(id), name: format!("{id} {}", "\"".repeat(length)) };
        app.app.store.put_role(&tenant("default"), &role).await.unwrap();
    }
    ids
}

#[tokio::test]
async fn items_that_do_not_fit_into_the_response_fail_before_they_are_written() {
    let app = TestApp::start_with(&[FAST]).await;
    let ids = long_roles(&app, 1500).await;
    let items: Vec<Value> = (0..40).map(|n| with(body(&address(n)), json!({ "organizationRoleIds": ids }))).collect();
    let mut left = items.clone();
    for round in 0..4 {
        let answer = app.call(bulk(&left).with_key("k")).await;
        let found = results(&answer);
        let size = serde_json::to_string(&answer.text).unwrap().len();
        assert!(size < 6 << 20, "Lambda's limit: {size}");
        let is_done = |place: &usize| found[*place]["status"] == 201;
        assert!((0..left.len()).any(|place| is_done(&place)), "{round}");
        let rest = (0..left.len()).filter(|place| !is_done(place));
        left =
            rest.inspect(|place| assert_eq!(found[*place]["retryAfter"], 1)).map(|place| left[place].clone()).collect();
        if left.is_empty() {
            assert!(round > 0, "one response does not hold all items");
            break;
        }
    }
    assert_eq!(count(&app, "INVITATION").await, 40);
    invariant::check(&app, NOW).await;
}

#[tokio::test]
async fn errors_that_echo_a_large_request_leave_room_for_the_invitations_in_the_response() {
    let app = TestApp::start_with(&[FAST]).await;
    let ids = long_roles(&app, 1500).await;
    let with_roles = |number: usize, ids: Value| with(body(&address(number)), json!({ "organizationRoleIds": ids }));
    let mut items: Vec<Value> = (0..13).map(|number| with_roles(number, json!(ids))).collect();
    items.extend((13..83).map(|number| with_roles(number, json!(vec![0; 100]))));
    items.push(with_roles(83, json!(["\"".repeat(450_000)])));
    items.push(with_roles(84, json!(["nobody"])));
    let answer = app.call(bulk(&items)).await;
    let found = results(&answer);
    assert_eq!(statuses(&found), [&[201; 13][..], &[400; 70], &[422; 2]].concat());
    let size = serde_json::to_string(&answer.text).unwrap().len();
    assert!(size < 6 << 20, "Lambda's limit: {size}");
    let single = app.call(Call::create(&items[13])).await.json();
    assert_eq!(found[13]["body"], single);
    let (code, message) = (&found[83]["body"]["code"], &found[84]["body"]["message"]);
    assert_eq!(found[83]["body"], json!({ "code": code, "message": message }), "the largest error body has no details");
    assert_eq!(found[84]["body"]["data"], json!({ "organizationRoleIds": ["nobody"] }));
}

#[tokio::test]
async fn replays_take_room_in_the_response_too() {
    const MOST: usize = 6 << 20;
    let app = TestApp::start_with(&[FAST]).await;
    let ids = long_roles(&app, 1500).await;
    let item = |number| with(body(&address(number)), json!({ "organizationRoleIds": ids }));
    let items: Vec<Value> = (0..40).map(item).collect();
    for part in items.chunks(10) {
        assert_eq!(statuses(&results(&app.call(bulk(part).with_key("k")).await)), [201; 10]);
    }
    for reason in ["replayed from the transaction", "a role is deleted: replayed from the idempotency record"] {
        let answer = app.call(bulk(&items).with_key("k")).await;
        assert!(serde_json::to_string(&answer.text).unwrap().len() < MOST, "{reason}");
        let replayed = results(&answer).iter().filter(|result| result["replayed"] == true).count();
        assert!((5..40).contains(&replayed), "{reason}: {replayed}");
        app.delete_row("default", "ROLE#long0").await;
    }
}

#[tokio::test]
async fn an_item_that_fails_takes_no_room_in_the_response() {
    let app = TestApp::start_with(&[FAST]).await;
    let proxy = Proxy::start(&app.stack.ses_url).await;
    let app = app.behind_ses_proxy(proxy.url());
    let ids = long_roles(&app, 750).await;
    // 27 of these invitations fit into a response, and so do the 16 that are created concurrently.
    let long = |item| with(item, json!({ "organizationRoleIds": ids }));
    let plain = |numbers: Range<usize>| numbers.map(|number| long(body(&address(number)))).collect::<Vec<_>>();
    for numbers in [0..20, 20..35] {
        assert!(statuses(&results(&app.call(bulk(&plain(numbers))).await)).iter().all(|status| *status == 201));
    }
    let mailed: Vec<Value> = mailed(100..135).into_iter().map(long).collect();
    (0..35).for_each(|_| app.stack.ses.fail_next(SesFault::MessageRejected));
    for (minutes, failing, status, reason) in [
        (1, plain(0..35), 422, "already invited"),
        (2, mailed.clone(), 400, "rejected by SES"),
        (3, mailed, 503, "no connection to SES"),
    ] {
        if status == 503 {
            proxy.always(SES_PATH, Intervention::Disconnect);
        }
        let items = [failing, plain(40 + minutes * 5..45 + minutes * 5)].concat();
        let now = NOW + 60_000 * i64::try_from(minutes).unwrap();
        let found = statuses(&results(&app.call_at(now, bulk(&items)).await));
        assert_eq!(found, [vec![status; 35], vec![201; 5]].concat(), "{reason}");
    }
}

#[tokio::test]
async fn conflicts_and_throttling_of_the_table_are_retried_per_item() {
    let app = TestApp::start_behind_proxy(&[FAST]).await;
    app.proxy().fail_at_random(7, 20, &["ThrottlingException", "InternalServerError"]);
    for _ in 0..5 {
        app.proxy().next("TransactWriteItems", Intervention::CancelWith("TransactionConflict"));
        app.proxy().next("TransactWriteItems", Intervention::LoseAnswer);
    }
    // One address in many organizations: one row counts all sends to it.
    let mut items = mailed(0..40);
    for (number, item) in items.iter_mut().enumerate().take(8) {
        app.add_organization(&format!("org{number}")).await;
        item["organizationId"] = json!(format!("org{number}"));
        item["invitee"] = json!("everywhere@example.com");
    }
    let mut found = results(&app.call(bulk(&items).with_key("k")).await);
    app.proxy().stop_faults();
    // An item whose three attempts fail gets the same error as a single create.
    if statuses(&found).contains(&503) {
        found = results(&app.call_at(NOW + 60_000, bulk(&items).with_key("k")).await);
    }
    assert_eq!((statuses(&found), count(&app, "INVITATION").await), (vec![201; 40], 40));
    invariant::check(&app, NOW + 60_000).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_identical_bulks_create_each_invitation_once() {
    let app = Arc::new(TestApp::start_with(&[FAST]).await);
    let items = mailed(0..10);
    let calls = (0..6).map(|n| (NOW, if n % 2 == 0 { bulk(&items).with_key("k") } else { bulk(&items) })).collect();
    let answers = app.call_all_at_once(calls).await;
    for place in 0..10 {
        let made = |answer: &Answer| {
            let result = &results(answer)[place];
            result["status"] == 201 && result["replayed"].is_null()
        };
        assert_eq!(answers.iter().filter(|answer| made(answer)).count(), 1, "{place}: {answers:?}");
    }
    assert_eq!((count(&app, "INVITATION").await, app.mails().len()), (10, 10));
    invariant::check(&app, NOW).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_succeeds_of_a_bulk_that_invites_again_at_the_expiry_and_a_change_just_before_it() {
    let app = Arc::new(TestApp::start_with(&[FAST, ("DIRECTORY_CACHE_SECONDS", "30")]).await);
    let expiry = NOW + 1000;
    let mut outcomes = BTreeSet::new();
    for round in 0..40 {
        let invitation = with(body(&address(round)), json!({ "expiresAt": expiry }));
        let id = app.invite(&invitation).await;
        let again =
            bulk(&[with(invitation, json!({ "expiresAt": FAR_FUTURE })), body(&format!("other{round}@example.com"))]);
        let mut calls = vec![(expiry - 1, Call::change(&id, &json!({ "expiresAt": FAR_FUTURE }))), (expiry, again)];
        calls.rotate_left(round % 2);
        let mut answers = app.call_all_at_once(calls).await;
        answers.rotate_left(round % 2);
        let made = results(&answers[1]);
        assert_eq!(made[1]["status"], 201, "{made:?}");
        let outcome = (answers[0].status, made[0]["status"].as_u64().unwrap());
        assert!([(200, 422), (422, 201)].contains(&outcome), "{answers:?}");
        outcomes.insert(outcome);
    }
    invariant::check(&app, expiry).await;
    assert_eq!(outcomes.len(), 2, "each call has won at least once, so these were races");
}

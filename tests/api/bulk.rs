//! Many creates in one call: each answered as a single create is, none twice, at a pace, and what the time cannot hold
//! not at all.

use std::{
    collections::BTreeSet,
    sync::Arc,
    time::{Duration, Instant},
};

use organization_invitations::{
    domain::directory::{EmailConnector, OrganizationRole},
    local::ses::SesFault,
};
use proptest::{collection::vec, prelude::*, test_runner::RngSeed};
use serde_json::{Value, json};
use tokio::{runtime::Runtime, time::sleep};

use crate::{
    helpers::log::Log,
    helpers::{Answer, Call, FAR_FUTURE, NOW, TestApp, body, body_with_mail, connector, rows, tenant, with},
    invariant,
    log::Logged,
    proxy::{Intervention, Proxy},
};

/// Fast enough for every test but those of the pace.
const FAST: (&str, &str) = ("MAIL_RATE_PER_SECOND", "1000");

fn bulk(items: &[Value]) -> Call {
    Call::bulk(&json!({ "invitations": items }))
}

fn results(answer: &Answer) -> Vec<Value> {
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()["results"].as_array().unwrap().clone()
}

fn statuses(results: &[Value]) -> Vec<u64> {
    results.iter().map(|result| result["status"].as_u64().unwrap()).collect()
}

/// The path of SES's `SendEmail`, which the proof of a connection gets.
const SES_PATH: &str = "/v2/email/outbound-emails";

fn address(number: usize) -> String {
    format!("person{number}@example.com")
}

fn mailed(numbers: impl IntoIterator<Item = usize>) -> Vec<Value> {
    numbers.into_iter().map(|number| body_with_mail(&address(number))).collect()
}

async fn count(app: &TestApp, kind: &str) -> usize {
    rows::of_kind(&app.rows().await, kind).count()
}

/// The items that the property draws from: a JSON text each, with `#` for its place in the call.
#[rustfmt::skip]
const ITEMS: [&str; 30] = [
    r#"{"invitee":"a#@example.com","organizationId":"acme","expiresAt":4102444800000}"#,
    r#"{"invitee":"A#@Example.com","organizationId":"string","expiresAt":4102444800000.5,"inviterId":"ada","organizationRoleIds":["member","admin","member"]}"#,
    r#"{"invitee":"a#@example.com","organizationId":"acme","expiresAt":4102444800000,"messagePayload":{}}"#,
    r#"{"invitee":"a#@example.com","organizationId":"string","expiresAt":4102444800000,"messagePayload":{"locale":"de-AT","link":"https://app.example.com/{invitationId}"}}"#,
    r#"{"invitee":"a#@example.com","organizationId":"acme","expiresAt":4102444800000,"messagePayload":{"locale":"ar","code":"1#"}}"#,
    r#"{"invitee":"a#@example.com","organizationId":"acme","expiresAt":4102444800000,"messagePayload":{"link":"https://elsewhere.example"}}"#,
    r#"{"invitee":"a#@example.com","organizationId":"acme","expiresAt":4102444800000,"messagePayload":{"link":"javascript:x"}}"#,
    r#"{"invitee":"pending@example.com","organizationId":"acme","expiresAt":4102444800000}"#,
    r#"{"invitee":"Member@example.com","organizationId":"acme","expiresAt":4102444800000,"messagePayload":{}}"#,
    r#"{"invitee":"full@example.com","organizationId":"acme","expiresAt":4102444800000,"messagePayload":{}}"#,
    r#"{"invitee":"a#@example.com","organizationId":"nowhere","expiresAt":4102444800000,"inviterId":"nobody","organizationRoleIds":["x"]}"#,
    r#"{"invitee":"a#@example.com","organizationId":"a\u0000b","expiresAt":4102444800000}"#,
    r#"{"invitee":"a#@example.com","organizationId":"acme","expiresAt":42}"#,
    r#"{"invitee":"a#@example.com","organizationId":"acme"}"#,
    r#"{"invitee":"a#@example.com","organizationId":"acme","expiresAt":4102444800000,"organizationRoleIds":null,"messagePayload":true}"#,
    r#"{"invitee":"nobody","organizationId":"","expiresAt":"x","inviterId":5}"#,
    r#"{"invitee":"a#@example.com","organizationId":"acme","expiresAt":4102444800000,"messagePayload":{"x":1e400}}"#,
    r#"{"invitee":"a#@example.com","organizationId":"acme","expiresAt":4102444800000,"messagePayload":{"x":"\ud800"}}"#,
    r#"{"invitee":"\udc00a#@example.com","organizationId":"acme","expiresAt":4102444800000}"#,
    r#"{"invitee":1,"invitee":"a#@example.com","organizationId":"acme","expiresAt":4102444800000,"__proto__":{},"tenantId":"x"}"#,
    "{}",
    "[]",
    "null",
    "\"a text\"",
    "5",
    "false",
    r#"[{"invitee":"a#@example.com"}]"#,
    r#"{ "invitee" : "a#@example.com","organizationId":"acme", "expiresAt":4102444800000 , "messagePayload": false}"#,
    r#"{"invitee":"a#@example.com","organizationId":"acme","expiresAt":8640000000000001}"#,
    r#"{"invitee":"a#@example.com","organizationId":"acme","expiresAt":4102444800000,"messagePayload":{"locale":5,"x":{"y":[null,5]}}}"#,
];

/// An app in which somebody is a member, somebody has an invitation, and somebody has had enough mail.
async fn inhabited() -> TestApp {
    let app = TestApp::start_with(&[FAST, ("MESSAGE_RATE_LIMIT", "1")]).await;
    app.set_connector(&EmailConnector { allowed_link_hosts: vec!["app.example.com".to_owned()], ..connector() }).await;
    app.make_member("acme", "member@example.com").await;
    app.invite(&body("Pending@example.com")).await;
    app.invite(&with(body_with_mail("full@example.com"), json!({ "organizationId": "string" }))).await;
    app
}

/// With identifiers and what is made of them replaced.
fn redacted(mut result: Value) -> Value {
    let id = result["body"]["id"].as_str().map(str::to_owned);
    if id.is_some() {
        result["body"]["id"] = json!("[id]");
    }
    if result["body"]["data"]["invitationId"].is_string() {
        result["body"]["data"]["invitationId"] = json!("[id]");
    }
    result
}

fn single_result(answer: &Answer) -> Value {
    let mut result = json!({ "status": answer.status, "body": answer.json() });
    if let Some(seconds) = answer.headers.get("retry-after") {
        result["retryAfter"] = json!(seconds.parse::<u64>().unwrap());
    }
    redacted(result)
}

fn few_cases() -> ProptestConfig {
    let config = ProptestConfig { failure_persistence: None, cases: 6, ..ProptestConfig::default() };
    match config.rng_seed {
        RngSeed::Random => ProptestConfig { rng_seed: RngSeed::Fixed(20_260_101), ..config },
        RngSeed::Fixed(_) => config,
    }
}

proptest! {
    #![proptest_config(few_cases())]

    #[test]
    fn the_same_bodies_are_answered_alike_one_by_one_and_in_one_call(
        chosen in vec(0..ITEMS.len(), 0..40),
        has_all in any::<bool>(),
    ) {
        let all = has_all.then(|| 0..ITEMS.len()).into_iter().flatten();
        let texts: Vec<String> = all.chain(chosen).enumerate()
            .map(|(place, item)| ITEMS[item].replace('#', &place.to_string())).collect();
        prop_assume!(!texts.is_empty());
        Runtime::new().unwrap().block_on(async {
            let (one_by_one, at_once) = (inhabited().await, inhabited().await);
            let mut expected = Vec::new();
            for text in &texts {
                let call = Call::create(&json!({})).text("application/json", text);
                expected.push(single_result(&one_by_one.call(call).await));
            }
            let call = bulk(&[]).text("application/json", &format!("{{\"invitations\":[{}]}}", texts.join(",")));
            let answer = at_once.call(call).await;
            let found: Vec<Value> = results(&answer).into_iter().map(redacted).collect();
            assert_eq!(found.len(), expected.len());
            // Of the addresses that are no row's own, a later item is a duplicate.
            let mut seen = BTreeSet::new();
            for ((found, expected), text) in found.iter().zip(&expected).zip(&texts) {
                let is_shared = ["pending@", "Member@", "full@"].iter().find(|name| text.contains(**name));
                if is_shared.is_some_and(|name| !seen.insert(*name)) {
                    assert_eq!((&found["status"], &found["body"]["code"]), (&json!(422), &json!("entity.unique_integrity_violation")));
                } else {
                    assert_eq!(found, expected, "{text}");
                }
            }
            let mails = |app: &TestApp| app.mails().iter().map(|mail| (mail.to.clone(), mail.subject.clone())).collect::<BTreeSet<_>>();
            assert_eq!(mails(&at_once), mails(&one_by_one));
        });
    }
}

#[tokio::test]
async fn the_results_are_written_as_single_answers_are_and_in_the_order_of_the_request() {
    let app = TestApp::start_with(&[FAST]).await;
    let items: Vec<Value> = (0..100).map(|number| body(&address(number))).collect();
    let answer = app.call(bulk(&items)).await;
    assert_eq!(answer.headers["content-type"], "application/json; charset=utf-8");
    let found = results(&answer);
    assert_eq!(statuses(&found), [201; 100]);
    for (number, result) in found.iter().enumerate() {
        assert_eq!(result["body"]["invitee"], address(number));
    }
    // Byte for byte, with the keys in their order.
    let first = app.call(Call::get(found[0]["body"]["id"].as_str().unwrap())).await;
    assert!(
        answer.text.starts_with(&format!(r#"{{"results":[{{"status":201,"body":{}}},"#, first.text)),
        "{}",
        answer.text
    );
    invariant::check(&app, NOW).await;
}

#[tokio::test]
async fn an_envelope_that_is_none_is_a_client_error_as_a_whole() {
    let app = TestApp::start().await;
    let before = app.rows().await;
    let item = body("ada@example.com");
    let items = |count: usize| json!({ "invitations": vec![item.clone(); count] }).to_string();
    for (body, status, code, issue, reason) in [
        (String::new(), 400, "guard.invalid_input", json!(["invitations", "invalid_type"]), "no body counts as {}"),
        ("{}".to_owned(), 400, "guard.invalid_input", json!(["invitations", "invalid_type"]), "no invitations"),
        (
            r#"{"invitations":null}"#.to_owned(),
            400,
            "guard.invalid_input",
            json!(["invitations", "invalid_type"]),
            "null",
        ),
        (
            r#"{"invitations":{}}"#.to_owned(),
            400,
            "guard.invalid_input",
            json!(["invitations", "invalid_type"]),
            "an object",
        ),
        (items(0), 400, "guard.invalid_input", json!(["invitations", "too_small"]), "none"),
        (items(101), 400, "guard.invalid_input", json!(["invitations", "too_big"]), "one too many"),
        (json!([item.clone()]).to_string(), 400, "guard.invalid_input", json!([null, "invalid_type"]), "a bare array"),
        ("{".to_owned(), 400, "request.invalid_input", Value::Null, "not JSON"),
        (r#"{"invitations":[{]}"#.to_owned(), 400, "request.invalid_input", Value::Null, "an item that is not JSON"),
        (
            json!({ "invitations": [item.clone()], "x": "y".repeat(1 << 20) }).to_string(),
            413,
            "request.invalid_input",
            Value::Null,
            "over 1 MiB",
        ),
    ] {
        let answer = app.call(bulk(&[]).text("application/json", &body)).await;
        assert_eq!((answer.status, answer.code().as_str()), (status, code), "{reason}: {answer:?}");
        let issue_of = |issue: &Value| json!([issue["path"][0], issue["code"]]);
        let found = answer.json()["data"]["issues"].as_array().map_or(Value::Null, |issues| issue_of(&issues[0]));
        assert_eq!(found, issue, "{reason}");
    }
    app.call(bulk(&[]).text("text/plain", "{}")).await.assert_error(400, "request.invalid_input");
    app.call(bulk(&[item]).with_key("a b")).await.assert_error(400, "request.invalid_input");
    assert_eq!(app.rows().await, before);
}

#[tokio::test]
async fn a_megabyte_of_invitations_is_taken() {
    let app = TestApp::start_with(&[FAST]).await;
    let large =
        |number: usize| with(body(&address(number)), json!({ "messagePayload": { "note": "x".repeat(10_000) } }));
    let items: Vec<Value> = (0..100).map(large).collect();
    let call = bulk(&items);
    assert!((1_000_000..1 << 20).contains(&call.body.as_ref().unwrap().len()));
    assert_eq!(statuses(&results(&app.call(call).await)), [201; 100]);
    assert_eq!(app.mails().len(), 100);
    invariant::check(&app, NOW).await;
}

#[tokio::test]
async fn a_later_item_for_the_same_address_and_organization_is_a_duplicate_before_anything_is_asked() {
    let app = TestApp::start_behind_proxy(&[FAST]).await;
    let past = with(body("c@example.com"), json!({ "expiresAt": NOW }));
    let items = [
        body("a@example.com"),
        body("A@EXAMPLE.com"),
        with(body("a@example.com"), json!({ "organizationId": "string" })),
        with(body("b@example.com"), json!({ "organizationRoleIds": ["emperor"] })),
        body("b@example.com"),
        past.clone(),
        body("c@example.com"),
        past,
        with(body("d@example.com"), json!({ "inviterId": 5 })),
        body("d@example.com"),
    ];
    let found = results(&app.call(bulk(&items)).await);
    assert_eq!(statuses(&found), [201, 422, 201, 422, 422, 400, 201, 400, 400, 201]);
    for (duplicate, reason) in [(1, "in another case"), (4, "also of one that fails by what the table holds")] {
        assert_eq!(found[duplicate]["body"]["code"], "entity.unique_integrity_violation", "{reason}");
    }
    assert_eq!(found[3]["body"]["code"], "entity.relation_foreign_key_not_found");
    let transactions = app.proxy().take_asked().into_iter().filter(|asked| asked.operation == "TransactWriteItems");
    assert_eq!(transactions.count(), 4, "one for each that is made");
    invariant::check(&app, NOW).await;
}

#[tokio::test]
async fn the_directory_is_read_once_and_not_at_all_while_it_is_remembered() {
    let app = TestApp::start_behind_proxy(&[FAST, ("DIRECTORY_CACHE_SECONDS", "30")]).await;
    for (range, reads, reason) in [(0..20, 1, "a cold function"), (20..40, 0, "a warm one")] {
        app.proxy().take_asked();
        let mut items = mailed(range);
        items[3]["organizationId"] = json!("string");
        items[4]["organizationRoleIds"] = json!(["admin", "member"]);
        assert_eq!(statuses(&results(&app.call(bulk(&items)).await)), [201; 20], "{reason}");
        let asked = app.proxy().take_asked();
        let count = |operation| asked.iter().filter(|asked| asked.operation == operation).count();
        assert_eq!((count("BatchGetItem"), count("TransactWriteItems")), (reads, 20), "{reason}");
    }
    let roles = |from: usize| (from..from + 50).map(|n| format!("r{n}")).collect::<Vec<_>>();
    let items: Vec<Value> =
        (0..3).map(|n| with(body(&address(50 + n)), json!({ "organizationRoleIds": roles(50 * n) }))).collect();
    app.proxy().take_asked();
    assert_eq!(statuses(&results(&app.call(bulk(&items)).await)), [422; 3]);
    let asked = app.proxy().take_asked();
    let keys = |asked: &crate::proxy::Asked| {
        let tables = asked.body()["RequestItems"].as_object().unwrap().clone();
        tables.values().map(|table| table["Keys"].as_array().unwrap().len()).sum::<usize>()
    };
    let read: Vec<usize> = asked.iter().filter(|asked| asked.operation == "BatchGetItem").map(keys).collect();
    assert_eq!(read[..2], [100, 50], "150 unknown roles, a hundred keys at a time");
}

#[tokio::test]
async fn another_tenant_gets_nothing_of_the_first_by_a_bulk() {
    let app = TestApp::start_with(&[FAST]).await;
    let items = [
        with(body("ada@example.com"), json!({ "inviterId": null, "organizationRoleIds": [] })),
        with(body("bob@example.com"), json!({ "inviterId": null, "organizationRoleIds": ["admin"] })),
        with(body("eve@example.com"), json!({ "organizationRoleIds": [] })),
        with(body_with_mail("kim@example.com"), json!({ "inviterId": null, "organizationRoleIds": [] })),
    ];
    let first = results(&app.call(bulk(&items).with_key("k")).await);
    assert_eq!(statuses(&first), [201; 4]);
    let before = app.rows_of("default").await;
    let other = results(&app.call(bulk(&items).with_key("k").by("no-mail")).await);
    assert_eq!(
        statuses(&other),
        [201, 422, 422, 501],
        "its own organization, but none of the other's roles, users and mail"
    );
    assert_eq!(other[0]["body"]["tenantId"], "no-mail");
    assert!(other.iter().all(|result| result["replayed"].is_null()), "the key says nothing to it: {other:?}");
    assert_eq!(app.rows_of("default").await, before);
}

#[tokio::test]
async fn a_call_with_a_key_can_be_made_again_in_part_and_in_another_order() {
    let app = TestApp::start_with(&[FAST]).await;
    let mut items = mailed(0..6);
    items[2] = body(&address(2));
    items.push(with(body(&address(6)), json!({ "organizationRoleIds": ["emperor"] })));
    let first = app.call(bulk(&items[..4]).with_key("k")).await;
    let first = results(&first);
    assert_eq!(statuses(&first), [201; 4]);
    assert!(first.iter().all(|result| result["replayed"].is_null()));
    let again: Vec<Value> = [5, 3, 6, 0, 2, 4].map(|place: usize| items[place].clone()).into();
    let second = results(&app.call_at(NOW + 5, bulk(&again).with_key("k")).await);
    assert_eq!(statuses(&second), [201, 201, 422, 201, 201, 201]);
    for (place, of_first) in [(1, 3), (3, 0), (4, 2)] {
        assert_eq!(second[place], with(first[of_first].clone(), json!({ "replayed": true })), "{place}");
    }
    for place in [0, 2, 5] {
        assert!(second[place]["replayed"].is_null(), "{place}: done now");
    }
    assert_eq!((count(&app, "INVITATION").await, app.mails().len()), (6, 5));
    // Written as the first answer was, to the byte.
    let text = app.call_at(NOW + 9, bulk(&items[..1]).with_key("k")).await.text;
    assert_eq!(
        text,
        format!(r#"{{"results":[{{"status":201,"body":{},"replayed":true}}]}}"#, first_body(&app, &first[0]).await)
    );
    let other = with(items[0].clone(), json!({ "organizationRoleIds": [] }));
    let third = results(&app.call_at(NOW + 9, bulk(&[other]).with_key("k")).await);
    assert_eq!(third[0]["body"]["code"], "request.idempotency_key_reused");
    // Neither a single call's key, nor another caller's.
    app.call(Call::create(&items[0]).with_key("k")).await.assert_error(422, "entity.unique_integrity_violation");
    let others = results(&app.call(bulk(&items[..1]).with_key("k").by_subject("another")).await);
    assert_eq!(others[0]["body"]["code"], "entity.unique_integrity_violation");
    invariant::check(&app, NOW + 9).await;
}

/// The invitation of a result as a single call reads it.
async fn first_body(app: &TestApp, result: &Value) -> String {
    app.call(Call::get(result["body"]["id"].as_str().unwrap())).await.text
}

#[tokio::test]
async fn a_call_that_is_made_again_does_not_wait_for_the_mail_that_is_out_already() {
    let app = TestApp::start_with(&[("MAIL_RATE_PER_SECOND", "4")]).await;
    let items = mailed(0..13);
    results(&app.call(bulk(&items).with_key("k")).await);
    let started = Instant::now();
    let again = results(&app.call(bulk(&items).with_key("k")).await);
    assert!(started.elapsed() < Duration::from_millis(2700), "three seconds of mail: {:?}", started.elapsed());
    assert!(again.iter().all(|result| result["replayed"] == true));
    assert_eq!(app.mails().len(), 13);
}

#[tokio::test]
async fn mail_is_paced_to_the_set_rate() {
    let app = TestApp::start_with(&[("MAIL_RATE_PER_SECOND", "20")]).await;
    let mut items = mailed(0..21);
    items.extend((21..60).map(|number| body(&address(number))));
    let started = Instant::now();
    assert_eq!(statuses(&results(&app.call(bulk(&items)).await)), [201; 60]);
    // One turn that nobody took is kept.
    assert!(started.elapsed() >= Duration::from_millis(850), "20 a second: {:?}", started.elapsed());
    assert_eq!(app.mails().len(), 21);
    invariant::check(&app, NOW).await;
}

#[tokio::test]
async fn what_the_time_cannot_hold_is_told_before_anything_of_it_is_written() {
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
            "the first ones are done: {result}"
        );
        assert_eq!(result["body"]["code"], "connector.general");
    }
    assert_eq!(app.proxy().count("GetItem"), 0, "nothing is read for them either");
    let kinds = (count(&app, "INVITATION").await, count(&app, "ORG").await, count(&app, "SENDS").await);
    assert_eq!((kinds, count(&app, "IDEMPOTENCY").await, app.mails().len()), ((done, done, done), done, done));
    invariant::check(&app, NOW).await;
    let again = results(&app.call(bulk(&items).with_key("k")).await);
    assert_eq!(again.iter().filter(|result| result["replayed"] == true).count(), done);
    assert_eq!((statuses(&again), app.mails().len()), (vec![201; 40], 40));
}

#[tokio::test]
async fn without_any_time_every_item_fails_and_nothing_is_written() {
    let app = TestApp::start_with(&[FAST]).await;
    let before = app.rows().await;
    let items = [body("a@example.com"), body_with_mail("b@example.com"), json!(5)];
    let found = results(&app.call_within(Duration::ZERO, bulk(&items)).await);
    assert_eq!(statuses(&found), [503, 503, 400]);
    assert_eq!((app.rows().await, app.mails().len()), (before, 0));
}

#[tokio::test]
async fn throttling_slows_the_pace_and_fails_no_item_while_there_is_time() {
    let app = TestApp::start_with(&[("MAIL_RATE_PER_SECOND", "50")]).await;
    // A single message is given up after three of them.
    (0..12).for_each(|_| app.stack.ses.fail_next(SesFault::TooManyRequests));
    let items = mailed(0..20);
    let found = results(&app.call(bulk(&items)).await);
    assert_eq!((statuses(&found), app.mails().len()), (vec![201; 20], 20));
    assert_eq!(app.stack.ses.calls(), 32);
    invariant::check(&app, NOW).await;
}

#[tokio::test]
async fn throttling_that_goes_on_is_told_in_time_and_what_was_written_is_rolled_back() {
    let app = TestApp::start_with(&[("MAIL_RATE_PER_SECOND", "50")]).await;
    let before = app.rows().await;
    (0..1000).for_each(|_| app.stack.ses.fail_next(SesFault::TooManyRequests));
    let (budget, started) = (Duration::from_secs(6), Instant::now());
    let found = results(&app.call_within(budget, bulk(&mailed(0..30))).await);
    assert!(started.elapsed() < budget, "{:?}", started.elapsed());
    for result in &found {
        let told = (result["status"].as_u64().unwrap(), result["body"]["code"].as_str().unwrap());
        assert!([(429, "connector.rate_limit_exceeded"), (503, "connector.general")].contains(&told), "{result}");
        assert_eq!(result["retryAfter"], 1);
    }
    let left: Vec<Value> = app.rows().await.into_iter().filter(|row| row["sends"] != json!([])).collect();
    assert_eq!((left, app.mails().len()), (before, 0));
}

#[tokio::test]
async fn an_item_whose_mail_ses_rejects_fails_alone_and_is_rolled_back() {
    let app = TestApp::start_with(&[("MAIL_RATE_PER_SECOND", "30")]).await;
    (0..2).for_each(|_| app.stack.ses.fail_next(SesFault::MessageRejected));
    let items = mailed(0..8);
    let found = results(&app.call(bulk(&items).with_key("k")).await);
    let rejected: Vec<usize> = (0..8).filter(|place| found[*place]["status"] == 400).collect();
    assert_eq!((rejected.len(), app.mails().len(), count(&app, "INVITATION").await), (2, 6, 6), "{found:?}");
    for place in &rejected {
        assert_eq!(found[*place]["body"]["code"], "connector.invalid_response");
    }
    let again = results(&app.call(bulk(&items).with_key("k")).await);
    assert_eq!((statuses(&again), app.mails().len()), (vec![201; 8], 8));
    invariant::check(&app, NOW).await;
}

#[tokio::test]
async fn a_mail_service_that_cannot_be_reached_is_told_before_anything_is_written() {
    let app = TestApp::start_without_mail_service().await;
    let before = app.rows().await.len();
    let found = results(&app.call(bulk(&[body_with_mail("a@example.com"), body("b@example.com"), json!(null)])).await);
    assert_eq!(statuses(&found), [503, 201, 400]);
    assert_eq!(app.rows().await.len(), before + 2, "the invitation without mail and its standing");
}

#[tokio::test]
async fn conflicts_and_throttling_of_the_table_are_got_over_item_by_item() {
    let app = TestApp::start_behind_proxy(&[FAST]).await;
    app.proxy().fail_at_random(7, 20, &["ThrottlingException", "InternalServerError"]);
    for _ in 0..5 {
        app.proxy().next("TransactWriteItems", Intervention::CancelWith("TransactionConflict"));
        app.proxy().next("TransactWriteItems", Intervention::LoseAnswer);
    }
    // One address in many organizations: their sends are counted in one row.
    let mut items = mailed(0..40);
    for (number, item) in items.iter_mut().enumerate().take(8) {
        app.add_organization(&format!("org{number}")).await;
        item["organizationId"] = json!(format!("org{number}"));
        item["invitee"] = json!("everywhere@example.com");
    }
    let mut found = results(&app.call(bulk(&items).with_key("k")).await);
    app.proxy().relent();
    // Three failures in a row are told as a single create tells them.
    if statuses(&found).contains(&503) {
        found = results(&app.call_at(NOW + 60_000, bulk(&items).with_key("k")).await);
    }
    assert_eq!((statuses(&found), count(&app, "INVITATION").await), (vec![201; 40], 40));
    invariant::check(&app, NOW + 60_000).await;
}

#[tokio::test]
async fn what_the_response_cannot_hold_is_told_before_it_is_written() {
    let app = TestApp::start_with(&[FAST]).await;
    let ids: Vec<String> = (0..50).map(|number| format!("long{number}")).collect();
    for id in &ids {
        let role = OrganizationRole { id: id.clone(), name: format!("{id} {}", "\"".repeat(1500)) };
        app.app.store.put_role(&tenant("default"), &role).await.unwrap();
    }
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
            assert!(round > 0, "not all at once");
            break;
        }
    }
    assert_eq!(count(&app, "INVITATION").await, 40);
    invariant::check(&app, NOW).await;
}

#[tokio::test]
async fn failures_that_repeat_a_large_request_leave_room_for_the_invitations_of_the_response() {
    let app = TestApp::start_with(&[FAST]).await;
    let ids: Vec<String> = (0..50).map(|number| format!("long{number}")).collect();
    for id in &ids {
        let role = OrganizationRole { id: id.clone(), name: format!("{id} {}", "\"".repeat(1500)) };
        app.app.store.put_role(&tenant("default"), &role).await.unwrap();
    }
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
    assert_eq!(found[83]["body"], json!({ "code": code, "message": message }), "the rest of the largest is left out");
    assert_eq!(found[84]["body"]["data"], json!({ "organizationRoleIds": ["nobody"] }));
}

#[tokio::test]
async fn a_database_that_cannot_be_reached_is_told_for_each_item() {
    let app = TestApp::start_without_database().await;
    let found = results(&app.call(bulk(&[body("a@example.com"), json!([])])).await);
    assert_eq!((statuses(&found), &found[0]["retryAfter"]), (vec![503, 400], &json!(1)));
    assert_eq!(found[0]["body"]["code"], "service.unavailable");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_the_same_call_made_many_times_at_once_each_invitation_is_made_once() {
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
async fn of_a_bulk_that_invites_again_at_the_expiry_and_a_change_of_it_just_before_one_succeeds() {
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
    assert_eq!(outcomes.len(), 2, "each has come first at some time, so that these were races");
}

#[tokio::test]
async fn what_was_made_in_one_call_is_an_invitation_like_any_other() {
    let app = TestApp::start_with(&[FAST]).await;
    let found = results(&app.call(bulk(&[body("ada@example.com"), body("bob@example.com")])).await);
    let [ada, bob] = [0, 1].map(|place| found[place]["body"]["id"].as_str().unwrap().to_owned());
    assert_eq!(app.call(Call::change(&bob, &json!({ "expiresAt": FAR_FUTURE + 1 }))).await.status, 200);
    assert_eq!(app.call(Call::accept(&ada, "ada")).await.status, 200);
    assert_eq!(app.call(Call::delete(&bob)).await.status, 204);
    invariant::check(&app, NOW).await;
}

#[tokio::test]
async fn mails_of_unknown_fate_are_counted_and_each_names_its_invitation_in_the_log() {
    let mut app = TestApp::start_with(&[("MAIL_RATE_PER_SECOND", "30")]).await;
    let log = Log::capture("info");
    let logged = Logged::by(&mut app);
    (0..5).for_each(|_| app.stack.ses.fail_next(SesFault::Garbled("?")));
    let found = results(&app.call(bulk(&mailed(0..6))).await);
    assert_eq!(statuses(&found), [201; 6]);
    let line = logged.last();
    assert_eq!(
        (&line["outcome"], &line["level"], &line["Requests"]),
        (&json!("mail_unknown"), &json!("WARN"), &json!(5))
    );
    assert_eq!(line["results"], json!({ "mail_unknown": 5, "ok": 1 }));
    let text = log.take();
    let named = |result: &&Value| text.contains(result["body"]["id"].as_str().unwrap());
    assert_eq!(found.iter().filter(named).count(), 5, "{text}");
    (0..5).for_each(|_| app.stack.ses.fail_next(SesFault::Garbled("?")));
    app.stack.ses.fail_next(SesFault::MessageRejected);
    app.call(bulk(&mailed(10..16))).await;
    let line = logged.last();
    assert_eq!((&line["outcome"], &line["Requests"]), (&json!("mail_refused"), &json!(1)));
    assert_eq!(line["results"], json!({ "mail_refused": 1, "mail_unknown": 5 }));
}

#[tokio::test]
async fn without_ses_a_bulk_still_replays_and_names_what_stands_against_an_item() {
    let app = TestApp::start_with(&[FAST]).await;
    let proxy = Proxy::start(&app.stack.ses_url).await;
    let app = app.behind_mail_proxy(proxy.url());
    app.make_member("acme", "member@example.com").await;
    app.invite(&body("pending@example.com")).await;
    let mut items = mailed(0..3);
    assert_eq!(statuses(&results(&app.call(bulk(&items).with_key("k")).await)), [201; 3]);
    proxy.always(SES_PATH, Intervention::Disconnect);
    items.extend(["member", "pending", "new"].map(|name| body_with_mail(&format!("{name}@example.com"))));
    let found = results(&app.call_at(NOW + 60_000, bulk(&items).with_key("k")).await);
    assert_eq!(statuses(&found), [201, 201, 201, 422, 422, 503]);
    assert!(found[..3].iter().all(|result| result["replayed"] == true), "{found:?}");
    assert_eq!(found[4]["body"]["code"], "entity.unique_integrity_violation");
    assert_eq!(found[5]["body"]["code"], "connector.general");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mail_without_a_connection_to_ses_is_given_up_after_three_attempts() {
    let (mut app, relay) = TestApp::start_behind_relay(&[("MAIL_RATE_PER_SECOND", "4")]).await;
    let logged = Logged::by(&mut app);
    let first_mail_then_none = async {
        while app.mails().is_empty() {
            sleep(Duration::from_millis(5)).await;
        }
        drop(relay);
    };
    let (answer, ()) = tokio::join!(app.call(bulk(&mailed(0..3))), first_mail_then_none);
    let found = statuses(&results(&answer));
    let failed = found.iter().filter(|status| **status == 503).count();
    assert!(failed > 0, "{found:?}");
    assert_eq!(logged.last()["retries"], 2 * failed, "{found:?}: {}", logged.last());
    assert_eq!(count(&app, "INVITATION").await, 3 - failed);
}

#[tokio::test]
async fn items_without_mail_do_not_wait_for_a_silent_ses() {
    let app = TestApp::start_with(&[FAST]).await;
    let proxy = Proxy::start(&app.stack.ses_url).await;
    let app = app.behind_mail_proxy(proxy.url());
    proxy.always(SES_PATH, Intervention::Silence);
    let mut items = mailed(0..16);
    items.push(body("plain@example.com"));
    let found = results(&app.call_within(Duration::from_secs(16), bulk(&items)).await);
    assert_eq!(statuses(&found), [&[503; 16][..], &[201]].concat());
    assert_eq!((count(&app, "INVITATION").await, app.mails().len()), (1, 0));
}

#[tokio::test]
async fn replays_take_room_in_the_response_too() {
    const MOST: usize = 6 << 20;
    let app = TestApp::start_with(&[FAST]).await;
    let ids: Vec<String> = (0..50).map(|number| format!("long{number}")).collect();
    for id in &ids {
        let role = OrganizationRole { id: id.clone(), name: format!("{id} {}", "\"".repeat(1500)) };
        app.app.store.put_role(&tenant("default"), &role).await.unwrap();
    }
    let item = |number| with(body(&address(number)), json!({ "organizationRoleIds": ids }));
    let items: Vec<Value> = (0..40).map(item).collect();
    for part in items.chunks(10) {
        assert_eq!(statuses(&results(&app.call(bulk(part).with_key("k")).await)), [201; 10]);
    }
    for reason in ["by the transaction", "without a role by now, by the record"] {
        let answer = app.call(bulk(&items).with_key("k")).await;
        assert!(serde_json::to_string(&answer.text).unwrap().len() < MOST, "{reason}");
        let replayed = results(&answer).iter().filter(|result| result["replayed"] == true).count();
        assert!((5..40).contains(&replayed), "{reason}: {replayed}");
        app.delete_row("default", "ROLE#long0").await;
    }
}

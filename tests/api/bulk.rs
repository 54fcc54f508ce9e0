//! Bulk creates: each item gets the response of a single create, and no invitation is created twice.

mod alike;
mod sending;

use serde_json::{Value, json};

use crate::{
    helpers::{
        Call, FAR_FUTURE, NOW, TestApp, body, body_with_mail,
        bulk::{FAST, address, bulk, count, mailed, results, statuses},
        with,
    },
    invariant,
};

#[tokio::test]
async fn results_have_the_form_of_single_responses_and_the_order_of_the_request() {
    let app = TestApp::start_with(&[FAST]).await;
    let items: Vec<Value> = (0..100).map(|number| body(&address(number))).collect();
    let answer = app.call(bulk(&items)).await;
    assert_eq!(answer.headers["content-type"], "application/json; charset=utf-8");
    let found = results(&answer);
    assert_eq!(statuses(&found), [201; 100]);
    for (number, result) in found.iter().enumerate() {
        assert_eq!(result["body"]["invitee"], address(number));
    }
    // The bodies are equal byte for byte, including the order of their keys.
    let first = app.call(Call::get(found[0]["body"]["id"].as_str().unwrap())).await;
    assert!(
        answer.text.starts_with(&format!(r#"{{"results":[{{"status":201,"body":{}}},"#, first.text)),
        "{}",
        answer.text
    );
    invariant::check(&app, NOW).await;
}

#[tokio::test]
async fn an_invalid_envelope_fails_the_whole_call() {
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
        (items(101), 400, "guard.invalid_input", json!(["invitations", "too_big"]), "101 invitations"),
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
async fn a_megabyte_of_invitations_is_accepted() {
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
async fn a_later_item_for_the_same_address_and_organization_is_a_duplicate_before_any_request() {
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
    for (duplicate, reason) in [(1, "the address in another case"), (4, "the earlier item fails on a reference")] {
        assert_eq!(found[duplicate]["body"]["code"], "entity.unique_integrity_violation", "{reason}");
    }
    assert_eq!(found[3]["body"]["code"], "entity.relation_foreign_key_not_found");
    let transactions = app.proxy().take_requests().into_iter().filter(|asked| asked.operation == "TransactWriteItems");
    assert_eq!(transactions.count(), 4, "one for each item that is not rejected before");
    invariant::check(&app, NOW).await;
}

#[tokio::test]
async fn the_directory_is_read_once_and_not_at_all_while_it_is_cached() {
    let app = TestApp::start_behind_proxy(&[FAST, ("DIRECTORY_CACHE_SECONDS", "30")]).await;
    for (range, reads, reason) in [(0..20, 1, "a cold function"), (20..40, 0, "a warm function")] {
        app.proxy().take_requests();
        let mut items = mailed(range);
        items[3]["organizationId"] = json!("string");
        items[4]["organizationRoleIds"] = json!(["admin", "member"]);
        assert_eq!(statuses(&results(&app.call(bulk(&items)).await)), [201; 20], "{reason}");
        let asked = app.proxy().take_requests();
        let count = |operation| asked.iter().filter(|asked| asked.operation == operation).count();
        assert_eq!((count("BatchGetItem"), count("TransactWriteItems")), (reads, 20), "{reason}");
    }
    let roles = |from: usize| (from..from + 50).map(|n| format!("r{n}")).collect::<Vec<_>>();
    let items: Vec<Value> =
        (0..3).map(|n| with(body(&address(50 + n)), json!({ "organizationRoleIds": roles(50 * n) }))).collect();
    app.proxy().take_requests();
    assert_eq!(statuses(&results(&app.call(bulk(&items)).await)), [422; 3]);
    let asked = app.proxy().take_requests();
    let keys = |asked: &crate::proxy::RecordedRequest| {
        let tables = asked.body()["RequestItems"].as_object().unwrap().clone();
        tables.values().map(|table| table["Keys"].as_array().unwrap().len()).sum::<usize>()
    };
    let read: Vec<usize> = asked.iter().filter(|asked| asked.operation == "BatchGetItem").map(keys).collect();
    assert_eq!(read[..2], [100, 50], "150 unknown roles in batches of 100 keys");
}

#[tokio::test]
async fn a_bulk_create_reaches_nothing_of_another_tenant() {
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
        "the tenant has an organization `acme`, but no such role or user, and no connector"
    );
    assert_eq!(other[0]["body"]["tenantId"], "no-mail");
    assert!(
        other.iter().all(|result| result["replayed"].is_null()),
        "nothing is replayed for another tenant: {other:?}"
    );
    assert_eq!(app.rows_of("default").await, before);
}

#[tokio::test]
async fn a_call_with_a_key_can_be_retried_in_part_and_in_another_order() {
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
        assert!(second[place]["replayed"].is_null(), "{place}: created by this call");
    }
    assert_eq!((count(&app, "INVITATION").await, app.mails().len()), (6, 5));
    // The replay is equal to the first response, byte for byte.
    let text = app.call_at(NOW + 9, bulk(&items[..1]).with_key("k")).await.text;
    assert_eq!(
        text,
        format!(r#"{{"results":[{{"status":201,"body":{},"replayed":true}}]}}"#, first_body(&app, &first[0]).await)
    );
    let other = with(items[0].clone(), json!({ "organizationRoleIds": [] }));
    let third = results(&app.call_at(NOW + 9, bulk(&[other]).with_key("k")).await);
    assert_eq!(third[0]["body"]["code"], "request.idempotency_key_reused");
    // The key replays nothing for a single create or for another caller.
    app.call(Call::create(&items[0]).with_key("k")).await.assert_error(422, "entity.unique_integrity_violation");
    let others = results(&app.call(bulk(&items[..1]).with_key("k").by_subject("another")).await);
    assert_eq!(others[0]["body"]["code"], "entity.unique_integrity_violation");
    invariant::check(&app, NOW + 9).await;
}

/// The invitation of a result, as a get returns it.
async fn first_body(app: &TestApp, result: &Value) -> String {
    app.call(Call::get(result["body"]["id"].as_str().unwrap())).await.text
}

#[tokio::test]
async fn an_unreachable_dynamodb_is_reported_for_each_item() {
    let app = TestApp::start_with_unreachable_dynamodb().await;
    let found = results(&app.call(bulk(&[body("a@example.com"), json!([])])).await);
    assert_eq!((statuses(&found), &found[0]["retryAfter"]), (vec![503, 400], &json!(1)));
    assert_eq!(found[0]["body"]["code"], "service.unavailable");
}

#[tokio::test]
async fn invitations_of_a_bulk_create_can_be_changed_accepted_and_deleted() {
    let app = TestApp::start_with(&[FAST]).await;
    let found = results(&app.call(bulk(&[body("ada@example.com"), body("bob@example.com")])).await);
    let [ada, bob] = [0, 1].map(|place| found[place]["body"]["id"].as_str().unwrap().to_owned());
    assert_eq!(app.call(Call::change(&bob, &json!({ "expiresAt": FAR_FUTURE + 1 }))).await.status, 200);
    assert_eq!(app.call(Call::accept(&ada, "ada")).await.status, 200);
    assert_eq!(app.call(Call::delete(&bob)).await.status, 204);
    invariant::check(&app, NOW).await;
}

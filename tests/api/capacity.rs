//! The measured costs of each operation in DynamoDB, compared with DynamoDB's rules and the table in `docs/cost.md`.
//!
//! The emulator supports `ReturnConsumedCapacity`. To print the table:
//! `cargo test --all-features --test api capacity:: -- --nocapture`

use std::collections::BTreeSet;

use serde_json::json;

use crate::{
    common::operation::Operation::{
        self, Accept, AcceptByToken, AcceptOwn, Bulk, Change, Create, CreateWithKey, CreateWithMail,
        CreateWithMailAndKey, Delete, Get, GetWithDelivery, List, ListOwn, Message, Revoke, VerifyToken,
    },
    feedback,
    helpers::{Call, FAR_FUTURE, TestApp, body, body_with_mail, connector, connector_with, inline, with},
    proxy::RecordedRequest,
};

/// The costs of a request, in read and write request units.
#[derive(Debug)]
struct Units {
    reads: f64,
    writes: f64,
}

async fn measure(app: &TestApp, call: Call, status: u16) -> (Units, Vec<RecordedRequest>) {
    app.proxy().take_requests();
    let (answer, consumed) = app.proxy().measure(app.call(call)).await;
    assert_eq!(answer.status, status, "{answer:?}");
    let mut units = Units { reads: 0.0, writes: 0.0 };
    for (operation, consumed) in consumed {
        let tables = consumed.as_array().cloned().unwrap_or_else(|| vec![consumed]);
        let of_table = |table: &serde_json::Value| {
            table["CapacityUnits"].as_f64().unwrap_or_else(|| panic!("{operation}: {table}"))
        };
        let sum: f64 = tables.iter().map(of_table).sum();
        let is_read = ["BatchGetItem", "GetItem", "Query"].contains(&operation.as_str());
        *(if is_read { &mut units.reads } else { &mut units.writes }) += sum;
    }
    (units, app.proxy().take_requests())
}

/// The documented cost of writes up to 1 KB: two units for each part of a transaction, one for a single update, and one
/// for each index of the invitation.
fn writes_by_the_rules(asked: &[RecordedRequest], indexes: usize) -> usize {
    let transactions = asked.iter().filter(|asked| asked.operation == "TransactWriteItems").map(RecordedRequest::body);
    let parts = transactions.map(|request| request["TransactItems"].as_array().unwrap().len()).sum::<usize>();
    let updates = asked.iter().filter(|asked| asked.operation == "UpdateItem").count();
    2 * parts + updates + if parts > 0 { indexes } else { 0 }
}

/// The table row for the verification of a wrong token, which is counted.
async fn wrong_token(app: &TestApp) -> String {
    let pending = app.invite_with_token(&body("pat@example.com")).await;
    let (units, asked) = measure(app, Call::verify(&pending, "wrong"), 404).await;
    assert_eq!(
        units.writes.to_string(),
        (writes_by_the_rules(&asked, 0) + 3).to_string(),
        "the count is projected into the indexes too"
    );
    format!("| verify a wrong token | {} | {} |", units.reads, units.writes)
}

#[tokio::test]
async fn each_operation_costs_what_dynamodbs_rules_and_docs_cost_md_say() {
    let app = TestApp::start_behind_proxy(&[]).await;
    app.set_connector(&connector_with(inline("s", &"x".repeat(100 * 1024), "t"))).await;
    let (large, _) = measure(&app, Call::create(&body_with_mail("first@example.com")), 201).await;
    app.set_connector(&connector()).await;
    let warm = TestApp::start_behind_proxy(&[("DIRECTORY_CACHE_SECONDS", "3600")]).await;
    warm.invite(&body_with_mail("first@example.com")).await;
    let ids = [app.invite(&body("ada@example.com")).await, app.invite(&body("bob@example.com")).await];
    let [accepted, revoked] = &ids;
    let tokened = app.invite_with_token(&with(body("ada@example.com"), json!({ "organizationId": "string" }))).await;
    let own = app.invite(&with(body("bob@example.com"), json!({ "organizationId": "string" }))).await;
    let nobody = with(body_with_mail("eve@example.com"), json!({ "inviterId": null }));
    let mut rows = vec![format!("| create, with mail, a connector of 100 KB | {} | {} |", large.reads, large.writes)];
    let link = json!({ "link": "https://app.example.com/{invitationToken}" });
    // The last number is that of the invitation's indexes; it is 0 if the invitation is not written.
    let cases = [
        (Create, "create", &app, Call::create(&body("kim@example.com")), 3),
        (CreateWithMail, "create, with mail", &app, Call::create(&body_with_mail("lee@example.com")), 3),
        (
            CreateWithMail,
            "create, with mail, directory remembered",
            &warm,
            Call::create(&body_with_mail("kim@example.com")),
            3,
        ),
        (
            CreateWithMail,
            "create, with mail and a token",
            &app,
            Call::create(&with(body("ned@example.com"), json!({ "messagePayload": link }))),
            3,
        ),
        (CreateWithMail, "create, with mail, by nobody", &app, Call::create(&nobody), 2),
        (CreateWithKey, "create, with a key", &app, Call::create(&body("mia@example.com")).with_key("a"), 3),
        (
            CreateWithMailAndKey,
            "create, with mail and a key",
            &app,
            Call::create(&body_with_mail("noa@example.com")).with_key("b"),
            3,
        ),
        (Get, "get", &app, Get.call(accepted), 0),
        (GetWithDelivery, "get, with its delivery", &app, GetWithDelivery.call(accepted), 0),
        (Change, "change the expiry", &app, Call::change(accepted, &json!({ "expiresAt": FAR_FUTURE + 1 })), 3),
        (Change, "change the roles", &app, Call::change(accepted, &json!({ "organizationRoleIds": ["admin"] })), 3),
        (Message, "message", &app, Call::message(accepted, &json!({})), 0),
        (Message, "message, with a token", &app, Call::message(revoked, &link), 3),
        (Accept, "accept", &app, Accept.call(accepted), 3),
        (VerifyToken, "verify a token", &app, VerifyToken.call(&tokened), 0),
        (ListOwn, "list one's own", &app, ListOwn.call(accepted), 0),
        (AcceptByToken, "accept by a token", &app, AcceptByToken.call(&tokened), 3),
        (AcceptOwn, "accept one's own", &app, Call::set_own_status(&own, "Accepted", "bob", "bob@example.com"), 3),
        (Revoke, "revoke", &app, Revoke.call(revoked), 3),
        (Delete, "delete an accepted one", &app, Delete.call(accepted), 3),
    ];
    let measured: BTreeSet<Operation> = cases.iter().map(|(operation, ..)| *operation).chain([Bulk, List]).collect();
    assert_eq!(measured, Operation::ALL.into(), "each operation has a row; those of bulk creates and lists follow");
    for (operation, name, app, call, indexes) in cases {
        let (units, asked) = measure(app, call, operation.success()).await;
        assert_eq!(units.writes.to_string(), writes_by_the_rules(&asked, indexes).to_string(), "{name}");
        rows.push(format!("| {name} | {} | {} |", units.reads, units.writes));
    }
    rows.push(wrong_token(&app).await);
    let ten = |mail: bool| {
        let item =
            |n| if mail { body_with_mail(&format!("m{n}@example.com")) } else { body(&format!("b{n}@example.com")) };
        Call::bulk(&json!({ "invitations": (0..10).map(item).collect::<Vec<_>>() }))
    };
    for (name, call) in [("bulk create of ten", ten(false)), ("bulk create of ten, with mail", ten(true))] {
        let (units, asked) = measure(&app, call, 200).await;
        assert_eq!(units.writes.to_string(), writes_by_the_rules(&asked, 30).to_string(), "{name}");
        rows.push(format!("| {name} | {} | {} |", units.reads, units.writes));
    }
    for n in 0..100 {
        app.invite(&body(&format!("person{n}@example.com"))).await;
    }
    for (name, query) in [
        ("list, a page of 100", "page_size=100"),
        ("the same by an index", "page_size=100&organizationId=acme"),
        ("list, a page of 100, with deliveries", "page_size=100&include=delivery"),
    ] {
        let (units, _) = measure(&app, Call::list(query), 200).await;
        rows.push(format!("| {name} | {} | {} |", units.reads, units.writes));
    }
    let (_, consumed) = app.proxy().measure(app.trigger(&feedback::read("delivered"))).await;
    let writes: Vec<_> = consumed.iter().map(|(_, told)| told["CapacityUnits"].as_f64().unwrap()).collect();
    rows.push(format!("| a report of SES about a mail | 0 | {} |", writes.iter().sum::<f64>()));
    println!("{}", rows.join("\n"));
    let documented = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/cost.md")).unwrap();
    for row in &rows {
        assert!(
            documented.contains(row.as_str()),
            "docs/cost.md lacks {row}; the measured rows are:\n{}",
            rows.join("\n")
        );
    }
}

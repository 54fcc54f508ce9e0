//! Rows of other writers: valid variants are read, and an unreadable row is never reported as missing.

use std::{sync::Arc, time::Duration};

use aws_sdk_dynamodb::types::AttributeValue;
use organization_invitations::store::items;
use serde_json::{Value, json};

use crate::{
    helpers::{Call, FAR_FUTURE, NOW, TestApp, body, body_with_mail, log::Log, rows, with},
    invariant,
    proxy::Intervention,
};

const ID: &str = "0mwshrsbwt57i0ca4udjm";
const STANDING: &str = "ORG#acme#INVITEE#ada@example.com";
const SENDS: &str = "SENDS#ada@example.com";

/// A request about ada, who has a pending invitation with the given identifier.
#[derive(Clone, Copy, Debug)]
enum Request {
    Create,
    /// A create with a missing reference, whose error comes after that of an unreadable row.
    CreateWithUnknownRole,
    CreateWithMail,
    /// A create for another invitee.
    CreateForOther,
    Change,
    Message,
    Accept,
    Revoke,
    Delete,
}

use Request::{Accept, Change, Create, CreateForOther, CreateWithMail, CreateWithUnknownRole, Delete, Message, Revoke};

impl Request {
    fn call(self, id: &str) -> Call {
        match self {
            Create => Call::create(&body("ADA@example.com")),
            CreateWithUnknownRole => {
                Call::create(&with(body("ADA@example.com"), json!({ "organizationRoleIds": ["unknown"] })))
            }
            CreateWithMail => {
                Call::create(&with(body_with_mail("ADA@example.com"), json!({ "organizationId": "string" })))
            }
            CreateForOther => {
                let roles = json!({ "organizationRoleIds": ["member"] });
                Call::create(&with(body("bob@example.com"), with(json!({ "inviterId": "ada" }), roles)))
            }
            Change => Call::change(id, &json!({ "organizationRoleIds": ["member"] })),
            Message => Call::message(id, &json!({})),
            Accept => Call::accept(id, "ada"),
            Revoke => Call::revoke(id),
            Delete => Call::delete(id),
        }
    }
}

fn row(sk: &str, attributes: &Value) -> Value {
    with(json!({ "pk": "TENANT#default", "sk": sk }), attributes.clone())
}

/// The cause in the log of a single request. Asserts that the log has no personal data.
#[track_caller]
fn cause(log: &str) -> String {
    assert!(!log.contains("example.com"), "{log}");
    let (_, cause) = log.split_once(r#""cause":""#).unwrap_or_else(|| panic!("a cause: {log}"));
    cause.split('"').next().unwrap().to_owned()
}

#[tokio::test]
async fn an_unreadable_row_is_a_500_with_its_cause_in_the_log_and_is_not_changed() {
    let mut app = TestApp::start().await;
    let log = Log::capture("info");
    let readable_standing = json!({ "state": "pending", "invitationId": ID, "expiresAt": FAR_FUTURE });
    #[rustfmt::skip]
    let cases = [
        (STANDING, json!({ "state": "guest" }), &[Create, CreateWithUnknownRole, Change, Accept, Revoke, Delete][..], "standing row: state"),
        (STANDING, json!({ "userId": "ada" }), &[Create, Accept], "standing row: state"),
        (STANDING, with(readable_standing.clone(), json!({ "invitationId": 5 })), &[Create, CreateWithUnknownRole, Accept], "standing row: invitationId"),
        (STANDING, with(readable_standing.clone(), json!({ "expiresAt": "2100" })), &[Create, CreateWithUnknownRole, Accept], "standing row: expiresAt"),
        (STANDING, json!({ "state": "member", "userId": 5 }), &[Create, Accept, Revoke], "standing row: userId"),
        (SENDS, json!({ "sends": "none", "version": "v" }), &[CreateWithMail, Message], "recipient rate limit row: sends"),
        (SENDS, json!({ "sends": [NOW, "now"], "version": "v" }), &[CreateWithMail, Message], "recipient rate limit row: sends"),
        (SENDS, json!({ "version": "v" }), &[CreateWithMail, Message], "recipient rate limit row: sends"),
        (SENDS, json!({ "sends": [NOW], "version": 5 }), &[CreateWithMail, Message], "recipient rate limit row: version"),
        ("ORGANIZATION#acme", json!({ "id": "acme" }), &[CreateForOther, Message], "organization row: name"),
        ("ORGANIZATION#acme", json!({ "id": "acme", "name": ["Acme"] }), &[CreateForOther, Message], "organization row: name"),
        ("ORGANIZATION#acme", json!({ "name": "Acme", "branding": "blue" }), &[CreateForOther, Message], "organization row: branding"),
        ("ROLE#member", json!({ "id": "member" }), &[CreateForOther, Change], "role row: name"),
        ("USER#ada", json!({ "id": "ada", "name": 5 }), &[CreateForOther, Message, Accept], "user row: name"),
        ("USER#ada", json!({ "primaryEmail": ["ada@example.com"] }), &[CreateForOther, Accept], "user row: primaryEmail"),
        ("MEMBER#acme#ada", json!({ "organizationRoleIds": "admin" }), &[Accept], "membership row: organizationRoleIds"),
        ("MEMBER#acme#ada", json!({ "organizationRoleIds": ["admin", 5] }), &[Accept], "membership row: organizationRoleIds"),
    ];
    for (sk, attributes, requests, expected) in cases {
        for request in requests {
            app = TestApp::start().await;
            let id = app.invite(&body("Ada@example.com")).await;
            app.put_rows([items::from_json(row(sk, &attributes))]).await;
            let before = app.rows().await;
            log.take();
            let answer = app.call(request.call(&id)).await;
            assert_eq!((answer.status, answer.code().as_str()), (500, "service.internal"), "{request:?} {attributes}");
            assert_eq!(answer.headers.get("retry-after"), None, "{request:?} {attributes}");
            assert_eq!(cause(&log.take()), format!("unreadable {expected}"), "{request:?} {attributes}");
            assert_eq!(app.rows().await, before, "{request:?} {attributes}");
            assert!(app.mails().is_empty(), "{request:?} {attributes}");
        }
    }
    drop(app);
}

/// The idempotency record of a create with mail, and the response to it.
async fn record_of_a_create(app: &TestApp, create: &Call) -> (Value, String) {
    let answer = app.call(create.clone()).await;
    assert_eq!((answer.status, app.mails().len()), (201, 1), "{answer:?}");
    let rows = app.rows().await;
    (rows::of_kind(&rows, "IDEMPOTENCY").next().unwrap().clone(), answer.text)
}

fn with_key() -> Call {
    Call::create(&body_with_mail("ada@example.com")).with_key("a-key")
}

#[tokio::test]
async fn an_unreadable_idempotency_record_is_a_500_and_not_a_new_request() {
    let app = TestApp::start().await;
    let (record, _) = record_of_a_create(&app, &with_key()).await;
    let log = Log::capture("info");
    for (attribute, value) in [
        ("state", json!("waiting")),
        ("state", json!(5)),
        ("invitationId", json!("x")),
        ("requestHash", json!(["h"])),
        ("answer", json!({})),
        ("keptUntil", json!("tomorrow")),
        ("keptUntil", Value::Null),
    ] {
        let mut broken = record.clone();
        broken[attribute] = value;
        app.put_rows([items::from_json(broken)]).await;
        let before = app.rows().await;
        log.take();
        // The error is the same if the invitation could be created again.
        app.delete_row("default", "ORG#acme#INVITEE#ada@example.com").await;
        let answer = app.call(with_key()).await;
        answer.assert_error(500, "service.internal");
        assert_eq!(cause(&log.take()), format!("unreadable idempotency row: {attribute}"));
        let (count, mails) = (before.len() - 1, app.mails().len());
        assert_eq!((app.rows().await.len(), mails), (count, 1), "nothing is written or mailed");
        app.put_rows(
            before.into_iter().filter(|row| row["sk"] == "ORG#acme#INVITEE#ada@example.com").map(items::from_json),
        )
        .await;
    }
}

#[tokio::test]
async fn a_retry_completes_a_record_without_a_readable_lease() {
    for (lease, reason) in [(None, "no lease"), (Some(json!("soon")), "a text as the lease")] {
        let app = TestApp::start().await;
        let (mut record, first) = record_of_a_create(&app, &with_key()).await;
        record["state"] = "started".into();
        if let Some(lease) = lease {
            record["runsUntil"] = lease;
        }
        app.put_rows([items::from_json(record)]).await;
        let again = app.call(with_key()).await;
        assert_eq!(
            (again.status, again.text, app.mails().len()),
            (201, first, 2),
            "{reason}: the record does not show that the first mail was sent"
        );
        invariant::check(&app, NOW).await;
        assert_eq!(app.call(with_key()).await.headers["idempotent-replayed"], "true", "{reason}");
        assert_eq!(app.mails().len(), 2, "{reason}: the record is complete");
    }
}

#[tokio::test]
async fn an_unreadable_invitation_has_not_ended() {
    for request in [Message, Accept] {
        let app = Arc::new(TestApp::start_behind_proxy(&[]).await);
        let id = app.invite(&body("Ada@example.com")).await;
        let reads = app.proxy().count("BatchGetItem");
        app.proxy().next("BatchGetItem", Intervention::Delay(Duration::from_millis(300)));
        let asking = tokio::spawn({
            let (app, call) = (Arc::clone(&app), request.call(&id));
            async move { app.call(call).await }
        });
        while app.proxy().count("BatchGetItem") == reads {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        app.put_rows([items::from_json(row(&format!("INVITATION#{id}"), &json!({ "status": "lost" })))]).await;
        asking.await.unwrap().assert_error(500, "service.internal");
    }
}

#[tokio::test]
async fn the_roles_of_a_membership_may_be_a_set_or_a_list_or_nothing() {
    let texts = |ids: &[&str]| ids.iter().map(|id| AttributeValue::S((*id).to_owned())).collect::<Vec<_>>();
    let set = AttributeValue::Ss(vec!["admin".to_owned(), "owner".to_owned()]);
    for (roles, expected, reason) in [
        (None, json!(["admin", "member"]), "absent"),
        (Some(AttributeValue::Null(true)), json!(["admin", "member"]), "null"),
        (Some(AttributeValue::L(vec![])), json!(["admin", "member"]), "an empty list"),
        (Some(AttributeValue::L(texts(&["owner"]))), json!(["admin", "member", "owner"]), "a list"),
        (
            Some(AttributeValue::L(texts(&["admin", "admin"]))),
            json!(["admin", "member"]),
            "a list with one of the roles",
        ),
        (Some(set), json!(["admin", "member", "owner"]), "a set"),
    ] {
        let app = TestApp::start().await;
        let id =
            app.invite(&with(body("ada@example.com"), json!({ "organizationRoleIds": ["admin", "member"] }))).await;
        let mut membership = items::from_json(row("MEMBER#acme#ada", &json!({ "note": "the application's" })));
        membership.extend(roles.map(|roles| ("organizationRoleIds".to_owned(), roles)));
        app.put_rows([membership]).await;
        let answer = app.call(Call::accept(&id, "ada")).await;
        assert_eq!(answer.status, 200, "{reason}: {answer:?}");
        let membership = app.row("default", "MEMBER#acme#ada").await.unwrap();
        let mut roles: Vec<_> = membership["organizationRoleIds"].as_array().unwrap().clone();
        roles.sort_by_key(Value::to_string);
        assert_eq!((json!(roles), &membership["note"]), (expected, &json!("the application's")), "{reason}");
        invariant::check(&app, NOW).await;
    }
}

#[tokio::test]
async fn a_member_with_unreadable_roles_can_accept_an_invitation_without_roles() {
    let app = TestApp::start().await;
    let id = app.invite(&with(body("ada@example.com"), json!({ "organizationRoleIds": [] }))).await;
    let membership = row("MEMBER#acme#ada", &json!({ "organizationRoleIds": ["owner"] }));
    app.put_rows([items::from_json(membership)]).await;
    assert_eq!(app.call(Call::accept(&id, "ada")).await.status, 200);
    assert_eq!(app.row("default", "MEMBER#acme#ada").await.unwrap()["organizationRoleIds"], json!(["owner"]));
}

#[tokio::test]
async fn the_identifier_of_a_directory_row_is_that_of_its_key() {
    let app = TestApp::start().await;
    let rows = [
        row("ROLE#r1", &json!({ "id": "same", "name": "First" })),
        row("ROLE#r2", &json!({ "id": "same", "name": "Second" })),
        row("ROLE#r3", &json!({ "name": "Third" })),
        row("ORGANIZATION#o", &json!({ "name": "O" })),
        row("USER#u", &json!({ "id": "v", "primaryEmail": "u@example.com" })),
    ];
    app.put_rows(rows.map(items::from_json)).await;
    let changes = json!({ "organizationId": "o", "inviterId": "u", "organizationRoleIds": ["r1", "r2", "r3"] });
    let answer = app.call(Call::create(&with(body("u@example.com"), changes))).await;
    assert_eq!(answer.status, 201, "{answer:?}");
    let entity = answer.json();
    let roles =
        json!([{ "id": "r1", "name": "First" }, { "id": "r2", "name": "Second" }, { "id": "r3", "name": "Third" }]);
    assert_eq!(entity["organizationRoles"], roles);
    assert_eq!(app.call(Call::accept(entity["id"].as_str().unwrap(), "u")).await.status, 200);
    invariant::check(&app, NOW).await;
}

#[tokio::test]
async fn roles_that_do_not_fit_a_row_are_an_error_and_the_largest_that_fit_can_be_accepted() {
    for (count, name, fits, reason) in [
        (50, "x".repeat(10_000), false, "500 KB of names"),
        (2, "x".repeat(190_000), true, "380 KB of names"),
        (50, "x".repeat(7_700), true, "50 names of 385 KB in total"),
        (50, "\"".repeat(5_000), false, "names of 500 KB in JSON"),
        (50, "ä".repeat(3_800), true, "names of 380 KB with non-ASCII characters"),
    ] {
        let app = TestApp::start().await;
        let role = |number: usize| row(&format!("ROLE#r{number}"), &json!({ "name": format!("{number}{name}") }));
        app.put_rows((0..count).map(|number| items::from_json(role(number)))).await;
        let ids: Vec<String> = (0..count).map(|number| format!("r{number}")).collect();
        let changes = json!({ "organizationRoleIds": ids });
        let call = Call::create(&with(body("ada@example.com"), changes)).with_key("a-key");
        let before = app.rows().await;
        let answer = app.call(call).await;
        if fits {
            assert_eq!(answer.status, 201, "{reason}: {}", answer.text.get(..200).unwrap_or_default());
            let id = answer.json()["id"].as_str().unwrap().to_owned();
            assert_eq!(app.call(Call::accept(&id, "ada")).await.status, 200, "{reason}");
        } else {
            answer.assert_error(422, "entity.value_too_long");
            assert_eq!(app.rows().await, before, "{reason}");
        }
    }
}

//! Changing a pending invitation: its expiry, its roles, or both.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use organization_invitations::{domain::directory::OrganizationRole, local::ses::SesFault, store::items};
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::{
    helpers::{
        Call, FAR_FUTURE, NOW, TestApp, body, body_with_mail, connector_with, directory_id, inline, tenant, with,
    },
    invariant,
    proxy::Intervention,
};

const STANDING: &str = "ORG#acme#INVITEE#ada@example.com";
const MEMBERSHIP: &str = "MEMBER#acme#ada";
/// Later than the expiry of the tests' invitations.
const LATER: i64 = FAR_FUTURE + 1_500;

fn roles(row: &Value, attribute: &str) -> BTreeSet<String> {
    let id = |role: &Value| role.get("id").unwrap_or(role).as_str().unwrap().to_owned();
    row[attribute].as_array().into_iter().flatten().map(id).collect()
}

#[tokio::test]
async fn a_change_sets_what_it_names_and_keeps_the_rest_and_the_times_to_live_move_with_the_expiry() {
    let admin = json!([{ "id": "admin", "name": "Administrator" }]);
    let both = json!([{ "id": "admin", "name": "Administrator" }, { "id": "member", "name": "Member" }]);
    for (change, changed, reason) in [
        (json!({ "expiresAt": LATER }), json!({ "expiresAt": LATER }), "later"),
        (json!({ "expiresAt": NOW + 60_001 }), json!({ "expiresAt": NOW + 60_001 }), "sooner"),
        (json!({ "expiresAt": 4_102_444_800_000.75 }), json!({}), "the same expiry, with a fraction that is dropped"),
        (json!({ "organizationRoleIds": ["admin"] }), json!({ "organizationRoles": admin }), "other roles"),
        (
            json!({ "organizationRoleIds": ["member", "admin", "member"] }),
            json!({ "organizationRoles": both }),
            "distinct roles, sorted by name",
        ),
        (json!({ "organizationRoleIds": [] }), json!({ "organizationRoles": [] }), "all roles removed"),
        (json!({ "organizationRoleIds": ["member"] }), json!({}), "the same roles"),
        (
            json!({ "expiresAt": LATER, "organizationRoleIds": ["admin"], "status": "Revoked", "invitee": "x" }),
            json!({ "expiresAt": LATER, "organizationRoles": admin }),
            "both, and keys that cannot be changed",
        ),
    ] {
        let app = TestApp::start().await;
        let created = app.create_at(NOW, &body("Ada@Example.com")).await;
        let id = created.json()["id"].as_str().unwrap().to_owned();
        let answer = app.call_at(NOW + 5, Call::change(&id, &change)).await;
        let expected = with(with(created.json(), changed), json!({ "updatedAt": NOW + 5 }));
        assert_eq!((answer.status, answer.json()), (200, expected), "{reason}");
        assert_eq!(app.call_at(NOW + 6, Call::get(&id)).await.text, answer.text, "{reason}");
        let standing = app.row("default", STANDING).await.unwrap();
        assert_eq!(standing["expiresAt"], answer.json()["expiresAt"], "{reason}");
        invariant::check(&app, NOW + 6).await;
    }
}

#[tokio::test]
async fn a_body_has_to_name_an_expiry_or_roles_by_the_rules_of_a_create() {
    let app = TestApp::start().await;
    let id = app.invite(&body("ada@example.com")).await;
    let before = app.rows().await;
    let many = json!({ "organizationRoleIds": (0..51).map(|n| format!("r{n}")).collect::<Vec<_>>() }).to_string();
    for (body, issues, reason) in [
        ("", json!([["", "invalid_union"]]), "no body counts as {}"),
        ("{}", json!([["", "invalid_union"]]), "neither an expiry nor roles"),
        (r#"{"invitee":"x","status":"Revoked"}"#, json!([["", "invalid_union"]]), "only keys that cannot be changed"),
        (r#"{"expiresAt":null}"#, json!([["expiresAt", "invalid_type"]]), "null"),
        (r#"{"expiresAt":"4102444800000"}"#, json!([["expiresAt", "invalid_type"]]), "a text"),
        (r#"{"expiresAt":8640000000000001}"#, json!([["expiresAt", "too_big"]]), "after the last instant"),
        (r#"{"organizationRoleIds":null}"#, json!([["organizationRoleIds", "invalid_type"]]), "null"),
        (r#"{"organizationRoleIds":"admin"}"#, json!([["organizationRoleIds", "invalid_type"]]), "a text"),
        (r#"{"organizationRoleIds":["a",1]}"#, json!([["organizationRoleIds.1", "invalid_type"]]), "a number"),
        (&many, json!([["organizationRoleIds", "too_big"]]), "51 distinct roles"),
        (
            r#"{"organizationRoleIds":[null],"expiresAt":true}"#,
            json!([["expiresAt", "invalid_type"], ["organizationRoleIds.0", "invalid_type"]]),
            "all violations at once, in order",
        ),
        ("[]", json!([["", "invalid_type"]]), "an array"),
        ("false", json!([["", "invalid_type"]]), "false, which only a messagePayload may be"),
        ("null", json!([["", "invalid_type"]]), "null instead of an object"),
    ] {
        let answer = app.call(Call::change(&id, &json!({})).text("application/json", body)).await;
        answer.assert_error(400, "guard.invalid_input");
        let found = answer.json()["data"]["issues"].clone();
        let path = |issue: &Value| {
            let path = issue["path"].as_array().unwrap().iter();
            path.map(|part| part.as_str().map_or_else(|| part.to_string(), str::to_owned)).collect::<Vec<_>>().join(".")
        };
        let found: Vec<Value> = found.as_array().unwrap().iter().map(|it| json!([path(it), it["code"]])).collect();
        assert_eq!(json!(found), issues, "{reason}");
        let lines = answer.json()["details"].as_str().unwrap().lines().count();
        assert_eq!(lines, found.len(), "{reason}: a line for each");
    }
    for (content_type, body) in [("application/json", "{"), ("text/plain", r#"{"expiresAt":4102444800001}"#)] {
        let answer = app.call(Call::change(&id, &json!({})).text(content_type, body)).await;
        answer.assert_error(400, "request.invalid_input");
    }
    let huge = json!({ "expiresAt": LATER, "x": "y".repeat(1 << 20) });
    app.call(Call::change(&id, &huge)).await.assert_error(413, "request.invalid_input");
    assert_eq!(app.rows().await, before);
}

#[tokio::test]
async fn errors_have_the_order_of_the_contract() {
    let app = TestApp::start().await;
    let pending = app.invite(&body("ada@example.com")).await;
    let ended = app.invite(&body("sorry@example.com")).await;
    app.call(Call::revoke(&ended)).await;
    // A row of DynamoDB has at most 400 KB.
    let long = OrganizationRole { id: directory_id("long"), name: "x".repeat(398 * 1024) };
    app.app.store.put_role(&tenant("default"), &long).await.unwrap();
    let before = app.rows().await;
    let nowhere = "0".repeat(21);
    let unknown = json!({ "organizationRoleIds": ["emperor"] });
    let past = json!({ "expiresAt": NOW, "organizationRoleIds": ["emperor"] });
    let not_found = "entity.relation_foreign_key_not_found";
    for (id, body, status, code, reason) in [
        (&nowhere, json!({ "expiresAt": null }), 400, "guard.invalid_input", "the body before the invitation"),
        (&ended, json!({}), 400, "guard.invalid_input", "the body before its status"),
        (&nowhere, past.clone(), 400, "request.invalid_input", "the expiry before the invitation"),
        (&pending, past, 400, "request.invalid_input", "the expiry before the roles"),
        (&nowhere, unknown.clone(), 404, "entity.not_found", "the invitation before the roles"),
        (&ended, unknown.clone(), 422, "request.invalid_input", "its status before the roles"),
        (&pending, unknown, 422, not_found, "the roles"),
        (&pending, json!({ "organizationRoleIds": ["a#b"] }), 422, not_found, "a role with an invalid identifier"),
        (
            &pending,
            json!({ "organizationRoleIds": ["x".repeat(3000)] }),
            422,
            not_found,
            "a role with an identifier that is too long",
        ),
        (
            &pending,
            json!({ "organizationRoleIds": ["long"] }),
            422,
            "entity.value_too_long",
            "a role name larger than a row",
        ),
    ] {
        let answer = app.call(Call::change(id, &body)).await;
        assert_eq!((answer.status, answer.code().as_str()), (status, code), "{reason}: {answer:?}");
    }
    let answer = app.call(Call::change(&pending, &json!({ "organizationRoleIds": ["member", "b", "a"] }))).await;
    assert_eq!(answer.json()["data"], json!({ "organizationRoleIds": ["a", "b"] }), "only the missing roles are named");
    assert_eq!(app.rows().await, before, "nothing was written");
}

#[tokio::test]
async fn an_ended_invitation_cannot_be_changed() {
    let app = TestApp::start().await;
    let short = json!({ "expiresAt": NOW + 1000 });
    let accepted = app.invite(&with(body("ada@example.com"), short.clone())).await;
    let revoked = app.invite(&with(body("bob@example.com"), short.clone())).await;
    let expired = app.invite(&with(body("eve@example.com"), short)).await;
    app.call(Call::accept(&accepted, "ada")).await;
    app.call(Call::revoke(&revoked)).await;
    let before = app.rows().await;
    for (id, now, reason) in [
        (&accepted, NOW + 1, "accepted"),
        (&revoked, NOW + 1, "revoked"),
        (&revoked, NOW + 1000, "revoked, and past its expiry"),
        (&expired, NOW + 1000, "expired, in the millisecond of its expiry"),
    ] {
        for change in [json!({ "expiresAt": LATER }), json!({ "organizationRoleIds": [] })] {
            let answer = app.call_at(now, Call::change(id, &change)).await;
            assert_eq!((answer.status, answer.code().as_str()), (422, "request.invalid_input"), "{reason}");
        }
    }
    assert_eq!(app.rows().await, before);
    let in_time = app.call_at(NOW + 999, Call::change(&expired, &json!({ "expiresAt": LATER }))).await;
    assert_eq!(in_time.status, 200, "the last millisecond before the expiry");
    app.create_at(NOW + 1000, &body("eve@example.com")).await.assert_error(422, "entity.unique_integrity_violation");
    invariant::check(&app, NOW + 1000).await;
}

#[tokio::test]
async fn an_expiry_that_was_brought_forward_frees_the_invitee_then() {
    let app = TestApp::start().await;
    let id = app.invite(&body("ada@example.com")).await;
    assert_eq!(app.call(Call::change(&id, &json!({ "expiresAt": NOW + 10 }))).await.status, 200);
    app.create_at(NOW + 9, &body("ada@example.com")).await.assert_error(422, "entity.unique_integrity_violation");
    assert_eq!(app.call_at(NOW + 10, Call::get(&id)).await.json()["status"], "Expired");
    app.invite_at(NOW + 10, &body("ada@example.com")).await;
    invariant::check(&app, NOW + 10).await;
}

#[tokio::test]
async fn accepting_gives_the_roles_as_they_were_changed() {
    let app = TestApp::start().await;
    let id = app.invite(&body("ada@example.com")).await;
    for roles in [json!([]), json!(["admin"])] {
        let change = json!({ "organizationRoleIds": roles });
        assert_eq!(app.call_at(NOW + 1, Call::change(&id, &change)).await.status, 200);
    }
    let accepted = app.call_at(NOW + 1, Call::accept(&id, "ada")).await;
    assert_eq!(accepted.json()["organizationRoles"], json!([{ "id": "admin", "name": "Administrator" }]));
    assert_eq!(
        roles(&app.row("default", MEMBERSHIP).await.unwrap(), "organizationRoleIds"),
        ["admin".to_owned()].into()
    );
    invariant::check(&app, NOW + 1).await;
}

#[tokio::test]
async fn every_change_moves_the_time_of_the_last_one_forward_whatever_the_clock_says() {
    let app = TestApp::start().await;
    let id = app.invite(&body("ada@example.com")).await;
    for (now, updated_at, reason) in [
        (NOW, NOW + 1, "in the millisecond of the creation"),
        (NOW + 50, NOW + 50, "later"),
        (NOW + 50, NOW + 51, "again in the same millisecond"),
        (NOW + 20, NOW + 52, "on a machine whose clock is behind"),
    ] {
        let answer = app.call_at(now, Call::change(&id, &json!({ "expiresAt": LATER }))).await;
        assert_eq!((answer.status, &answer.json()["updatedAt"]), (200, &json!(updated_at)), "{reason}");
    }
}

#[tokio::test]
async fn a_change_sets_its_own_attributes_and_keeps_those_of_other_writers() {
    for (change, changed) in [
        (json!({ "organizationRoleIds": [] }), json!({ "organizationRoles": [] })),
        (json!({ "expiresAt": LATER }), json!({ "expiresAt": LATER, "ttl": (LATER + 500) / 1000 + 30 * 86_400 })),
    ] {
        let app = TestApp::start().await;
        let id = app.invite(&body("ada@example.com")).await;
        let sk = format!("INVITATION#{id}");
        let row = with(
            app.row("default", &sk).await.unwrap(),
            json!({ "note": "another writer's", "ttl": 9_999_999_999_i64 }),
        );
        let standing = with(app.row("default", STANDING).await.unwrap(), json!({ "note": "another writer's" }));
        app.put_rows([items::from_json(row.clone()), items::from_json(standing.clone())]).await;
        assert_eq!(app.call_at(NOW + 5, Call::change(&id, &change)).await.status, 200);
        let expected = with(with(row, changed.clone()), json!({ "updatedAt": NOW + 5 }));
        assert_eq!(app.row("default", &sk).await.unwrap(), expected);
        let expiry = &expected["expiresAt"];
        let seconds = (expiry.as_i64().unwrap() + 999) / 1000;
        let moved = with(standing, json!({ "expiresAt": expiry, "ttl": seconds }));
        assert_eq!(app.row("default", STANDING).await.unwrap(), moved);
    }
}

#[tokio::test]
async fn a_change_restores_the_invitation_in_the_standing_unless_a_newer_one_owns_it() {
    let change = |id: &str| Call::change(id, &json!({ "expiresAt": LATER }));
    let app = TestApp::start().await;
    let id = app.invite(&body("ada@example.com")).await;
    for (found, expected, reason) in [
        (json!({}), json!({ "state": "pending", "invitationId": id, "expiresAt": LATER }), "the standing was deleted"),
        (
            json!({ "state": "member", "userId": "ada", "pendingInvitationId": id, "pendingExpiresAt": FAR_FUTURE }),
            json!({ "state": "member", "userId": "ada", "pendingInvitationId": id, "pendingExpiresAt": LATER }),
            "a member's standing that names the invitation",
        ),
        (
            json!({ "state": "member", "userId": "ada" }),
            json!({ "state": "member", "userId": "ada", "pendingInvitationId": id, "pendingExpiresAt": LATER }),
            "a member's standing that another program wrote over it",
        ),
    ] {
        app.delete_row("default", STANDING).await;
        let key = json!({ "pk": "TENANT#default", "sk": STANDING });
        if found != json!({}) {
            app.put_rows([items::from_json(with(key.clone(), found))]).await;
        }
        let answer = app.call(change(&id)).await;
        assert_eq!(answer.status, 200, "{reason}: {answer:?}");
        let mut standing = app.row("default", STANDING).await.unwrap();
        standing.as_object_mut().unwrap().remove("ttl");
        assert_eq!(standing, with(key, expected), "{reason}");
        app.call(Call::change(&id, &json!({ "expiresAt": FAR_FUTURE }))).await;
    }
    let older = app.invite(&with(body("bob@example.com"), json!({ "expiresAt": NOW + 1000 }))).await;
    let newer = app.invite_at(NOW + 1000, &body("bob@example.com")).await;
    let before = app.rows().await;
    // A request that started before the expiry, or on a machine whose clock is behind.
    app.call_at(NOW + 999, change(&older)).await.assert_error(422, "request.invalid_input");
    assert_eq!(app.rows().await, before);
    assert_eq!(app.call_at(NOW + 1001, change(&newer)).await.status, 200);
}

/// Waits until a request for `operation` beyond the `had` ones has reached DynamoDB.
async fn asked(app: &TestApp, operation: &str, had: usize) {
    while app.proxy().count(operation) == had {
        sleep(Duration::from_millis(2)).await;
    }
    sleep(Duration::from_millis(100)).await;
}

#[tokio::test]
async fn an_end_that_read_the_invitation_before_a_change_sees_all_of_the_change() {
    for (end, reason) in [
        (Call::accept as fn(&str, &str) -> Call, "an accept grants the new roles"),
        (|id, _| Call::revoke(id), "the response to a revoke contains the new roles"),
    ] {
        let app = Arc::new(TestApp::start_behind_proxy(&[]).await);
        let id = app.invite(&body("ada@example.com")).await;
        let had = app.proxy().count("GetItem");
        app.proxy().next("GetItem", Intervention::Delay(Duration::from_millis(500)));
        let ending = tokio::spawn({
            let (app, call) = (Arc::clone(&app), end(&id, "ada"));
            async move { app.call(call).await }
        });
        asked(&app, "GetItem", had).await;
        let change = json!({ "organizationRoleIds": ["admin"], "expiresAt": LATER });
        assert_eq!(app.call(Call::change(&id, &change)).await.status, 200);
        let ended = ending.await.unwrap();
        assert_eq!(ended.status, 200, "{reason}: {ended:?}");
        let row = app.row("default", &format!("INVITATION#{id}")).await.unwrap();
        for told in [&ended.json(), &row] {
            assert_eq!(
                (roles(told, "organizationRoles"), &told["expiresAt"]),
                (["admin".to_owned()].into(), &json!(LATER))
            );
        }
        if let Some(membership) = app.row("default", MEMBERSHIP).await {
            assert_eq!(roles(&membership, "organizationRoleIds"), ["admin".to_owned()].into(), "{reason}");
        }
        invariant::check(&app, NOW).await;
    }
}

#[tokio::test]
async fn an_accept_that_read_the_invitation_before_its_expiry_was_brought_forward_is_too_late() {
    let app = Arc::new(TestApp::start_behind_proxy(&[]).await);
    let id = app.invite(&body("ada@example.com")).await;
    let had = app.proxy().count("GetItem");
    app.proxy().next("GetItem", Intervention::Delay(Duration::from_millis(500)));
    let accepting = tokio::spawn({
        let (app, call) = (Arc::clone(&app), Call::accept(&id, "ada"));
        async move { app.call_at(NOW + 10, call).await }
    });
    asked(&app, "GetItem", had).await;
    assert_eq!(app.call(Call::change(&id, &json!({ "expiresAt": NOW + 10 }))).await.status, 200);
    accepting.await.unwrap().assert_error(422, "request.invalid_input");
    assert_eq!(app.row("default", MEMBERSHIP).await, None);
    invariant::check(&app, NOW + 10).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_changes_are_serialized_and_each_response_is_a_committed_state() {
    let app = Arc::new(TestApp::start_with(&[("DIRECTORY_CACHE_SECONDS", "30")]).await);
    let id = app.invite(&body("ada@example.com")).await;
    let changes = (0..12).map(|n| {
        let change = if n % 2 == 0 {
            json!({ "expiresAt": LATER + n })
        } else {
            json!({ "organizationRoleIds": if n % 4 == 1 { json!(["admin"]) } else { json!([]) } })
        };
        (NOW, Call::change(&id, &change))
    });
    let mut states: Vec<Value> = app
        .call_all_at_once(changes.collect())
        .await
        .iter()
        .map(|answer| {
            assert_eq!(answer.status, 200, "{answer:?}");
            answer.json()
        })
        .collect();
    states.sort_by_key(|state| state["updatedAt"].as_i64());
    let times: Vec<i64> = states.iter().map(|state| state["updatedAt"].as_i64().unwrap()).collect();
    assert_eq!(times, (NOW + 1..=NOW + 12).collect::<Vec<_>>(), "each change is later than the previous one");
    for pair in states.windows(2) {
        let keys = ["expiresAt", "organizationRoles"].into_iter();
        assert!(
            keys.filter(|key| pair[0][*key] != pair[1][*key]).count() <= 1,
            "each change sets the expiry or the roles: {pair:?}"
        );
    }
    assert_eq!(app.call(Call::get(&id)).await.json(), states[11], "the last");
    invariant::check(&app, NOW).await;
}

#[tokio::test]
async fn a_replay_returns_the_first_response_after_a_change_of_the_invitation() {
    for body in [body("ada@example.com"), body_with_mail("ada@example.com")] {
        let app = TestApp::start().await;
        let create = Call::create(&body).with_key("k");
        let first = app.call(create.clone()).await;
        let id = first.json()["id"].as_str().unwrap().to_owned();
        let change = json!({ "organizationRoleIds": [], "expiresAt": LATER });
        assert_eq!(app.call(Call::change(&id, &change)).await.status, 200);
        let (rows, mails) = (app.rows().await, app.mails().len());
        let repeated = app.call(create).await;
        assert_eq!((repeated.status, repeated.text), (201, first.text));
        assert_eq!((app.rows().await, app.mails().len()), (rows, mails));
        invariant::check(&app, NOW).await;
    }
}

#[tokio::test]
async fn a_retry_mails_the_current_invitation_and_returns_the_first_response() {
    let app = TestApp::start().await;
    app.set_connector(&connector_with(inline("Join", "<p>{{invitation.expiresAt}}</p>", "{{invitation.expiresAt}}")))
        .await;
    let create = Call::create(&with(body("ada@example.com"), json!({ "messagePayload": {} }))).with_key("k");
    app.stack.ses.fail_next(SesFault::Silence { accepts: false });
    let calls = app.stack.ses.calls();
    tokio::select! {
        answer = app.call(create.clone()) => panic!("the first attempt got a response: {answer:?}"),
        () = async { while app.stack.ses.calls() == calls { sleep(Duration::from_millis(5)).await } } => {}
    }
    let id = app.call(Call::list("")).await.json()[0]["id"].as_str().unwrap().to_owned();
    assert_eq!(app.call(Call::change(&id, &json!({ "expiresAt": LATER }))).await.status, 200);
    let retried = app.call_at(NOW + 60_000, create).await;
    assert_eq!((retried.status, &retried.json()["expiresAt"]), (201, &json!(FAR_FUTURE)), "{retried:?}");
    let mails = app.mails();
    assert_eq!((mails.len(), mails[0].text.trim()), (1, "2100-01-01T00:00:01Z"));
    invariant::check(&app, NOW + 60_000).await;
}

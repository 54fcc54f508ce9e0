//! Create: the entity, uniqueness, the order of errors, and the rows it writes.

use serde_json::{Value, json};

use crate::helpers::{FAR_FUTURE, NOW, TestApp, body, with};

#[tokio::test]
async fn a_create_returns_the_entity_of_the_contract() {
    let app = TestApp::start().await;
    let body = with(body("New.Person@Example.com"), json!({ "organizationRoleIds": ["member", "admin", "member"] }));
    let answer = app.create_at(NOW, &body).await;
    assert_eq!(answer.status, 201, "{answer:?}");
    assert_eq!(answer.headers["content-type"], "application/json; charset=utf-8");
    let id = answer.json()["id"].as_str().unwrap().to_owned();
    let expected = format!(
        concat!(
            r#"{{"tenantId":"default","id":"{}","inviterId":"ada","invitee":"New.Person@Example.com","#,
            r#""acceptedUserId":null,"organizationId":"acme","status":"Pending","createdAt":{},"updatedAt":{},"#,
            r#""expiresAt":{},"organizationRoles":[{{"id":"admin","name":"Administrator"}},"#,
            r#"{{"id":"member","name":"Member"}}]}}"#
        ),
        id, NOW, NOW, FAR_FUTURE
    );
    assert_eq!(answer.text, expected);
}

#[tokio::test]
async fn the_table_holds_the_invitation_its_standing_and_a_time_to_live() {
    let app = TestApp::start_with(&[("RETENTION_DAYS", "7")]).await;
    let body = with(body("Someone@Example.com"), json!({ "expiresAt": 4_102_444_800_001_i64 }));
    let id = app.create_at(NOW, &body).await.json()["id"].as_str().unwrap().to_owned();
    let invitation = app.row("default", &format!("INVITATION#{id}")).await.unwrap();
    assert_eq!(
        invitation["ttl"],
        4_102_444_801_i64 + 7 * 86_400,
        "the expiry in seconds, rounded up, plus the retention"
    );
    assert_eq!(invitation["organizationKey"], "TENANT#default#ORG#acme");
    assert_eq!(invitation["inviteeKey"], "TENANT#default#INVITEE#someone@example.com");
    assert_eq!(invitation["inviterKey"], "TENANT#default#INVITER#ada");
    let standing = app.row("default", "ORG#acme#INVITEE#someone@example.com").await.unwrap();
    assert_eq!(standing["invitationId"], id.as_str());
    assert_eq!(standing["state"], "pending");
    assert_eq!(standing["ttl"], 4_102_444_801_i64);
}

#[tokio::test]
async fn every_index_of_the_template_finds_the_invitation() {
    let app = TestApp::start().await;
    let id = app.create_at(NOW, &body("indexed@example.com")).await.json()["id"].as_str().unwrap().to_owned();
    for (index, attribute, key) in [
        ("byOrganization", "organizationKey", "TENANT#default#ORG#acme"),
        ("byInvitee", "inviteeKey", "TENANT#default#INVITEE#indexed@example.com"),
        ("byInviter", "inviterKey", "TENANT#default#INVITER#ada"),
    ] {
        let found = app.query_index(index, attribute, key).await;
        assert_eq!(found.len(), 1, "{index}");
        assert_eq!(found[0]["id"], id.as_str(), "{index} projects everything");
    }
}

#[tokio::test]
async fn an_invitee_has_one_pending_invitation_to_an_organization_in_any_case_of_the_address() {
    let app = TestApp::start().await;
    let first = app.create_at(NOW, &body("Twice@Example.com")).await;
    let second = app.create_at(NOW, &body("tWICE@eXAMPLE.COM")).await;
    second.assert_error(422, "entity.unique_integrity_violation");
    assert_eq!(second.json()["data"], json!({ "invitationId": first.json()["id"] }));
}

#[tokio::test]
async fn an_invitee_can_be_invited_again_from_the_millisecond_of_the_expiry() {
    let app = TestApp::start().await;
    let short = with(body("late@example.com"), json!({ "expiresAt": NOW + 1000 }));
    assert_eq!(app.create_at(NOW, &short).await.status, 201);
    let again = body("late@example.com");
    app.create_at(NOW + 999, &again).await.assert_error(422, "entity.unique_integrity_violation");
    let renewed = app.create_at(NOW + 1000, &again).await;
    assert_eq!(renewed.status, 201, "{renewed:?}");
    let standing = app.row("default", "ORG#acme#INVITEE#late@example.com").await.unwrap();
    assert_eq!(standing["invitationId"], renewed.json()["id"], "the standing names the new invitation");
}

#[tokio::test]
async fn an_invitee_without_a_standing_can_be_invited_again() {
    let app = TestApp::start().await;
    let body = body("back@example.com");
    assert_eq!(app.create_at(NOW, &body).await.status, 201);
    // A revoke or a delete leaves this state.
    app.delete_row("default", "ORG#acme#INVITEE#back@example.com").await;
    assert_eq!(app.create_at(NOW, &body).await.status, 201);
}

#[tokio::test]
async fn a_member_cannot_be_invited_in_any_case_of_the_address() {
    let app = TestApp::start().await;
    app.make_member("acme", "member@example.com").await;
    app.create_at(NOW, &body("Member@Example.com")).await.assert_error(422, "request.invalid_input");
}

#[tokio::test]
async fn errors_have_the_order_of_the_contract() {
    let app = TestApp::start_with(&[("MESSAGE_RATE_LIMIT", "1")]).await;
    app.make_member("acme", "member@example.com").await;
    let create = async |tenant: &str, changes: Value| {
        let answer = app.create_as(tenant, &with(body("x@example.com"), changes)).await;
        (answer.status, answer.code())
    };
    assert_eq!(create("default", json!({ "invitee": "pending@example.com" })).await.0, 201);
    assert_eq!(create("default", json!({ "invitee": "mailed@example.com", "messagePayload": {} })).await.0, 201);
    app.delete_row("default", "ORG#acme#INVITEE#mailed@example.com").await;
    assert_eq!(create("no-mail", json!({ "invitee": "pending@example.com", "inviterId": null })).await.0, 201);

    let (past, unknown) = (json!(1), json!("nowhere"));
    let (mail, strict) = (json!({}), json!({ "locale": "x-strict" }));
    for (tenant, changes, status, code, reason) in [
        ("default", json!({ "expiresAt": past, "invitee": "no" }), 400, "guard.invalid_input", "body before expiry"),
        (
            "default",
            json!({ "expiresAt": past, "invitee": "member@example.com" }),
            400,
            "request.invalid_input",
            "expiry before membership",
        ),
        (
            "default",
            json!({ "invitee": "member@example.com", "organizationRoleIds": [unknown] }),
            422,
            "request.invalid_input",
            "membership before references",
        ),
        (
            "default",
            json!({ "invitee": "pending@example.com", "inviterId": unknown }),
            422,
            "entity.unique_integrity_violation",
            "uniqueness before references",
        ),
        (
            "no-mail",
            json!({ "invitee": "pending@example.com", "inviterId": null, "messagePayload": mail }),
            422,
            "entity.unique_integrity_violation",
            "uniqueness before the connector",
        ),
        (
            "no-mail",
            json!({ "organizationId": unknown, "messagePayload": mail }),
            422,
            "entity.relation_foreign_key_not_found",
            "references before the connector",
        ),
        ("no-mail", json!({ "inviterId": null, "messagePayload": mail }), 501, "connector.not_found", "no connector"),
        (
            "default",
            json!({ "invitee": "mailed@example.com", "organizationRoleIds": [unknown], "messagePayload": mail }),
            422,
            "entity.relation_foreign_key_not_found",
            "references before the rate",
        ),
        (
            "default",
            json!({ "invitee": "mailed@example.com", "messagePayload": strict }),
            429,
            "request.message_rate_limited",
            "the rate before the template",
        ),
        (
            "default",
            json!({ "invitee": "pending@example.com", "messagePayload": strict }),
            422,
            "entity.unique_integrity_violation",
            "uniqueness before the template",
        ),
        (
            "default",
            json!({ "invitee": "fresh@example.com", "messagePayload": strict }),
            400,
            "connector.insufficient_request_parameters",
            "the template",
        ),
    ] {
        assert_eq!(create(tenant, changes).await, (status, code.to_owned()), "{reason}");
    }
}

#[tokio::test]
async fn all_missing_references_are_named_at_once() {
    let app = TestApp::start().await;
    let changes = json!({ "organizationId": "o", "inviterId": "i", "organizationRoleIds": ["b", "member", "a#", "b"] });
    let answer = app.create_at(NOW, &with(body("x@example.com"), changes)).await;
    answer.assert_error(422, "entity.relation_foreign_key_not_found");
    let expected = json!({ "organizationId": "o", "inviterId": "i", "organizationRoleIds": ["a#", "b"] });
    assert_eq!(answer.json()["data"], expected);
}

#[tokio::test]
async fn with_trusted_references_nothing_is_looked_up() {
    let app = TestApp::start_with(&[("REFERENCE_CHECKS", "trust"), ("ID_MAX_LENGTH", "36")]).await;
    let inviter = "0b2f6a5e-5d0c-4f0e-9d7e-3a2b1c0d9e8f";
    let changes = json!({ "organizationId": "o", "inviterId": inviter, "organizationRoleIds": ["b", "a"] });
    let answer = app.create_at(NOW, &with(body("x@example.com"), changes)).await;
    assert_eq!(answer.status, 201, "{answer:?}");
    assert_eq!(answer.json()["inviterId"], inviter);
    assert_eq!(answer.json()["organizationRoles"], json!([{ "id": "a", "name": "a" }, { "id": "b", "name": "b" }]));
    let impossible = with(body("y@example.com"), json!({ "organizationId": "o#o" }));
    app.create_at(NOW, &impossible).await.assert_error(422, "entity.relation_foreign_key_not_found");
}

#[tokio::test]
async fn a_tenant_neither_sees_nor_changes_anything_of_another() {
    let app = TestApp::start().await;
    let body = with(body("shared@example.com"), json!({ "inviterId": null, "organizationRoleIds": [] }));
    assert_eq!(app.create_as("default", &body).await.status, 201);
    let before = app.rows_of("default").await;

    let other = app.create_as("no-mail", &body).await;
    assert_eq!(other.status, 201, "the same invitee and organization are independent in another tenant: {other:?}");
    assert_eq!(other.json()["tenantId"], "no-mail");
    for (changes, reason) in [
        (json!({ "organizationRoleIds": ["admin"] }), "a role of the other tenant"),
        (json!({ "inviterId": "ada" }), "a user of the other tenant"),
        (json!({ "tenantId": "default", "organizationRoleIds": ["admin"] }), "naming the other tenant does not help"),
    ] {
        let answer = app.create_as("no-mail", &with(with(body.clone(), json!({ "invitee": "z@e.co" })), changes)).await;
        assert_eq!(answer.code(), "entity.relation_foreign_key_not_found", "{reason}");
    }
    let mail = with(body.clone(), json!({ "invitee": "z@e.co", "messagePayload": {} }));
    app.create_as("no-mail", &mail).await.assert_error(501, "connector.not_found");
    assert_eq!(app.rows_of("default").await, before);
}

#[tokio::test]
async fn a_key_that_serde_json_reserves_is_an_ordinary_key() {
    let app = TestApp::start().await;
    // `serde_json` treats this key as an embedded document, and would parse the nested ones recursively.
    let key = "$serde_json::private::RawValue";
    let nested = (0..8).fold("[]".to_owned(), |text, _| json!({ key: text }).to_string());
    for (n, value) in [json!(1), json!("no JSON"), json!(nested)].into_iter().enumerate() {
        let changes = json!({ "messagePayload": { key: value, "nested": { key: value } }, key: value });
        let answer = app.create_at(NOW, &with(body(&format!("p{n}@example.com")), changes)).await;
        assert_eq!(answer.status, 201, "{answer:?}");
    }
}

#[tokio::test]
async fn a_create_with_an_error_leaves_the_table_unchanged() {
    let app = TestApp::start().await;
    let before = app.rows().await;
    for changes in [
        json!({ "expiresAt": 1 }),
        json!({ "organizationId": "nowhere" }),
        json!({ "messagePayload": { "locale": "x-strict" } }),
        json!({ "messagePayload": { "locale": "x-stored" } }),
    ] {
        let answer = app.create_at(NOW, &with(body("x@example.com"), changes)).await;
        assert!((400..500).contains(&answer.status), "{answer:?}");
    }
    assert_eq!(app.rows().await, before);
    assert!(app.mails().is_empty());
}

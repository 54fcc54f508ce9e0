//! Tenant isolation: for a caller of another tenant who knows its identifier, an invitation does not exist.

use serde_json::json;

use crate::{
    common::operation::{INVITEE, Operation},
    helpers::{Answer, Call, FAR_FUTURE, NOW, TestApp, body, body_with_mail, with},
};

#[tokio::test]
async fn no_operation_reaches_the_invitation_of_another_tenant() {
    for operation in Operation::ALL {
        let app = TestApp::start().await;
        let id = app.invite_with_token(&body_with_mail(INVITEE)).await;
        let before = app.rows().await;
        let answer = app.call(operation.call(&id).by("no-mail")).await;
        if operation.names_invitation() {
            answer.assert_error(404, "entity.not_found");
            let nowhere = app.call(operation.call(&"0".repeat(21)).by("no-mail")).await;
            assert_eq!(answer.text, nowhere.text, "the same response as for an unknown invitation, {operation:?}");
            assert_eq!(app.rows().await, before, "{operation:?} changes nothing");
        }
        for secret in [&id, INVITEE] {
            assert!(!answer.text.contains(secret), "{operation:?}: {answer:?}");
        }
        let of_default = before.into_iter().filter(|row| row["pk"] == "TENANT#default").collect::<Vec<_>>();
        assert_eq!((app.rows_of("default").await, app.mails().len()), (of_default, 1), "{operation:?}");
        let own = app.call(operation.call(&id)).await;
        assert_eq!(own.status, operation.success(), "the invitation's own tenant finds it, {operation:?}: {own:?}");
    }
}

#[tokio::test]
async fn a_list_shows_nothing_of_another_tenant() {
    let app = TestApp::start().await;
    app.invite(&body("shared@example.com")).await;
    let answers = async |query: &str| -> Vec<Answer> {
        let paged = if query.is_empty() { "page_size=100".to_owned() } else { format!("{query}&page_size=100") };
        vec![app.call(Call::list(query).by("no-mail")).await, app.call(Call::list(&paged).by("no-mail")).await]
    };
    let queries = ["", "organizationId=acme", "inviterId=ada", "invitee=shared@example.com", "tenantId=default"];
    for query in queries {
        for answer in answers(query).await {
            assert_eq!((answer.status, answer.text.as_str()), (200, "[]"), "{query}");
        }
    }
    let own = app.create_as("no-mail", &with(body("shared@example.com"), json!({ "inviterId": null }))).await;
    assert_eq!(own.status, 201);
    for query in ["", "organizationId=acme", "invitee=shared@example.com", "tenantId=default"] {
        for answer in answers(query).await {
            assert_eq!(answer.text, format!("[{}]", own.text), "{query}");
        }
    }
}

#[tokio::test]
async fn the_role_of_another_tenant_cannot_be_given_by_a_change() {
    let app = TestApp::start().await;
    let changes = json!({ "inviterId": null, "organizationRoleIds": [] });
    let created = app.create_as("no-mail", &with(body("ada@example.com"), changes)).await;
    let id = created.json()["id"].as_str().unwrap().to_owned();
    let change = Call::change(&id, &json!({ "organizationRoleIds": ["admin"] })).by("no-mail");
    app.call(change).await.assert_error(422, "entity.relation_foreign_key_not_found");
}

#[tokio::test]
async fn a_user_of_another_tenant_cannot_accept() {
    let app = TestApp::start().await;
    let created = app.create_as("no-mail", &with(body("ada@example.com"), json!({ "inviterId": null }))).await;
    let id = created.json()["id"].as_str().unwrap().to_owned();
    app.call(Call::accept(&id, "ada").by("no-mail")).await.assert_error(404, "entity.not_found");
}

#[tokio::test]
async fn ending_an_invitation_keeps_the_same_invitation_of_another_tenant() {
    let app = TestApp::start().await;
    let twin = with(body("ada@example.com"), json!({ "inviterId": null, "expiresAt": FAR_FUTURE }));
    assert_eq!(app.create_as("no-mail", &twin).await.status, 201);
    let before = app.rows_of("no-mail").await;
    for end in [Call::revoke, Call::delete, |id: &str| Call::accept(id, "ada")] {
        let id = app.invite_at(NOW, &twin).await;
        assert!(app.call(end(&id)).await.status < 300);
        assert_eq!(app.rows_of("no-mail").await, before);
    }
}

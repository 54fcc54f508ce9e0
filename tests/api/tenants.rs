//! Another tenant's caller who knows an invitation's identifier: to them it does not exist, whatever they try.

use serde_json::json;

use crate::helpers::{Answer, Call, FAR_FUTURE, NOW, TestApp, body, body_with_mail, with};

/// An invitation of the tenant `default`, and what a caller of the tenant `no-mail` is told who tries `operation` on
/// it. Nothing may change, and nothing may be told but that there is no such invitation.
async fn refuse(operation: impl Fn(&str) -> Call) {
    let app = TestApp::start().await;
    let id = app.invite(&body_with_mail("ada@example.com")).await;
    let before = app.rows().await;
    let answer = app.call(operation(&id).by("no-mail")).await;
    answer.assert_refused(404, "entity.not_found");
    assert_eq!(answer.text, app.call(operation(&"0".repeat(21)).by("no-mail")).await.text, "as if it were nowhere");
    assert_eq!((app.rows().await, app.mails().len()), (before, 1), "and nothing has changed");
    let own = app.call(operation(&id)).await;
    assert!((200..300).contains(&own.status), "to its own tenant it is there: {own:?}");
}

#[tokio::test]
async fn another_tenants_invitation_cannot_be_read() {
    refuse(Call::get).await;
}

#[tokio::test]
async fn another_tenants_invitation_cannot_be_deleted() {
    refuse(Call::delete).await;
}

#[tokio::test]
async fn another_tenants_invitation_cannot_be_changed() {
    refuse(|id| Call::change(id, &json!({ "expiresAt": FAR_FUTURE + 1, "organizationRoleIds": [] }))).await;
}

#[tokio::test]
async fn the_role_of_another_tenant_cannot_be_given_by_a_change() {
    let app = TestApp::start().await;
    let changes = json!({ "inviterId": null, "organizationRoleIds": [] });
    let created = app.create_as("no-mail", &with(body("ada@example.com"), changes)).await;
    let id = created.json()["id"].as_str().unwrap().to_owned();
    let change = Call::change(&id, &json!({ "organizationRoleIds": ["admin"] })).by("no-mail");
    app.call(change).await.assert_refused(422, "entity.relation_foreign_key_not_found");
}

#[tokio::test]
async fn another_tenants_invitation_cannot_be_mailed() {
    refuse(|id| Call::message(id, &json!({}))).await;
}

#[tokio::test]
async fn another_tenants_invitation_cannot_be_accepted() {
    refuse(|id| Call::accept(id, "ada")).await;
}

#[tokio::test]
async fn another_tenants_invitation_cannot_be_revoked() {
    refuse(Call::revoke).await;
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
async fn the_user_of_another_tenant_cannot_accept() {
    let app = TestApp::start().await;
    let created = app.create_as("no-mail", &with(body("ada@example.com"), json!({ "inviterId": null }))).await;
    let id = created.json()["id"].as_str().unwrap().to_owned();
    app.call(Call::accept(&id, "ada").by("no-mail")).await.assert_refused(404, "entity.not_found");
}

#[tokio::test]
async fn ending_an_invitation_leaves_the_same_one_of_another_tenant_as_it_is() {
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

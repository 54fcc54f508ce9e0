//! The directory command for the data of one person: it shows and deletes all of this data, and nothing else.

use organization_invitations::store::items;
use serde_json::{Value, json};

use crate::{
    helpers::{
        Call, FAR_FUTURE, NOW, TestApp, body,
        directory::{directory, directory_at_terminal},
        with,
    },
    invariant,
};

/// The idempotency record of a create.
fn remembered(tenant: &str, key: &str, invitation_id: &str, invitee: &str) -> Value {
    let answer = json!({ "tenantId": tenant, "id": invitation_id, "invitee": invitee, "createdAt": NOW });
    let kept_until = NOW + 86_400_000;
    json!({
        "pk": format!("TENANT#{tenant}"), "sk": format!("IDEMPOTENCY#caller#{key}"), "invitationId": invitation_id,
        "requestHash": "h", "state": "done", "answer": answer.to_string(), "keptUntil": kept_until,
        "ttl": kept_until / 1000,
    })
}

fn mailed(invitee: &str, organization_id: &str) -> Value {
    let payload = json!({ "messagePayload": {}, "organizationId": organization_id, "inviterId": null });
    with(body(invitee), payload)
}

/// Starts an app in which Ada is a user, an inviter, a member of two organizations, once under another address, and has
/// invitations with her address in different cases. It also has people with similar data.
async fn start() -> TestApp {
    let app = TestApp::start().await;
    app.add_organization("other").await;
    let accepted = app.invite(&mailed("ADA@example.com", "acme")).await;
    assert_eq!(app.call(Call::accept(&accepted, "ada")).await.status, 200);
    let pending = app.invite(&mailed("Ada@Example.com", "string")).await;
    let revoked = app.invite(&mailed("ada@example.com", "other")).await;
    assert_eq!(app.call(Call::revoke(&revoked)).await.status, 200);
    directory(&app, &["member", "put", "other", "ada", "--email", "ada@elsewhere.example"]).await.unwrap();
    // The only remaining row of the first invitation is its idempotency record.
    let rows = [
        remembered("default", "1", "000000000000000000001", "Ada@example.com"),
        remembered("default", "2", &pending, "Ada@Example.com"),
        remembered("default", "3", "000000000000000000002", "nada@example.com"),
        remembered("no-mail", "1", "000000000000000000003", "ada@example.com"),
    ];
    app.put_rows(rows.map(items::from_json)).await;
    for neighbour in ["nada@example.com", "ada@example.com.example", "ad_a@example.com"] {
        app.invite(&with(mailed(neighbour, "acme"), json!({ "inviterId": "ada" }))).await;
    }
    app.add_user("nada", Some("nada@example.com")).await;
    directory(&app, &["member", "put", "other", "nada"]).await.unwrap();
    let twin = with(body("ada@example.com"), json!({ "inviterId": null, "expiresAt": FAR_FUTURE }));
    assert_eq!(app.create_as("no-mail", &twin).await.status, 201);
    app
}

fn sort_keys(rows: &[Value]) -> Vec<String> {
    rows.iter().map(|row| row["sk"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn all_data_of_a_person_is_shown_in_any_case_of_the_address() {
    let app = start().await;
    let shown = directory(&app, &["person", "get", "ADA@EXAMPLE.COM"]).await.unwrap();
    let mut kinds: Vec<_> = shown.iter().map(|row| row["kind"].as_str().unwrap()).collect();
    kinds.sort_unstable();
    assert_eq!(
        kinds,
        [
            "idempotency",
            "idempotency",
            "invitation",
            "invitation",
            "invitation",
            "member",
            "member",
            "sendWindow",
            "standing",
            "standing",
            "standing",
            "user",
        ]
    );
    let of =
        |key: &str| &shown.iter().find(|row| row["key"] == key).unwrap_or_else(|| panic!("{key}: {shown:?}"))["row"];
    assert_eq!(of("USER#ada")["name"], "Ada Lovelace");
    assert_eq!(of("ORG#string#INVITEE#ada@example.com")["state"], "pending");
    assert_eq!(of("ORG#other#INVITEE#ada@elsewhere.example")["userId"], "ada");
    assert_eq!(of("SENDS#ada@example.com")["sends"].as_array().map(Vec::len), Some(3));
    let pending = shown.iter().find(|row| row["row"]["status"] == "Pending").unwrap();
    assert_eq!(pending["row"]["invitee"], "Ada@Example.com");
    assert!(pending["row"]["inviteeKey"].is_null(), "index keys are not shown");
    // Every row that contains the address is shown.
    let rows = app.rows_of("default").await;
    let carries = |row: &&Value| row.to_string().to_ascii_lowercase().contains(r#""ada@example.com""#);
    let carrying: Vec<Value> = rows.iter().filter(carries).cloned().collect();
    assert!(carrying.len() > 4);
    for key in sort_keys(&carrying) {
        of(&key);
    }
}

#[tokio::test]
async fn all_data_of_a_person_is_deleted_and_nothing_else() {
    let app = start().await;
    let shown = directory(&app, &["person", "get", "ada@example.com"]).await.unwrap();
    let theirs: Vec<&str> = shown.iter().map(|row| row["key"].as_str().unwrap()).collect();
    let (mut expected, others) = (app.rows_of("default").await, app.rows_of("no-mail").await);
    expected.retain(|row| !theirs.contains(&row["sk"].as_str().unwrap()));
    let summary = directory(&app, &["person", "delete", "Ada@example.com", "--yes"]).await.unwrap();
    let by_kind = json!({ "user": 1, "invitation": 3, "member": 2, "standing": 3, "sendWindow": 1, "idempotency": 2 });
    assert_eq!(summary, [json!({ "deletedRows": 12, "deletedRowsByKind": by_kind })]);
    assert_eq!(app.rows_of("default").await, expected);
    assert_eq!(app.rows_of("no-mail").await, others, "the other tenant's rows are kept");
    invariant::check(&app, NOW).await;
    assert_eq!(directory(&app, &["person", "get", "ada@example.com"]).await, Ok(vec![]));
}

#[tokio::test]
async fn rows_behind_the_first_page_are_found_too() {
    let app = start().await;
    let get = ["person", "get", "ada@example.com"];
    let shown = directory(&app, &get).await.unwrap();
    // A page of DynamoDB ends at 1 MB.
    let others = (0..4).map(|number| {
        let sk = format!("ORG#acme#INVITEE#a{number}@example.com");
        json!({ "pk": "TENANT#default", "sk": sk, "state": "member", "userId": "u", "note": "x".repeat(300 << 10) })
    });
    app.put_rows(others.map(items::from_json)).await;
    assert_eq!(directory(&app, &get).await, Ok(shown), "all data of a person");
    directory(&app, &["member", "delete", "acme", "ada"]).await.unwrap();
    let standing = app.row("default", "ORG#acme#INVITEE#ada@example.com").await;
    assert_eq!(standing, None, "the standing of a membership");
}

#[tokio::test]
async fn deleting_a_person_again_or_an_unknown_person_is_no_error() {
    let app = start().await;
    directory(&app, &["person", "delete", "ada@example.com", "--yes"]).await.unwrap();
    let before = app.rows().await;
    for address in ["ada@example.com", "nobody@example.com", "#", "example.com", "@"] {
        let summary = directory(&app, &["person", "delete", address, "--yes"]).await.unwrap();
        assert_eq!(summary, [json!({ "deletedRows": 0, "deletedRowsByKind": {} })], "{address}");
    }
    assert!(directory(&app, &["person", "delete", ""]).await.unwrap_err().contains("ADDRESS"));
    assert_eq!(app.rows().await, before);
}

#[tokio::test]
async fn a_deleted_person_can_be_invited_and_their_sent_invitations_remain() {
    let app = start().await;
    let rows = app.rows_of("default").await;
    let theirs = rows.iter().find(|row| row["invitee"] == "nada@example.com").unwrap();
    let id = theirs["id"].as_str().unwrap();
    directory(&app, &["person", "delete", "ada@example.com", "--yes"]).await.unwrap();
    let invitation = app.call(Call::get(id)).await.json();
    assert_eq!(invitation["inviterId"], "ada", "the identifier of a deleted user");
    app.call(Call::message(id, &json!({}))).await;
    assert!(!app.mails()[0].html.contains("Lovelace"));
    assert_eq!(app.create_at(NOW, &mailed("ada@example.com", "acme")).await.status, 201);
}

#[tokio::test]
async fn rows_that_change_while_a_person_is_deleted_are_read_again() {
    let app = TestApp::start().await;
    let id = app.invite(&mailed("eve@example.com", "acme")).await;
    let tenant = organization_invitations::domain::ids::TenantId::parse("default").unwrap();
    let rows = app.app.store.person_rows(&tenant, "eve@example.com").await.unwrap();
    assert_eq!(app.call(Call::revoke(&id)).await.status, 200);
    let app = std::sync::Arc::new(app);
    let mut deleted = Vec::new();
    for row in &rows {
        let is_deleted = app.app.store.delete_person_row(&tenant, row).await.unwrap();
        deleted.push((serde_json::to_value(row.kind).unwrap(), is_deleted));
    }
    let expected = [("invitation", false), ("standing", false), ("sendWindow", true)];
    assert_eq!(deleted, expected.map(|(kind, is_deleted)| (json!(kind), is_deleted)));
    let summary = directory(&app, &["person", "delete", "eve@example.com", "--yes"]).await.unwrap();
    assert_eq!(summary[0]["deletedRowsByKind"], json!({ "invitation": 1 }));
}

#[tokio::test]
async fn a_deletion_asks_at_a_terminal_and_only_yes_is_a_yes() {
    let app = start().await;
    let before = app.rows().await;
    for answer in ["", "\n", "n\n", "no\n", "delete\n", "yess\n"] {
        let (done, asked) = directory_at_terminal(&app, &["person", "delete", "ada@example.com"], answer).await;
        assert_eq!(done, Err("nothing is deleted".to_owned()), "{answer:?}");
        let question = "Delete 12 rows about `ada@example.com` of tenant `default`, {\"user\":1,\"invitation\":3,";
        assert!(asked.starts_with(question) && asked.ends_with("? [y/N] "), "{asked}");
        assert_eq!(app.rows().await, before, "{answer:?}");
    }
    let (done, _) = directory_at_terminal(&app, &["person", "delete", "ada@example.com"], "Y\n").await;
    assert_eq!(done.unwrap()[0]["deletedRows"], 12);
    let (done, asked) = directory_at_terminal(&app, &["person", "delete", "ada@example.com"], "").await;
    assert_eq!(
        (done.unwrap()[0]["deletedRows"].clone(), asked.as_str()),
        (json!(0), ""),
        "no prompt if there are no rows"
    );
}

#[tokio::test]
async fn without_a_terminal_a_deletion_needs_yes_and_a_dry_run_shows_what_get_shows() {
    let app = start().await;
    let before = app.rows().await;
    let error = directory(&app, &["person", "delete", "ada@example.com"]).await.unwrap_err();
    assert!(error.contains("no terminal") && error.contains("--yes") && error.contains("--dry-run"), "{error}");
    let shown = directory(&app, &["person", "delete", "ada@example.com", "--dry-run"]).await;
    assert_eq!(shown, directory(&app, &["person", "get", "ada@example.com"]).await);
    assert_eq!(shown.unwrap().len(), 12);
    let both = directory(&app, &["person", "delete", "ada@example.com", "--dry-run", "--yes"]).await;
    assert!(both.unwrap_err().contains("cannot be used with"));
    assert_eq!(app.rows().await, before);
}

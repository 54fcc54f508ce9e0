//! The import of the directory command: files of many rows.

use std::fs;

use serde_json::{Value, json};

use crate::{
    helpers::{
        TestApp,
        directory::{TestFile, directory, lines},
    },
    proxy::Intervention,
};

fn role(id: usize) -> Value {
    json!({ "kind": "role", "id": format!("r{id}"), "name": format!("Role {id}") })
}

fn member(user: &str, email: &str) -> Value {
    json!({ "kind": "member", "organizationId": "o", "userId": user, "email": email, "organizationRoleIds": ["r"] })
}

fn mixed() -> Vec<Value> {
    let mut rows = vec![
        json!({ "kind": "organization", "id": "o", "name": "O", "branding": { "colour": "#123456" } }),
        json!({ "kind": "connector", "fromEmailAddress": "a@b.example", "defaultLocale": "x",
                "templates": { "x": { "kind": "stored", "name": "acme-invitation" } } }),
    ];
    for number in 0..40 {
        rows.push(role(number));
        rows.push(
            json!({ "kind": "user", "id": format!("u{number}"), "primaryEmail": format!("u{number}@example.com") }),
        );
        rows.push(member(&format!("u{number}"), &format!("u{number}@example.com")));
    }
    rows
}

#[tokio::test]
async fn importing_lines_or_arrays_is_idempotent() {
    let app = TestApp::start().await;
    let file = TestFile::lines(&mixed());
    let summary = directory(&app, &["import", file.path()]).await.unwrap().remove(0);
    let expected = json!({ "organization": 1, "connector": 1, "role": 40, "user": 40, "member": 40 });
    assert_eq!((&summary["rows"], &summary["rowsByKind"]), (&json!(122), &expected));
    assert!(summary["rowsPerSecond"].as_f64().unwrap() > 0.0);
    let written = app.rows().await;
    assert_eq!(app.row("default", "ORG#o#INVITEE#u7@example.com").await.unwrap()["userId"], "u7");
    let connector = app.row("default", "CONNECTOR#Email").await.unwrap();
    assert_eq!(connector["templates"]["x"]["variables"], json!(["link", "organization.name"]));
    let array = TestFile::new(&serde_json::to_string_pretty(&mixed()).unwrap());
    for file in [&file, &array] {
        directory(&app, &["import", file.path()]).await.unwrap();
        assert_eq!(app.rows().await, written);
    }
}

#[tokio::test]
async fn the_output_of_list_can_be_imported_into_another_tenant() {
    let app = TestApp::start().await;
    directory(&app, &["import", TestFile::lines(&mixed()).path()]).await.unwrap();
    let mut shown = Vec::new();
    for kind in ["organization", "role", "user", "member", "connector"] {
        shown.extend(directory(&app, &[kind, "list"]).await.unwrap());
    }
    let other = TestApp::start().await;
    directory(&other, &["import", TestFile::lines(&shown).path()]).await.unwrap();
    assert_eq!(other.rows().await, app.rows().await);
}

#[tokio::test]
async fn an_import_without_a_written_row_offers_none_to_skip() {
    let app = TestApp::start().await;
    let file = TestFile::new("[]");
    directory(&app, &["import", file.path()]).await.unwrap();
    let file = TestFile::new("{}");
    let error = directory(&app, &["import", file.path()]).await.unwrap_err();
    assert!(
        error.ends_with(
            "line 1: missing field `kind`\nNo row is written. Import the file again once the cause is removed."
        ),
        "{error}"
    );
}

#[tokio::test]
async fn an_invalid_row_is_reported_with_its_line_and_ends_the_import() {
    for (bad, says) in [
        ("{\"kind\":\"role\"", "line 31: not JSON: EOF while parsing"),
        ("[]", "line 31: "),
        ("{\"id\":\"x\"}", "line 31: missing field `kind`"),
        ("{\"kind\":\"robot\"}", "line 31: kind: unknown variant `robot`"),
        ("{\"kind\":\"role\",\"id\":\"x\"}", "line 31: missing field `name`"),
        ("{\"kind\":\"user\",\"id\":\"a#b\"}", "line 31: id: has to be"),
        ("{\"kind\":\"member\",\"organizationId\":\"o\",\"userId\":\"u\"}", "line 31: missing field `email`"),
        (
            "{\"kind\":\"connector\",\"fromEmailAddress\":\"a@b.example\",\"defaultLocale\":\"x\",\"templates\":{\"x\":{\"kind\":\"stored\",\"name\":\"none\"}}}",
            "line 31: templates.x: SES has no template `none`",
        ),
    ] {
        let app = TestApp::start().await;
        let roles = |ids: std::ops::Range<usize>| lines(&ids.map(role).collect::<Vec<_>>());
        let file = TestFile::new(&format!("{}{bad}\n{}", roles(0..30), roles(30..60)));
        let error = directory(&app, &["import", file.path()]).await.unwrap_err();
        assert!(error.starts_with(&format!("{}: {says}", file.path())), "{error}");
        assert!(error.contains("The first 30 rows are written.") && error.contains("--skip 30"), "{error}");
        assert!(app.row("default", "ROLE#r29").await.is_some());
        assert!(app.row("default", "ROLE#r30").await.is_none());
        fs::write(file.path(), format!("{}{}\n{}", roles(0..30), role(99), roles(30..60))).unwrap();
        let summary = directory(&app, &["import", file.path(), "--skip", "30"]).await.unwrap();
        assert_eq!(summary[0]["rows"], 31);
        assert!(app.row("default", "ROLE#r59").await.is_some());
    }
}

#[tokio::test]
async fn of_rows_with_the_same_key_the_last_is_written() {
    let app = TestApp::start().await;
    let mut rows = Vec::new();
    for number in 0..200 {
        rows.push(json!({ "kind": "role", "id": "same", "name": format!("{number}") }));
        rows.push(role(number));
        rows.push(member("u", &format!("u{}@example.com", number % 7)));
        rows.push(member(&format!("v{}", number % 3), "shared@example.com"));
    }
    for _ in 0..2 {
        directory(&app, &["import", TestFile::lines(&rows).path()]).await.unwrap();
        assert_eq!(app.row("default", "ROLE#same").await.unwrap()["name"], "199");
        assert_eq!(app.row("default", "MEMBER#o#u").await.unwrap()["email"], "u3@example.com");
        let rows = app.rows_of("default").await;
        let keys = rows.iter().filter(|row| row["userId"] == "u").map(|row| row["sk"].as_str().unwrap());
        assert_eq!(keys.collect::<Vec<_>>(), ["MEMBER#o#u", "ORG#o#INVITEE#u3@example.com"]);
    }
}

#[tokio::test]
async fn unprocessed_items_are_written_again() {
    let app = TestApp::start_behind_proxy(&[]).await;
    for intervention in [
        Intervention::WriteOnly(7),
        Intervention::WriteOnly(0),
        Intervention::Fail(400, "ProvisionedThroughputExceededException"),
        Intervention::WriteOnly(20),
        Intervention::Fail(500, "InternalServerError"),
    ] {
        app.proxy().next("BatchWriteItem", intervention);
    }
    let rows: Vec<Value> = (0..100).map(role).collect();
    directory(&app, &["import", TestFile::lines(&rows).path()]).await.unwrap();
    let written = directory(&app, &["role", "list"]).await.unwrap();
    assert_eq!(
        written.iter().filter(|row| row["id"] != "string").count(),
        102,
        "with the two other roles of the demo directory"
    );
    assert_eq!(app.proxy().count("BatchWriteItem"), 4 + 5);
}

#[tokio::test]
async fn an_import_that_cannot_write_reports_what_is_written() {
    let app = TestApp::start_behind_proxy(&[]).await;
    let rows: Vec<Value> = (0..100).map(role).collect();
    app.proxy().next("BatchWriteItem", Intervention::WriteOnly(25));
    app.proxy().next("BatchWriteItem", Intervention::Fail(400, "AccessDeniedException"));
    let file = TestFile::lines(&rows);
    let error = directory(&app, &["import", file.path(), "--concurrency", "1"]).await.unwrap_err();
    let (path, table) = (file.path(), &app.app.config.table_name);
    let says = format!("{path}: lines 26 to 50: table `{table}` in us-east-1: these credentials have no right");
    assert!(error.starts_with(&says), "{error}");
    assert!(error.contains("(DynamoDB: AccessDeniedException)\nThe first 25 rows are written."), "{error}");
    assert!(app.row("default", "ROLE#r50").await.is_none(), "no batch was sent after the failed one");
}

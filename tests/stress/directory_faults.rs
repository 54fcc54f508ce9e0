//! The directory command with a throttled or failing DynamoDB, and with a large file. It loses no row.

use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::helpers::{
    TestApp,
    directory::{TestFile, directory},
    proxy::Intervention::{CancelWith, Fail, LeaveUnprocessed, WriteOnly},
};

const CONNECTOR: &str = r#"{"fromEmailAddress":"a@b.example","defaultLocale":"en"}"#;

#[rustfmt::skip]
const COMMANDS: &[&[&str]] = &[
    &["organization", "put", "o", "--name", "O"],
    &["role", "put", "r", "--name", "R"],
    &["user", "put", "u", "--email", "u@example.com"],
    &["connector", "put", "--json", CONNECTOR],
    &["member", "put", "o", "u", "--role", "r", "--joined-at", "5"],
    &["member", "put", "o", "u", "--email", "moved@example.com"],
    &["member", "put", "o", "ada", "--joined-at", "6"],
    &["member", "list"],
    &["organization", "get", "o"],
    &["person", "get", "u@example.com"],
    &["member", "delete", "o", "u"],
    &["organization", "delete", "o"],
    &["person", "delete", "u@example.com", "--yes"],
];

/// The output of every command, and then the whole table.
async fn run_all(app: &TestApp, before_each: impl Fn(&TestApp)) -> Vec<Result<Vec<Value>, String>> {
    let mut shown = Vec::new();
    for command in COMMANDS {
        before_each(app);
        shown.push(directory(app, command).await);
    }
    let role = |id: usize| json!({ "kind": "role", "id": format!("r{id}"), "name": "R" });
    let member = |id: usize| {
        json!({ "kind": "member", "organizationId": "o", "userId": format!("u{id}"), "joinedAt": id,
                "email": format!("u{id}@example.com") })
    };
    let rows: Vec<Value> = (0..20).map(role).chain((0..5).map(member)).collect();
    before_each(app);
    let imported = directory(app, &["import", TestFile::lines(&rows).path()]).await;
    shown.push(imported.map(|summary| vec![summary[0]["rowsByKind"].clone()]));
    shown.push(Ok(app.rows().await));
    shown
}

const SINGLE_WRITES: &[&str] = &["PutItem", "DeleteItem"];
const ALL: &[&str] =
    &["PutItem", "DeleteItem", "GetItem", "Query", "BatchGetItem", "BatchWriteItem", "TransactWriteItems"];

#[tokio::test]
async fn throttled_requests_are_retried_and_no_row_is_lost() {
    let expected = run_all(&TestApp::start().await, |_| {}).await;
    assert!(expected.iter().all(Result::is_ok), "{expected:?}");
    for (fault, operations, times, reason) in [
        (Fail(400, "TransactionConflictException"), SINGLE_WRITES, 1, "a transaction writes the same row"),
        (Fail(400, "TransactionConflictException"), ALL, 5, "repeated conflicts, for every request"),
        (CancelWith("TransactionConflict"), &["TransactWriteItems"], 5, "another transaction writes the same row"),
        (Fail(400, "ThrottlingException"), ALL, 5, "throttled more often than the function retries"),
        (Fail(500, "InternalServerError"), ALL, 1, "DynamoDB fails"),
        (LeaveUnprocessed, &["BatchGetItem"], 5, "UnprocessedKeys"),
        (WriteOnly(3), &["BatchWriteItem"], 5, "UnprocessedItems"),
    ] {
        let app = TestApp::start_behind_proxy(&[]).await;
        let shown = run_all(&app, |app| {
            app.proxy().stop_faults();
            for operation in operations {
                (0..times).for_each(|_| app.proxy().next(operation, fault));
            }
        })
        .await;
        for (position, (shown, expected)) in shown.iter().zip(&expected).enumerate() {
            assert_eq!(shown, expected, "{reason}: {:?}", COMMANDS.get(position));
        }
    }
}

#[tokio::test]
async fn a_permanent_error_is_reported_without_a_retry() {
    let app = TestApp::start_behind_proxy(&[]).await;
    let before = app.rows().await;
    for (operation, command) in [
        ("PutItem", &["role", "put", "r", "--name", "R"][..]),
        ("DeleteItem", &["role", "delete", "member"]),
        ("TransactWriteItems", &["member", "put", "acme", "ada"]),
        ("Query", &["role", "list"]),
    ] {
        app.proxy().next(operation, Fail(400, "ValidationException"));
        let error = directory(&app, command).await.unwrap_err();
        let table = &app.app.config.table_name;
        assert_eq!(error, format!("table `{table}` in us-east-1: DynamoDB: ValidationException"), "{command:?}");
    }
    assert_eq!(app.rows().await, before);
}

#[tokio::test]
async fn a_large_file_is_imported_without_growing_the_memory() {
    const ROWS: usize = 20_000;
    let app = TestApp::start().await;
    let mut text = String::new();
    for number in 0..ROWS {
        let user = json!({ "kind": "user", "id": format!("u{number}"), "name": format!("User {number}") });
        writeln!(text, "{user}").unwrap();
    }
    let file = TestFile::new(&text);
    let summary = directory(&app, &["import", file.path()]).await.unwrap();
    assert_eq!(summary[0]["rows"], ROWS);
    // Besides them, the demo's user and the tests' user.
    assert_eq!(directory(&app, &["user", "list"]).await.unwrap().len(), ROWS + 2);
}

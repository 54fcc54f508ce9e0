//! Rows of the table, as JSON.

use aws_sdk_dynamodb::Client;
use organization_invitations::store::items;
use serde_json::Value;

/// The whole table, in the order of its keys.
pub async fn scan(client: &Client, table: &str) -> Vec<Value> {
    let scan = client.scan().table_name(table).into_paginator().items().send();
    let found = scan.collect::<Result<Vec<_>, _>>().await.unwrap();
    let mut rows: Vec<Value> = found.into_iter().map(items::to_json).collect();
    rows.sort_by_key(|row| (row["pk"].to_string(), row["sk"].to_string()));
    rows
}

/// What a row is: what its sort key begins with.
pub fn kind(row: &Value) -> &str {
    row["sk"].as_str().unwrap().split('#').next().unwrap()
}

/// The rows of a kind.
pub fn of_kind<'a>(rows: &'a [Value], wanted: &str) -> impl Iterator<Item = &'a Value> {
    rows.iter().filter(move |row| kind(row) == wanted)
}

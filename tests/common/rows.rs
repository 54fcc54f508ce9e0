//! Rows of the table, as JSON.

use std::collections::HashMap;

use aws_sdk_dynamodb::{Client, types::AttributeValue};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use organization_invitations::store::items;
use serde_json::Value;
use sha2::{Digest, Sha256};

/// The whole table, in the order of its keys.
pub async fn scan(client: &Client, table: &str) -> Vec<Value> {
    let scan = client.scan().table_name(table).into_paginator().items().send();
    let found = scan.collect::<Result<Vec<_>, _>>().await.unwrap();
    let mut rows: Vec<Value> = found.into_iter().map(items::to_json).collect();
    rows.sort_by_key(|row| (row["pk"].to_string(), row["sk"].to_string()));
    rows
}

/// Sets `token` as the token of the latest message of an invitation of the tenant `default`.
pub async fn set_token(client: &Client, table: &str, id: &str, token: &str) {
    let text = |text: &str| AttributeValue::S(text.to_owned());
    let hash = BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest(token));
    let stored = HashMap::from([
        ("hash".to_owned(), AttributeValue::S(hash)),
        ("failures".to_owned(), AttributeValue::N("0".to_owned())),
    ]);
    let update = client.update_item().table_name(table).update_expression("SET #token = :token");
    let update = update.key("pk", text("TENANT#default")).key("sk", text(&format!("INVITATION#{id}")));
    let update = update.expression_attribute_names("#token", "token");
    update.expression_attribute_values(":token", AttributeValue::M(stored)).send().await.unwrap();
}

/// The kind of a row: the prefix of its sort key.
pub fn kind(row: &Value) -> &str {
    row["sk"].as_str().unwrap().split('#').next().unwrap()
}

/// The rows of a kind.
pub fn of_kind<'a>(rows: &'a [Value], wanted: &str) -> impl Iterator<Item = &'a Value> {
    rows.iter().filter(move |row| kind(row) == wanted)
}

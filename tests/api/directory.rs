//! The cache of the directory: the rows that are cached, and for how long.

use std::time::Duration;

use organization_invitations::{
    clock::RequestClock,
    store::{directory::DirectoryLookup, items},
};
use serde_json::json;

use crate::{
    helpers::{NOW, TestApp, body, body_with_mail, tenant, with},
    proxy::Intervention,
};

#[tokio::test]
async fn found_rows_are_cached_for_the_time_that_is_set() {
    let app = TestApp::start_with(&[("DIRECTORY_CACHE_SECONDS", "30")]).await;
    assert_eq!(app.create_at(NOW, &body("a@example.com")).await.status, 201);
    app.delete_row("default", "ROLE#member").await;
    assert_eq!(app.create_at(NOW + 29_999, &body("b@example.com")).await.status, 201, "remembered");
    let answer = app.create_at(NOW + 30_000, &body("c@example.com")).await;
    answer.assert_error(422, "entity.relation_foreign_key_not_found");
}

#[tokio::test]
async fn missing_rows_are_not_cached() {
    let app = TestApp::start_with(&[("DIRECTORY_CACHE_SECONDS", "30")]).await;
    let elsewhere = with(body("a@example.com"), json!({ "organizationId": "later" }));
    app.create_at(NOW, &elsewhere).await.assert_error(422, "entity.relation_foreign_key_not_found");
    app.add_organization("later").await;
    assert_eq!(app.create_at(NOW, &elsewhere).await.status, 201);
}

#[tokio::test]
async fn the_cache_of_one_tenant_is_not_used_for_another() {
    let app = TestApp::start_with(&[("DIRECTORY_CACHE_SECONDS", "30")]).await;
    assert_eq!(app.create_as("default", &body("a@example.com")).await.status, 201);
    let answer = app.create_as("no-mail", &body("a@example.com")).await;
    answer.assert_error(422, "entity.relation_foreign_key_not_found");
}

#[tokio::test]
async fn without_the_cache_every_request_reads_the_directory() {
    let app = TestApp::start_with(&[("DIRECTORY_CACHE_SECONDS", "0")]).await;
    assert_eq!(app.create_at(NOW, &body("a@example.com")).await.status, 201);
    app.delete_row("default", "ROLE#member").await;
    let answer = app.create_at(NOW, &body("b@example.com")).await;
    answer.assert_error(422, "entity.relation_foreign_key_not_found");
}

#[tokio::test]
async fn unprocessed_keys_are_read_again() {
    let app = TestApp::start_behind_proxy(&[]).await;
    app.proxy().next("BatchGetItem", Intervention::LeaveUnprocessed);
    let answer = app.create_at(NOW, &body("a@example.com")).await;
    assert_eq!(answer.status, 201, "{answer:?}");
    assert_eq!(app.proxy().count("BatchGetItem"), 2);
}

#[tokio::test]
async fn a_create_reads_the_directory_once_and_a_warm_create_does_not_read_it() {
    let app = TestApp::start_behind_proxy(&[("DIRECTORY_CACHE_SECONDS", "30")]).await;
    assert_eq!(app.create_at(NOW, &body_with_mail("a@example.com")).await.status, 201);
    assert_eq!((app.proxy().count("BatchGetItem"), app.proxy().count("TransactWriteItems")), (1, 1), "cold");
    assert_eq!(app.create_at(NOW, &body_with_mail("b@example.com")).await.status, 201);
    assert_eq!((app.proxy().count("BatchGetItem"), app.proxy().count("TransactWriteItems")), (1, 2), "warm");
    assert_eq!(app.proxy().total(), 3, "no other request");
}

#[tokio::test]
async fn a_lookup_of_more_rows_than_one_batch_finds_all_of_them() {
    let app = TestApp::start_behind_proxy(&[]).await;
    let role_ids: Vec<String> = (0..150).map(|n| format!("role-{n}")).collect();
    let role =
        |id: &String| items::from_json(json!({ "pk": "TENANT#default", "sk": format!("ROLE#{id}"), "name": id }));
    app.put_rows(role_ids.iter().map(role)).await;
    let lookup = DirectoryLookup { role_ids: &role_ids, connector: true, ..DirectoryLookup::default() };
    app.proxy().next("BatchGetItem", Intervention::LeaveUnprocessed);
    let clock = RequestClock::with_budget(Duration::from_secs(10));
    let snapshot = app.app.store.directory(&tenant("default"), lookup, clock).await.unwrap();
    for id in &role_ids {
        assert_eq!(snapshot.role(id).unwrap().map(|role| role.name).as_ref(), Some(id));
    }
    assert!(snapshot.connector().unwrap().is_some());
    assert_eq!(
        app.proxy().count("BatchGetItem"),
        3,
        "100 keys, the same 100 again because none was processed, then 51"
    );
}

//! Invitations with unreadable rows: they are never reported as missing, and the log has no data of them.

use organization_invitations::store::{Item, items};
use serde_json::{Value, json};

use crate::{
    common::operation::Operation,
    helpers::{
        Call, NOW, TestApp, body,
        log::{Log, Logged, lines},
        rows,
    },
};

/// The identifier and the row of an invitation with one attribute removed or replaced.
fn unreadable(invitee: &str, attribute: &str, value: Option<Value>) -> (String, Item) {
    let invitation = rows::pending_invitation(invitee, NOW);
    let mut row = items::invitation(&invitation, 0);
    row.remove(attribute);
    row.extend(items::from_json(value.map_or_else(|| json!({}), |value| json!({ attribute: value }))));
    (invitation.id.to_string(), row)
}

#[tokio::test]
async fn reading_or_changing_an_unreadable_invitation_is_a_500_and_not_a_404() {
    let mut app = TestApp::start().await;
    for (attribute, value, reason) in [
        ("status", None, "no status"),
        ("status", Some(json!("Expired")), "a status that is never stored"),
        ("invitee", Some(json!("nobody")), "no address"),
        ("createdAt", Some(json!("today")), "a time that is not a number"),
        ("organizationRoles", Some(json!(["admin"])), "roles of the wrong form"),
    ] {
        let (id, row) = unreadable("secret@example.com", attribute, value);
        app.put_rows([row]).await;
        let before = app.rows().await;
        let logged = Logged::by(&mut app);
        for operation in Operation::ALL.into_iter().filter(|operation| operation.names_invitation()) {
            let answer = app.call(operation.call(&id)).await;
            let told = (answer.status, answer.code());
            assert_eq!(told, (500, "service.internal".to_owned()), "{reason}: {operation:?}");
            let line = logged.last();
            assert_eq!((&line["outcome"], &line["cause"]), (&json!("internal"), &json!("unreadable invitation row")));
            assert_eq!(line["UnreadableRows"], 1, "{reason}: {line}");
        }
        assert!(!logged.text().contains("secret"), "{}", logged.text());
        assert_eq!(app.rows().await, before, "{reason}: nothing was written");
    }
}

#[tokio::test]
async fn an_empty_identifier_that_another_program_wrote_counts_as_absent() {
    let app = TestApp::start().await;
    for attribute in ["inviterId", "acceptedUserId"] {
        let (id, row) = unreadable("ada@example.com", attribute, Some(json!("")));
        app.put_rows([row]).await;
        let answer = app.call(Call::get(&id)).await;
        assert_eq!((answer.status, &answer.json()[attribute]), (200, &Value::Null), "{attribute}");
        assert_eq!(app.call(Call::delete(&id)).await.status, 204, "{attribute}");
    }
}

#[tokio::test]
async fn a_list_omits_unreadable_rows_logs_and_counts_them() {
    let mut app = TestApp::start().await;
    let readable = app.invite(&body("ada@example.com")).await;
    let (lacking, row) = unreadable("secret@example.com", "status", None);
    let (_, mut strange) = unreadable("secret@example.com", "id", None);
    strange.extend(items::from_json(json!({ "sk": "INVITATION#secret@example.com" })));
    app.put_rows([row, strange]).await;
    let logged = Logged::by(&mut app);
    for query in ["", "organizationId=acme", "page_size=100", "inviterId=ada&page_size=3"] {
        let log = Log::capture("info");
        let answer = app.call(Call::list(query)).await;
        let entities = answer.json();
        let ids: Vec<&Value> = entities.as_array().unwrap().iter().map(|entity| &entity["id"]).collect();
        assert_eq!((answer.status, ids), (200, vec![&json!(readable)]), "{query}");
        let (line, log) = (logged.last(), log.take());
        assert_eq!(line["UnreadableRows"], 2, "{query}: {line}");
        let counted = json!({ "Name": "UnreadableRows", "Unit": "Count" });
        let directive =
            json!({ "Namespace": "OrganizationInvitations", "Dimensions": [["function"]], "Metrics": [counted] });
        let directives = line["_aws"]["CloudWatchMetrics"].as_array().unwrap();
        assert!(directives.contains(&directive), "the metric has the dimension of the dashboard, {query}: {line}");
        let told: Vec<Value> = lines(&log).into_iter().map(|line| line["invitation_id"].clone()).collect();
        assert!(told.contains(&json!(lacking)) && told.contains(&Value::Null) && told.len() == 2, "{query}: {log}");
        assert!(!log.contains("secret") && log.contains("an invitation's row cannot be read"), "{query}: {log}");
    }
}

#[tokio::test]
async fn at_most_ten_unreadable_rows_are_logged() {
    let mut app = TestApp::start().await;
    app.put_rows((0..40).map(|n| unreadable(&format!("p{n}@example.com"), "status", None).1)).await;
    let logged = Logged::by(&mut app);
    let log = Log::capture("info");
    assert_eq!(app.call(Call::list("")).await.text, "[]");
    assert_eq!(logged.last()["UnreadableRows"], 40);
    assert_eq!(lines(&log.take()).len(), 10);
}

#[tokio::test]
async fn pages_of_unreadable_rows_end() {
    let app = TestApp::start().await;
    app.put_rows((0..40).map(|n| unreadable(&format!("p{n}@example.com"), "status", None).1)).await;
    let readable = app.invite_at(NOW - 1000, &body("ada@example.com")).await;
    let page = app.call(Call::list("page_size=1")).await;
    assert_eq!(page.json()[0]["id"], json!(readable), "{page:?}");
    assert!(!page.headers.contains_key("link"), "{page:?}");
}

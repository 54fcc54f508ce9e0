//! `include=delivery`: the delivery status of a message, read with its invitation, and the requests that it costs.

use serde_json::{Value, json};

use crate::{
    feedback::read,
    helpers::{Answer, Call, NOW, TestApp, body, with},
};

/// A get of this invitation with this query.
fn get(id: &str, query: &str) -> Call {
    Call { query: query.to_owned(), ..Call::get(id) }
}

/// Hands an SES event about the mail of this invitation to the function.
async fn report(app: &TestApp, file: &str, id: &str) {
    let mut event = read(file);
    event["detail"]["mail"]["tags"]["invitation"] = json!([id]);
    app.trigger(&event).await.unwrap();
}

/// The text of an entity with a delivery appended.
fn appended(entity: &str, delivery: &str) -> String {
    format!("{},\"delivery\":{delivery}}}", entity.strip_suffix('}').unwrap())
}

const BOUNCED: &str = concat!(
    r#"{"status":"Bounced","permanent":true,"reason":"NoEmail","smtpStatus":"5.1.1","#,
    r#""messageId":"0107019b8d1e4c3b-5d0c1f6e-7a53-4f0e-9c1d-2f6b8a4e7d10-000000","#,
    r#""sentAt":1767605400123,"updatedAt":1767605401456}"#
);

/// Creates an invitation whose mail bounced and a later one without feedback, and returns the texts of both.
async fn two_invitations(app: &TestApp) -> [(String, String); 2] {
    let bounced = app.invite(&body("bounced@example.com")).await;
    let unknown = app.invite_at(NOW + 1, &body("unknown@example.com")).await;
    report(app, "bounced", &bounced).await;
    let texts = [app.call(Call::get(&bounced)).await.text, app.call(Call::get(&unknown)).await.text];
    let [of_bounced, of_unknown] = texts;
    [(bounced, of_bounced), (unknown, of_unknown)]
}

#[tokio::test]
async fn the_delivery_stands_at_the_end_of_the_entity_where_it_is_asked_for_and_nowhere_else() {
    let app = TestApp::start().await;
    let [(bounced, without), (unknown, without_of_unknown)] = two_invitations(&app).await;
    assert!(!without.contains("delivery"), "{without}");
    for call in [get(&bounced, "include=delivery"), get(&bounced, "include=delivery%2Cdelivery&other=1")] {
        for event in [call.event(), call.rest_event()] {
            let answer = app.invoke_at(NOW, &event.to_string()).await;
            assert_eq!((answer.status, answer.text), (200, appended(&without, BOUNCED)));
            assert_eq!(answer.headers["content-type"], "application/json; charset=utf-8");
        }
    }
    let answer = app.call(get(&unknown, "include=delivery")).await;
    assert_eq!(answer.text, appended(&without_of_unknown, "null"));
    for query in ["", "include=", "included=delivery"] {
        assert_eq!(app.call(get(&bounced, query)).await.text, without, "{query:?}");
    }
    let page = format!("[{},{}]", appended(&without_of_unknown, "null"), appended(&without, BOUNCED));
    assert_eq!(app.call(Call::list("page_size=2&include=delivery")).await.text, page);
    for query in ["", "page_size=2", "page_size=2&include="] {
        assert_eq!(app.call(Call::list(query)).await.text, format!("[{without_of_unknown},{without}]"), "{query:?}");
    }
}

#[tokio::test]
async fn a_page_with_deliveries_links_to_one_with_deliveries() {
    let app = TestApp::start().await;
    let [(bounced, _), (unknown, _)] = two_invitations(&app).await;
    let (mut query, mut found) = (Some("page_size=1&include=delivery&other=1".to_owned()), Vec::new());
    while let Some(this) = query {
        let answer = app.call(Call::list(&this)).await;
        let page = answer.json();
        found.extend(
            page.as_array().unwrap().iter().map(|entity| (entity["id"].clone(), entity["delivery"]["status"].clone())),
        );
        query = answer.headers.get("link").map(|link| link["<?".len()..link.find('>').unwrap()].to_owned());
        assert!(
            query.as_ref().is_none_or(|next| next.contains("include=delivery") && !next.contains("other")),
            "{query:?}"
        );
    }
    assert_eq!(found, [(json!(unknown), Value::Null), (json!(bounced), json!("Bounced"))]);
    assert_eq!(app.call(Call::list("page_size=5&include=delivery&invitee=nobody@example.com")).await.text, "[]");
}

#[tokio::test]
async fn a_parameter_that_makes_no_sense_is_a_client_error() {
    let app = TestApp::start().await;
    let id = app.invite(&body("someone@example.com")).await;
    for (call, code, details) in [
        (get(&id, "include=mail"), "guard.invalid_input", "(invalid_enum_value) Expected 'delivery'"),
        (get(&id, "include=delivery,mail"), "guard.invalid_input", "(invalid_enum_value) Expected 'delivery'"),
        (
            get(&id, "include=delivery&include=delivery"),
            "guard.invalid_input",
            "(invalid_type) Expected string, received array",
        ),
        (Call::list("page_size=1&include=mail"), "guard.invalid_input", "(invalid_enum_value) Expected 'delivery'"),
        (Call::list("include=mail"), "guard.invalid_input", "(invalid_enum_value) Expected 'delivery'"),
        (
            Call::list("page_size=1&include=delivery&include="),
            "guard.invalid_input",
            "(invalid_type) Expected string, received array",
        ),
        (Call::list("include=delivery"), "guard.invalid_pagination", ""),
        (Call::list("include=delivery&invitee=someone@example.com"), "guard.invalid_pagination", ""),
    ] {
        for event in [call.event(), call.rest_event()] {
            let answer = app.invoke_at(NOW, &event.to_string()).await;
            answer.assert_error(400, code);
            let found = answer.json()["details"].as_str().unwrap_or_default().to_owned();
            let expected =
                if details.is_empty() { String::new() } else { format!("Error in key path \"include\": {details}") };
            assert_eq!(found, expected, "{}", call.query);
        }
    }
    // The query is checked before an invalid identifier.
    app.call(get("unknown", "include=mail")).await.assert_error(400, "guard.invalid_input");
    app.call(get("unknown", "include=delivery")).await.assert_error(404, "entity.not_found");
}

#[tokio::test]
async fn deliveries_are_read_only_when_they_are_asked_for_and_a_page_of_them_at_once() {
    let app = TestApp::start_behind_proxy(&[]).await;
    let [(bounced, _), _] = two_invitations(&app).await;
    let asked = async |call: Call| {
        app.proxy().take_requests();
        assert_eq!(app.call(call).await.status, 200);
        app.proxy().take_requests().into_iter().map(|asked| asked.operation).collect::<Vec<_>>()
    };
    assert_eq!(asked(Call::get(&bounced)).await, ["GetItem"]);
    assert_eq!(asked(get(&bounced, "include=delivery")).await, ["GetItem", "BatchGetItem"]);
    assert_eq!(asked(Call::list("page_size=100")).await, ["Query"]);
    assert_eq!(asked(Call::list("page_size=100&include=delivery")).await, ["Query", "BatchGetItem"]);
    assert_eq!(asked(Call::list("page_size=100&include=delivery&inviterId=nobody")).await, ["Query"], "an empty page");
}

#[tokio::test]
async fn a_full_page_has_a_delivery_for_each() {
    let app = TestApp::start().await;
    for n in 0..100 {
        let id = app.invite_at(NOW + n, &body(&format!("person{n}@example.com"))).await;
        if n % 2 == 0 {
            report(&app, "delivered", &id).await;
        }
    }
    let page = app.call(Call::list("page_size=100&include=delivery")).await.json();
    let statuses: Vec<_> = page.as_array().unwrap().iter().map(|entity| entity["delivery"]["status"].clone()).collect();
    let expected: Vec<_> = (0..100).map(|n| if n % 2 == 1 { json!("Delivered") } else { Value::Null }).collect();
    assert_eq!(statuses, expected, "newest first");
}

#[tokio::test]
async fn a_delivery_that_cannot_be_read_is_null_and_its_invitation_is_there() {
    let app = TestApp::start().await;
    let id = app.invite(&body("someone@example.com")).await;
    report(&app, "delivered", &id).await;
    let sk = format!("DELIVERY#{id}");
    let row = app.row("default", &sk).await.unwrap();
    for (change, reason) in [
        (json!({ "status": "Lost" }), "an unknown status"),
        (json!({ "permanent": "yes" }), "another type"),
        (json!({ "messageId": null }), "missing"),
        (json!({ "sentAt": "yesterday" }), "not a number"),
    ] {
        app.put_rows([organization_invitations::store::items::from_json(with(row.clone(), change))]).await;
        let answer: Answer = app.call(get(&id, "include=delivery")).await;
        assert_eq!((answer.status, &answer.json()["delivery"]), (200, &Value::Null), "{reason}");
        let page = app.call(Call::list("page_size=1&include=delivery")).await.json();
        assert_eq!((&page[0]["id"], &page[0]["delivery"]), (&json!(id), &Value::Null), "{reason}");
    }
}

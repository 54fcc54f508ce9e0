//! What the operations have in common: how they are addressed, and who may use them.

use serde_json::{Value, json};

use crate::helpers::{Call, NOW, TestApp, body, with};

const NOWHERE: &str = "000000000000000000000";

/// Every operation but creating, on the invitation with that identifier, and what it answers when it succeeds.
fn operations(id: &str) -> [(Call, u16); 7] {
    [
        (Call::list(""), 200),
        (Call::get(id), 200),
        (Call::change(id, &json!({ "organizationRoleIds": [] })), 200),
        (Call::message(id, &json!({})), 204),
        (Call::revoke(id), 200),
        (Call::accept(id, "ada"), 200),
        (Call::delete(id), 204),
    ]
}

fn at_path(call: &Call, path: String) -> Call {
    Call { path, ..call.clone() }
}

#[tokio::test]
async fn other_methods_are_told_which_ones_there_are() {
    let app = TestApp::start().await;
    let id = app.invite(&body("someone@example.com")).await;
    let before = app.rows().await;
    let methods = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "TRACE", "PROPFIND"];
    for (path, allowed) in [
        (String::new(), "GET, POST"),
        ("/bulk".to_owned(), "POST"),
        (format!("/{id}"), "DELETE, GET, PATCH"),
        (format!("/{NOWHERE}"), "DELETE, GET, PATCH"),
        (format!("/{id}/message"), "POST"),
        (format!("/{id}/status"), "PUT"),
    ] {
        for method in methods.into_iter().filter(|method| !allowed.contains(*method)) {
            for slash in ["", "/"] {
                let call = Call::new(method, &format!("{path}{slash}"));
                for event in [call.event(), call.rest_event()] {
                    let answer = app.invoke_at(NOW, &event.to_string()).await;
                    answer.assert_refused(405, "request.method_not_allowed");
                    assert_eq!(answer.headers["allow"], allowed, "{method} {path}");
                }
            }
        }
    }
    assert_eq!(app.rows().await, before);
}

#[tokio::test]
async fn any_other_path_leads_nowhere() {
    let app = TestApp::start().await;
    let id = app.invite(&body("someone@example.com")).await;
    let before = app.rows().await;
    for (path, reason) in [
        (format!("/api/organization-invitations/{id}/messages"), "another word"),
        ("/api/organization-invitations/bulk/x".to_owned(), "too deep"),
        (format!("/api/organization-invitations/{id}/Status"), "paths have case"),
        (format!("/api/organization-invitations/{id}/status/x"), "too deep"),
        (format!("/api/organization-invitations/{id}/message/{id}"), "too deep"),
        (format!("/api/organization-invitations//{id}"), "an empty segment"),
        (format!("/api/organization-invitations/{id}//"), "two slashes at the end"),
        (format!("/api/organization-invitations/{id}//status"), "an empty segment within"),
        (format!("/api/organization-invitations/../organization-invitations/{id}"), "a way up"),
        (format!("/api/organization-invitations/./{id}"), "a dot"),
        ("/api/organization-invitations/%2e%2e".to_owned(), "an encoded way up"),
        (format!("/api/organization-invitationsx/{id}"), "a longer word"),
        (format!("/API/organization-invitations/{id}"), "paths have case"),
        (format!("/organization-invitations/{id}"), "no /api"),
        (format!("//api/organization-invitations/{id}"), "an empty segment before"),
        (String::new(), "nothing"),
        ("/".to_owned(), "the root"),
    ] {
        for method in ["GET", "DELETE", "PATCH", "POST", "PUT"] {
            let call = at_path(&Call::new(method, ""), path.clone());
            for event in [call.event(), call.rest_event()] {
                let answer = app.invoke_at(NOW, &event.to_string()).await;
                assert_eq!((answer.status, answer.code().as_str()), (404, "entity.not_found"), "{method}: {reason}");
            }
        }
    }
    assert_eq!(app.rows().await, before);
}

#[tokio::test]
async fn an_identifier_that_no_invitation_has_is_not_found() {
    let app = TestApp::start().await;
    let id = app.invite(&body("ada@example.com")).await;
    let before = app.rows().await;
    let long = "x".repeat(3000);
    for (segment, reason) in [
        (NOWHERE, "well formed"),
        (&id[1..], "a character too few"),
        (&format!("{id}0"), "a character too many"),
        (&id.to_uppercase(), "identifiers have case"),
        (&long, "longer than a key may be"),
        ("x", "short"),
        ("%00", "a control character"),
        ("%FF", "not UTF-8"),
        ("%", "a broken encoding"),
        ("INVITATION%23", "a separator of keys"),
        ("..%2Facme", "a way up"),
        (&format!("%2F{id}"), "an encoded slash is not one"),
        (&format!("{id}%2Fstatus"), "an encoded slash is not one"),
        (&format!("{id}%20"), "a space at its end"),
        (&format!("{id};v=1"), "a path parameter"),
        ("%F0%9F%92%A9", "an emoji"),
    ] {
        for (call, _) in operations(segment).into_iter().skip(1) {
            for event in [call.event(), call.rest_event()] {
                let answer = app.invoke_at(NOW, &event.to_string()).await;
                let found = (answer.status, answer.code());
                assert_eq!(found, (404, "entity.not_found".to_owned()), "{} {}: {reason}", call.method, call.path);
            }
        }
    }
    assert_eq!(app.rows().await, before);
}

/// A way to address an operation: the event that comes of a call.
type Addressing = fn(&Call) -> Value;

#[tokio::test]
async fn every_operation_is_found_however_it_is_addressed() {
    let ways: [(&str, Addressing); 10] = [
        ("an HTTP API", |call| call.event()),
        ("a REST API", |call| call.rest_event()),
        ("a trailing slash", |call| at_path(call, format!("{}/", call.path)).event()),
        ("a trailing slash, REST", |call| at_path(call, format!("{}/", call.path)).rest_event()),
        ("a named stage", |call| {
            let mut event = at_path(call, format!("/prod{}", call.path)).event();
            event["requestContext"]["stage"] = json!("prod");
            event
        }),
        ("a stage called like the path", |call| {
            let mut event = at_path(call, format!("/api{}", call.path)).event();
            event["requestContext"]["stage"] = json!("api");
            event
        }),
        ("a stage that the path is without, behind a domain of its own", |call| {
            let mut event = call.event();
            event["requestContext"]["stage"] = json!("prod");
            event
        }),
        ("a stage called like the path, that the path is without", |call| {
            let mut event = call.event();
            event["requestContext"]["stage"] = json!("api");
            event
        }),
        ("everything percent-encoded", |call| encoded_path(call).event()),
        ("a body in base64", |call| {
            use base64::{Engine, prelude::BASE64_STANDARD};
            let body = call.body.as_ref().map(|body| BASE64_STANDARD.encode(body));
            Call { is_base64: body.is_some(), body, ..call.clone() }.event()
        }),
    ];
    for (way, address) in ways {
        let app = TestApp::start().await;
        for position in 0..operations(NOWHERE).len() {
            let id = app.invite(&with(body("ada@example.com"), json!({ "organizationId": "string" }))).await;
            let (call, status) = operations(&id)[position].clone();
            let answer = app.invoke_at(NOW, &address(&call).to_string()).await;
            assert_eq!(answer.status, status, "{way}: {} {}: {answer:?}", call.method, call.path);
            // Makes room for the next.
            app.call(Call::delete(&id)).await;
            app.delete_row("default", "ORG#string#INVITEE#ada@example.com").await;
        }
    }
}

/// With every character after the collection's path encoded but the slashes.
fn encoded_path(call: &Call) -> Call {
    let (collection, rest) = call.path.split_at("/api/organization-invitations".len());
    let encode = |byte| if byte == b'/' { "/".to_owned() } else { format!("%{byte:02x}") };
    at_path(call, format!("{collection}{}", rest.bytes().map(encode).collect::<String>()))
}

#[tokio::test]
async fn who_may_not_use_the_api_is_told_so_before_anything_else() {
    let app = TestApp::start().await;
    let id = app.invite(&body("ada@example.com")).await;
    let before = app.rows().await;
    let nowhere = (Call::new("PATCH", "/x/y/z"), 404);
    let malformed = (Call::revoke(&id).text("text/plain", "{"), 400);
    let bulk = (Call::bulk(&json!({ "invitations": [body("bob@example.com")] })), 200);
    for (call, _) in operations(&id).into_iter().chain([bulk, nowhere, malformed]) {
        for (claims, status, code) in [
            (json!(null), 401, "auth.unauthorized"),
            (json!({ "scope": "all" }), 403, "guard.can_not_get_tenant_id"),
            (json!({ "tenant_id": "default", "scope": "read" }), 403, "auth.forbidden"),
        ] {
            let mut event = call.event();
            event["requestContext"]["authorizer"] = match &claims {
                Value::Null => Value::Null,
                claims => json!({ "jwt": { "claims": claims } }),
            };
            let answer = app.invoke_at(NOW, &event.to_string()).await;
            assert_eq!((answer.status, answer.code().as_str()), (status, code), "{} {}", call.method, call.path);
        }
    }
    assert_eq!((app.rows().await, app.mails().len()), (before, 0));
}

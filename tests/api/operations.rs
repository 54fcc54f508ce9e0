//! Rules for all operations: the list of operations, their paths, and authorization.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use serde_yaml_ng::Value as Yaml;

use crate::{
    common::operation::{INVITEE, Operation},
    helpers::{Call, NOW, TestApp, body, with},
};

const NOWHERE: &str = "000000000000000000000";

#[test]
fn the_list_of_operations_is_that_of_openapi_yaml() {
    const METHODS: [&str; 7] = ["get", "post", "put", "patch", "delete", "head", "options"];
    let description: Yaml = serde_yaml_ng::from_str(include_str!("../../openapi.yaml")).unwrap();
    let paths = description["paths"].as_mapping().unwrap().iter().map(|(path, item)| (path.as_str().unwrap(), item));
    let described: BTreeSet<(String, String)> = paths
        .flat_map(|(path, item)| {
            METHODS.into_iter().filter(|method| item.get(*method).is_some()).map(move |m| (path, m))
        })
        .map(|(path, method)| (method.to_uppercase(), path.to_owned()))
        .collect();
    let calls = Operation::ALL.map(|operation| operation.call("{id}"));
    assert_eq!(described, calls.map(|call| (call.method, call.path)).into());
}

fn at_path(call: &Call, path: String) -> Call {
    Call { path, ..call.clone() }
}

#[tokio::test]
async fn other_methods_are_a_405_with_the_allowed_methods() {
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
        (format!("/{id}/token/verify"), "POST"),
    ] {
        for method in methods.into_iter().filter(|method| !allowed.contains(*method)) {
            for slash in ["", "/"] {
                let call = Call::new(method, &format!("{path}{slash}"));
                for event in [call.event(), call.rest_event()] {
                    let answer = app.invoke_at(NOW, &event.to_string()).await;
                    answer.assert_error(405, "request.method_not_allowed");
                    assert_eq!(answer.headers["allow"], allowed, "{method} {path}");
                }
            }
        }
    }
    assert_eq!(app.rows().await, before);
}

#[tokio::test]
async fn any_other_path_is_not_found() {
    let app = TestApp::start().await;
    let id = app.invite(&body("someone@example.com")).await;
    let before = app.rows().await;
    for (path, reason) in [
        (format!("/api/organization-invitations/{id}/messages"), "an unknown operation"),
        ("/api/organization-invitations/bulk/x".to_owned(), "too deep"),
        (format!("/api/organization-invitations/{id}/Status"), "paths are case-sensitive"),
        (format!("/api/organization-invitations/{id}/status/x"), "too deep"),
        (format!("/api/organization-invitations/{id}/message/{id}"), "too deep"),
        (format!("/api/organization-invitations/{id}/token"), "an incomplete path"),
        (format!("/api/organization-invitations/{id}/token/verify/x"), "too deep"),
        (format!("/api/organization-invitations//{id}"), "an empty segment"),
        (format!("/api/organization-invitations/{id}//"), "two trailing slashes"),
        (format!("/api/organization-invitations/{id}//status"), "an inner empty segment"),
        (format!("/api/organization-invitations/../organization-invitations/{id}"), "a parent segment"),
        (format!("/api/organization-invitations/./{id}"), "a dot"),
        ("/api/organization-invitations/%2e%2e".to_owned(), "an encoded parent segment"),
        (format!("/api/organization-invitationsx/{id}"), "a path with a longer last word"),
        (format!("/API/organization-invitations/{id}"), "paths are case-sensitive"),
        (format!("/organization-invitations/{id}"), "no /api"),
        (format!("//api/organization-invitations/{id}"), "a leading empty segment"),
        (String::new(), "an empty path"),
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
async fn an_unknown_identifier_is_not_found() {
    let app = TestApp::start().await;
    let id = app.invite(&body("ada@example.com")).await;
    let before = app.rows().await;
    let long = "x".repeat(3000);
    for (segment, reason) in [
        (NOWHERE, "well formed"),
        (&id[1..], "one character less"),
        (&format!("{id}0"), "one character more"),
        (&id.to_uppercase(), "identifiers are case-sensitive"),
        (&long, "longer than a key of DynamoDB"),
        ("x", "short"),
        ("%00", "a control character"),
        ("%FF", "not UTF-8"),
        ("%", "a broken encoding"),
        ("INVITATION%23", "a separator of keys"),
        ("..%2Facme", "a parent segment"),
        (&format!("%2F{id}"), "an encoded slash does not separate segments"),
        (&format!("{id}%2Fstatus"), "an encoded slash does not separate segments"),
        (&format!("{id}%20"), "a space at its end"),
        (&format!("{id};v=1"), "a path parameter"),
        ("%F0%9F%92%A9", "an emoji"),
    ] {
        for operation in Operation::ALL.into_iter().filter(|operation| operation.names_invitation()) {
            let call = operation.call(segment);
            for event in [call.event(), call.rest_event()] {
                let answer = app.invoke_at(NOW, &event.to_string()).await;
                let found = (answer.status, answer.code());
                assert_eq!(found, (404, "entity.not_found".to_owned()), "{} {}: {reason}", call.method, call.path);
            }
        }
    }
    assert_eq!(app.rows().await, before);
}

/// A form of an operation's path: makes the event of a call.
type Addressing = fn(&Call) -> Value;

#[tokio::test]
async fn every_operation_accepts_every_form_of_its_address() {
    let ways: [(&str, Addressing); 11] = [
        ("an HTTP API", |call| call.event()),
        ("a REST API", |call| call.rest_event()),
        ("a trailing slash", |call| at_path(call, format!("{}/", call.path)).event()),
        ("a trailing slash, REST", |call| at_path(call, format!("{}/", call.path)).rest_event()),
        ("a named stage", |call| {
            let mut event = at_path(call, format!("/prod{}", call.path)).event();
            event["requestContext"]["stage"] = json!("prod");
            event
        }),
        ("a named stage of an HTTP API with payload format 1.0", |call| {
            with(at_path(call, format!("/prod{}", call.path)).rest_event(), json!({ "version": "1.0" }))
        }),
        ("a stage named like the path", |call| {
            let mut event = at_path(call, format!("/api{}", call.path)).event();
            event["requestContext"]["stage"] = json!("api");
            event
        }),
        ("a stage that a custom domain removes from the path", |call| {
            let mut event = call.event();
            event["requestContext"]["stage"] = json!("prod");
            event
        }),
        ("a stage named like the path, which a custom domain removes", |call| {
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
        for operation in Operation::ALL {
            let id = app.invite_with_token(&with(body(INVITEE), json!({ "organizationId": "string" }))).await;
            let call = operation.call(&id);
            let answer = app.invoke_at(NOW, &address(&call).to_string()).await;
            assert_eq!(answer.status, operation.success(), "{way}: {operation:?}: {answer:?}");
            app.delete_all_but_directory().await;
        }
    }
}

/// The call with every character after the collection's path encoded, except slashes.
fn encoded_path(call: &Call) -> Call {
    const COLLECTION: &str = "/organization-invitations";
    let (collection, rest) = call.path.split_at(call.path.find(COLLECTION).unwrap() + COLLECTION.len());
    let encode = |byte| if byte == b'/' { "/".to_owned() } else { format!("%{byte:02x}") };
    at_path(call, format!("{collection}{}", rest.bytes().map(encode).collect::<String>()))
}

#[tokio::test]
async fn authorization_is_checked_before_anything_else() {
    let app = TestApp::start().await;
    let id = app.invite(&body("ada@example.com")).await;
    let before = app.rows().await;
    let nowhere = Call::new("PATCH", "/x/y/z");
    let malformed = Call::revoke(&id).text("text/plain", "{");
    let calls = Operation::ALL.map(|operation| operation.call(&id));
    for call in calls.into_iter().chain([nowhere, malformed]) {
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

#[tokio::test]
async fn a_preflight_without_a_token_is_a_success_that_says_nothing() {
    let app = TestApp::start().await;
    let id = app.invite(&body("ada@example.com")).await;
    let before = app.rows().await;
    for operation in Operation::ALL {
        let call = Call { method: "OPTIONS".to_owned(), body: None, ..operation.call(&id) };
        for mut event in [call.event(), call.rest_event()] {
            event["requestContext"]["authorizer"] = Value::Null;
            let answer = app.invoke_at(NOW, &event.to_string()).await;
            assert_eq!((answer.status, answer.text.as_str()), (204, ""), "{operation:?}");
        }
    }
    assert_eq!(app.rows().await, before);
}

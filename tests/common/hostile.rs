//! Events that are huge or deeply nested, and the response to each.

use std::time::Duration;

use base64::{Engine, prelude::BASE64_STANDARD};
use serde_json::{Value, json};

use crate::common::{
    body::{body, with},
    call::Call,
};

pub const MIB: usize = 1 << 20;

/// The maximum payload of a Lambda invocation: 6 MB.
const PAYLOAD: usize = 6_000_000;

/// The time limit for one of these events, with a test build and on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// An event, and the expected status of the response.
pub struct Row {
    pub reason: &'static str,
    pub event: String,
    pub status: u16,
}

/// All rows. Each event is JSON of at most 6 MB, the limit of Lambda.
pub fn rows() -> Vec<Row> {
    let rows: Vec<Row> = [nested(), bodies(), claims(), requests()].into_iter().flatten().collect();
    for row in &rows {
        assert!(row.event.len() <= PAYLOAD, "{} is {} bytes long", row.reason, row.event.len());
    }
    rows
}

fn row(reason: &'static str, event: impl ToString, status: u16) -> Row {
    Row { reason, event: event.to_string(), status }
}

/// An event with `json` in place of `"@"`. Deeply nested JSON cannot be built as a `Value`.
fn spliced(event: &Value, json: &str) -> String {
    event.to_string().replacen(r#""@""#, json, 1)
}

fn repeated(text: &str, bytes: usize) -> String {
    text.repeat(bytes / text.len())
}

fn lists(levels: usize) -> String {
    format!("{}{}", "[".repeat(levels), "]".repeat(levels))
}

fn objects(levels: usize) -> String {
    format!("{}1{}", r#"{"a":"#.repeat(levels), "}".repeat(levels))
}

/// An event to create an invitation with this text as the body.
fn create(text: &str) -> Value {
    Call::new("POST", "").text("application/json", text).event()
}

/// An event to list invitations, modified by `change`.
fn list(change: impl FnOnce(&mut Value)) -> Value {
    let mut event = Call::list("").event();
    change(&mut event);
    event
}

fn list_claiming(claims: &Value) -> Value {
    list(|event| event["requestContext"]["authorizer"]["jwt"]["claims"] = claims.clone())
}

fn nested() -> Vec<Row> {
    let everything = |json: &str| spliced(&list(|event| event["requestContext"]["x"] = json!("@")), json);
    let in_claim =
        |json: &str| spliced(&list_claiming(&json!({ "tenant_id": "default", "scope": "all", "x": "@" })), json);
    let payload = |json: &str| {
        let text = with(body("nested@example.com"), json!({ "messagePayload": { "x": "@" } }));
        create(&spliced(&text, json))
    };
    vec![
        row("an event of nested lists only", lists(PAYLOAD / 2), 401),
        row("an event of nested objects only", objects(PAYLOAD / 8), 401),
        row("nested lists in fields that the function does not read", everything(&lists(2_000_000)), 200),
        row("nested lists in a claim", in_claim(&lists(2_000_000)), 200),
        row("nested objects in a claim", in_claim(&objects(600_000)), 200),
        row(
            "nested lists instead of a scope",
            spliced(&list_claiming(&json!({ "tenant_id": "default", "scope": "@" })), &lists(100_000)),
            403,
        ),
        row(
            "nested lists instead of a tenant",
            spliced(&list_claiming(&json!({ "tenant_id": "@", "scope": "all" })), &lists(100_000)),
            403,
        ),
        row(
            "nested lists instead of the claims",
            spliced(&list(|event| event["requestContext"]["authorizer"] = json!("@")), &lists(100_000)),
            401,
        ),
        row("a body of lists", create(&lists(MIB / 2)), 400),
        row("a body of objects", create(&objects(MIB / 8)), 400),
        row("a body of unclosed lists", create(&"[".repeat(MIB)), 400),
        row("a payload of the maximum depth", payload(&lists(100)), 201),
        row("a payload over the maximum depth", payload(&lists(200)), 400),
        row("a payload of nested objects", payload(&objects(100_000)), 400),
        row("a body of escaped text in escaped text", create(&repeated("\\\"", MIB)), 400),
    ]
}

fn bodies() -> Vec<Row> {
    let changed = |invitee: &str, changes: Value| create(&with(body(invitee), changes).to_string());
    let with_roles = |roles: &str| {
        let text = with(body("roles@example.com"), json!({ "organizationRoleIds": "@" }));
        create(&spliced(&text, &format!("[{}]", roles.trim_end_matches(','))))
    };
    let (role, field) = (|n| format!("\"{n}\","), |n| format!("\"{n}\":1,"));
    let roles: String = (0..110_000).map(role).collect();
    let keys: String = (0..90_000).map(field).collect();
    let invitees = repeated(r#""invitee":"a@example.com","#, MIB - 500);
    let encoded = |bytes: &[u8]| {
        let body = Some(BASE64_STANDARD.encode(bytes));
        Call { body, is_base64: true, ..Call::new("POST", "") }.event()
    };
    vec![
        row("a body as large as an event", create(&"x".repeat(PAYLOAD - 1_000)), 413),
        row("the same in base64", encoded(&vec![0; 4_000_000]), 413),
        row("a million roles", with_roles(&repeated("\"\",", 3_000_000)), 413),
        row("the maximum number of distinct roles", with_roles(&roles), 400),
        row("the maximum number of roles that are numbers", with_roles(&repeated("1,", MIB - 500)), 400),
        row("the maximum number of equal roles", with_roles(&repeated("\"member\",", MIB - 500)), 201),
        row(
            "the maximum number of unknown keys",
            create(&body("keys@example.com").to_string().replacen('{', &format!("{{{keys}"), 1)),
            201,
        ),
        row(
            "the maximum number of equal keys",
            create(&body("key@example.com").to_string().replacen('{', &format!("{{{invitees}"), 1)),
            201,
        ),
        row(
            "a number of a million digits",
            create(&spliced(&with(body("a@example.com"), json!({ "expiresAt": "@" })), &"9".repeat(1_000_000))),
            400,
        ),
        row("an address of a million characters", changed(&repeated("a.", 1_000_000), json!({})), 400),
        row("an address of a million labels", changed(&format!("a@{}", repeated("a.", 1_000_000)), json!({})), 400),
        row(
            "an organization of a million characters",
            changed("a@example.com", json!({ "organizationId": "o".repeat(1_000_000) })),
            400,
        ),
        row(
            "a payload of a million characters",
            changed("a@example.com", json!({ "messagePayload": { "x": "<".repeat(1_000_000) } })),
            201,
        ),
        row(
            "a link that exceeds a megabyte when it is escaped",
            changed("b@example.com", json!({ "messagePayload": { "link": "<".repeat(1_000_000) } })),
            400,
        ),
        row(
            "a link full of placeholders",
            changed("c@example.com", json!({ "messagePayload": { "link": repeated("{invitationId}", 1_000_000) } })),
            400,
        ),
        row(
            "a payload with the maximum number of keys",
            create(&spliced(
                &with(body("d@example.com"), json!({ "messagePayload": "@" })),
                &format!("{{{}}}", keys.trim_end_matches(',')),
            )),
            201,
        ),
        row(
            "a locale of a million characters",
            changed("e@example.com", json!({ "messagePayload": { "locale": repeated("de-", 1_000_000) } })),
            201,
        ),
    ]
}

fn claims() -> Vec<Row> {
    let claiming = |changes: Value| list_claiming(&with(json!({ "tenant_id": "default", "scope": "all" }), changes));
    let many: serde_json::Map<String, Value> = (0..220_000).map(|n| (format!("claim-{n}"), json!(n))).collect();
    vec![
        row("a huge claim", claiming(json!({ "x": "x".repeat(5_000_000) })), 200),
        row("a huge list of claims", claiming(many.into()), 200),
        row(
            "a million scopes, of which the last grants access",
            claiming(json!({ "scope": format!("{}all", repeated("x ", 4_000_000)) })),
            200,
        ),
        row("a million scopes that grant no access", claiming(json!({ "scope": repeated("x ", 4_000_000) })), 403),
        row("a huge scope", claiming(json!({ "scope": "all".repeat(1_000_000) })), 403),
        row("a million groups", claiming(json!({ "scope": "", "groups": vec!["x"; 1_000_000] })), 403),
        row("a huge tenant", claiming(json!({ "tenant_id": "t".repeat(5_000_000) })), 403),
    ]
}

fn requests() -> Vec<Row> {
    let queried = |query: String| list(|event| event["rawQueryString"] = json!(query));
    let at = |path: String| list(|event| event["rawPath"] = json!(format!("/api/organization-invitations{path}")));
    let headers: serde_json::Map<String, Value> = (0..200_000).map(|n| (format!("x-{n}"), json!("y"))).collect();
    let several: serde_json::Map<String, Value> = (0..100_000).map(|n| (format!("p{n}"), json!(["a", "b"]))).collect();
    let mut rest = Call::list("").rest_event();
    rest["multiValueQueryStringParameters"] = several.into();
    vec![
        row("a huge parameter", queried(format!("x={}", "y".repeat(5_000_000))), 200),
        row("a huge invitee", queried(format!("invitee={}", "y".repeat(5_000_000))), 200),
        row("a huge cursor", queried(format!("page_size=1&cursor={}", "A".repeat(5_000_000))), 400),
        row("a huge page size", queried(format!("page_size={}", "9".repeat(5_000_000))), 400),
        row("a million parameters", queried(repeated("a=b&", 4_000_000)), 200),
        row("a million empty parameters", queried("&".repeat(5_000_000)), 200),
        row("a million broken encodings", queried("%".repeat(5_000_000)), 200),
        row("a hundred thousand parameters of a REST API", rest, 200),
        row("a huge header", list(|event| event["headers"]["x"] = json!("y".repeat(5_000_000))), 200),
        row("two hundred thousand headers", list(|event| event["headers"] = headers.into()), 200),
        row("a million slashes", at("/".repeat(5_000_000)), 404),
        row("a million segments", at(repeated("/x", 4_000_000)), 404),
        row("a path of encoded bytes", at(format!("/{}", repeated("%ff", 3_000_000))), 404),
        row(
            "a huge method",
            list(|event| event["requestContext"]["http"]["method"] = json!("X".repeat(5_000_000))),
            405,
        ),
        row(
            "a huge request id",
            list(|event| event["requestContext"]["requestId"] = json!("x".repeat(5_000_000))),
            200,
        ),
        row("a huge stage", list(|event| event["requestContext"]["stage"] = json!("x".repeat(5_000_000))), 200),
    ]
}

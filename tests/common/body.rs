//! The bodies of creates.

use serde_json::{Value, json};

/// The expiry of the tests' invitations: 2100-01-01T00:00:00Z, in milliseconds.
pub const FAR_FUTURE: i64 = 4_102_444_800_000;

/// The body of a create without mail.
pub fn body(invitee: &str) -> Value {
    json!({
        "inviterId": "ada",
        "invitee": invitee,
        "organizationId": "acme",
        "expiresAt": FAR_FUTURE,
        "organizationRoleIds": ["member"],
        "messagePayload": false,
    })
}

/// The body of a create with mail, which has a link.
pub fn body_with_mail(invitee: &str) -> Value {
    with(body(invitee), json!({ "messagePayload": { "link": "https://app.example.com/{invitationId}" } }))
}

/// `body` with some of its fields changed.
pub fn with(mut body: Value, changes: Value) -> Value {
    let Value::Object(changes) = changes else { panic!("changes are an object") };
    body.as_object_mut().unwrap().extend(changes);
    body
}

//! Bodies as text, so that they can be invalid in any way.

use std::{
    fmt::Display,
    sync::atomic::{AtomicUsize, Ordering},
};

use serde_json::json;

/// The members of an object, with each value as JSON text, so that it can be anything that no JSON library would write.
pub struct Body(Vec<(String, String)>);

/// A body that creates an invitation for a unique invitee.
pub fn base() -> Body {
    static COUNT: AtomicUsize = AtomicUsize::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    Body(Vec::new())
        .and("inviterId", r#""ada""#)
        .and("invitee", format!(r#""body-{count}@example.com""#))
        .and("organizationId", r#""acme""#)
        .and("expiresAt", "4102444800000")
        .and("organizationRoleIds", r#"["member"]"#)
        .and("messagePayload", "false")
}

/// The base with one value replaced or one member added.
pub fn with(key: &str, json: impl Display) -> Body {
    base().set(key, json)
}

pub fn without(key: &str) -> Body {
    let mut body = base();
    body.0.retain(|(known, _)| known != key);
    body
}

pub fn to(address: &str) -> Body {
    with("invitee", json!(address))
}

impl Body {
    pub fn set(mut self, key: &str, json: impl Display) -> Self {
        match self.0.iter_mut().find(|(known, _)| known == key) {
            Some((_, value)) => *value = json.to_string(),
            None => return self.and(key, json),
        }
        self
    }

    /// Appends a member, even if one of this name exists.
    pub fn and(mut self, key: &str, json: impl Display) -> Self {
        self.0.push((key.into(), json.to_string()));
        self
    }

    pub fn bytes(&self) -> Vec<u8> {
        self.to_string().into_bytes()
    }
}

impl Display for Body {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let members = self.0.iter().map(|(key, json)| format!(r#""{key}":{json}"#));
        write!(f, "{{{}}}", members.collect::<Vec<_>>().join(","))
    }
}

impl From<Body> for Vec<u8> {
    fn from(body: Body) -> Self {
        body.bytes()
    }
}

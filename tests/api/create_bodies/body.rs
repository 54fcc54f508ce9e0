//! Bodies as text, which may be wrong in any way.

use std::{
    fmt::Display,
    sync::atomic::{AtomicUsize, Ordering},
};

use serde_json::json;

/// The members of an object, each value as JSON text: it can say what no JSON library would write.
pub struct Body(Vec<(String, String)>);

/// A body that creates an invitation, for an invitee of its own.
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

/// The base with one value replaced, or with one more member.
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

    /// One more member at the end, even if there is one of this name.
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

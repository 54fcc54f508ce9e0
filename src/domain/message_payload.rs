//! The caller's `messagePayload`: variables for the template, four of which have a meaning of their own.

use std::fmt;

use serde_json::{Map, Value};

/// What the caller wants the message to say. Its `Debug` form does not say it.
#[derive(Clone, Default, PartialEq)]
pub struct MessagePayload(pub Map<String, Value>);

impl MessagePayload {
    /// The locale that the message should be in.
    pub fn locale(&self) -> Option<&str> {
        self.0.get("locale").and_then(Value::as_str)
    }

    /// Where the invitee should go.
    pub fn link(&self) -> Option<&str> {
        self.0.get("link").and_then(Value::as_str)
    }

    /// The code that the invitee should enter.
    pub fn code(&self) -> Option<&str> {
        self.0.get("code").and_then(Value::as_str)
    }
}

impl fmt::Debug for MessagePayload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MessagePayload(***)")
    }
}

//! The caller's `messagePayload`: variables for the template, four of which have a meaning of their own.

use std::fmt;

use serde_json::{Map, Value};

/// The caller's variables. The `Debug` form contains none of them.
#[derive(Clone, Default, PartialEq)]
pub struct MessagePayload(pub Map<String, Value>);

impl MessagePayload {
    /// The locale that the message should be in.
    pub fn locale(&self) -> Option<&str> {
        self.0.get("locale").and_then(Value::as_str)
    }

    /// The address that the invitee should open.
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

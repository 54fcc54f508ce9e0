//! The caller's `messagePayload`: the variables of a template. `locale`, `link` and `code` have a fixed meaning.

use std::fmt;

use serde_json::{Map, Value};

/// The variables that a caller supplies. `Debug` omits them.
#[derive(Clone, Default, PartialEq)]
pub struct MessagePayload(pub Map<String, Value>);

impl MessagePayload {
    /// The requested locale of the message.
    pub(crate) fn locale(&self) -> Option<&str> {
        self.0.get("locale").and_then(Value::as_str)
    }

    /// The link for the invitee.
    pub(crate) fn link(&self) -> Option<&str> {
        self.0.get("link").and_then(Value::as_str)
    }

    /// The code that the invitee should enter.
    pub(crate) fn code(&self) -> Option<&str> {
        self.0.get("code").and_then(Value::as_str)
    }
}

impl fmt::Debug for MessagePayload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MessagePayload(***)")
    }
}

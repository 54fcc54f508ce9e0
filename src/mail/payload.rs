//! The caller's `messagePayload`: variables for the template, four of which have a meaning of their own.

use std::fmt;

use garde::{Report, Validate, error::Path};
use serde_json::{Map, Value};

use crate::{http::{body::{wrong_type}}};

/// The keys that have to be texts where they are present.
pub const TEXT_KEYS: [&str; 4] = ["code", "link", "locale", "uiLocales"];

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
}

impl fmt::Debug for MessagePayload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MessagePayload(***)")
    }
}

impl Validate for MessagePayload {
    type Context = ();

    fn validate_into(&self, (): &(), parent: &mut dyn FnMut() -> Path, report: &mut Report) {
        for key in TEXT_KEYS {
            let found = match self.0.get(key) {
                None | Some(Value::String(_)) => continue,
                Some(Value::Null) => "null",
                Some(Value::Bool(_)) => "boolean",
                Some(Value::Number(_)) => "number",
                Some(Value::Array(_)) => "array",
                Some(Value::Object(_)) => "object",
            };
            report.append(parent().join(key), wrong_type("string", found));
        }
    }
}

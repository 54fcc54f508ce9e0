//! A row: a body, and the expected response.

use super::body::with;
use crate::helpers::{Answer, TestApp};

const JSON: Option<&str> = Some("application/json");

pub const NOT_READABLE: (u16, &str) = (400, "request.invalid_input");
pub const NOT_IN_FUTURE: (u16, &str) = (400, "request.invalid_input");
pub const NOT_VALID: (u16, &str) = (400, "guard.invalid_input");
pub const NOT_FOUND: (u16, &str) = (422, "entity.relation_foreign_key_not_found");
pub const TOO_LONG: (u16, &str) = (422, "entity.value_too_long");
pub const TOO_LARGE: (u16, &str) = (413, "request.invalid_input");
pub const LACKS_VARIABLE: (u16, &str) = (400, "connector.insufficient_request_parameters");
pub const CREATED: (u16, &str) = (201, "");

pub const INVALID_TYPE: &str = "invalid_type";
pub const INVALID_STRING: &str = "invalid_string";
pub const INVALID_UNION: &str = "invalid_union";
pub const TOO_SMALL: &str = "too_small";
pub const TOO_BIG: &str = "too_big";

pub struct Row {
    pub reason: String,
    content_type: Option<&'static str>,
    pub body: Vec<u8>,
    base64: bool,
    /// The allowed responses: the status, and the code or an empty text.
    pub allowed: Vec<(u16, &'static str)>,
    /// Key paths and zod's codes.
    pub issues: Vec<(&'static str, &'static str)>,
    /// The texts that `data` must contain.
    pub names: &'static [&'static str],
    /// `true` expects `details`, with the position of the error.
    pub explains: bool,
}

/// Expects any of these responses: the contract allows all of them.
pub fn tolerated(reason: impl Into<String>, body: impl Into<Vec<u8>>, allowed: &[(u16, &'static str)]) -> Row {
    Row {
        reason: reason.into(),
        content_type: JSON,
        body: body.into(),
        base64: false,
        allowed: allowed.to_vec(),
        issues: Vec::new(),
        names: &[],
        explains: false,
    }
}

pub fn ok(reason: impl Into<String>, body: impl Into<Vec<u8>>) -> Row {
    tolerated(reason, body, &[CREATED])
}

pub fn error(reason: impl Into<String>, body: impl Into<Vec<u8>>, outcome: (u16, &'static str)) -> Row {
    tolerated(reason, body, &[outcome])
}

/// Expects the error for a body that is not UTF-8 JSON, or has another content type. `details` gives the position.
pub fn unreadable(reason: impl Into<String>, body: impl Into<Vec<u8>>) -> Row {
    Row { explains: true, ..error(reason, body, NOT_READABLE) }
}

/// Expects these violations of the body's schema: each is a key path and zod's code.
pub fn guard(reason: impl Into<String>, body: impl Into<Vec<u8>>, issues: &[(&'static str, &'static str)]) -> Row {
    Row { issues: issues.to_vec(), ..error(reason, body, NOT_VALID) }
}

impl Row {
    pub fn of_type(self, content_type: Option<&'static str>) -> Self {
        Self { content_type, ..self }
    }

    pub fn in_base64(self) -> Self {
        Self { base64: true, ..self }
    }

    /// Expects `data` to contain each of these texts.
    pub fn naming(self, names: &'static [&'static str]) -> Self {
        Self { names, ..self }
    }

    pub async fn send(&self, app: &TestApp) -> Answer {
        if self.base64 {
            app.create_base64(self.content_type, &self.body).await
        } else {
            app.create_bytes(self.content_type, &self.body).await
        }
    }
}

/// Rows in which the field has a value of a wrong kind, each of which is a violation.
pub fn wrong_kinds<const N: usize>(field: &'static str, code: &'static str, kinds: [&str; N]) -> Vec<Row> {
    let row = |json| guard(format!("{field} may not be {json}"), with(field, json), &[(field, code)]);
    kinds.map(row).into()
}

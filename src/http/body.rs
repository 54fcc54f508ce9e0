//! Parses and validates request bodies: from bytes to typed fields, with all violations at once.
//!
//! | module | owns |
//! |---|---|
//! | here | bytes → raw JSON values by key, and the message payload |
//! | `field` | raw value → [`Field`], which garde's rules understand |
//! | `violations` | our own rules, and the table from rules to zod's codes and messages |

mod field;
mod violations;

use std::fmt::Display;

use garde::{Report, Validate, error::Path};
use lambda_http::http::{HeaderMap, header::CONTENT_TYPE};
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value, value::RawValue};

pub(crate) use self::{
    field::{Field, JsonType, Number, array, distinct, element, field},
    violations::{at_most_distinct, either, email, object_or_false, typed, validate},
};
use crate::{
    config::Config,
    domain::message_payload::MessagePayload,
    http::{
        error::{Issue, IssueCode, RequestError},
        event::Event,
    },
    json::{self, Json, RawFields, json_type},
};

/// The maximum size of a body, in bytes after base64 decoding.
const MAX_BODY_BYTES: usize = 1 << 20;

/// Splits the body of `event` into raw fields.
///
/// # Errors
/// [`RequestError::BodyTooLarge`] over [`MAX_BODY_BYTES`]; [`RequestError::WrongContentType`] for a content type other
/// than JSON; [`RequestError::UnreadableBody`] if it is not UTF-8 JSON; [`RequestError::InvalidBody`] if it is JSON but
/// not an object.
pub(crate) fn fields(event: &Event) -> Result<RawFields<'_>, RequestError> {
    let bytes = event.body.as_ref().map_err(|error| unreadable("the body", error))?;
    if bytes.len() > MAX_BODY_BYTES {
        return Err(RequestError::BodyTooLarge);
    }
    // Some programs write a byte order mark, which a reader may ignore (RFC 8259, section 8.1).
    let bytes = bytes.strip_prefix("\u{feff}".as_bytes()).unwrap_or(bytes);
    if bytes.is_empty() {
        return Ok(RawFields::new());
    }
    if !has_json_content_type(&event.headers) {
        return Err(RequestError::WrongContentType);
    }
    object_fields(str::from_utf8(bytes).map_err(|error| unreadable("the body", &error))?)
}

/// Splits the text of a body into raw fields.
///
/// # Errors
/// [`RequestError::UnreadableBody`] if it is not JSON; [`RequestError::InvalidBody`] if it is JSON but not an object.
pub(crate) fn object_fields(text: &str) -> Result<RawFields<'_>, RequestError> {
    let value: &RawValue = parse(text, "the body")?;
    match json_type(value) {
        "object" => parse(text, "the body"),
        other => {
            let message = format!("Expected object, received {other}");
            Err(RequestError::InvalidBody {
                issues: vec![Issue { code: IssueCode::InvalidType, path: vec![], message }],
            })
        }
    }
}

/// Parses all of `fields`.
///
/// # Errors
/// As [`field()`].
pub(crate) fn object(fields: &RawFields<'_>) -> Result<Map<String, Value>, RequestError> {
    let read = |(key, raw): (&String, &&RawValue)| Ok((key.clone(), parse::<Json>(raw.get(), key)?.0));
    fields.iter().map(read).collect()
}

/// The keys whose values must be strings if present.
pub(crate) const TEXT_KEYS: [&str; 4] = ["code", "link", "locale", "uiLocales"];

/// Parses `messagePayload`. `false` counts as absent: both request no email.
///
/// # Errors
/// As [`field()`].
pub(crate) fn message_payload(fields: &RawFields<'_>) -> Result<Field<MessagePayload>, RequestError> {
    let key = "messagePayload";
    let requested = fields.get(key).filter(|raw| raw.get() != "false");
    requested.map_or(Ok(Field::Absent), |raw| element(raw, key))
}

impl JsonType for MessagePayload {
    const NAME: &'static str = "object";
}

impl<'de> Deserialize<'de> for MessagePayload {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        json::object(deserializer).map(Self)
    }
}

impl Validate for MessagePayload {
    type Context = Config;

    fn validate_into(&self, _: &Config, parent: &mut dyn FnMut() -> Path, report: &mut Report) {
        for key in TEXT_KEYS {
            match self.0.get(key) {
                None | Some(Value::String(_)) => {}
                Some(other) => {
                    report.append(parent().join(key), violations::wrong_type("string", json::value_type(other)));
                }
            }
        }
    }
}

fn parse<'a, T: Deserialize<'a>>(text: &'a str, what: &str) -> Result<T, RequestError> {
    serde_json::from_str(text).map_err(|error| unreadable(what, &error))
}

fn unreadable(what: &str, reason: &dyn Display) -> RequestError {
    RequestError::UnreadableBody { details: format!("Cannot read {what}: {reason}.") }
}

/// Accepts `application/json` and `application/*+json` with any parameters, and a missing header.
fn has_json_content_type(headers: &HeaderMap) -> bool {
    let Some(value) = headers.get(CONTENT_TYPE) else { return true };
    let essence = value.to_str().unwrap_or_default().split(';').next().unwrap_or_default();
    let essence = essence.trim().to_ascii_lowercase();
    let subtype = essence.strip_prefix("application/").unwrap_or_default();
    subtype == "json" || subtype.strip_suffix("+json").is_some_and(|name| !name.is_empty())
}

#[cfg(test)]
mod properties;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_recognized_by_its_content_type() {
        for (content_type, is_json) in [
            ("application/json", true),
            ("application/json; charset=utf-8", true),
            ("Application/JSON;charset=latin1", true),
            ("application/vnd.api+json", true),
            ("application/+json", false),
            ("text/json", false),
            ("application/jsonp", false),
            ("", false),
        ] {
            let headers = HeaderMap::from_iter([(CONTENT_TYPE, content_type.parse().unwrap())]);
            assert_eq!(has_json_content_type(&headers), is_json, "{content_type:?}");
        }
        assert!(has_json_content_type(&HeaderMap::new()), "absent");
    }
}

//! Parses and validates request bodies: from bytes to typed fields, with all violations at once.
//!
//! A body is first split into raw JSON values by key. Each value is then parsed into a [`Field`], which stores a wrong
//! type instead of failing, so that garde validates the whole body at once. garde's errors are plain texts, so each
//! begins with its zod code: [`violation`] writes it, [`validate`] parses it.

use std::fmt::{self, Display};

use garde::{Report, Valid, Validate, error::Path};
use lambda_http::http::{HeaderMap, header::CONTENT_TYPE};
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value, value::RawValue};

use crate::{
    domain::{directory::utf16_length, message_payload::MessagePayload, timestamp::Timestamp},
    http::{
        error::{Issue, IssueCode, PathSegment, RequestError},
        event::Event,
    },
    json::{Json, RawFields},
};

/// The maximum size of a body, in bytes after base64 decoding.
pub const MAX_BODY_BYTES: usize = 1 << 20;

/// The maximum number of violations in a response, which bounds its size.
pub const MAX_ISSUES: usize = 100;

/// One field of a body. `Debug` omits the value.
pub enum Field<T> {
    /// The body does not have the key.
    Absent,
    /// The key has a value of the expected type.
    Present(T),
    /// The key has a value of another type: the name of that JSON type.
    Mistyped(&'static str),
}

impl<T> fmt::Debug for Field<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Absent => f.write_str("Absent"),
            Self::Present(_) => f.write_str("Present(***)"),
            Self::Mistyped(found) => f.debug_tuple("Mistyped").field(found).finish(),
        }
    }
}

impl<T> Field<T> {
    /// The value, if present.
    pub fn into_value(self) -> Option<T> {
        match self {
            Self::Present(value) => Some(value),
            Self::Absent | Self::Mistyped(_) => None,
        }
    }

    /// The value of a required field.
    ///
    /// # Errors
    /// A violation if the field is absent or not of the type `expected`.
    pub fn required(&self, expected: &str) -> Result<&T, garde::Error> {
        match self {
            Self::Present(value) => Ok(value),
            Self::Absent => Err(violation(IssueCode::InvalidType, "Required")),
            Self::Mistyped(found) => Err(wrong_type(expected, found)),
        }
    }
}

/// A JSON number. A number beyond the range of `f64` is infinite, as in JavaScript.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Number(f64);

impl Number {
    /// The timestamp of this number of milliseconds. The conversion drops the fraction and saturates.
    pub fn to_timestamp(self) -> Timestamp {
        #[expect(clippy::cast_possible_truncation, reason = "the conversion drops the fraction and saturates")]
        Timestamp::from_millis(self.0 as i64)
    }
}

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = <&RawValue>::deserialize(deserializer)?;
        raw.get().parse().map(Self).map_err(serde::de::Error::custom)
    }
}

/// Splits the body of `event` into raw fields.
///
/// # Errors
/// [`RequestError::BodyTooLarge`] over [`MAX_BODY_BYTES`]; [`RequestError::WrongContentType`] for a content type other
/// than JSON; [`RequestError::UnreadableBody`] if it is not UTF-8 JSON; [`RequestError::InvalidBody`] if it is JSON but
/// not an object.
pub fn fields(event: &Event) -> Result<RawFields<'_>, RequestError> {
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
pub fn object_fields(text: &str) -> Result<RawFields<'_>, RequestError> {
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
/// As [`field`].
pub fn object(fields: &RawFields<'_>) -> Result<Map<String, Value>, RequestError> {
    let read = |(key, raw): (&String, &&RawValue)| Ok((key.clone(), parse::<Json>(raw.get(), key)?.0));
    fields.iter().map(read).collect()
}

/// Parses the field `key` of `fields` as the JSON type `expected`.
///
/// # Errors
/// [`RequestError::UnreadableBody`] for a value of that type that cannot be read, such as a string with half a
/// surrogate pair.
pub fn field<'a, T: Deserialize<'a>>(
    fields: &RawFields<'a>,
    key: &str,
    expected: &str,
) -> Result<Field<T>, RequestError> {
    fields.get(key).map_or(Ok(Field::Absent), |raw| element(raw, key, expected))
}

/// Parses a value at or in `key` as the JSON type `expected`.
///
/// # Errors
/// As [`field`].
pub fn element<'a, T: Deserialize<'a>>(raw: &'a RawValue, key: &str, expected: &str) -> Result<Field<T>, RequestError> {
    match json_type(raw) {
        found if found == expected => parse(raw.get(), key).map(Field::Present),
        found => Ok(Field::Mistyped(found)),
    }
}

/// The JSON type of a raw value, by its first character.
pub fn json_type(raw: &RawValue) -> &'static str {
    match raw.get().as_bytes().first() {
        Some(b'{') => "object",
        Some(b'[') => "array",
        Some(b'"') => "string",
        Some(b't' | b'f') => "boolean",
        Some(b'n') => "null",
        _ => "number",
    }
}

/// Validates a whole body.
///
/// # Errors
/// [`RequestError::InvalidBody`] with every violation in the order of `keys`, because garde orders by name.
pub fn validate<B: Validate>(body: B, context: &B::Context, keys: &[&str]) -> Result<Valid<B>, RequestError> {
    let validated = garde::Unvalidated::new(body).validate_with(context);
    validated.map_err(|report| RequestError::InvalidBody { issues: issues(&report, keys) })
}

/// A violation for a garde rule.
pub fn violation(code: IssueCode, message: impl Display) -> garde::Error {
    garde::Error::new(format_args!("{} {message}", code.as_str()))
}

/// Checks that an identifier has at most `most` UTF-16 units.
///
/// # Errors
/// A violation for a longer one.
pub fn check_length(id: &str, most: usize) -> garde::Result {
    if utf16_length(id) > most {
        return Err(violation(IssueCode::TooBig, format_args!("String must contain at most {most} characters")));
    }
    Ok(())
}

/// The violation of a wrong JSON type.
pub fn wrong_type(expected: &str, found: &str) -> garde::Error {
    violation(IssueCode::InvalidType, format_args!("Expected {expected}, received {found}"))
}

/// The keys whose values must be strings if present.
pub const TEXT_KEYS: [&str; 4] = ["code", "link", "locale", "uiLocales"];

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

fn issues(report: &Report, keys: &[&str]) -> Vec<Issue> {
    let mut issues: Vec<Issue> =
        report.iter().take(MAX_ISSUES).map(|(path, error)| issue(path, error.message())).collect();
    issues.sort_by_key(|issue| match issue.path.first() {
        Some(PathSegment::Key(first)) => keys.iter().position(|key| key == first),
        _ => None,
    });
    issues
}

fn issue(path: &Path, text: &str) -> Issue {
    let (code, message) = text.split_once(' ').unwrap_or(("", text));
    Issue { code: IssueCode::parse(code), path: segments(path), message: message.to_owned() }
}

/// Parses a path of garde, such as `field_of_rust.b[0].c`. The keys of the bodies contain neither dots nor brackets.
fn segments(path: &Path) -> Vec<PathSegment> {
    let text = path.to_string();
    let parts = text.split(['.', '[']).filter(|part| !part.is_empty());
    parts
        .map(|part| match part.strip_suffix(']').and_then(|index| index.parse().ok()) {
            Some(index) => PathSegment::Index(index),
            None => PathSegment::Key(camel_case(part)),
        })
        .collect()
}

/// The key of the body for a Rust field name.
fn camel_case(field: &str) -> String {
    let mut words = field.split('_');
    let first = words.next().unwrap_or_default().to_owned();
    words.fold(first, |key, word| {
        let (initial, rest) = word.split_at(word.len().min(1));
        key + &initial.to_ascii_uppercase() + rest
    })
}

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

    #[test]
    fn a_path_has_the_keys_and_indices_of_the_body() {
        let path = Path::new("organization_role_ids").join(3).join("name");
        let expected = [
            PathSegment::Key("organizationRoleIds".to_owned()),
            PathSegment::Index(3),
            PathSegment::Key("name".to_owned()),
        ];
        assert_eq!(segments(&path), expected);
    }
}

//! The identity of a request for idempotency: the `Idempotency-Key` of the IETF draft httpapi-idempotency-key, the
//! caller who chose it, and a hash of the body (the draft's "fingerprint").

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use serde_json::{Number, Value};
use sha2::{Digest, Sha256};

use crate::json::{Json, RawFields};

/// The retention of an idempotency record, in **milliseconds**: 24 hours.
pub(crate) const KEPT_MILLIS: i64 = 86_400_000;

/// A caller's idempotency key: 1 to 255 visible ASCII characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct IdempotencyKey(String);

impl IdempotencyKey {
    /// Parses the value of the header; `None` for an invalid key.
    pub(crate) fn parse(value: &[u8]) -> Option<Self> {
        let is_key = (1..=255).contains(&value.len()) && value.iter().all(u8::is_ascii_graphic);
        is_key.then(|| String::from_utf8(value.to_vec()).ok().map(Self)).flatten()
    }
}

/// A request with an idempotency key. It holds only digests, because subjects and keys vary in length and are private
/// to the caller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct IdempotentRequest {
    /// The digest of the caller's subject.
    pub caller: String,
    /// The digest of the key.
    pub key: String,
    /// The hash of the body.
    pub request_hash: String,
}

impl IdempotentRequest {
    /// The single create of the caller `subject` with `key` and the `fields` of the body.
    pub(crate) fn new(subject: &str, key: &IdempotencyKey, fields: &RawFields<'_>) -> Self {
        Self { caller: digest([subject]), key: digest([&key.0]), request_hash: request_hash(fields) }
    }
}

impl IdempotentRequest {
    /// One item of a bulk create of the caller `subject` with `key`: `of` is its organization and normalized address,
    /// `fields` its own body. Its digest never equals that of a single create.
    pub fn of_item(subject: &str, key: &IdempotencyKey, of: [&str; 2], fields: &RawFields<'_>) -> Self {
        let [organization_id, invitee] = of;
        let key = digest([&key.0, organization_id, invitee]);
        Self { caller: digest([subject]), key, request_hash: request_hash(fields) }
    }
}

/// Two bodies have the same hash if and only if they are the same JSON: white space, the order of keys, escapes and the
/// notation of numbers do not matter. A value that [`Json`] rejects (a number out of range, too deep) is hashed as its
/// text, which differs from that of every valid value.
fn request_hash(fields: &RawFields<'_>) -> String {
    let canonical = |raw: &str| {
        serde_json::from_str(raw).map_or_else(|_| raw.to_owned(), |Json(value)| normalized(value).to_string())
    };
    let parts = fields.iter().flat_map(|(key, raw)| [key.clone(), canonical(raw.get())]);
    digest(parts)
}

/// Converts each number to `f64`, as JavaScript does. `serde_json` keeps objects sorted by key.
fn normalized(value: Value) -> Value {
    match value {
        Value::Number(number) => Value::Number(number.as_f64().and_then(Number::from_f64).unwrap_or(number)),
        Value::Array(elements) => elements.into_iter().map(normalized).collect(),
        Value::Object(fields) => fields.into_iter().map(|(key, value)| (key, normalized(value))).collect(),
        other => other,
    }
}

/// The SHA-256 of a list of texts, each prefixed with its length, so that different lists have different digests.
fn digest(parts: impl IntoIterator<Item = impl AsRef<str>>) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.as_ref().len() as u64).to_be_bytes());
        hash.update(part.as_ref());
    }
    BASE64_URL_SAFE_NO_PAD.encode(hash.finalize())
}

#[cfg(test)]
mod properties;

#[cfg(test)]
mod tests {
    use serde_json::value::RawValue;

    use super::*;

    fn hash(body: &str) -> String {
        request_hash(&serde_json::from_str::<std::collections::BTreeMap<String, &RawValue>>(body).unwrap())
    }

    #[test]
    fn a_key_is_visible_ascii() {
        for (value, is_key, reason) in [
            (&b"8e03978e-40d5-43dd-bc93-6894a57f9324"[..], true, "a UUID"),
            (b"\"8e03978e\"", true, "with the draft's quotation marks"),
            (b"#~!", true, "any visible character"),
            (&[b'k'; 255], true, "the longest"),
            (&[b'k'; 256], false, "one longer"),
            (b"", false, "nothing"),
            (b"a b", false, "a space"),
            (b"a\tb", false, "a tab"),
            (b"a\x7f", false, "a control character"),
            ("ä".as_bytes(), false, "not ASCII"),
            (b"\xff", false, "not a text"),
        ] {
            assert_eq!(IdempotencyKey::parse(value).is_some(), is_key, "{reason}");
        }
    }

    #[test]
    fn bodies_with_the_same_json_are_the_same_request() {
        let body = r#"{"a":{"x":1000,"y":["ä",null]},"b":false}"#;
        for (other, reason) in [
            (r#" { "a" : {"x":1000, "y":["ä", null]},"b": false} "#, "white space"),
            (r#"{"b":false,"a":{"y":["ä",null],"x":1000}}"#, "order of keys, at every depth"),
            (r#"{"\u0061":{"x":1e3,"y":["\u00e4",null]},"b":false}"#, "escapes, and another way to write a number"),
            (r#"{"a":1,"b":false,"a":{"x":1000.0,"y":["ä",null]}}"#, "the last of two values"),
        ] {
            assert_eq!(hash(other), hash(body), "{reason}");
        }
    }

    #[test]
    fn bodies_with_different_json_are_different_requests() {
        let deep = |levels: usize| format!("{{\"a\":{}{}}}", "[".repeat(levels), "]".repeat(levels));
        let bodies = [
            "{}".to_owned(),
            r#"{"a":1}"#.to_owned(),
            r#"{"a":"1"}"#.to_owned(),
            r#"{"a":[1]}"#.to_owned(),
            r#"{"a":[1,1]}"#.to_owned(),
            r#"{"a":null}"#.to_owned(),
            r#"{"A":1}"#.to_owned(),
            r#"{"a":1e400}"#.to_owned(),
            r#"{"a":"1e400"}"#.to_owned(),
            r#"{"a":1e401}"#.to_owned(),
            r#"{"a":"\ud800"}"#.to_owned(),
            r#"{"a":["x","y"]}"#.to_owned(),
            r#"{"a":["y","x"]}"#.to_owned(),
            r#"{"a":1,"b":2}"#.to_owned(),
            r#"{"a":{"b":2}}"#.to_owned(),
            deep(100),
            deep(1000),
            deep(1001),
        ];
        let hashes: std::collections::BTreeSet<String> = bodies.iter().map(|body| hash(body)).collect();
        assert_eq!(hashes.len(), bodies.len());
    }
}

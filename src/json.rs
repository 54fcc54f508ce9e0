//! Safe reading of untrusted JSON.
//!
//! `serde_json::Value` parses an object with one special key as an embedded document, with a fresh depth limit, so that
//! a small text can become a value that overflows the stack when it is dropped. [`Json`] has no special key.

use std::{collections::BTreeMap, fmt};

use serde::{
    Deserialize, Deserializer,
    de::{Error, MapAccess, SeqAccess, Visitor},
};
use serde_json::{Map, Value, value::RawValue};

/// The fields of a JSON object as raw values. The last value of a repeated key wins, as in JavaScript.
pub(crate) type RawFields<'a> = BTreeMap<String, &'a RawValue>;

/// Any JSON value. Deserialization fails beyond 127 levels of nesting.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Json(pub Value);

/// The JSON type of a raw value, by its first character.
pub(crate) fn json_type(raw: &RawValue) -> &'static str {
    match raw.get().as_bytes().first() {
        Some(b'{') => "object",
        Some(b'[') => "array",
        Some(b'"') => "string",
        Some(b't' | b'f') => "boolean",
        Some(b'n') => "null",
        _ => "number",
    }
}

/// The JSON type of a value.
pub(crate) const fn value_type(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

/// The fields of a raw value; empty if it is not an object.
pub(crate) fn fields(raw: &RawValue) -> RawFields<'_> {
    serde_json::from_str(raw.get()).unwrap_or_default()
}

/// Reads a raw value leniently: an unreadable part, or a part deeper than `levels`, becomes null.
pub(crate) fn lenient(raw: &RawValue, levels: u8) -> Value {
    let Some(deeper) = levels.checked_sub(1) else { return Value::Null };
    match raw.get().as_bytes().first() {
        Some(b'{') => {
            fields(raw).into_iter().map(|(key, value)| (key, lenient(value, deeper))).collect::<Map<_, _>>().into()
        }
        Some(b'[') => {
            let elements: Vec<&RawValue> = serde_json::from_str(raw.get()).unwrap_or_default();
            elements.into_iter().map(|element| lenient(element, deeper)).collect()
        }
        _ => serde_json::from_str::<Json>(raw.get()).map_or(Value::Null, |json| json.0),
    }
}

/// The length of `text` in bytes when `serde_json` writes it as a JSON string, without the quotes.
pub(crate) fn escaped_length(text: &str) -> usize {
    let length = |byte| match byte {
        b'"' | b'\\' | b'\n' | b'\r' | b'\t' | 0x08 | 0x0C => 2,
        0..0x20 => 6,
        _ => 1,
    };
    text.bytes().map(length).sum()
}

/// Reads null as the type's default, for `#[serde(deserialize_with)]`.
///
/// # Errors
/// Those of the deserializer.
pub(crate) fn null_is_default<'de, T: Deserialize<'de> + Default, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<T, D::Error> {
    Ok(Option::<T>::deserialize(deserializer)?.unwrap_or_default())
}

/// Reads an object of [`Json`] values, for `#[serde(deserialize_with)]`.
///
/// # Errors
/// Those of the deserializer.
pub(crate) fn object<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Map<String, Value>, D::Error> {
    match Json::deserialize(deserializer)?.0 {
        Value::Object(fields) => Ok(fields),
        _ => Err(D::Error::custom("expected an object")),
    }
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(JsonVisitor).map(Self)
    }
}

struct JsonVisitor;

impl<'de> Visitor<'de> for JsonVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Value, A::Error> {
        let mut values = Vec::new();
        while let Some(Json(value)) = elements.next_element()? {
            values.push(value);
        }
        Ok(Value::Array(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut fields = Map::new();
        while let Some((key, Json(value))) = entries.next_entry()? {
            fields.insert(key, value);
        }
        Ok(Value::Object(fields))
    }
}

#[cfg(test)]
mod properties;

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// The key with which `serde_json` marks embedded documents.
    const MAGIC: &str = "$serde_json::private::RawValue";

    #[test]
    fn every_kind_of_value_is_read_unchanged() {
        for text in
            ["null", "true", "-1", "18446744073709551615", "1.5", "\"a\\u0000b\"", "[[],{}]", "{\"a\":{\"a\":1}}"]
        {
            let Json(value) = serde_json::from_str(text).unwrap();
            assert_eq!(value.to_string(), text);
        }
        assert_eq!(serde_json::from_str::<Json>(r#"{"a":1,"a":2}"#).unwrap().0, json!({ "a": 2 }));
    }

    #[test]
    fn no_key_has_a_special_meaning() {
        for value in ["1", "\"[1]\"", "\"{\""] {
            let Json(read) = serde_json::from_str(&format!("{{\"{MAGIC}\":{value}}}")).unwrap();
            assert_eq!(read[MAGIC].to_string(), value);
        }
    }

    #[test]
    fn the_escaped_length_is_the_length_that_serde_json_writes() {
        let every_control: String = (0..0x20_u8).map(char::from).collect();
        for text in ["", "plain", r#"{"a":"b\\c"}"#, &every_control, "\u{7f}\u{80}ä€😀\u{2028}/"] {
            let written = serde_json::to_string(text).unwrap();
            assert_eq!(escaped_length(text), written.len() - 2, "{written}");
        }
    }

    #[test]
    fn nesting_beyond_the_limit_is_an_error() {
        let nested = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
        assert!(serde_json::from_str::<Json>(&nested(127)).is_ok());
        assert!(serde_json::from_str::<Json>(&nested(128)).is_err());
    }

    #[test]
    fn an_unreadable_value_becomes_null_and_its_siblings_stay() {
        let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
        let text = format!(r#"{{"a":1e400,"b":"\ud800","c":{deep},"d":[1e400,1],"e":"x"}}"#);
        let read = lenient(&RawValue::from_string(text).unwrap(), 3);
        assert_eq!(read, json!({ "a": null, "b": null, "c": [[null]], "d": [null, 1], "e": "x" }));
    }
}

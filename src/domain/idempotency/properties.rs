//! Properties of idempotency keys and request hashes.

use crate::{
    domain::idempotency::{IdempotencyKey, IdempotentRequest},
    json::RawFields,
};
use proptest::{
    collection::{hash_map, vec},
    prelude::*,
};
use serde_json::{Map, Value};

use crate::arbitrary::{cases, json, text};

fn request(subject: &str, key: &str, body: &str) -> IdempotentRequest {
    let fields: RawFields = serde_json::from_str(body).unwrap();
    IdempotentRequest::new(subject, &IdempotencyKey::parse(key.as_bytes()).unwrap(), &fields)
}

/// The same value in another notation: keys in reverse order, and white space everywhere.
fn renotated(value: &Value) -> String {
    let listed =
        |open: &str, elements: Vec<String>, close: &str| format!("{open}\n {}\t{close}", elements.join(" ,\r\n"));
    match value {
        Value::Array(values) => listed("[", values.iter().map(renotated).collect(), "]"),
        Value::Object(fields) => {
            let field =
                |(key, value): (&String, &Value)| format!("{} : {}", Value::from(key.as_str()), renotated(value));
            listed("{", fields.iter().rev().map(field).collect(), "}")
        }
        other => other.to_string(),
    }
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn a_key_is_1_to_255_visible_characters(bytes in vec(any::<u8>(), 0..300), visible in "[!-~]{0,300}") {
        for value in [bytes.as_slice(), visible.as_bytes()] {
            let is_visible = value.iter().all(|byte| (0x21..=0x7e).contains(byte));
            let is_key = is_visible && !value.is_empty() && value.len() < 256;
            prop_assert_eq!(IdempotencyKey::parse(value).is_some(), is_key);
        }
    }

    #[test]
    fn a_body_in_another_notation_is_the_same_request(fields in hash_map(text(), json(), 0..6)) {
        let body = Value::Object(fields.into_iter().collect::<Map<_, _>>());
        prop_assert_eq!(request("s", "k", &renotated(&body)), request("s", "k", &body.to_string()));
    }

    #[test]
    fn another_body_is_another_request(
        fields in hash_map(text(), json(), 0..6), key in text(), value in json()
    ) {
        let body: Map<String, Value> = fields.into_iter().collect();
        let mut changed = body.clone();
        changed.insert(key, value);
        // Two integers that JavaScript cannot distinguish are equal.
        let [body, changed] = [body, changed].map(|fields| as_javascript(Value::Object(fields)));
        let hash = |body: &Value| request("s", "k", &body.to_string()).request_hash;
        prop_assert_eq!(hash(&body) == hash(&changed), body == changed);
    }

    #[test]
    fn other_callers_and_other_keys_are_independent(
        one in (text(), "[!-~]{1,4}"), other in (text(), "[!-~]{1,4}")
    ) {
        let row = |(subject, key): &(String, String)| {
            let IdempotentRequest { caller, key, .. } = request(subject, key, "{}");
            (caller, key)
        };
        prop_assert_eq!(row(&one) == row(&other), one == other);
    }
}

fn as_javascript(value: Value) -> Value {
    match value {
        Value::Number(number) => number.as_f64().unwrap().into(),
        Value::Array(values) => values.into_iter().map(as_javascript).collect(),
        Value::Object(fields) => fields.into_iter().map(|(key, value)| (key, as_javascript(value))).collect(),
        other => other,
    }
}

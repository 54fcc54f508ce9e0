use std::sync::LazyLock;

use organization_invitations::{
    domain::timestamp::Timestamp,
    http::{
        body::{Field, Number, element, fields, json_type, object},
        event::Event,
    },
    json::{Json, lenient},
};
use proptest::{
    collection::{btree_set, hash_map, vec},
    prelude::*,
};
use serde_json::{Value, json, value::RawValue};
use tokio::runtime::Runtime;

use super::cases;
use crate::helpers::{Answer, Call, FAR_FUTURE, NOW, TestApp};

/// The create's keys, in the order in which violations are told.
const KEYS: [&str; 6] =
    ["inviterId", "invitee", "organizationId", "expiresAt", "organizationRoleIds", "messagePayload"];

fn raw(value: &Value) -> Box<RawValue> {
    RawValue::from_string(value.to_string()).unwrap()
}

/// How deep a value is nested; a scalar is one level.
fn depth(value: &Value) -> usize {
    let below: Box<dyn Iterator<Item = &Value>> = match value {
        Value::Array(values) => Box::new(values.iter()),
        Value::Object(fields) => Box::new(fields.values()),
        _ => return 1,
    };
    1 + below.map(depth).max().unwrap_or_default()
}

fn event(body: &[u8]) -> Event {
    use base64::{Engine, prelude::BASE64_STANDARD};
    let body = Some(BASE64_STANDARD.encode(body));
    Event::read(&Call { body, is_base64: true, ..Call::new("POST", "") }.event().to_string())
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn json_is_read_as_it_was_written(value in super::json()) {
        prop_assert_eq!(&serde_json::from_str::<Json>(&value.to_string()).unwrap().0, &value);
        prop_assert_eq!(&lenient(&raw(&value), u8::MAX), &value);
    }

    #[test]
    fn what_is_read_leniently_has_null_below_its_last_level(value in super::json(), levels in 0_u8..6) {
        prop_assert!(depth(&lenient(&raw(&value), levels)) <= usize::from(levels) + 1);
    }

    #[test]
    fn a_body_is_taken_apart_into_what_it_was_made_of(body in hash_map(super::text(), super::json(), 0..6)) {
        let body = Value::Object(body.into_iter().collect());
        let event = event(body.to_string().as_bytes());
        let fields = fields(&event).unwrap();
        prop_assert_eq!(&Value::Object(object(&fields).unwrap()), &body);
        for (key, raw) in fields {
            let expected = match &body[&key] {
                Value::Null => "null",
                Value::Bool(_) => "boolean",
                Value::Number(_) => "number",
                Value::String(_) => "string",
                Value::Array(_) => "array",
                Value::Object(_) => "object",
            };
            prop_assert_eq!(json_type(raw), expected);
            let text = element::<String>(raw, &key, "string").unwrap().into_value();
            prop_assert_eq!(text.as_deref(), body[&key].as_str());
        }
    }

    #[test]
    fn any_bytes_are_a_body_or_the_callers_fault(bytes in prop_oneof![vec(any::<u8>(), 0..60), super::text().prop_map(String::into_bytes)]) {
        let event = event(&bytes);
        if let Err(error) = fields(&event) {
            prop_assert_eq!(error.status_and_code().0, 400);
        }
    }

    #[test]
    fn a_number_is_its_whole_milliseconds(millis in -8_640_000_000_000_000_i64..=8_640_000_000_000_000, fraction in "(\\.[0-9]{1,20})?") {
        let number = RawValue::from_string(format!("{millis}{fraction}")).unwrap();
        let Field::Present(number) = element::<Number>(&number, "n", "number").unwrap() else { panic!("a number") };
        let read = number.to_timestamp().as_millis();
        // Beyond 2^53 / 1000 milliseconds an f64 has no exact fraction, and may round to the next integer.
        prop_assert!((read - millis).abs() <= i64::from(!fraction.is_empty()), "{} {}: {}", millis, fraction, read);
    }

    #[test]
    fn a_number_of_any_size_is_read(digits in "-?[1-9][0-9]{0,400}([eE][+-]?[0-9]{1,9})?") {
        let number = RawValue::from_string(digits).unwrap();
        let number = element::<Number>(&number, "n", "number").unwrap().into_value();
        prop_assert!(number.is_some_and(|number| number.to_timestamp() >= Timestamp::from_millis(i64::MIN)));
    }
}

/// A field of the right kind, most of the time.
fn nearly(right: impl Strategy<Value = Value> + 'static) -> BoxedStrategy<Option<Value>> {
    prop_oneof![12 => right.prop_map(Some), 1 => super::json().prop_map(Some), 1 => Just(None)].boxed()
}

fn create_body() -> impl Strategy<Value = Value> {
    let id = || prop_oneof![2 => "[a-z]{1,21}".boxed(), 1 => super::text().boxed()];
    let payload = prop_oneof![Just(json!(false)), super::json().prop_map(|x| json!({ "x": x, "locale": "en" }))];
    let clock = prop_oneof![4 => (NOW + 1..=FAR_FUTURE).boxed(), 1 => any::<i64>().boxed()];
    let strategies = [
        nearly(id().prop_map(Value::from)),
        nearly("[a-z]{1,8}@[a-z]{1,8}\\.com".prop_map(Value::from)),
        nearly(id().prop_map(Value::from)),
        nearly(clock.prop_map(Value::from)),
        nearly(btree_set(id(), 0..4).prop_map(|ids| ids.into_iter().collect())),
        nearly(payload),
    ];
    strategies.to_vec().prop_map(|values| {
        let fields = KEYS.into_iter().zip(values).filter_map(|(key, value)| Some((key.to_owned(), value?)));
        Value::Object(fields.collect())
    })
}

/// The function, which takes every reference on trust, so that what is well-formed is created.
static APP: LazyLock<(Runtime, TestApp)> = LazyLock::new(|| {
    let runtime = Runtime::new().unwrap();
    let app = runtime.block_on(TestApp::start_with(&[("REFERENCE_CHECKS", "trust"), ("MESSAGE_RATE_LIMIT", "100")]));
    (runtime, app)
});

fn create(body: &Value) -> Answer {
    let (runtime, app) = &*APP;
    runtime.block_on(app.create_at(NOW, body))
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn a_create_says_what_it_made_or_what_was_wrong_with_the_body(body in create_body()) {
        let answer = create(&body);
        let said = answer.json();
        match answer.status {
            201 => {
                for key in ["invitee", "organizationId"] {
                    prop_assert_eq!(&said[key], &body[key]);
                }
                let inviter = body["inviterId"].as_str().filter(|id| !id.is_empty());
                prop_assert_eq!(said["inviterId"].as_str(), inviter);
                prop_assert_eq!(said["expiresAt"].as_f64(), body["expiresAt"].as_f64().map(f64::trunc));
                let roles = said["organizationRoles"].as_array().unwrap().iter().map(|role| role["id"].as_str().unwrap());
                let mut expected: Vec<&str> = body["organizationRoleIds"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
                expected.sort_unstable();
                expected.dedup();
                prop_assert_eq!(roles.collect::<Vec<_>>(), expected);
            }
            400 if said["code"] == "guard.invalid_input" => {
                let issues = said["data"]["issues"].as_array().unwrap();
                let keys: Vec<usize> = issues.iter().map(|issue| KEYS.iter().position(|key| issue["path"][0] == *key).unwrap()).collect();
                prop_assert!(!keys.is_empty() && keys.is_sorted(), "{}", said);
                prop_assert_eq!(said["details"].as_str().unwrap().lines().count(), issues.len());
            }
            400 => prop_assert!(["request.invalid_input", "connector.insufficient_request_parameters"].contains(&said["code"].as_str().unwrap()), "{}", said),
            status => prop_assert!([422, 429].contains(&status), "{:?}", answer),
        }
    }

    #[test]
    fn no_body_is_the_functions_fault(body in super::json()) {
        let (runtime, app) = &*APP;
        let id = "0mwshl16meeoe2l4w0lik";
        let changes = [Call::change(id, &body), Call::message(id, &body), Call::status(id, &body)];
        for call in [Call::create(&body), Call::bulk(&body)].into_iter().chain(changes) {
            let answer = runtime.block_on(app.call(call));
            prop_assert!((400..500).contains(&answer.status), "{:?}", answer);
            prop_assert!(answer.json()["code"].is_string());
        }
    }
}

//! Properties of the parser of bodies.

use base64::{Engine, prelude::BASE64_STANDARD};
use proptest::{
    collection::{hash_map, vec},
    prelude::*,
};
use serde_json::{Value, json, value::RawValue};

use super::{Field, Number, element, fields, object};
use crate::{
    arbitrary::{self, cases},
    domain::timestamp::Timestamp,
    http::event::Event,
    json::{json_type, value_type},
};

fn event(body: &[u8]) -> Event {
    let body = BASE64_STANDARD.encode(body);
    Event::read(&json!({ "version": "2.0", "body": body, "isBase64Encoded": true }).to_string())
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn a_parsed_body_equals_the_object_that_was_serialized(body in hash_map(arbitrary::text(), arbitrary::json(), 0..6)) {
        let body = Value::Object(body.into_iter().collect());
        let event = event(body.to_string().as_bytes());
        let fields = fields(&event).unwrap();
        prop_assert_eq!(&Value::Object(object(&fields).unwrap()), &body);
        for (key, raw) in fields {
            prop_assert_eq!(json_type(raw), value_type(&body[&key]));
            let text = element::<String>(raw, &key).unwrap().into_value();
            prop_assert_eq!(text.as_deref(), body[&key].as_str());
        }
    }

    #[test]
    fn any_bytes_are_a_body_or_a_client_error(bytes in prop_oneof![vec(any::<u8>(), 0..60), arbitrary::text().prop_map(String::into_bytes)]) {
        let event = event(&bytes);
        if let Err(error) = fields(&event) {
            prop_assert_eq!(error.status_and_code().0, 400);
        }
    }

    #[test]
    fn a_timestamp_drops_the_fraction_of_a_number(millis in -8_640_000_000_000_000_i64..=8_640_000_000_000_000, fraction in "(\\.[0-9]{1,20})?") {
        let number = RawValue::from_string(format!("{millis}{fraction}")).unwrap();
        let Field::Present(number) = element::<Number>(&number, "n").unwrap() else { panic!("a number") };
        let read = number.to_timestamp().as_millis();
        // Beyond 2^53 / 1000 milliseconds an f64 has no exact fraction, and may round to the next integer.
        prop_assert!((read - millis).abs() <= i64::from(!fraction.is_empty()), "{} {}: {}", millis, fraction, read);
    }

    #[test]
    fn a_number_of_any_size_is_read(digits in "-?[1-9][0-9]{0,400}([eE][+-]?[0-9]{1,9})?") {
        let number = RawValue::from_string(digits).unwrap();
        let number = element::<Number>(&number, "n").unwrap().into_value();
        prop_assert!(number.is_some_and(|number| number.to_timestamp() >= Timestamp::from_millis(i64::MIN)));
    }
}

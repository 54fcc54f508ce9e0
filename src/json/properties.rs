//! Properties of the readers of untrusted JSON.

use proptest::prelude::*;
use serde_json::{Value, value::RawValue};

use super::{Json, lenient};
use crate::arbitrary::{self, cases};

fn raw(value: &Value) -> Box<RawValue> {
    RawValue::from_string(value.to_string()).unwrap()
}

/// The nesting depth of a value; a scalar has one level.
fn depth(value: &Value) -> usize {
    let below: Box<dyn Iterator<Item = &Value>> = match value {
        Value::Array(values) => Box::new(values.iter()),
        Value::Object(fields) => Box::new(fields.values()),
        _ => return 1,
    };
    1 + below.map(depth).max().unwrap_or_default()
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn json_survives_a_round_trip(value in arbitrary::json()) {
        prop_assert_eq!(&serde_json::from_str::<Json>(&value.to_string()).unwrap().0, &value);
        prop_assert_eq!(&lenient(&raw(&value), u8::MAX), &value);
    }

    #[test]
    fn a_lenient_read_has_null_below_its_last_level(value in arbitrary::json(), levels in 0_u8..6) {
        prop_assert!(depth(&lenient(&raw(&value), levels)) <= usize::from(levels) + 1);
    }
}

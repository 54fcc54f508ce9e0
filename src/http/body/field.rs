//! The fields of a body: typed values that store a wrong JSON type instead of failing, so that garde's rules see the
//! whole body.

use std::{collections::BTreeSet, fmt};

use garde::{
    Report, Validate,
    error::Path,
    rules::{
        inner::Inner,
        length::utf16::Utf16CodeUnits,
        range::{Bounds, OutOfBounds},
        required::Required,
    },
};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use super::{parse, violations::MAX_ISSUES};
use crate::{
    domain::timestamp::Timestamp,
    http::error::RequestError,
    json::{RawFields, json_type},
};

/// One field of a body. `Debug` omits the value.
#[derive(PartialEq, PartialOrd)]
pub(crate) enum Field<T> {
    /// The body does not have the key.
    Absent,
    /// The key has a value of the expected type.
    Present(T),
    /// The key has a value of another type: the name of that JSON type.
    Mistyped(&'static str),
}

/// A Rust type for values of one JSON type.
pub(crate) trait JsonType {
    /// The name of the JSON type.
    const NAME: &'static str;

    /// `true` if null is a value of the type.
    const IS_NULLABLE: bool = false;
}

impl JsonType for String {
    const NAME: &'static str = "string";
}

impl<T> JsonType for Vec<T> {
    const NAME: &'static str = "array";
}

impl<T: JsonType> JsonType for Option<T> {
    const NAME: &'static str = T::NAME;
    const IS_NULLABLE: bool = true;
}

/// Parses the field `key` of `fields`.
///
/// # Errors
/// [`RequestError::UnreadableBody`] for a value of the expected type that cannot be read, such as a string with half a
/// surrogate pair.
pub(crate) fn field<'a, T: JsonType + Deserialize<'a>>(
    fields: &RawFields<'a>,
    key: &str,
) -> Result<Field<T>, RequestError> {
    fields.get(key).map_or(Ok(Field::Absent), |raw| element(raw, key))
}

/// Parses the field `key` of `fields` as an array. Drops mistyped elements after the first [`MAX_ISSUES`], because no
/// response reports more.
///
/// # Errors
/// As [`field`].
pub(crate) fn array<'a, T: JsonType + Deserialize<'a>>(
    fields: &RawFields<'a>,
    key: &str,
) -> Result<Field<Vec<Field<T>>>, RequestError> {
    let entries = match field::<Vec<&RawValue>>(fields, key)? {
        Field::Present(entries) => entries,
        Field::Absent => return Ok(Field::Absent),
        Field::Mistyped(found) => return Ok(Field::Mistyped(found)),
    };
    let (mut elements, mut mistyped) = (Vec::new(), 0);
    for entry in entries {
        let element = element(entry, key)?;
        mistyped += usize::from(matches!(element, Field::Mistyped(_)));
        if mistyped <= MAX_ISSUES || matches!(element, Field::Present(_)) {
            elements.push(element);
        }
    }
    Ok(Field::Present(elements))
}

/// Parses the value of the field `key`, or an element of its array.
///
/// # Errors
/// As [`field`].
pub(crate) fn element<'a, T: JsonType + Deserialize<'a>>(
    raw: &'a RawValue,
    key: &str,
) -> Result<Field<T>, RequestError> {
    match json_type(raw) {
        found if found == T::NAME || (T::IS_NULLABLE && found == "null") => parse(raw.get(), key).map(Field::Present),
        found => Ok(Field::Mistyped(found)),
    }
}

/// The distinct texts of an array, sorted.
pub(crate) fn distinct(elements: Vec<Field<String>>) -> Vec<String> {
    elements.into_iter().filter_map(Field::into_value).collect::<BTreeSet<_>>().into_iter().collect()
}

impl<T> Field<T> {
    pub(crate) const fn value(&self) -> Option<&T> {
        match self {
            Self::Present(value) => Some(value),
            Self::Absent | Self::Mistyped(_) => None,
        }
    }

    pub(crate) fn into_value(self) -> Option<T> {
        match self {
            Self::Present(value) => Some(value),
            Self::Absent | Self::Mistyped(_) => None,
        }
    }
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

// garde's rules on fields. All but `required` accept a field without a value, as they accept `None`.

impl<T> Required for Field<T> {
    fn is_set(&self) -> bool {
        !matches!(self, Self::Absent)
    }
}

impl<T: Utf16CodeUnits> Utf16CodeUnits for Field<T> {
    fn validate_num_code_units(&self, min: usize, max: usize) -> garde::Result {
        self.value().map_or(Ok(()), |value| value.validate_num_code_units(min, max))
    }
}

impl<T: Bounds> Bounds for Field<T> {
    type Size = T::Size;

    const MIN: T::Size = T::MIN;
    const MAX: T::Size = T::MAX;

    fn validate_bounds(&self, min: T::Size, max: T::Size) -> Result<(), OutOfBounds> {
        self.value().map_or(Ok(()), |value| value.validate_bounds(min, max))
    }
}

impl<T> Inner<T> for Field<Vec<T>> {
    type Key = usize;

    fn validate_inner<F: FnMut(&T, &usize)>(&self, validate: F) {
        if let Some(elements) = self.value() {
            elements.validate_inner(validate);
        }
    }
}

impl<T: Validate> Validate for Field<T> {
    type Context = T::Context;

    fn validate_into(&self, context: &T::Context, parent: &mut dyn FnMut() -> Path, report: &mut Report) {
        if let Some(value) = self.value() {
            value.validate_into(context, parent, report);
        }
    }
}

/// A JSON number. A number beyond the range of `f64` is infinite, as in JavaScript.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub(crate) struct Number(f64);

impl Number {
    /// The timestamp of this number of milliseconds. The conversion drops the fraction and saturates.
    pub(crate) fn to_timestamp(self) -> Timestamp {
        #[expect(clippy::cast_possible_truncation, reason = "the conversion drops the fraction and saturates")]
        Timestamp::from_millis(self.0 as i64)
    }
}

impl JsonType for Number {
    const NAME: &'static str = "number";
}

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = <&RawValue>::deserialize(deserializer)?;
        raw.get().parse().map(Self).map_err(serde::de::Error::custom)
    }
}

/// The bounds are whole milliseconds, so that they apply to the number without its fraction.
impl Bounds for Number {
    type Size = i64;

    const MIN: i64 = i64::MIN;
    const MAX: i64 = i64::MAX;

    fn validate_bounds(&self, min: i64, max: i64) -> Result<(), OutOfBounds> {
        self.to_timestamp().as_millis().validate_bounds(min, max)
    }
}

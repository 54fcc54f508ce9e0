//! Reads `openapi.yaml`. Missing values are null, so that a page can always be rendered.

use serde_yaml_ng::{Mapping, Value};

/// A parsed file.
pub(super) struct Document {
    root: Value,
}

/// A value after its reference was followed.
#[derive(Clone, Copy)]
pub(super) struct Resolved<'a> {
    /// The value.
    pub(super) value: &'a Value,
    /// The name of the component, such as a schema; `None` for a reference to a part of a component.
    pub(super) name: Option<&'a str>,
}

impl Document {
    pub(super) fn parse(text: &str) -> Self {
        Self { root: serde_yaml_ng::from_str(text).unwrap_or_default() }
    }

    /// The value at a path of keys.
    pub(super) fn at(&self, path: &[&str]) -> &Value {
        path.iter().fold(&self.root, |value, key| field(value, key))
    }

    /// Follows `$ref`, if `value` has one.
    pub(super) fn resolve<'a>(&'a self, value: &'a Value) -> Resolved<'a> {
        let Some(reference) = field(value, "$ref").as_str() else { return Resolved { value, name: None } };
        let path: Vec<&str> = reference.trim_start_matches("#/").split('/').collect();
        Resolved { value: self.at(&path), name: path.get(2).copied().filter(|_| path.len() == 3) }
    }
}

/// The value of a key; null if there is none.
pub(super) fn field<'a>(value: &'a Value, key: &str) -> &'a Value {
    value.get(key).unwrap_or(&Value::Null)
}

/// The text of a key; empty if there is none.
pub(super) fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    field(value, key).as_str().unwrap_or_default()
}

/// The entries of a mapping with their keys, in the order of the file.
pub(super) fn entries(value: &Value) -> impl Iterator<Item = (&str, &Value)> {
    let entries = value.as_mapping().into_iter().flat_map(Mapping::iter);
    entries.filter_map(|(key, value)| Some((key.as_str()?, value)))
}

/// The items of a list.
pub(super) fn items(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_sequence().into_iter().flatten()
}

/// A value as JSON on several lines.
pub(super) fn json(value: &Value) -> String {
    serde_json::to_string_pretty(value).unwrap_or_default()
}

/// A value as JSON on one line.
pub(super) fn inline_json(value: &Value) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

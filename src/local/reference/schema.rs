//! Schemas as tables: one row for each property, with those of nested objects below.

use maud::{Markup, html};
use serde_yaml_ng::Value;

use super::{
    document::{Document, entries, field, inline_json, items, text},
    text::{blocks, inline},
};

/// The depth to which nested objects are shown.
const DEPTH: usize = 4;

/// The constraints of a schema that are shown: keyword and words before its value.
const LIMITS: [(&str, &str); 9] = [
    ("const", ""),
    ("minLength", "at least "),
    ("maxLength", "at most "),
    ("minimum", "from "),
    ("maximum", "up to "),
    ("minItems", "at least "),
    ("maxItems", "at most "),
    ("pattern", "pattern "),
    ("default", "default "),
];

/// A row of a table.
struct Property<'a> {
    name: String,
    schema: &'a Value,
    is_required: bool,
}

/// The description and the properties of a schema. Alternatives are shown one after another.
pub(super) fn show(document: &Document, schema: &Value, label: &str) -> Markup {
    let properties = properties(document, schema, "", DEPTH);
    let alternatives: Vec<&Value> = items(field(schema, "oneOf")).collect();
    html! {
        (blocks(text(schema, "description")))
        @if !properties.is_empty() { (table(document, &properties, label)) }
        @else if alternatives.is_empty() { p.type { (kind(document, schema)) " " (limits(schema)) } }
        @for alternative in &alternatives {
            @let title = text(alternative, "title");
            @if !title.is_empty() { h4 { (title) } }
            (show(document, document.resolve(alternative).value, &format!("{label}: {title}")))
        }
    }
}

fn table(document: &Document, properties: &[Property<'_>], label: &str) -> Markup {
    let rows = properties.iter().map(|property| {
        let description = text(property.schema, "description");
        row(&property.name, property.is_required, &kind_and_limits(document, property.schema), description)
    });
    rows_table(label, "Property", rows)
}

/// A table with the columns name, type and description.
pub(super) fn rows_table(label: &str, name: &str, rows: impl Iterator<Item = Markup>) -> Markup {
    html! {
        table {
            caption.unseen { (label) }
            thead { tr { th scope="col" { (name) } th scope="col" { "Type" } th scope="col" { "Description" } } }
            tbody { @for row in rows { (row) } }
        }
    }
}

/// A row of such a table.
pub(super) fn row(name: &str, is_required: bool, kind: &Markup, description: &str) -> Markup {
    html! {
        tr {
            th scope="row" { code { (name) } @if is_required { " " span.required { "required" } } }
            td { (kind) }
            td { (blocks(description)) }
        }
    }
}

/// The type of a schema with its constraints.
pub(super) fn kind_and_limits(document: &Document, schema: &Value) -> Markup {
    html! { (kind(document, schema)) " " (limits(schema)) }
}

/// The properties of an object, of its parts, and of objects in it by their path, such as `organizationRoles[].id`.
fn properties<'a>(document: &'a Document, schema: &'a Value, prefix: &str, depth: usize) -> Vec<Property<'a>> {
    let required: Vec<&str> = items(field(schema, "required")).filter_map(Value::as_str).collect();
    let mut found = Vec::new();
    for (name, property) in entries(field(schema, "properties")) {
        let path = format!("{prefix}{name}");
        let is_required = required.contains(&name);
        found.push(Property { name: path.clone(), schema: property, is_required });
        if depth > 0 && field(property, "$ref").is_null() {
            found.extend(properties(document, property, &format!("{path}."), depth - 1));
            found.extend(properties(document, field(property, "items"), &format!("{path}[]."), depth - 1));
        }
    }
    for part in items(field(schema, "allOf")).filter(|_| depth > 0) {
        found.extend(properties(document, document.resolve(part).value, prefix, depth - 1));
    }
    found
}

/// The type of a schema: `string or null`, `array of Issue`.
pub(super) fn kind(document: &Document, schema: &Value) -> Markup {
    if let Some(name) = document.resolve(schema).name {
        return html! { a href={ "#schema-" (name) } { (name) } };
    }
    let alternatives: Vec<&Value> = items(field(schema, "oneOf")).chain(items(field(schema, "anyOf"))).collect();
    if !alternatives.is_empty() {
        return html! {
            @for (index, alternative) in alternatives.iter().enumerate() {
                @if index > 0 { " or " }
                (kind(document, alternative))
            }
        };
    }
    if let Some(part) = items(field(schema, "allOf")).next() {
        return kind(document, part);
    }
    let values: Vec<String> = items(field(schema, "enum")).map(inline_json).collect();
    html! {
        (names(field(schema, "type")))
        @if !field(schema, "items").is_null() { " of " (kind(document, field(schema, "items"))) }
        @if !text(schema, "format").is_empty() { " (" (text(schema, "format")) ")" }
        @if !values.is_empty() {
            ": " @for (index, value) in values.iter().enumerate() { @if index > 0 { ", " } code { (value) } }
        }
    }
}

fn names(kinds: &Value) -> String {
    match kinds {
        Value::String(name) => name.clone(),
        Value::Sequence(names) => names.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(" or "),
        _ => String::new(),
    }
}

fn limits(schema: &Value) -> Markup {
    let unit = |key: &str| match key {
        "minLength" | "maxLength" => " characters",
        "minItems" | "maxItems" => " items",
        _ => "",
    };
    let found = LIMITS.into_iter().map(|(key, words)| (key, words, field(schema, key)));
    let found: Vec<_> = found.filter(|(_, _, value)| !value.is_null()).collect();
    html! {
        @if !found.is_empty() {
            ul.limits {
                @for (key, words, value) in found {
                    li {
                        @match value.as_str() {
                            Some(value) => { (words) code { (value) } },
                            None => { (inline(&format!("{words}{}{}", inline_json(value), unit(key)))) },
                        }
                    }
                }
            }
        }
    }
}

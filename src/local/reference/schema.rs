//! Schemas as tables: one row for each property, with those of nested objects below.

use maud::{Markup, html};
use serde_yaml_ng::Value;

use super::{
    document::{Document, Resolved, entries, field, inline_json, items, text},
    text::blocks,
};

/// The depth to which nested objects are shown.
const DEPTH: usize = 4;

/// The maximum length of a pattern that is shown expanded.
const LONGEST_PATTERN: usize = 40;

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

/// The properties of an object, of its `allOf` parts, and of nested objects by path, such as `organizationRoles[].id`.
fn properties<'a>(document: &'a Document, schema: &'a Value, prefix: &str, depth: usize) -> Vec<Property<'a>> {
    let required: Vec<&str> = items(field(schema, "required")).filter_map(Value::as_str).collect();
    let mut found = Vec::new();
    for (name, property) in entries(field(schema, "properties")) {
        let path = format!("{prefix}{name}");
        let property = match document.resolve(property) {
            Resolved { value, name: None } => value,
            Resolved { name: Some(_), .. } => property,
        };
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
    let Resolved { value: schema, name } = document.resolve(schema);
    if let Some(name) = name {
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

/// The constraints of a schema.
fn limits(schema: &Value) -> Markup {
    let ranges = [
        range(schema, "minLength", "maxLength", "character"),
        range(schema, "minimum", "maximum", ""),
        range(schema, "minItems", "maxItems", "item"),
    ];
    let ranges: Vec<String> = ranges.into_iter().flatten().collect();
    let (constant, default, pattern) = (field(schema, "const"), field(schema, "default"), text(schema, "pattern"));
    html! {
        @if !constant.is_null() { code { (inline_json(constant)) } }
        @for range in &ranges { p.limit { (range) } }
        @if !default.is_null() { p.limit { "default " code { (inline_json(default)) } } }
        @if pattern.len() > LONGEST_PATTERN { details { summary { "Pattern" } code { (pattern) } } }
        @else if !pattern.is_empty() { p.limit { "pattern " code { (pattern) } } }
    }
}

/// The words for a lower and an upper bound: `1 to 255 characters`.
fn range(schema: &Value, least: &str, most: &str, unit: &str) -> Option<String> {
    let bound = |key: &str| field(schema, key).as_i64();
    let (words, number) = match (bound(least), bound(most)) {
        (None, None) => return None,
        (Some(least), None) => (format!("at least {least}"), least),
        (None, Some(most)) => (format!("at most {most}"), most),
        (Some(least), Some(most)) => (format!("{least} to {most}"), most),
    };
    let plural = if number == 1 { "" } else { "s" };
    Some(if unit.is_empty() { words } else { format!("{words} {unit}{plural}") })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn constraints_are_in_words() {
        for (schema, expected) in [
            ("{ minLength: 1, maxLength: 255 }", r#"<p class="limit">1 to 255 characters</p>"#),
            ("{ minItems: 1 }", r#"<p class="limit">at least 1 item</p>"#),
            ("{ maximum: 8640000000000000 }", r#"<p class="limit">at most 8640000000000000</p>"#),
            ("{ pattern: ^a$ }", r#"<p class="limit">pattern <code>^a$</code></p>"#),
            ("{ const: false }", "<code>false</code>"),
            ("{ type: string }", ""),
        ] {
            let schema: Value = serde_yaml_ng::from_str(schema).unwrap();
            assert_eq!(limits(&schema).into_string(), expected);
        }
    }

    #[test]
    fn types_are_in_words_with_links_to_named_schemas() {
        let document = Document::parse("components: { schemas: { A: { type: object } } }");
        let link = r##"<a href="#schema-A">A</a>"##;
        for (schema, expected) in [
            ("{ type: [string, 'null'] }", "string or null".to_owned()),
            ("{ type: integer, format: int64 }", "integer (int64)".to_owned()),
            ("{ type: array, items: { $ref: '#/components/schemas/A' } }", format!("array of {link}")),
            ("{ oneOf: [{ type: boolean }, { $ref: '#/components/schemas/A' }] }", format!("boolean or {link}")),
            (
                "{ type: string, enum: [a, b] }",
                "string: <code>&quot;a&quot;</code>, <code>&quot;b&quot;</code>".to_owned(),
            ),
            ("{ $ref: '#/components/schemas/A' }", link.to_owned()),
        ] {
            let schema: Value = serde_yaml_ng::from_str(schema).unwrap();
            assert_eq!(kind(&document, &schema).into_string(), expected);
        }
    }
}

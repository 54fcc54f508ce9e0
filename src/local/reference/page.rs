//! The markup of the API reference. `maud` escapes all values.

use maud::{Markup, html};
use serde_yaml_ng::Value;

use super::{
    document::{Document, entries, field, inline_json, items, json, text},
    schema::{kind, kind_and_limits, row, rows_table, show},
    text::{blocks, inline},
};
use crate::local::pages::frame;

const METHODS: [&str; 5] = ["get", "post", "put", "patch", "delete"];

/// An operation of the API.
struct Operation<'a> {
    method: &'a str,
    path: &'a str,
    /// The path item, whose parameters are those of all its operations.
    item: &'a Value,
    value: &'a Value,
}

/// The whole reference.
pub(super) fn page(document: &Document) -> Markup {
    let operations = operations(document);
    let info = document.at(&["info"]);
    let body = html! {
        header.bar {
            h1 { "API reference" }
            p.count { "Version " (text(info, "version")) ", from " a href="/openapi.yaml" { "openapi.yaml" } }
        }
        div.reference {
            nav.contents aria-label="Operations" {
                @for operation in &operations {
                    a href={ "#" (operation.id()) } {
                        (method(operation.method)) span { (text(operation.value, "summary")) }
                        code { (operation.path) }
                    }
                }
                a href="#schemas" { span { "Schemas" } }
            }
            section.about aria-label="About the API" {
                (blocks(text(info, "description")))
                @for (_, scheme) in entries(document.at(&["components", "securitySchemes"])) {
                    h2 { "Authorization" }
                    p { code { "Authorization: " (text(scheme, "scheme")) " …" } }
                    (blocks(text(scheme, "description")))
                }
            }
            @for operation in &operations { (operation.show(document)) }
            (other_responses(document, &operations))
            (schemas(document))
        }
    };
    frame("API reference", "/docs", &body)
}

fn operations(document: &Document) -> Vec<Operation<'_>> {
    let paths = entries(document.at(&["paths"]));
    let operations = paths.flat_map(|(path, item)| {
        let methods = entries(item).filter(|(key, _)| METHODS.contains(key));
        methods.map(move |(method, value)| Operation { method, path, item, value })
    });
    operations.collect()
}

impl Operation<'_> {
    fn id(&self) -> &str {
        text(self.value, "operationId")
    }

    fn show(&self, document: &Document) -> Markup {
        let parameters = items(field(self.item, "parameters")).chain(items(field(self.value, "parameters")));
        let parameters: Vec<&Value> = parameters.map(|parameter| document.resolve(parameter).value).collect();
        let id = self.id();
        html! {
            section.operation id=(id) aria-labelledby={ (id) "-title" } {
                h2 id={ (id) "-title" } { (text(self.value, "summary")) }
                p.endpoint { (method(self.method)) code { (self.path) } }
                (blocks(text(self.value, "description")))
                @if !parameters.is_empty() {
                    h3 { "Parameters" }
                    (rows_table(&format!("Parameters of {id}"), "Parameter", parameters.iter().map(|each| parameter(document, each))))
                }
                (body(document, field(self.value, "requestBody"), id))
                h3 { "Responses" }
                @for (status, response) in entries(field(self.value, "responses")) {
                    (show_response(document, status, document.resolve(response).value))
                }
            }
        }
    }
}

fn method(name: &str) -> Markup {
    html! { span.method.(name) { (name.to_uppercase()) } }
}

fn parameter(document: &Document, parameter: &Value) -> Markup {
    let (schema, example) = (field(parameter, "schema"), field(parameter, "example"));
    let kind = html! {
        (text(parameter, "in")) ", " (kind_and_limits(document, schema))
        @if !example.is_null() { p { "such as " code { (plain(example)) } } }
    };
    let is_required = field(parameter, "required").as_bool().unwrap_or_default();
    row(text(parameter, "name"), is_required, &kind, text(parameter, "description"))
}

fn body(document: &Document, body: &Value, id: &str) -> Markup {
    let contents: Vec<_> = entries(field(body, "content")).collect();
    let is_required = field(body, "required").as_bool().unwrap_or_default();
    html! {
        @for (content_type, content) in contents {
            h3 { "Body" @if !is_required { " (optional)" } }
            p.type { code { (content_type) } ", " (kind(document, field(content, "schema"))) }
            (show(document, document.resolve(field(content, "schema")).value, &format!("Body of {id}")))
            (examples(document, content, true))
        }
    }
}

fn show_response(document: &Document, status: &str, response: &Value) -> Markup {
    let class = status.chars().next().map_or("", |first| match first {
        '2' => "good",
        '4' => "client",
        _ => "server",
    });
    html! {
        div.response { h4 { span.code.(class) { (status) } } div { (response_parts(document, response)) } }
    }
}

fn response_parts(document: &Document, response: &Value) -> Markup {
    let contents: Vec<_> = entries(field(response, "content")).collect();
    html! {
        (blocks(text(response, "description")))
        @for (name, header) in entries(field(response, "headers")) {
            @let header = document.resolve(header).value;
            @let example = field(header, "example");
            p {
                "Header " code { (name) } ": " (inline(text(header, "description")))
                @if !example.is_null() { " Such as " code { (plain(example)) } "." }
            }
        }
        @for (content_type, content) in contents {
            p.type { code { (content_type) } ", " (kind(document, field(content, "schema"))) }
            (examples(document, content, false))
        }
    }
}

/// The examples of a content, by their names. `is_open` expands them.
fn examples(document: &Document, content: &Value, is_open: bool) -> Markup {
    let single = field(content, "example");
    let single = (!single.is_null()).then_some(("", single));
    let named = entries(field(content, "examples")).map(|(name, example)| {
        let example = document.resolve(example).value;
        let summary = text(example, "summary");
        (if summary.is_empty() { name } else { summary }, field(example, "value"))
    });
    html! {
        @for (name, value) in single.into_iter().chain(named) {
            details open[is_open] {
                summary { "Example" @if !name.is_empty() { ": " (name) } }
                pre tabindex="0" role="group" aria-label={ "Example " (name) } { code { (json(value)) } }
            }
        }
    }
}

/// The shared responses that no operation names, such as those of other methods.
fn other_responses(document: &Document, operations: &[Operation<'_>]) -> Markup {
    let responses = operations.iter().flat_map(|operation| entries(field(operation.value, "responses")));
    let named: Vec<&str> = responses.filter_map(|(_, response)| document.resolve(response).name).collect();
    let others = entries(document.at(&["components", "responses"])).filter(|(name, _)| !named.contains(name));
    html! {
        @for (name, response) in others {
            section.operation id={ "response-" (name) } aria-labelledby={ "response-" (name) "-title" } {
                h2 id={ "response-" (name) "-title" } { (name) }
                (response_parts(document, response))
            }
        }
    }
}

fn schemas(document: &Document) -> Markup {
    html! {
        section #schemas aria-labelledby="schemas-title" {
            h2 #schemas-title { "Schemas" }
            @for (name, schema) in entries(document.at(&["components", "schemas"])) {
                section.schema id={ "schema-" (name) } aria-labelledby={ "schema-" (name) "-title" } {
                    h3 id={ "schema-" (name) "-title" } { (name) }
                    (show(document, schema, name))
                }
            }
        }
    }
}

/// A value as text: a string without quotes.
fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| inline_json(value), str::to_owned)
}

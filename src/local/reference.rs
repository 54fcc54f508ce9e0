//! The API reference: `/docs`, rendered from `openapi.yaml`, and the file itself.

mod document;
mod page;
mod schema;
mod text;

use std::sync::LazyLock;

use axum::{
    Router,
    http::header,
    response::{IntoResponse, Response},
    routing::get,
};
use maud::Markup;

use self::document::Document;
use super::pages::response;

/// The description of the API.
const OPENAPI: &str = include_str!("../../openapi.yaml");

/// The page, rendered at the first request.
static PAGE: LazyLock<Markup> = LazyLock::new(|| page::page(&Document::parse(OPENAPI)));

/// The page and the file.
pub(super) fn router() -> Router {
    Router::new().route("/docs", get(async || response(PAGE.clone()))).route("/openapi.yaml", get(async || file()))
}

fn file() -> Response {
    let headers = [(header::CONTENT_TYPE, "application/yaml; charset=utf-8"), (header::CACHE_CONTROL, "no-cache")];
    (headers, OPENAPI).into_response()
}

#[cfg(test)]
mod tests {
    use serde_yaml_ng::Value;

    use super::*;

    /// All values of the keys `name` below `value`, at any depth.
    fn all<'a>(value: &'a Value, name: &str, found: &mut Vec<&'a Value>) {
        match value {
            Value::Mapping(map) => {
                found.extend(map.get(name));
                map.values().for_each(|value| all(value, name, found));
            }
            Value::Sequence(list) => list.iter().for_each(|value| all(value, name, found)),
            _ => {}
        }
    }

    fn found<'a>(value: &'a Value, name: &str) -> Vec<&'a Value> {
        let mut values = Vec::new();
        all(value, name, &mut values);
        values
    }

    #[test]
    fn the_page_has_every_operation_parameter_property_code_and_example_of_the_file() {
        let root: Value = serde_yaml_ng::from_str(OPENAPI).unwrap();
        let page = PAGE.clone().into_string();
        let mut expected = Vec::new();
        for name in ["operationId", "summary"] {
            expected.extend(found(&root, name).into_iter().filter_map(Value::as_str).map(str::to_owned));
        }
        let mut shown = root.clone();
        shown.get_mut("components").and_then(Value::as_mapping_mut).unwrap().remove("headers").unwrap();
        for name in ["properties", "schemas", "responses", "headers", "paths"] {
            let maps = found(&shown, name).into_iter().filter_map(Value::as_mapping);
            let keys = maps.flat_map(|map| map.keys()).filter_map(Value::as_str);
            // The names of shared responses and headers are not shown: each use is shown in full.
            let keys = keys.filter(|key| name != "responses" || key.parse::<u16>().is_ok());
            expected.extend(keys.map(str::to_owned));
        }
        for parameter in found(&root, "parameters").into_iter().filter_map(Value::as_sequence).flatten() {
            expected.extend(parameter.get("name").and_then(Value::as_str).map(str::to_owned));
        }
        for codes in found(&root, "code").into_iter().filter_map(|code| code.get("enum")?.as_sequence()).flatten() {
            expected.push(codes.as_str().unwrap().to_owned());
        }
        for example in found(&root, "examples").into_iter().filter_map(Value::as_mapping).flat_map(|map| map.values()) {
            expected.extend(example.get("value").map(document::json));
        }
        assert!(expected.len() > 150, "{}", expected.len());
        for text in expected {
            let escaped = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;");
            assert!(page.contains(&escaped), "{text}");
        }
    }

    #[test]
    fn every_link_within_the_page_has_its_target_once_and_nothing_is_loaded_from_elsewhere() {
        let page = PAGE.clone().into_string();
        let links: Vec<&str> =
            page.split("href=\"#").skip(1).filter_map(|rest| Some(rest.split_once('"')?.0)).collect();
        assert!(links.len() > 15, "{links:?}");
        for target in links {
            assert_eq!(page.matches(&format!("id=\"{target}\"")).count(), 1, "{target}");
        }
        assert!(!page.contains("src=\"http") && !page.contains("@import"));
        assert_eq!(page.matches("<link").count(), 2, "the icon and the stylesheet");
    }
}

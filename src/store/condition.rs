//! The condition that a row still is what it was read as.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;

use super::Item;

/// The condition that a row is what it was read as, as far as these attributes go. An empty row is none.
#[derive(Debug)]
pub(super) struct Unchanged {
    pub(super) expression: String,
    pub(super) names: Option<HashMap<String, String>>,
    pub(super) values: Option<HashMap<String, AttributeValue>>,
}

impl Unchanged {
    pub(super) fn of(row: &Item, attributes: &[&str]) -> Self {
        if row.is_empty() {
            return Self { expression: "attribute_not_exists(pk)".to_owned(), names: None, values: None };
        }
        let (mut conditions, mut names, mut values) =
            (vec!["attribute_exists(pk)".to_owned()], HashMap::new(), HashMap::new());
        for (position, name) in attributes.iter().enumerate() {
            names.insert(format!("#{position}"), (*name).to_owned());
            if let Some(value) = row.get(*name) {
                values.insert(format!(":{position}"), value.clone());
                conditions.push(format!("#{position} = :{position}"));
            } else {
                conditions.push(format!("attribute_not_exists(#{position})"));
            }
        }
        Self {
            expression: conditions.join(" AND "),
            names: Some(names),
            values: (!values.is_empty()).then_some(values),
        }
    }
}

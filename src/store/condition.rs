//! The condition that a row has not changed since it was read.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::{
    AttributeValue,
    builders::{DeleteBuilder, PutBuilder, UpdateBuilder},
};

use super::Item;

/// The condition that the named attributes of a row are unchanged since it was read. For an empty row, the condition is
/// that the row still does not exist.
#[derive(Debug)]
pub(super) struct Unchanged {
    expression: String,
    names: Option<HashMap<String, String>>,
    values: Option<HashMap<String, AttributeValue>>,
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
            conditions.push(match row.get(*name) {
                Some(_) => format!("#{position} = :{position}"),
                None => format!("attribute_not_exists(#{position})"),
            });
            values.extend(row.get(*name).map(|value| (format!(":{position}"), value.clone())));
        }
        Self {
            expression: conditions.join(" AND "),
            names: Some(names),
            values: (!values.is_empty()).then_some(values),
        }
    }

    /// Adds this condition to a put.
    pub(super) fn put(self, put: PutBuilder) -> PutBuilder {
        put.condition_expression(self.expression)
            .set_expression_attribute_names(self.names)
            .set_expression_attribute_values(self.values)
    }

    /// Adds this condition to a deletion.
    pub(super) fn delete(self, delete: DeleteBuilder) -> DeleteBuilder {
        delete
            .condition_expression(self.expression)
            .set_expression_attribute_names(self.names)
            .set_expression_attribute_values(self.values)
    }

    /// Adds this condition to an update, which keeps its other values.
    pub(super) fn update(self, update: UpdateBuilder) -> UpdateBuilder {
        let update = update.condition_expression(self.expression).set_expression_attribute_names(self.names);
        let values = self.values.into_iter().flatten();
        values.fold(update, |update, (name, value)| update.expression_attribute_values(name, value))
    }
}

//! The pipe from the table's stream through the function to the bus, with the filters and the batch size of
//! `template.yaml`. The bus is the list that [`super::events`] shows.

use std::{sync::Arc, time::Duration};

use lambda_runtime::{Context, LambdaEvent};
use serde::Deserialize;
use serde_json::{Value, value::to_raw_value};

use super::{events::EventList, stream::StreamReader, table::TEMPLATE};
use crate::{
    app::App,
    trigger::{self, Output},
};

/// The pause after the last record was read, similar to that of AWS.
const PAUSE: Duration = Duration::from_millis(200);
/// The maximum number of records per read, which bounds their memory.
const READ_AT_ONCE: usize = 500;

/// The settings of the pipe.
#[derive(Debug)]
pub struct Pipe {
    filters: Vec<Value>,
    batch_size: usize,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct SourceParameters {
    #[serde(rename = "DynamoDBStreamParameters")]
    stream: StreamParameters,
    filter_criteria: FilterCriteria,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct StreamParameters {
    batch_size: usize,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct FilterCriteria {
    filters: Vec<Filter>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Filter {
    pattern: String,
}

/// The pipe in the template has another form.
#[derive(Debug, thiserror::Error)]
#[error("template.yaml: Resources.EventsPipe: {0}")]
pub struct PipeError(String);

impl Pipe {
    /// The pipe of `template.yaml`.
    ///
    /// # Errors
    /// The template's pipe has another form.
    pub fn of_template() -> Result<Self, PipeError> {
        let failed = |error: &dyn std::fmt::Display| PipeError(error.to_string());
        let template: serde_yaml_ng::Value = serde_yaml_ng::from_str(TEMPLATE).map_err(|error| failed(&error))?;
        let parameters = template["Resources"]["EventsPipe"]["Properties"]["SourceParameters"].clone();
        // Ignores the other properties, which contain template functions.
        let parameters: SourceParameters = serde_yaml_ng::from_value(parameters).map_err(|error| failed(&error))?;
        let patterns = parameters.filter_criteria.filters.iter().map(|filter| serde_json::from_str(&filter.pattern));
        let filters = patterns.collect::<Result<_, _>>().map_err(|error| failed(&error))?;
        Ok(Self { filters, batch_size: parameters.stream.batch_size })
    }

    /// `true` if a filter of the pipe matches the record.
    pub fn passes(&self, record: &Value) -> bool {
        self.filters.iter().any(|pattern| matches(pattern, record))
    }

    /// The output of the function for the records that pass, in their order.
    pub async fn enrich(&self, app: &App, records: Vec<Value>) -> Vec<Value> {
        let passing: Vec<Value> = records.into_iter().filter(|record| self.passes(record)).collect();
        let mut events = Vec::new();
        for batch in passing.chunks(self.batch_size) {
            let Ok(batch) = to_raw_value(batch) else { continue };
            // The function logs its failure itself.
            if let Ok(Output::Events(details)) = trigger::handle(app, LambdaEvent::new(batch, Context::default())).await
            {
                events.extend(details.iter().filter_map(|detail| serde_json::from_str::<Value>(detail.get()).ok()));
            }
        }
        events
    }

    /// Reads the stream and puts the events on the bus. Returns only if reading panics.
    pub async fn run(self, app: Arc<App>, mut reader: StreamReader, events: Arc<EventList>) {
        loop {
            let read = tokio::task::spawn_blocking(move || {
                let records = reader.next(READ_AT_ONCE);
                (reader, records)
            });
            let Ok((returned, records)) = read.await else { return };
            reader = returned;
            let records = records.unwrap_or_else(|error| {
                tracing::warn!(%error, "the table's stream could not be read");
                Vec::new()
            });
            let has_more = records.len() == READ_AT_ONCE;
            self.enrich(&app, records).await.into_iter().for_each(|detail| events.record_outgoing(detail));
            if !has_more {
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

/// Matches the subset of `EventBridge`'s patterns that the filters use: lists of values and prefixes.
fn matches(pattern: &Value, found: &Value) -> bool {
    match pattern {
        Value::Object(fields) => {
            fields.iter().all(|(name, pattern)| found.get(name).is_some_and(|found| matches(pattern, found)))
        }
        Value::Array(choices) => choices.iter().any(|choice| match choice["prefix"].as_str() {
            Some(prefix) => found.as_str().is_some_and(|text| text.starts_with(prefix)),
            None => choice == found,
        }),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_filters_of_the_template_pass_records_that_may_give_an_event() {
        let pipe = Pipe::of_template().unwrap();
        let record = |sk: &str, old: Value| json!({ "dynamodb": { "Keys": { "pk": { "S": "TENANT#t" }, "sk": { "S": sk } }, "OldImage": old } });
        let state = |state: &str| json!({ "state": { "S": state } });
        for (sk, old, expected) in [
            ("INVITATION#1", json!(null), true),
            ("DELIVERY#1", json!(null), true),
            ("ORG#a#INVITEE#b", state("pending"), true),
            ("ORG#a#INVITEE#b", state("member"), false),
            ("ORG#a#INVITEE#b", json!(null), false),
            ("ORGANIZATION#a", state("pending"), false),
            ("SENDS#b", json!(null), false),
        ] {
            assert_eq!(pipe.passes(&record(sk, old.clone())), expected, "{sk} {old}");
        }
        assert!(!pipe.passes(&json!({})));
    }
}

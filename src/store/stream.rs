//! The records of the table's stream, one per changed row, in DynamoDB's JSON as `EventBridge` Pipes and Lambda deliver
//! it.
//!
//! Reading a record never fails, so that an unreadable record does not block the others: a missing or malformed field
//! is empty.

use aws_sdk_dynamodb::types::AttributeValue;
use serde_json::{Value, value::RawValue};

use super::{Item, keys};
use crate::{domain::timestamp::Timestamp, json};

/// The `eventSource` of a record.
pub const EVENT_SOURCE: &str = "aws:dynamodb";
/// The maximum nesting that is read: a record, `dynamodb`, an image, an attribute, and the roles in it.
const LEVELS: u8 = 12;
/// The maximum number of digits of a `SequenceNumber` (API reference, `StreamRecord`).
const SEQUENCE_DIGITS: usize = 40;

/// The change of one row.
#[derive(Clone, Debug, PartialEq)]
pub struct TableChange {
    /// The record's unique identifier, the same in each delivery of the record.
    pub id: String,
    /// The record's sequence number, zero-padded so that texts compare as numbers.
    pub sequence: String,
    /// The time of the change, in whole seconds.
    pub at: Option<Timestamp>,
    /// `true` if DynamoDB's TTL deleted the row.
    pub is_by_time_to_live: bool,
    /// The partition key.
    pub pk: String,
    /// The sort key.
    pub sk: String,
    /// The row before the change; `None` if it is new.
    pub old: Option<Item>,
    /// The row after the change; `None` if it was deleted.
    pub new: Option<Item>,
}

impl TableChange {
    /// Reads a record.
    pub fn read(record: &RawValue) -> Self {
        let mut record = json::lenient(record, LEVELS);
        let text = |path: &str| record.pointer(path).and_then(Value::as_str).unwrap_or_default().to_owned();
        let (event_id, sequence) = (text("/eventID"), text("/dynamodb/SequenceNumber"));
        let key = |name| text(&format!("/dynamodb/Keys/{name}/S"));
        // The DynamoDB API spells these names differently from Pipes and Lambda, and an operator may replay the output
        // of `get-records`.
        let identity = |name: &str, in_api: &str| {
            text(&format!("/userIdentity/{name}")) + &text(&format!("/userIdentity/{in_api}"))
        };
        let is_by_time_to_live =
            identity("type", "Type") == "Service" && identity("principalId", "PrincipalId") == "dynamodb.amazonaws.com";
        let at = record.pointer("/dynamodb/ApproximateCreationDateTime").and_then(time);
        let (pk, sk) = (key(keys::PK), key(keys::SK));
        let mut image = |path| record.pointer_mut(path).map(Value::take).and_then(item);
        Self {
            id: if event_id.is_empty() { sequence.clone() } else { event_id },
            sequence: format!("{sequence:0>SEQUENCE_DIGITS$}"),
            at,
            is_by_time_to_live,
            pk,
            sk,
            old: image("/dynamodb/OldImage"),
            new: image("/dynamodb/NewImage"),
        }
    }
}

/// Reads a time in seconds, given as a number or as its text.
#[expect(clippy::cast_possible_truncation, reason = "a cast from a float saturates")]
fn time(value: &Value) -> Option<Timestamp> {
    let seconds = value.as_f64().or_else(|| value.as_str()?.parse().ok())?;
    Some(Timestamp::from_millis((seconds * 1000.0) as i64))
}

fn item(image: Value) -> Option<Item> {
    let Value::Object(attributes) = image else { return None };
    Some(attributes.into_iter().map(|(name, value)| (name, attribute(value))).collect())
}

/// Reads an attribute of the types that our rows have. Other types, which other programs write, become null.
fn attribute(value: Value) -> AttributeValue {
    let typed = if let Value::Object(fields) = value { fields.into_iter().next() } else { None };
    let Some((kind, value)) = typed else { return AttributeValue::Null(true) };
    match (kind.as_str(), value) {
        ("S", Value::String(text)) => AttributeValue::S(text),
        ("N", Value::String(number)) => AttributeValue::N(number),
        ("BOOL", Value::Bool(boolean)) => AttributeValue::Bool(boolean),
        ("L", Value::Array(values)) => AttributeValue::L(values.into_iter().map(attribute).collect()),
        ("M", fields @ Value::Object(_)) => AttributeValue::M(item(fields).unwrap_or_default()),
        ("SS", Value::Array(texts)) => {
            AttributeValue::Ss(texts.iter().filter_map(Value::as_str).map(str::to_owned).collect())
        }
        _ => AttributeValue::Null(true),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(record: &Value) -> TableChange {
        TableChange::read(&serde_json::value::to_raw_value(record).unwrap())
    }

    #[test]
    fn images_have_the_attributes_that_were_written() {
        let image = json!({
            "pk": { "S": "TENANT#t" }, "n": { "N": "5" }, "b": { "BOOL": true }, "set": { "SS": ["a", "b"] },
            "roles": { "L": [{ "M": { "id": { "S": "r" } } }] }, "binary": { "B": "AA==" }, "null": { "NULL": true },
        });
        let change = read(&json!({
            "eventID": "e", "userIdentity": { "type": "Service", "principalId": "dynamodb.amazonaws.com" },
            "dynamodb": {
                "Keys": { "pk": { "S": "TENANT#t" }, "sk": { "S": "x" } }, "OldImage": image,
                "SequenceNumber": "111", "ApproximateCreationDateTime": 1_479_499_740,
            },
        }));
        let old = change.old.unwrap();
        assert_eq!((old["n"].clone(), old["b"].clone()), (AttributeValue::N("5".into()), AttributeValue::Bool(true)));
        assert_eq!(old["set"], AttributeValue::Ss(vec!["a".into(), "b".into()]));
        assert_eq!(old["roles"].as_l().unwrap()[0].as_m().unwrap()["id"], AttributeValue::S("r".into()));
        assert_eq!(
            (old["binary"].clone(), old["null"].clone()),
            (AttributeValue::Null(true), AttributeValue::Null(true))
        );
        assert_eq!((change.id.as_str(), change.pk.as_str(), change.sk.as_str()), ("e", "TENANT#t", "x"));
        assert_eq!(change.sequence, format!("{}111", "0".repeat(37)));
        assert_eq!(change.at, Some(Timestamp::from_millis(1_479_499_740_000)));
        assert!(change.is_by_time_to_live && change.new.is_none());
    }

    #[test]
    fn sequences_compare_as_texts_in_the_order_of_their_numbers() {
        let sequence = |number: &str| read(&json!({ "dynamodb": { "SequenceNumber": number } })).sequence;
        let ordered = ["9", "10", "111000000000000000000", "1110000000000000000000", &"9".repeat(40)].map(sequence);
        assert!(ordered.is_sorted() && ordered.iter().all(|text| text.len() == 40), "{ordered:?}");
    }

    #[test]
    fn only_dynamodb_itself_deletes_by_time_to_live() {
        for (identity, expected, reason) in [
            (json!({ "type": "Service", "principalId": "dynamodb.amazonaws.com" }), true, "time to live"),
            (
                json!({ "Type": "Service", "PrincipalId": "dynamodb.amazonaws.com" }),
                true,
                "the same, as the API spells it",
            ),
            (json!({ "type": "Service", "principalId": "other.amazonaws.com" }), false, "another service"),
            (json!({ "type": "User", "principalId": "dynamodb.amazonaws.com" }), false, "another type"),
            (json!(null), false, "a request"),
        ] {
            assert_eq!(read(&json!({ "userIdentity": identity })).is_by_time_to_live, expected, "{reason}");
        }
    }

    #[test]
    fn a_malformed_record_reads_as_empty() {
        for record in
            [json!(null), json!([]), json!("x"), json!({ "dynamodb": 5 }), json!({ "dynamodb": { "Keys": [] } })]
        {
            let change = read(&record);
            assert_eq!((change.pk, change.sk, change.old, change.new), Default::default(), "{record}");
        }
    }
}

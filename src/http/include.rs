//! The query parameter `include`, which appends members to the entities of a response.

use super::{
    error::{Issue, IssueCode, PathSegment, RequestError},
    event::Query,
    response::to_json,
};
use crate::domain::delivery::Delivery;

/// The name of the parameter.
pub(super) const PARAMETER: &str = "include";

/// The keys to append to an entity. Default: none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Include {
    /// `delivery`: the delivery of the invitation's latest message.
    pub(super) delivery: bool,
}

impl Include {
    /// Reads the parameter: names separated by commas. An empty parameter counts as absent, like an empty filter.
    pub(super) fn read(query: &Query) -> Result<Self, RequestError> {
        let mut include = Self::default();
        for name in
            query.get(PARAMETER).filter(|names| !names.is_empty()).into_iter().flat_map(|names| names.split(','))
        {
            match name {
                "delivery" => include.delivery = true,
                _ => return Err(unknown()),
            }
        }
        Ok(include)
    }
}

fn unknown() -> RequestError {
    let issue = Issue {
        code: IssueCode::InvalidEnumValue,
        path: vec![PathSegment::Key(PARAMETER.to_owned())],
        message: "Expected 'delivery'".to_owned(),
    };
    RequestError::InvalidQuery { issues: vec![issue] }
}

/// The JSON member `delivery`, to insert before the closing brace of an entity.
pub(super) fn delivery_member(delivery: Option<&Delivery>) -> String {
    format!(r#","delivery":{}"#, to_json(&delivery))
}

/// The maximum size of [`delivery_member`] in the function's response, in bytes after escaping.
pub(super) const MAX_DELIVERY_BYTES: usize = 640;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        domain::{delivery::DeliveryStatus, timestamp::Timestamp},
        http::event::Event,
        json::escaped_length,
    };

    #[test]
    fn the_parameter_is_a_list_of_known_names() {
        let none = Include::default();
        let delivery = Include { delivery: true };
        for (query, expected, reason) in [
            ("", Some(none), "absent"),
            ("include=", Some(none), "empty"),
            ("include=delivery", Some(delivery), "known"),
            ("include=delivery,delivery", Some(delivery), "twice in one list"),
            ("include=deliver%79", Some(delivery), "encoded"),
            ("include=other", None, "unknown"),
            ("include=delivery,other", None, "one of two"),
            ("include=delivery,", None, "an empty name"),
            ("include=,", None, "two empty names"),
            ("include=Delivery", None, "another case"),
            ("include=delivery%20", None, "a space"),
        ] {
            let event = serde_json::json!({ "version": "2.0", "rawQueryString": query });
            let read = Include::read(&Event::read(&event.to_string()).query);
            assert_eq!(read.as_ref().ok(), expected.as_ref(), "{reason}");
            if let Err(error) = read {
                assert_eq!(error.status_and_code().1, "guard.invalid_input", "{reason}");
            }
        }
    }

    #[test]
    fn the_longest_delivery_fits_into_the_bytes_reserved_for_it() {
        let longest = Delivery {
            status: DeliveryStatus::Suppressed,
            permanent: false,
            reason: Some("x".repeat(64)),
            smtp_status: Some("5.999.999".to_owned()),
            message_id: "x".repeat(128),
            sent_at: Timestamp::MAX,
            updated_at: Timestamp::MAX,
        };
        let bytes = escaped_length(&delivery_member(Some(&longest)));
        assert!((MAX_DELIVERY_BYTES / 2..=MAX_DELIVERY_BYTES).contains(&bytes), "{bytes}");
        assert_eq!(delivery_member(None), r#","delivery":null"#);
    }
}

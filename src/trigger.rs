//! The kinds of event that invoke the function, recognized from the raw JSON.
//!
//! Each kind has its own response and retry rule. An event of an unknown kind fails the invocation: Lambda reports it,
//! and the event's source retries or keeps it. With a response, the event would be lost.

use std::time::Duration;

use lambda_runtime::{Context, LambdaEvent};
use serde::Serialize;
use serde_json::value::RawValue;

use crate::{
    app::App,
    changes::{self, Detail},
    clock::RequestClock,
    domain::{error::Error, timestamp::Timestamp},
    feedback,
    http::{self, event::ApiResponse},
    json::{self, RawFields},
    store::stream,
};

/// Lambda's maximum timeout of a function.
const MAX_LIFETIME: Duration = Duration::from_mins(15);
/// The time that API Gateway waits for a response (HTTP API 30 s, REST API 29 s).
const API_GATEWAY_LIMIT: Duration = Duration::from_secs(29);

/// The field with the original event in a record that Lambda sends to a dead-letter queue (Lambda developer guide,
/// "Capturing records of asynchronous invocations").
const DEAD_LETTER: &str = "requestPayload";

/// A kind of event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Trigger {
    /// A request to the API. It always gets a response, even for an error. Only the caller retries.
    ApiRequest,
    /// An SES event about an email, from `EventBridge`. Nobody waits for a response. After an error Lambda retries, and
    /// finally moves the event to the dead-letter queue.
    MailFeedback,
    /// A batch of the table's stream, sent by an `EventBridge` Pipe for enrichment. The Pipe puts the events of the
    /// response on the bus, none if the list is empty, and retries a batch that fails.
    TableChanges,
}

/// The output of an invocation.
#[derive(Debug, Serialize)]
#[serde(untagged)]
#[expect(clippy::large_enum_variant, reason = "there is one for each invocation, and most are responses")]
pub enum Output {
    /// The response to a request to the API.
    Api(ApiResponse),
    /// The details of the events derived from a batch of the table's stream.
    Events(Vec<Detail>),
    /// No response; null in JSON.
    Nothing,
}

/// A failed invocation.
#[derive(Debug, thiserror::Error)]
pub enum InvocationError {
    /// The event is of an unknown kind.
    #[error(transparent)]
    UnknownEvent(#[from] UnknownEvent),
    /// The mail feedback could not be recorded.
    #[error("mail feedback not recorded")]
    Feedback(#[source] Error),
}

/// An event of an unknown kind.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("unknown kind of event: {0}")]
pub struct UnknownEvent(String);

/// Handles one invocation of the Lambda function.
///
/// # Errors
/// [`UnknownEvent`], which is logged here with the event's type, or a failure to record mail feedback.
pub async fn handle(app: &App, event: LambdaEvent<Box<RawValue>>) -> Result<Output, InvocationError> {
    let LambdaEvent { payload, context } = event;
    let trigger = Trigger::of(&payload).inspect_err(|error| {
        tracing::error!(%error, request_id = %context.request_id, "invoked with an unknown event");
    })?;
    let clock = request_clock(&context);
    match trigger {
        Trigger::ApiRequest => {
            let trace = context.xray_trace_id.as_deref();
            Ok(Output::Api(http::handle_traced(app, payload.get(), clock, trace).await))
        }
        Trigger::MailFeedback => {
            // Boxed, because the SDK's futures are too deeply nested for the compiler to lay out as one.
            let recorded = Box::pin(feedback::handle(app, &payload, clock)).await;
            recorded.map(|()| Output::Nothing).map_err(InvocationError::Feedback)
        }
        Trigger::TableChanges => Ok(Output::Events(changes::events(&records(&payload)))),
    }
}

impl Trigger {
    /// Recognizes the kind of an event. Both kinds of API Gateway events have a `requestContext`, and callers control
    /// no top-level field; `EventBridge` events have none. Lambda's dead-letter records also have one, next to the
    /// original event, and must not be handled as requests. A Pipe sends a list of records: one DynamoDB record
    /// identifies it, because a record without a source is an unreadable one.
    fn of(event: &RawValue) -> Result<Self, UnknownEvent> {
        let fields = json::fields(event);
        match (fields.contains_key("requestContext"), text(&fields, "source")) {
            (true, _) if fields.contains_key(DEAD_LETTER) => Err(UnknownEvent(DEAD_LETTER.to_owned())),
            (true, _) => Ok(Self::ApiRequest),
            (false, Some(source)) if source == feedback::SOURCE => Ok(Self::MailFeedback),
            (false, _) => Self::of_records(event, &fields),
        }
    }

    fn of_records(event: &RawValue, fields: &RawFields<'_>) -> Result<Self, UnknownEvent> {
        let records: Vec<RawFields<'_>> = records(event).into_iter().map(json::fields).collect();
        if records.iter().any(|record| text(record, "eventSource").as_deref() == Some(stream::EVENT_SOURCE)) {
            return Ok(Self::TableChanges);
        }
        Err(UnknownEvent(description(records.first().unwrap_or(fields))))
    }
}

/// The elements of an event that is a list; empty for other events.
fn records(event: &RawValue) -> Vec<&RawValue> {
    serde_json::from_str(event.get()).unwrap_or_default()
}

fn text(fields: &RawFields<'_>, name: &str) -> Option<String> {
    serde_json::from_str(fields.get(name)?.get()).ok()
}

/// The type of an event for the log: the `detail-type` or `source` of `EventBridge`, or `Records` for streams and
/// queues.
fn description(fields: &RawFields<'_>) -> String {
    let named = ["detail-type", "source", "eventSource"].into_iter().find_map(|name| text(fields, name));
    let name = named.unwrap_or_else(|| if fields.contains_key("Records") { "Records" } else { "unnamed" }.to_owned());
    name.chars().filter(|c| !c.is_control()).take(64).collect()
}

/// The clock of an invocation. If Lambda's deadline is not in the future (`cargo lambda watch` sets it to 1970), the
/// lifetime is [`API_GATEWAY_LIMIT`]. The budget never exceeds that limit.
fn request_clock(context: &Context) -> RequestClock {
    let now = u64::try_from(Timestamp::now().as_millis()).unwrap_or_default();
    let lifetime = match context.deadline.saturating_sub(now) {
        0 => API_GATEWAY_LIMIT,
        millis => Duration::from_millis(millis).min(MAX_LIFETIME),
    };
    RequestClock { lifetime, ..RequestClock::with_budget(lifetime.min(API_GATEWAY_LIMIT)) }
}

#[cfg(test)]
mod tests {
    use tokio::time::Instant;

    use super::*;

    #[test]
    fn an_event_of_an_unknown_kind_is_an_error_with_its_type() {
        for (event, expected, reason) in [
            (r#"{"requestContext":{},"rawPath":"/x"}"#, Ok(Trigger::ApiRequest), "an HTTP API"),
            (r#"{"httpMethod":"GET","requestContext":{"authorizer":null}}"#, Ok(Trigger::ApiRequest), "a REST API"),
            (r#"{"detail-type":"Email Bounced","source":"aws.ses","detail":{}}"#, Ok(Trigger::MailFeedback), "SES"),
            (r#"{"detail-type":"Email Opened","source":"aws.ses"}"#, Ok(Trigger::MailFeedback), "SES, of any type"),
            (
                r#"{"source":"aws.ses","detail-type":"Email Bounced","requestContext":{}}"#,
                Ok(Trigger::ApiRequest),
                "a requestContext decides before the source",
            ),
            (
                r#"{"requestContext":{"functionArn":"x"},"requestPayload":{"source":"aws.ses"}}"#,
                Err("requestPayload"),
                "a dead letter's record",
            ),
            (r#"{"detail-type":"Email Bounced","source":"aws.sesx"}"#, Err("Email Bounced"), "another source"),
            (
                r#"{"detail-type":"Email Bounced","source":["aws.ses"]}"#,
                Err("Email Bounced"),
                "a source of another type",
            ),
            (
                r#"{"detail":{"source":"aws.ses"},"body":"{\"source\":\"aws.ses\"}"}"#,
                Err("unnamed"),
                "the source is nested",
            ),
            (r#"{"detail-type":"Order Placed","source":"shop"}"#, Err("Order Placed"), "EventBridge"),
            (r#"{"source":"aws.events"}"#, Err("aws.events"), "a schedule"),
            (r#"{"Records":[{"eventSource":"aws:dynamodb"}]}"#, Err("Records"), "a stream without a Pipe"),
            (r#"[{"eventSource":"aws:dynamodb","dynamodb":{}}]"#, Ok(Trigger::TableChanges), "a Pipe"),
            (r#"[5,{"eventSource":"aws:dynamodb"}]"#, Ok(Trigger::TableChanges), "a Pipe, with a bad record"),
            (r#"[{"eventSource":"aws:sqs"}]"#, Err("aws:sqs"), "a Pipe from elsewhere"),
            (
                r#"{"requestContext":{},"body":"[{\"eventSource\":\"aws:dynamodb\"}]"}"#,
                Ok(Trigger::ApiRequest),
                "stream records forged in the body",
            ),
            (r#"{"detail-type":"a\nb"}"#, Err("ab"), "a line end"),
            ("{}", Err("unnamed"), "nothing"),
            ("[]", Err("unnamed"), "a list"),
            ("null", Err("unnamed"), "null"),
            (r#""text""#, Err("unnamed"), "a text"),
        ] {
            let raw: Box<RawValue> = serde_json::from_str(event).unwrap();
            let expected = expected.map_err(|name| UnknownEvent(name.to_owned()));
            assert_eq!(Trigger::of(&raw), expected, "{reason}");
        }
    }

    #[test]
    fn the_budget_is_the_lesser_of_lambdas_deadline_and_api_gateways_timeout() {
        let in_seconds = |seconds: u64| u64::try_from(Timestamp::now().as_millis()).unwrap() + 1000 * seconds;
        let seconds = |duration: Duration| (duration.as_millis() + 500) / 1000;
        for (deadline, budget, lifetime, reason) in [
            (in_seconds(10), 10, 10, "Lambda's deadline"),
            (in_seconds(60), 29, 60, "API Gateway gives up earlier, but the function may go on"),
            (1, 29, 29, "a deadline in 1970"),
            (u64::MAX, 29, 900, "a deadline that Lambda cannot give"),
        ] {
            let mut context = Context::default();
            context.deadline = deadline;
            let clock = request_clock(&context);
            let left = clock.deadline.end.saturating_duration_since(Instant::now());
            assert_eq!(seconds(left), budget, "{reason}");
            assert_eq!(seconds(clock.lifetime), lifetime, "{reason}");
        }
    }
}

//! The kinds of event that invoke the function, told apart from the raw JSON.
//!
//! Each kind has its own response and retry rule. An event of no known kind is an error of the invocation: Lambda reports
//! it, and whoever sent it retries or keeps it, where a response would swallow it.

use std::time::Duration;

use lambda_runtime::{Context, LambdaEvent};
use serde_json::value::RawValue;

use crate::{
    app::App,
    clock::RequestClock,
    domain::timestamp::Timestamp,
    http::{self, event::ApiResponse},
    json::{self, RawFields},
};

/// The longest that Lambda lets any function run.
const LONGEST_LIFETIME: Duration = Duration::from_mins(15);
/// How long API Gateway waits for a response (HTTP API 30 s, REST API 29 s).
const API_GATEWAY_LIMIT: Duration = Duration::from_secs(29);

/// A kind of event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Trigger {
    /// A request to the API. It always gets a response, errors included; nobody retries it but the caller.
    ApiRequest,
}

/// An event that the function does not know.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("unknown kind of event: {0}")]
pub struct UnknownEvent(String);

/// Handles one invocation of the Lambda function.
///
/// # Errors
/// [`UnknownEvent`], which is logged with what the event calls itself.
pub async fn handle(app: &App, event: LambdaEvent<Box<RawValue>>) -> Result<ApiResponse, UnknownEvent> {
    let LambdaEvent { payload, context } = event;
    let trigger = Trigger::of(&payload).inspect_err(|error| {
        tracing::error!(%error, request_id = %context.request_id, "invoked with an unknown event");
    })?;
    match trigger {
        Trigger::ApiRequest => {
            let (clock, trace) = (request_clock(&context), context.xray_trace_id.as_deref());
            Ok(http::handle_traced(app, payload.get(), clock, trace).await)
        }
    }
}

impl Trigger {
    /// API Gateway's events, of either form, have a `requestContext`.
    fn of(event: &RawValue) -> Result<Self, UnknownEvent> {
        let fields = json::fields(event);
        if fields.contains_key("requestContext") {
            return Ok(Self::ApiRequest);
        }
        Err(UnknownEvent(description(&fields)))
    }
}

/// What an event calls itself: EventBridge's events have a `detail-type`, streams and queues a list of `Records`.
fn description(fields: &RawFields<'_>) -> String {
    let text = |name| fields.get(name).and_then(|raw| serde_json::from_str::<String>(raw.get()).ok());
    let named = text("detail-type").or_else(|| text("source")).or_else(|| text("eventSource"));
    let name = named.unwrap_or_else(|| if fields.contains_key("Records") { "Records" } else { "unnamed" }.to_owned());
    name.chars().filter(|c| !c.is_control()).take(64).collect()
}

/// The clock of an invocation. A deadline that makes no sense, as under `cargo lambda watch`, which gives one in 1970,
/// becomes the time that API Gateway waits; and nobody waits for a response for longer than that.
fn request_clock(context: &Context) -> RequestClock {
    let now = u64::try_from(Timestamp::now().as_millis()).unwrap_or_default();
    let lifetime = match context.deadline.saturating_sub(now) {
        0 => API_GATEWAY_LIMIT,
        millis => Duration::from_millis(millis).min(LONGEST_LIFETIME),
    };
    RequestClock { lifetime, ..RequestClock::with_budget(lifetime.min(API_GATEWAY_LIMIT)) }
}

#[cfg(test)]
mod tests {
    use tokio::time::Instant;

    use super::*;

    #[test]
    fn an_event_of_no_known_kind_is_an_error_that_says_what_it_was() {
        for (event, expected, reason) in [
            (r#"{"requestContext":{},"rawPath":"/x"}"#, Ok(Trigger::ApiRequest), "an HTTP API"),
            (r#"{"httpMethod":"GET","requestContext":{"authorizer":null}}"#, Ok(Trigger::ApiRequest), "a REST API"),
            (r#"{"detail-type":"Email Bounced","source":"aws.ses","detail":{}}"#, Err("Email Bounced"), "EventBridge"),
            (r#"{"source":"aws.events"}"#, Err("aws.events"), "a schedule"),
            (r#"{"Records":[{"eventSource":"aws:dynamodb"}]}"#, Err("Records"), "a stream"),
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
    fn a_request_has_the_time_that_lambda_gives_it_and_that_api_gateway_waits() {
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

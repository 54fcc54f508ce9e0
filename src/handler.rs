//! From an event to an answer. Infallible: every failure becomes an answer; and each request is logged once, here.

use std::time::Duration;

use lambda_http::{
    Body,
    http::{Method, Response},
};
use lambda_runtime::{Context, LambdaEvent};
use serde_json::{Value, value::RawValue};
use tokio::time::Instant;

use crate::{
    app::App,
    caller::Caller,
    endpoints::{self, Request, json_response},
    error::Error,
    event::{Answer, Event},
    timestamp::{Moment, Timestamp},
};

/// The collection's path.
pub const INVITATIONS_PATH: &str = "/api/organization-invitations";

/// An operation of the API, told by method and path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Route {
    CreateInvitation,
}

/// Answers one invocation of the Lambda function.
pub async fn handle_invocation(app: &App, event: LambdaEvent<Box<RawValue>>) -> Answer {
    handle(app, event.payload.get(), Moment::with_budget(time_left(&event.context))).await
}

/// Answers one event, given as the JSON text that API Gateway sends.
pub async fn handle(app: &App, event: &str, moment: Moment) -> Answer {
    // An event that is no JSON that can be read has no authorizer either, and is refused for that.
    let event = Event::read(serde_json::from_str(event).unwrap_or(Value::Null));
    let started = Instant::now();
    let outcome = respond(app, &event, moment).await;
    log(&event, &outcome, started.elapsed());
    event.form.answer(outcome.unwrap_or_else(|error| error_response(&error)))
}

async fn respond(app: &App, event: &Event, moment: Moment) -> Result<Response<Body>, Error> {
    let caller = Caller::from_authorizer(&event.authorizer, &app.config)?;
    let route = Route::find(&event.method, &event.path)?;
    let request = Request { caller, event, moment };
    match route {
        Route::CreateInvitation => endpoints::create::create(app, &request).await,
    }
}

impl Route {
    /// A trailing slash is accepted.
    fn find(method: &Method, path: &str) -> Result<Self, Error> {
        let path = path.strip_suffix('/').unwrap_or(path);
        match (path == INVITATIONS_PATH, method) {
            (true, &Method::POST) => Ok(Self::CreateInvitation),
            (true, _) => Err(Error::MethodNotAllowed { allow: "POST" }),
            (false, _) => Err(Error::UnknownPath),
        }
    }
}

fn error_response(error: &Error) -> Response<Body> {
    let mut response = json_response(error.status_and_code().0, &error.body());
    response.headers_mut().extend(error.header());
    response
}

/// The time that an invocation has left. Where the deadline makes no sense, as under `cargo lambda watch`, which
/// gives one in 1970, it is taken to be what API Gateway waits at most.
fn time_left(context: &Context) -> Duration {
    const API_GATEWAY_LIMIT: Duration = Duration::from_secs(29);
    let now = u64::try_from(Timestamp::now().as_millis()).unwrap_or_default();
    match context.deadline.saturating_sub(now) {
        0 => API_GATEWAY_LIMIT,
        millis => Duration::from_millis(millis).min(API_GATEWAY_LIMIT),
    }
}

/// One line for each request. It names nobody: no address, no token, no body.
fn log(event: &Event, outcome: &Result<Response<Body>, Error>, duration: Duration) {
    let request_id = event.request_id.as_deref();
    let method = event.method.as_str();
    let duration_ms = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    match outcome {
        Ok(response) => {
            let status = response.status().as_u16();
            tracing::info!(request_id, method, status, duration_ms, "answered");
        }
        Err(error) => {
            let (status, code) = error.status_and_code();
            let (status, cause) = (status.as_u16(), error.cause());
            if status >= 500 {
                tracing::error!(request_id, method, status, code, cause, duration_ms, "failed");
            } else {
                tracing::info!(request_id, method, status, code, cause, duration_ms, "refused");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deadline_in_1970_leaves_the_time_that_api_gateway_waits() {
        let mut context = Context::default();
        context.deadline = 1;
        assert_eq!(time_left(&context), Duration::from_secs(29));
        context.deadline = u64::MAX;
        assert_eq!(time_left(&context), Duration::from_secs(29));
    }

    #[test]
    fn paths_and_methods_lead_to_operations() {
        for (method, path, code) in [
            ("POST", "/api/organization-invitations", ""),
            ("POST", "/api/organization-invitations/", ""),
            ("PATCH", "/api/organization-invitations", "request.method_not_allowed"),
            ("POST", "/api/organization-invitations//", "entity.not_found"),
            ("POST", "/api/organization-invitationsx", "entity.not_found"),
            ("POST", "", "entity.not_found"),
        ] {
            let found = Route::find(&method.parse().unwrap(), path);
            assert_eq!(found.err().map_or("", |error| error.status_and_code().1), code, "{method} {path}");
        }
    }
}

//! From an event to an answer. Infallible: every failure becomes an answer; and each request is logged once, here.

use std::time::Duration;

use lambda_http::{
    Body,
    http::{Method, Response},
};
use lambda_runtime::{Context, LambdaEvent};
use percent_encoding::percent_decode_str;
use serde_json::value::RawValue;
use tokio::time::Instant;

use crate::{
    app::App,
    caller::Caller,
    endpoints::{Request, create, delete, get, json_response, list, message, status},
    error::Error,
    event::{Answer, Event},
    invitation::InvitationId,
    log::{Line, notes},
    timestamp::{Moment, Timestamp},
};

/// The collection's path.
pub const INVITATIONS_PATH: &str = "/api/organization-invitations";

/// The longest that Lambda lets any function run.
const LONGEST_LIFETIME: Duration = Duration::from_mins(15);
/// The most segments of a path of ours after the collection's, that before the first slash included.
const MOST_SEGMENTS: usize = 3;

/// An operation of the API, told by method and path. An identifier that no invitation could have is `None`, since what
/// is wrong with a request besides may have to be told first.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Route {
    Create,
    List,
    Get(Option<InvitationId>),
    Delete(Option<InvitationId>),
    Message(Option<InvitationId>),
    SetStatus(Option<InvitationId>),
}

/// Answers one invocation of the Lambda function.
pub async fn handle_invocation(app: &App, event: LambdaEvent<Box<RawValue>>) -> Answer {
    answer(app, event.payload.get(), moment(&event.context), event.context.xray_trace_id.as_deref()).await
}

/// Answers one event, given as the JSON text that API Gateway sends.
pub async fn handle(app: &App, event: &str, moment: Moment) -> Answer {
    answer(app, event, moment, None).await
}

async fn answer(app: &App, event: &str, moment: Moment, trace: Option<&str>) -> Answer {
    let started = Instant::now();
    let event = Event::read(event);
    let caller = Caller::from_authorizer(&event.authorizer, &app.config);
    let route = Route::find(&event.method, &event.path);
    let tenant = caller.as_ref().ok().map(|caller| caller.tenant.clone());
    let operation = route.as_ref().map_or("unknown", Route::operation);
    // Boxed, because the SDK's futures are too deeply nested for the compiler to lay out as one.
    let (result, notes) = notes::of(Box::pin(respond(app, &event, caller, route, moment))).await;
    app.log.write(&Line {
        at: moment.now,
        request_id: event.request_id.as_deref(),
        trace,
        tenant: tenant.as_ref(),
        operation,
        result: result.as_ref().map(Response::status),
        duration: started.elapsed(),
        notes,
    });
    event.form.answer(result.unwrap_or_else(|error| error_response(&error)))
}

async fn respond(
    app: &App,
    event: &Event,
    caller: Result<Caller, Error>,
    route: Result<Route, Error>,
    moment: Moment,
) -> Result<Response<Body>, Error> {
    let (caller, route) = (caller?, route?);
    let request = Request { caller, event, moment };
    if let Some(id) = route.invitation_id() {
        notes::invitation(id);
    }
    match route {
        Route::Create => create::create(app, &request).await,
        Route::List => list::list(app, &request).await,
        Route::Get(id) => get::get(app, &request, id.as_ref()).await,
        Route::Delete(id) => delete::delete(app, &request, id.as_ref()).await,
        Route::Message(id) => message::message(app, &request, id.as_ref()).await,
        Route::SetStatus(id) => status::set_status(app, &request, id.as_ref()).await,
    }
}

impl Route {
    /// A trailing slash is accepted, and so is any percent-encoding.
    fn find(method: &Method, path: &str) -> Result<Self, Error> {
        let rest = path.strip_prefix(INVITATIONS_PATH).ok_or(Error::UnknownPath)?;
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        let segments = rest.split('/').take(MOST_SEGMENTS + 1);
        let segments: Vec<_> = segments.map(|segment| percent_decode_str(segment).decode_utf8_lossy()).collect();
        let segments: Vec<&str> = segments.iter().map(AsRef::as_ref).collect();
        match (segments.as_slice(), method.as_str()) {
            ([""], "POST") => Ok(Self::Create),
            ([""], "GET") => Ok(Self::List),
            ([""], _) => Err(Error::MethodNotAllowed { allow: "GET, POST" }),
            (["", "" | "." | "..", ..], _) => Err(Error::UnknownPath),
            (["", id], "GET") => Ok(Self::Get(InvitationId::parse(id))),
            (["", id], "DELETE") => Ok(Self::Delete(InvitationId::parse(id))),
            (["", _], _) => Err(Error::MethodNotAllowed { allow: "DELETE, GET" }),
            (["", id, "message"], "POST") => Ok(Self::Message(InvitationId::parse(id))),
            (["", _, "message"], _) => Err(Error::MethodNotAllowed { allow: "POST" }),
            (["", id, "status"], "PUT") => Ok(Self::SetStatus(InvitationId::parse(id))),
            (["", _, "status"], _) => Err(Error::MethodNotAllowed { allow: "PUT" }),
            _ => Err(Error::UnknownPath),
        }
    }

    /// The operation's name in the log and in the metrics.
    const fn operation(&self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::List => "list",
            Self::Get(_) => "get",
            Self::Delete(_) => "delete",
            Self::Message(_) => "message",
            Self::SetStatus(_) => "status",
        }
    }

    const fn invitation_id(&self) -> Option<&InvitationId> {
        match self {
            Self::Create | Self::List => None,
            Self::Get(id) | Self::Delete(id) | Self::Message(id) | Self::SetStatus(id) => id.as_ref(),
        }
    }
}

fn error_response(error: &Error) -> Response<Body> {
    let mut response = json_response(error.status_and_code().0, &error.body());
    response.headers_mut().extend(error.header());
    response
}

/// The moment of an invocation. Where its deadline makes no sense, as under `cargo lambda watch`, which gives one in
/// 1970, it is taken to be what API Gateway waits at most; and nobody waits for an answer for longer than that.
fn moment(context: &Context) -> Moment {
    const API_GATEWAY_LIMIT: Duration = Duration::from_secs(29);
    let now = u64::try_from(Timestamp::now().as_millis()).unwrap_or_default();
    let lifetime = match context.deadline.saturating_sub(now) {
        0 => API_GATEWAY_LIMIT,
        millis => Duration::from_millis(millis).min(LONGEST_LIFETIME),
    };
    Moment { lifetime, ..Moment::with_budget(lifetime.min(API_GATEWAY_LIMIT)) }
}

#[cfg(test)]
mod tests {
    use super::*;

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
            let moment = moment(&context);
            let left = moment.deadline.end.saturating_duration_since(Instant::now());
            assert_eq!(seconds(left), budget, "{reason}");
            assert_eq!(seconds(moment.lifetime), lifetime, "{reason}");
        }
    }

    #[test]
    fn paths_and_methods_lead_to_operations() {
        const ID: &str = "0mwshl16meeoe2l4w0lik";
        let known = InvitationId::parse(ID);
        for (method, path, route) in [
            ("POST", "", Ok(Route::Create)),
            ("POST", "/", Ok(Route::Create)),
            ("GET", "", Ok(Route::List)),
            ("GET", &format!("/{ID}"), Ok(Route::Get(known.clone()))),
            ("GET", &format!("/{ID}/"), Ok(Route::Get(known.clone()))),
            ("GET", "/%30mwshl16meeoe2l4w0lik", Ok(Route::Get(known.clone()))),
            ("GET", "/unknown", Ok(Route::Get(None))),
            ("GET", "/%FF%00", Ok(Route::Get(None))),
            ("DELETE", &format!("/{ID}"), Ok(Route::Delete(known.clone()))),
            ("POST", &format!("/{ID}/message"), Ok(Route::Message(known.clone()))),
            ("PUT", &format!("/{ID}/status/"), Ok(Route::SetStatus(known.clone()))),
            ("PATCH", "", Err("request.method_not_allowed")),
            ("HEAD", "", Err("request.method_not_allowed")),
            ("PUT", &format!("/{ID}"), Err("request.method_not_allowed")),
            ("GET", &format!("/{ID}/message"), Err("request.method_not_allowed")),
            ("POST", &format!("/{ID}/status"), Err("request.method_not_allowed")),
            ("POST", "//", Err("entity.not_found")),
            ("POST", "x", Err("entity.not_found")),
            ("GET", &format!("/{ID}/other"), Err("entity.not_found")),
            ("PUT", &format!("/{ID}/status/now"), Err("entity.not_found")),
            ("GET", &format!("//{ID}"), Err("entity.not_found")),
            ("GET", "/..", Err("entity.not_found")),
            ("GET", &format!("/%2F{ID}"), Ok(Route::Get(None))),
        ] {
            let found = Route::find(&method.parse().unwrap(), &format!("{INVITATIONS_PATH}{path}"));
            assert_eq!(found.map_err(|error| error.status_and_code().1), route, "{method} {path}");
        }
        for path in ["", "/", "/api", "/api/organization-invitation", "/API/organization-invitations"] {
            assert!(matches!(Route::find(&Method::GET, path), Err(Error::UnknownPath)), "{path}");
        }
    }
}

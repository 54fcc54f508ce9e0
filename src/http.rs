//! The HTTP interface behind API Gateway: from an event to a response. It never fails: every error becomes a response.
//! It logs each request once.
//!
//! | module | owns |
//! |---|---|
//! | [`event`] | the two forms of API Gateway's events and responses |
//! | [`caller`] | the authorizer's output → [`caller::Caller`] |
//! | `route` | method and path → operation |
//! | [`body`] | bytes → typed fields, with all violations |
//! | [`operations`] | one file per operation: HTTP ↔ use case |
//! | [`error`] | the table from errors to status, code and headers |
//! | [`cursor`] | the cursors of paged lists |
//! | `include` | the query parameter `include` |
//! | `response` | constructors of responses |

pub(crate) mod body;
pub mod caller;
pub(crate) mod cursor;
pub mod error;
pub mod event;
mod include;
pub(crate) mod operations;
mod response;
mod route;

use lambda_http::{
    Body,
    http::{Method, Response},
};
use tokio::time::Instant;

use self::{
    caller::Caller,
    error::RequestError,
    event::{ApiResponse, Event},
    operations::{Request, bulk, change, create, delete, get, list, message, own, status, token},
    response::{json_response, no_content},
    route::Route,
};
use crate::{
    app::App,
    clock::RequestClock,
    telemetry::{Line, Outcome, statistics},
};

/// The path of the collection.
pub const INVITATIONS_PATH: &str = "/api/organization-invitations";

/// The path of a person's own invitations.
pub const MY_INVITATIONS_PATH: &str = "/api/my-account/organization-invitations";

/// Responds to one event, given as the JSON text that API Gateway sends.
pub async fn handle(app: &App, event: &str, clock: RequestClock) -> ApiResponse {
    handle_traced(app, event, clock, None).await
}

/// As [`handle`], with an X-Ray trace header for the log.
pub(crate) async fn handle_traced(app: &App, event: &str, clock: RequestClock, trace: Option<&str>) -> ApiResponse {
    let started = Instant::now();
    let event = Event::read(event);
    let caller = Caller::of(&event, &app.config);
    let route = Route::find(&event.method, &event.path);
    let tenant = caller.as_ref().ok().map(|caller| caller.tenant.clone());
    let operation = route.as_ref().map_or("unknown", Route::operation);
    let endpoint = route.as_ref().ok().map(Route::endpoint);
    let admitted = admit(&event, caller, route);
    // Boxed, because the SDK's futures are too deeply nested for the compiler to lay out as one.
    let (result, statistics) = statistics::of(Box::pin(respond(app, &event, admitted, clock))).await;
    app.log.write(&Line {
        at: clock.now,
        request_id: event.request_id.as_deref(),
        trace,
        tenant: tenant.as_ref(),
        operation,
        endpoint,
        outcome: outcome(&result),
        duration: started.elapsed(),
        statistics,
    });
    event.form.respond(result.unwrap_or_else(|error| error_response(&error)))
}

/// A request that gets a response other than an error of the caller or the route.
enum Admitted {
    /// A CORS preflight, which browsers send without a token. It arrives only through the route that template.yaml adds
    /// for it. API Gateway adds the CORS headers; browsers require a successful status.
    Preflight,
    /// A call of an operation.
    Call(Caller, Route),
}

fn admit(
    event: &Event,
    caller: Result<Caller, RequestError>,
    route: Result<Route, RequestError>,
) -> Result<Admitted, RequestError> {
    match caller {
        Err(RequestError::Unauthorized) if event.method == Method::OPTIONS => Ok(Admitted::Preflight),
        caller => Ok(Admitted::Call(caller?, route?)),
    }
}

async fn respond(
    app: &App,
    event: &Event,
    admitted: Result<Admitted, RequestError>,
    clock: RequestClock,
) -> Result<Response<Body>, RequestError> {
    let Admitted::Call(caller, route) = admitted? else { return Ok(no_content()) };
    let request = Request { caller, event, clock };
    if let Some(id) = route.invitation_id() {
        statistics::invitation(id);
    }
    match route {
        Route::Create => create::create(app, &request).await,
        Route::Bulk => bulk::bulk(app, &request).await,
        Route::List => list::list(app, &request).await,
        Route::Get(id) => get::get(app, &request, id.as_ref()).await,
        Route::Change(id) => change::change(app, &request, id.as_ref()).await,
        Route::Delete(id) => delete::delete(app, &request, id.as_ref()).await,
        Route::Message(id) => message::message(app, &request, id.as_ref()).await,
        Route::SetStatus(id) => status::set_status(app, &request, id.as_ref()).await,
        Route::VerifyToken(id) => token::verify(app, &request, id.as_ref()).await,
        Route::ListOwn => own::list(app, &request).await,
        Route::SetOwnStatus(id) => own::set_status(app, &request, id.as_ref()).await,
    }
}

/// The outcome of a request for its log line.
fn outcome(result: &Result<Response<Body>, RequestError>) -> Outcome<'_> {
    match result {
        Ok(response) => Outcome { status: response.status().as_u16(), code: None, is_failed: false, error: None },
        Err(error) => {
            let (status, code) = error.status_and_code();
            Outcome { status: status.as_u16(), code: Some(code), is_failed: true, error: error.use_case() }
        }
    }
}

fn error_response(error: &RequestError) -> Response<Body> {
    let mut response = json_response(error.status_and_code().0, &error.body());
    response.headers_mut().extend(error.header());
    response
}

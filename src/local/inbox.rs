//! The page on which mail is read: `/inbox`, one page for each mail, and `/inbox.json` for programs.

mod page;

use std::sync::Arc;

use axum::{
    Json, Router,
    extract::{Path, State},
    http::{HeaderValue, StatusCode, header},
    response::{Html, IntoResponse, Redirect, Response},
    routing::get,
};

use super::{
    banner,
    ses::{Mail, SesStandIn},
};
use crate::timestamp::Timestamp;

/// A mail is shown in a frame that runs no scripts; its styles and pictures are its own. Everything else on the page
/// comes from this server.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; connect-src 'self'; style-src 'self' 'unsafe-inline'; \
     img-src * data:; font-src *; form-action 'none'; frame-ancestors 'none'",
);

#[derive(Debug)]
struct Inbox {
    ses: Arc<SesStandIn>,
    /// The gateway's address, for the command of the empty inbox.
    gateway: String,
}

/// The pages, over the mail of `ses`. `gateway` is the address that they are served at.
pub fn router(ses: Arc<SesStandIn>, gateway: String) -> Router {
    let inbox = Arc::new(Inbox { ses, gateway });
    Router::new()
        .route("/", get(async || Redirect::to("/inbox")))
        .route("/inbox", get(list))
        .route("/inbox/{id}", get(mail))
        .route("/inbox.json", get(json))
        .route("/inbox.css", get(async || asset("text/css; charset=utf-8", include_str!("inbox/inbox.css"))))
        .route("/inbox.js", get(async || asset("text/javascript; charset=utf-8", include_str!("inbox/inbox.js"))))
        .with_state(inbox)
}

async fn list(State(inbox): State<Arc<Inbox>>) -> Response {
    let example = banner::curl(&inbox.gateway, Timestamp::now());
    page(page::list(&inbox.ses.mails(), &inbox.ses.rendering_failures(), &example))
}

async fn mail(State(inbox): State<Arc<Inbox>>, Path(id): Path<String>) -> Response {
    match inbox.ses.mail(&id) {
        Some(mail) => page(page::mail(&mail)),
        None => (StatusCode::NOT_FOUND, page(page::missing())).into_response(),
    }
}

/// Newest first.
async fn json(State(inbox): State<Arc<Inbox>>) -> Json<Vec<Mail>> {
    Json(inbox.ses.mails())
}

fn page(markup: maud::Markup) -> Response {
    let headers = [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
        (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    ];
    (headers, Html(markup.into_string())).into_response()
}

fn asset(content_type: &'static str, text: &'static str) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, content_type), (header::CACHE_CONTROL, "no-cache")], text)
}

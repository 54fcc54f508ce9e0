//! The pages with the mail: `/inbox` (`?invitation=` selects one invitation), one page per mail, and `/inbox.json` for
//! programs.

mod page;

use std::sync::Arc;

use axum::{
    Json, Router,
    extract::{Path, Query, State},
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::get,
};
use serde::Deserialize;

use super::{
    banner,
    pages::response,
    ses::{Mail, SesStandIn},
};
use crate::domain::{ids::InvitationId, timestamp::Timestamp};

#[derive(Debug)]
struct Inbox {
    ses: Arc<SesStandIn>,
    /// The URL of the gateway, for the example command in an empty inbox.
    gateway: String,
}

#[derive(Deserialize)]
struct PageQuery {
    invitation: Option<String>,
}

/// The pages with the mail of `ses`. `gateway` is their base URL.
pub(crate) fn router(ses: Arc<SesStandIn>, gateway: String) -> Router {
    let inbox = Arc::new(Inbox { ses, gateway });
    Router::new()
        .route("/inbox", get(list))
        .route("/inbox/{id}", get(mail))
        .route("/inbox.json", get(json))
        .with_state(inbox)
}

async fn list(State(inbox): State<Arc<Inbox>>, Query(PageQuery { invitation }): Query<PageQuery>) -> Response {
    let mails = inbox.ses.mails();
    let Some(id) = invitation.as_deref().and_then(InvitationId::parse) else {
        let example = banner::curl(&inbox.gateway, Timestamp::now());
        return response(page::list(&mails, &inbox.ses.rendering_failures(), &example));
    };
    let is_about = |mail: &Mail| mail.tags.get("invitation").is_some_and(|tag| tag == id.as_str());
    response(page::about(&id, &mails.into_iter().filter(is_about).collect::<Vec<_>>()))
}

async fn mail(State(inbox): State<Arc<Inbox>>, Path(id): Path<String>) -> Response {
    match inbox.ses.mail(&id) {
        Some(mail) => response(page::mail(&mail)),
        None => (StatusCode::NOT_FOUND, response(page::missing())).into_response(),
    }
}

/// All mail, newest first.
async fn json(State(inbox): State<Arc<Inbox>>) -> Json<Vec<Mail>> {
    Json(inbox.ses.mails())
}

//! The page on which mail is read: `/inbox` (with `?invitation=`, that of one invitation), one page for each mail, and
//! `/inbox.json` for programs.

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
    /// The gateway's address, for the command of the empty inbox.
    gateway: String,
}

#[derive(Deserialize)]
struct Asked {
    invitation: Option<String>,
}

/// The pages, over the mail of `ses`. `gateway` is the address that they are served at.
pub fn router(ses: Arc<SesStandIn>, gateway: String) -> Router {
    let inbox = Arc::new(Inbox { ses, gateway });
    Router::new()
        .route("/inbox", get(list))
        .route("/inbox/{id}", get(mail))
        .route("/inbox.json", get(json))
        .with_state(inbox)
}

async fn list(State(inbox): State<Arc<Inbox>>, Query(Asked { invitation }): Query<Asked>) -> Response {
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

/// Newest first.
async fn json(State(inbox): State<Arc<Inbox>>) -> Json<Vec<Mail>> {
    Json(inbox.ses.mails())
}

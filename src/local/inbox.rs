//! The pages with the mail: `/inbox` (`?invitation=` selects one invitation, `?search=` the mails with a text), one
//! page per mail, and `/inbox.json` for programs.

mod page;
mod source;

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use axum::{
    Json, Router,
    extract::{Path, Query, State},
    http::{StatusCode, header},
    response::{IntoResponse, Redirect, Response},
    routing::{get, post},
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
    /// The ids of the mails whose page was opened.
    read: Mutex<BTreeSet<String>>,
}

#[derive(Deserialize)]
struct PageQuery {
    invitation: Option<String>,
    #[serde(default)]
    search: String,
}

impl Inbox {
    /// Locks the set of read mails. A poisoned lock is ignored: any set is consistent.
    fn read(&self) -> MutexGuard<'_, BTreeSet<String>> {
        self.read.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The pages with the mail of `ses`. `gateway` is their base URL.
pub(crate) fn router(ses: Arc<SesStandIn>, gateway: String) -> Router {
    let inbox = Arc::new(Inbox { ses, gateway, read: Mutex::default() });
    Router::new()
        .route("/inbox", get(list))
        .route("/inbox/clear", post(clear))
        .route("/inbox/{id}", get(mail))
        .route("/inbox/{id}/source", get(source))
        .route("/inbox.json", get(json))
        .with_state(inbox)
}

async fn list(State(inbox): State<Arc<Inbox>>, Query(PageQuery { invitation, search }): Query<PageQuery>) -> Response {
    let (mails, read) = (inbox.ses.mails(), inbox.read().clone());
    let unread = mails.iter().filter(|mail| !read.contains(&mail.id)).count();
    let Some(id) = invitation.as_deref().and_then(InvitationId::parse) else {
        let found = mails.into_iter().filter(|mail| contains(mail, search.trim())).collect();
        let failures = inbox.ses.rendering_failures();
        let example = banner::curl(&inbox.gateway, Timestamp::now());
        let listed = page::Listed { mails: found, failures, read, unread };
        return response(page::list(&listed, search.trim(), &example));
    };
    let is_about = |mail: &Mail| mail.tags.get("invitation").is_some_and(|tag| tag == id.as_str());
    let found = mails.into_iter().filter(is_about).collect();
    response(page::about(&id, &page::Listed { mails: found, failures: Vec::new(), read, unread }))
}

/// `true` if a mail contains `text`, ignoring case. Searches the HTML part only if there is no text part, because a
/// reader does not see the words of the markup.
fn contains(mail: &Mail, text: &str) -> bool {
    let text = text.to_lowercase();
    let body = if mail.text.is_empty() { &mail.html } else { &mail.text };
    let parts = [&mail.to, &mail.from, &mail.subject, body];
    parts.into_iter().chain(mail.tags.values()).any(|part| part.to_lowercase().contains(&text))
}

/// Deletes all mail.
async fn clear(State(inbox): State<Arc<Inbox>>) -> Redirect {
    inbox.ses.clear();
    inbox.read().clear();
    Redirect::to("/inbox")
}

async fn mail(State(inbox): State<Arc<Inbox>>, Path(id): Path<String>) -> Response {
    match inbox.ses.mail(&id) {
        Some(mail) => {
            inbox.read().insert(id);
            response(page::mail(&mail))
        }
        None => gone(),
    }
}

/// The source of a mail, as a file that mail programs open.
async fn source(State(inbox): State<Arc<Inbox>>, Path(id): Path<String>) -> Response {
    let Some(mail) = inbox.ses.mail(&id) else { return gone() };
    let headers = [
        (header::CONTENT_TYPE, "message/rfc822"),
        (header::CONTENT_DISPOSITION, "attachment; filename=\"mail.eml\""),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    (headers, source::source(&mail)).into_response()
}

fn gone() -> Response {
    (StatusCode::NOT_FOUND, response(page::missing())).into_response()
}

/// All mail, newest first.
async fn json(State(inbox): State<Arc<Inbox>>) -> Json<Vec<Mail>> {
    Json(inbox.ses.mails())
}

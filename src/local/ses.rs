//! A stand-in for SES v2. It speaks SES's own protocol, so that the function runs against it with the real client,
//! and keeps the mail for reading instead of delivering it.
//!
//! It refuses what SES refuses, with SES's error types. Like SES, it does not HTML-escape values in templates, and a
//! message whose template data lacks a variable is accepted and then never delivered: that is recorded as a
//! [`RenderingFailure`]. Unlike SES, it takes every sender for verified and every configuration set for existing, and
//! knows no raw messages and no attachments.
//!
//! | module | owns |
//! |---|---|
//! | `wire` | the requests |
//! | `refusal` | the errors |
//! | `fault` | the errors that a test asks for |
//! | `check` | what SES accepts as an address, a tag, a header, a text |
//! | `send` | from a request to a mail |
//! | `templates` | stored templates, and rendering |

mod check;
mod fault;
mod refusal;
mod send;
mod templates;
mod wire;

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use axum::{
    Router,
    extract::DefaultBodyLimit,
    http::{Method, Uri},
    routing,
};
use serde::Serialize;

pub use self::fault::SesFault;
pub(super) use self::send::send_directly;
use self::{refusal::Refusal, templates::StoredTemplate};
use crate::domain::timestamp::Timestamp;

/// The path of `SendEmail`.
pub(super) const SEND_EMAIL: &str = "/v2/email/outbound-emails";
/// How much mail is kept; the oldest goes first.
const KEPT: usize = 1000;
/// SES takes messages of up to 40 MB.
const MAX_REQUEST_BYTES: usize = 40 * 1024 * 1024;

/// The stand-in: shared by the server that speaks SES's protocol and whoever reads the mail.
#[derive(Debug, Default)]
pub struct SesStandIn {
    account: Mutex<Account>,
}

/// What SES would keep for an account.
#[derive(Debug, Default)]
struct Account {
    calls: usize,
    mails: VecDeque<Mail>,
    rendering_failures: VecDeque<RenderingFailure>,
    templates: BTreeMap<String, StoredTemplate>,
    faults: VecDeque<SesFault>,
}

/// A mail that SES would have delivered.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Mail {
    /// SES's id of the message.
    pub id: String,
    /// When it was accepted.
    pub at: Timestamp,
    /// Who gets it.
    pub to: String,
    /// Who it is from.
    pub from: String,
    /// Its subject.
    pub subject: String,
    /// Its HTML part; empty where there is none.
    pub html: String,
    /// Its plain-text part; empty where there is none.
    pub text: String,
    /// Its headers, as far as the request decides them.
    pub headers: BTreeMap<String, String>,
    /// The message tags, which are not part of the mail but of the events about it.
    pub tags: BTreeMap<String, String>,
}

/// A message that SES accepted and then could not render: it is never delivered, and the sender is told only by an
/// event, where the configuration set publishes any.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RenderingFailure {
    /// SES's id of the message.
    pub id: String,
    /// When it was accepted.
    pub at: Timestamp,
    /// Who did not get it.
    pub to: String,
    /// The template; empty where it came with the message.
    pub template: String,
    /// What was wrong.
    pub reason: String,
}

impl SesStandIn {
    /// A stand-in without mail and templates.
    pub fn new() -> Arc<Self> {
        Arc::default()
    }

    /// The operations of SES v2 that the stand-in knows.
    pub fn router(self: Arc<Self>) -> Router {
        let template = routing::get(templates::get).put(templates::update).delete(templates::delete);
        Router::new()
            .route(SEND_EMAIL, routing::post(send::send))
            .route("/v2/email/templates", routing::get(templates::list).post(templates::create))
            .route("/v2/email/templates/{name}", template)
            .route("/v2/email/templates/{name}/render", routing::post(templates::test_render))
            .fallback(unknown_operation)
            .method_not_allowed_fallback(unknown_operation)
            .layer(DefaultBodyLimit::max(MAX_REQUEST_BYTES))
            .with_state(self)
    }

    /// The mails, newest first.
    pub fn mails(&self) -> Vec<Mail> {
        self.account().mails.iter().cloned().collect()
    }

    /// The mail of that id.
    pub fn mail(&self, id: &str) -> Option<Mail> {
        self.account().mails.iter().find(|mail| mail.id == id).cloned()
    }

    /// The messages that were accepted and could not be rendered, newest first.
    pub fn rendering_failures(&self) -> Vec<RenderingFailure> {
        self.account().rendering_failures.iter().cloned().collect()
    }

    /// Stores a template, or replaces the one of that name.
    pub fn put_template(&self, name: &str, subject: &str, html: &str, text: &str) {
        self.account().templates.insert(name.to_owned(), StoredTemplate::new(subject, html, text));
    }

    /// Makes the next `SendEmail` call that has no fault yet fail in this way.
    pub fn fail_next(&self, fault: SesFault) {
        self.account().faults.push_back(fault);
    }

    /// How many `SendEmail` calls have been received, refused ones included.
    pub fn calls(&self) -> usize {
        self.account().calls
    }

    /// Nothing that holds the lock can leave the account half-changed, so a panic elsewhere does not matter.
    fn account(&self) -> MutexGuard<'_, Account> {
        self.account.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Account {
    /// Counts a call and gives its number, unless it is to have a fault.
    fn call_without_fault(&mut self) -> Option<usize> {
        self.calls += usize::from(self.faults.is_empty());
        self.faults.is_empty().then_some(self.calls)
    }

    fn deliver(&mut self, mail: Mail) {
        self.mails.push_front(mail);
        self.mails.truncate(KEPT);
    }

    fn give_up_on(&mut self, failure: RenderingFailure) {
        self.rendering_failures.push_front(failure);
        self.rendering_failures.truncate(KEPT);
    }
}

async fn unknown_operation(method: Method, uri: Uri) -> Refusal {
    Refusal::unknown_operation(&format!("The local stand-in for SES has no {method} {}.", uri.path()))
}

#[cfg(test)]
mod tests;

//! A stand-in for SES v2. It implements SES's protocol, so that the function uses the real client, and keeps the mail
//! for reading instead of delivering it.
//!
//! It rejects what SES rejects, with SES's error types. Like SES, it does not HTML-escape values in templates, and
//! accepts a message whose template data lacks a variable without delivering it, which is recorded as a
//! [`RenderingFailure`]. Unlike SES, it treats every sender as verified and every configuration set as existing, and
//! supports neither raw messages nor attachments.
//!
//! | module | owns |
//! |---|---|
//! | `wire` | the types of requests |
//! | `rejection` | the error responses |
//! | `fault` | the faults that a test requests |
//! | `check` | the rules of addresses, tags, headers and texts |
//! | `send` | from a request to a mail |
//! | `feedback` | the events about a mail |
//! | `templates` | stored templates and rendering |

mod check;
mod fault;
mod feedback;
mod rejection;
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
use serde_json::Value;
use tokio::sync::mpsc::{self, UnboundedReceiver, UnboundedSender};

pub use self::fault::SesFault;
pub(super) use self::send::send_directly;
use self::{feedback::Accepted, rejection::Rejection, templates::StoredTemplate};
use crate::domain::timestamp::Timestamp;

/// The path of `SendEmail`.
pub(super) const SEND_EMAIL: &str = "/v2/email/outbound-emails";
/// The number of mails that are kept; the oldest are dropped first.
const KEPT: usize = 1000;
/// The maximum size of a message in SES, in bytes (40 MB).
const MAX_REQUEST_BYTES: usize = 40 * 1024 * 1024;

/// The stand-in, which the server and the readers of the mail share.
#[derive(Debug, Default)]
pub struct SesStandIn {
    account: Mutex<Account>,
}

/// The state of an account.
#[derive(Debug, Default)]
struct Account {
    calls: usize,
    mails: VecDeque<Mail>,
    rendering_failures: VecDeque<RenderingFailure>,
    templates: BTreeMap<String, StoredTemplate>,
    faults: VecDeque<SesFault>,
    /// The receiver of the events about the mail, if there is one.
    events: Option<UnboundedSender<Value>>,
}

/// A mail that SES would have delivered.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Mail {
    /// SES's id of the message.
    pub id: String,
    /// The time of acceptance.
    pub at: Timestamp,
    /// The recipients.
    pub to: String,
    /// The sender.
    pub from: String,
    /// Its subject.
    pub subject: String,
    /// The HTML part; empty if there is none.
    pub html: String,
    /// The plain-text part; empty if there is none.
    pub text: String,
    /// The headers that the request determines.
    pub headers: BTreeMap<String, String>,
    /// The message tags, which are part of SES's events about the mail but not of the mail.
    pub tags: BTreeMap<String, String>,
}

/// A message that SES accepted but could not render. It is never delivered, and the sender learns of it only by an
/// event of the configuration set.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RenderingFailure {
    /// SES's id of the message.
    pub id: String,
    /// The time of acceptance.
    pub at: Timestamp,
    /// The recipients.
    pub to: String,
    /// The name of the template; empty for a template in the request.
    pub template: String,
    /// The error.
    pub reason: String,
}

impl SesStandIn {
    /// A stand-in without mail and templates.
    pub(crate) fn new() -> Arc<Self> {
        Arc::default()
    }

    /// The operations of SES v2 that the stand-in supports.
    pub(crate) fn router(self: Arc<Self>) -> Router {
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

    /// The mail with that id.
    pub(crate) fn mail(&self, id: &str) -> Option<Mail> {
        self.account().mails.iter().find(|mail| mail.id == id).cloned()
    }

    /// The messages that were accepted but could not be rendered, newest first.
    pub(crate) fn rendering_failures(&self) -> Vec<RenderingFailure> {
        self.account().rendering_failures.iter().cloned().collect()
    }

    /// Deletes all mail and all rendering failures.
    pub fn clear(&self) {
        let mut account = self.account();
        account.mails.clear();
        account.rendering_failures.clear();
    }

    /// Stores a template, replacing one with the same name.
    pub fn put_template(&self, name: &str, subject: &str, html: &str, text: &str) {
        self.account().templates.insert(name.to_owned(), StoredTemplate::new(subject, html, text));
    }

    /// Adds a fault for the next `SendEmail` call that has none yet.
    pub fn fail_next(&self, fault: SesFault) {
        self.account().faults.push_back(fault);
    }

    /// Publishes the events about each mail from now on, in the form of `EventBridge`. A second call replaces the
    /// receiver of the first.
    pub fn events(&self) -> UnboundedReceiver<Value> {
        let (sender, receiver) = mpsc::unbounded_channel();
        self.account().events = Some(sender);
        receiver
    }

    /// The number of received `SendEmail` calls, including rejected ones.
    pub fn calls(&self) -> usize {
        self.account().calls
    }

    /// Locks the account. A poisoned lock is ignored, because no holder can leave the account in an inconsistent state.
    fn account(&self) -> MutexGuard<'_, Account> {
        self.account.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Account {
    /// Counts a call and returns its number, unless a fault is pending.
    fn call_without_fault(&mut self) -> Option<usize> {
        self.calls += usize::from(self.faults.is_empty());
        self.faults.is_empty().then_some(self.calls)
    }

    fn deliver(&mut self, mail: Mail) {
        self.mails.push_front(mail);
        self.mails.truncate(KEPT);
    }

    fn publish(&self, message: &Accepted<'_>) {
        let Some(events) = &self.events else { return };
        // The receiver may be dropped.
        message.events().into_iter().for_each(|event| drop(events.send(event)));
    }

    fn record_rendering_failure(&mut self, failure: RenderingFailure) {
        self.rendering_failures.push_front(failure);
        self.rendering_failures.truncate(KEPT);
    }
}

async fn unknown_operation(method: Method, uri: Uri) -> Rejection {
    Rejection::unknown_operation(&format!("The local stand-in for SES has no {method} {}.", uri.path()))
}

#[cfg(test)]
mod tests;

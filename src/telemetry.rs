//! The log: one line for each request, written by the handler.
//!
//! Under Lambda the line is JSON in CloudWatch's embedded metric format: whoever searches the log finds all there is
//! to know of a request in one place, and CloudWatch makes the metrics out of the same line, with no call and nothing
//! to flush. Elsewhere it is a line for people. It names nobody: no address, no token, no link, no body.

mod embedded;
pub mod statistics;
mod subscriber;

use std::{
    fmt,
    io::Write,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tracing::Level;

use self::{
    embedded::Embedded,
    statistics::{RequestStatistics, Tally},
};
pub use self::{
    embedded::NAMESPACE,
    subscriber::{filter, subscriber},
};
use crate::domain::{
    error::Error,
    ids::{InvitationId, TenantId},
    timestamp::Timestamp,
};

/// Where the lines go.
pub struct Log {
    /// Without it, to whoever listens to `tracing`.
    metrics: Option<Metrics>,
    has_answered: AtomicBool,
}

/// Where a function's lines go as embedded metrics.
struct Metrics {
    function: String,
    out: Mutex<Box<dyn Write + Send>>,
}

/// What there is to know of a request, once it has been answered.
#[derive(Debug)]
pub struct Line<'a> {
    /// When the request came.
    pub at: Timestamp,
    /// API Gateway's id of it, which its caller sees too.
    pub request_id: Option<&'a str>,
    /// The trace that Lambda puts it in, as `Root=1-…;Parent=…;Sampled=…`.
    pub trace: Option<&'a str>,
    /// Whose it is, where the caller was let in.
    pub tenant: Option<&'a TenantId>,
    /// What was to be done; `unknown` where there is no such path or method.
    pub operation: &'static str,
    /// How it ended.
    pub outcome: Outcome<'a>,
    /// From the event to the answer.
    pub duration: Duration,
    /// What was noted on the way.
    pub statistics: RequestStatistics,
}

/// How a request ended.
#[derive(Clone, Copy, Debug)]
pub struct Outcome<'a> {
    /// The status of the response.
    pub status: u16,
    /// The code of a failure.
    pub code: Option<&'static str>,
    /// Whether the request failed.
    pub is_failed: bool,
    /// The failure of the use case, where it is one.
    pub error: Option<&'a Error>,
}

impl Log {
    /// Lines for people, through `tracing`.
    pub fn readable() -> Self {
        Self { metrics: None, has_answered: AtomicBool::new(false) }
    }

    /// Lines that CloudWatch makes the metrics of `function` out of; `out` has to lead to the function's log.
    pub fn metrics(function: String, out: impl Write + Send + 'static) -> Self {
        let metrics = Metrics { function, out: Mutex::new(Box::new(out)) };
        Self { metrics: Some(metrics), has_answered: AtomicBool::new(false) }
    }

    /// Writes the line of a request. A line that cannot be written is lost: the answer is worth more.
    pub fn write(&self, line: &Line<'_>) {
        let cold_start = !self.has_answered.swap(true, Ordering::Relaxed);
        let Some(metrics) = &self.metrics else { return line.trace_event(cold_start) };
        let Ok(mut text) = serde_json::to_vec(&Embedded::new(line, &metrics.function, cold_start)) else { return };
        text.push(b'\n');
        let _ = metrics.out.lock().unwrap_or_else(PoisonError::into_inner).write_all(&text);
    }
}

impl fmt::Debug for Log {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Log")
    }
}

impl Outcome<'_> {
    /// The outcome in the few words that metrics are counted by: the table. What is not in it is for the caller or the
    /// tenant to mend.
    const fn name(&self, statistics: &RequestStatistics) -> &'static str {
        match self.error {
            Some(Error::MessageRateLimited { .. }) => "rate_limited",
            Some(Error::MailRefused { .. }) => "mail_refused",
            Some(Error::MailThrottled { .. }) => "mail_throttled",
            Some(Error::MailUnavailable { .. }) => "mail_unavailable",
            Some(Error::StoreUnavailable { .. }) => "unavailable",
            Some(Error::Internal { .. }) => "internal",
            _ if self.is_failed => "refused",
            _ if statistics.mail_unknown.is_some() => "mail_unknown",
            _ => "ok",
        }
    }
}

impl Line<'_> {
    fn error(&self) -> Option<&Error> {
        self.outcome.error
    }

    /// The invitation that the request is about, or the one that is in its way.
    fn invitation_id(&self) -> Option<&InvitationId> {
        let in_the_way = match self.error() {
            Some(Error::AlreadyInvited { invitation_id }) => invitation_id.as_ref(),
            _ => None,
        };
        self.statistics.invitation_id.as_ref().or(in_the_way)
    }

    fn outcome(&self) -> &'static str {
        self.outcome.name(&self.statistics)
    }

    /// The operator's part of a failure.
    fn cause(&self) -> Option<&str> {
        self.error().and_then(Error::cause).or(self.statistics.mail_unknown.as_deref())
    }

    fn level(&self) -> Level {
        match self.outcome.status {
            500.. => Level::ERROR,
            _ if self.outcome() == "mail_unknown" => Level::WARN,
            _ => Level::INFO,
        }
    }

    /// The trace's own part, by which X-Ray finds it.
    fn trace_id(&self) -> Option<&str> {
        self.trace?.split(';').find_map(|part| part.trim().strip_prefix("Root="))
    }

    fn trace_event(&self, cold_start: bool) {
        let Self { request_id, operation, duration, .. } = self;
        let RequestStatistics { dynamodb, ses, retries, .. } = &self.statistics;
        let tenant = self.tenant.map(TenantId::as_str);
        let (code, cause) = (self.outcome.code, self.cause());
        let invitation_id = self.invitation_id().map(InvitationId::as_str);
        macro_rules! event {
            ($level:expr) => {
                tracing::event!(
                    $level, request_id, tenant, operation, outcome = self.outcome(),
                    status = self.outcome.status, code, cause, invitation_id, ?duration,
                    dynamodb = %dynamodb, ses = %ses, retries, cold_start
                )
            };
        }
        match self.level() {
            Level::ERROR => event!(Level::ERROR),
            Level::WARN => event!(Level::WARN),
            _ => event!(Level::INFO),
        }
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}x, {:?}", self.calls, self.time)
    }
}

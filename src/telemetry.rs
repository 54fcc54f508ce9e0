//! The log: one line per request, written by the handler.
//!
//! Under Lambda the line is JSON in CloudWatch's embedded metric format: it holds all data about the request, and
//! CloudWatch extracts the metrics from it without a call or a flush. Elsewhere the line is written for people. It
//! contains no personal data: no address, no token, no link, no body.

pub(crate) mod aws;
mod embedded;
mod readable;
pub(crate) mod statistics;
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
    statistics::{RequestStatistics, gravity, outcome_name},
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

/// The destination of the log lines.
pub struct Log {
    /// `None` writes through `tracing`.
    metrics: Option<Metrics>,
    has_responded: AtomicBool,
}

/// The destination of lines in the embedded metric format.
struct Metrics {
    function: String,
    out: Mutex<Box<dyn Write + Send>>,
}

/// The data about a request, after its response is known.
#[derive(Debug)]
pub(crate) struct Line<'a> {
    /// The time at which the request arrived.
    pub at: Timestamp,
    /// API Gateway's request id, which the caller also gets.
    pub request_id: Option<&'a str>,
    /// The X-Ray trace header from Lambda: `Root=1-…;Parent=…;Sampled=…`.
    pub trace: Option<&'a str>,
    /// The caller's tenant, if the caller is authorized.
    pub tenant: Option<&'a TenantId>,
    /// The operation; `unknown` for an unknown path or method.
    pub operation: &'static str,
    /// The method and the path of the operation, with `{id}` for the invitation's id. `None` for an unknown operation,
    /// because the caller's path may contain personal data.
    pub endpoint: Option<(&'static str, &'static str)>,
    /// The outcome.
    pub outcome: Outcome<'a>,
    /// The time from the event to the response.
    pub duration: Duration,
    /// The request statistics.
    pub statistics: RequestStatistics,
}

/// The outcome of a request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Outcome<'a> {
    /// The status of the response.
    pub status: u16,
    /// The error code, if the request failed.
    pub code: Option<&'static str>,
    /// `true` if the request failed.
    pub is_failed: bool,
    /// The failure of the use case, if it is one.
    pub error: Option<&'a Error>,
}

impl Log {
    /// A log for people, through `tracing`.
    pub(crate) fn readable() -> Self {
        Self { metrics: None, has_responded: AtomicBool::new(false) }
    }

    /// A log with the embedded metrics of `function`; `out` must write to the function's CloudWatch log.
    pub fn metrics(function: String, out: impl Write + Send + 'static) -> Self {
        let metrics = Metrics { function, out: Mutex::new(Box::new(out)) };
        Self { metrics: Some(metrics), has_responded: AtomicBool::new(false) }
    }

    /// Writes the line of a request. A write error is ignored, so that the response is still sent.
    pub(crate) fn write(&self, line: &Line<'_>) {
        let cold_start = !self.has_responded.swap(true, Ordering::Relaxed);
        let Some(metrics) = &self.metrics else { return line.trace_event() };
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
    /// The name of the outcome in the metrics. A request with several items has the gravest failure of the service or
    /// the mail among them, else `ok`.
    fn name(&self, statistics: &RequestStatistics) -> &'static str {
        let name = match statistics.items.gravest() {
            Some(gravest) if gravity(gravest) > 0 => gravest,
            Some(_) => "ok",
            None => outcome_name(self.error, self.is_failed),
        };
        if name == "ok" && statistics.mail_unknown.is_some() { "mail_unknown" } else { name }
    }
}

impl Line<'_> {
    fn error(&self) -> Option<&Error> {
        self.outcome.error
    }

    /// The invitation of the request, or the pending one that conflicts with it.
    fn invitation_id(&self) -> Option<&InvitationId> {
        let conflicting = match self.error() {
            Some(Error::AlreadyInvited { invitation_id }) => invitation_id.as_ref(),
            _ => None,
        };
        self.statistics.invitation_id.as_ref().or(conflicting)
    }

    fn outcome(&self) -> &'static str {
        self.outcome.name(&self.statistics)
    }

    /// The value of the metric `Requests`: 1, or the number of items with the request's outcome unless that is `ok`, so
    /// that an alarm counts each item.
    fn requests(&self) -> u64 {
        match self.outcome() {
            "ok" => 1,
            outcome => self.statistics.items.outcomes.get(outcome).copied().unwrap_or(1),
        }
    }

    /// The cause of a failure, for operators.
    fn cause(&self) -> Option<&str> {
        let of_items = self.statistics.items.cause.as_deref();
        self.error().and_then(Error::cause).or(of_items).or(self.statistics.mail_unknown.as_deref())
    }

    fn level(&self) -> Level {
        match self.outcome.status {
            500.. => Level::ERROR,
            _ if ["internal", "unavailable"].contains(&self.outcome()) => Level::ERROR,
            _ if self.outcome() == "mail_unknown" => Level::WARN,
            _ => Level::INFO,
        }
    }

    /// The trace id for X-Ray.
    fn trace_id(&self) -> Option<&str> {
        self.trace?.split(';').find_map(|part| part.trim().strip_prefix("Root="))
    }

    /// Writes the line for people as a `tracing` event; the subscriber formats its fields.
    fn trace_event(&self) {
        let (code, cause, status) = (self.outcome.code, self.cause(), self.outcome.status);
        let (request, timing) = (readable::Request(self), readable::Timing(self));
        macro_rules! event {
            ($level:expr) => {
                tracing::event!($level, %request, status, code, %timing, cause)
            };
        }
        match self.level() {
            Level::ERROR => event!(Level::ERROR),
            Level::WARN => event!(Level::WARN),
            _ => event!(Level::INFO),
        }
    }
}

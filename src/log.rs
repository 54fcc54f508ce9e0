//! The log: one line for each request, written by the handler.
//!
//! Under Lambda the line is JSON in CloudWatch's embedded metric format: whoever searches the log finds all there is
//! to know of a request in one place, and CloudWatch makes the metrics out of the same line, with no call and nothing
//! to flush. Elsewhere it is a line for people. It names nobody: no address, no token, no link, no body.
//!
//! The format is written out here, being one small JSON object. The one maintained crate for it that can name several
//! sets of dimensions (`metrique-writer-format-emf` 0.1.26) was tried: it brings 46 packages along, and made the
//! function's binary larger by 0.9 MB of 9.4.

pub mod notes;

use std::{
    fmt,
    io::Write,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use lambda_http::http::StatusCode;
use serde::Serialize;

use self::notes::{Notes, Tally};
use crate::{
    error::Error,
    invitation::{InvitationId, TenantId},
    timestamp::Timestamp,
};

/// The namespace of the metrics.
pub const NAMESPACE: &str = "OrganizationInvitations";

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
    /// The answer.
    pub result: Result<StatusCode, &'a Error>,
    /// From the event to the answer.
    pub duration: Duration,
    /// What was noted on the way.
    pub notes: Notes,
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

/// What became of a request, in the few words that metrics are counted by: the table. What is not in it is for the
/// caller to mend.
pub const fn outcome(error: Option<&Error>) -> &'static str {
    match error {
        None => "ok",
        Some(Error::MessageRateLimited { .. }) => "rate_limited",
        Some(Error::MailRefused { .. }) => "mail_refused",
        Some(Error::MailThrottled { .. }) => "mail_throttled",
        Some(Error::MailUnavailable { .. }) => "mail_unavailable",
        Some(Error::StoreUnavailable { .. }) => "unavailable",
        Some(_) => "refused",
    }
}

/// A line with its metrics, in the embedded metric format: the members that `_aws` names are metrics and dimensions,
/// the others are for queries.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Embedded<'a> {
    level: &'static str,
    function: &'a str,
    operation: &'static str,
    outcome: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    trace_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tenant: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    invitation_id: Option<&'a str>,
    status: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cause: Option<&'a str>,
    duration: f64,
    dynamo_db_duration: f64,
    dynamo_db_calls: u64,
    ses_duration: f64,
    ses_calls: u64,
    retries: u64,
    cold_start: bool,
    #[serde(rename = "Requests")]
    requests: u8,
    #[serde(rename = "Duration")]
    duration_metric: f64,
    #[serde(rename = "DynamoDbDuration", skip_serializing_if = "Option::is_none")]
    dynamo_db_metric: Option<f64>,
    #[serde(rename = "SesDuration", skip_serializing_if = "Option::is_none")]
    ses_metric: Option<f64>,
    #[serde(rename = "_aws")]
    metadata: Metadata,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Metadata {
    timestamp: Timestamp,
    #[serde(rename = "CloudWatchMetrics")]
    directives: [Directive; 2],
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Directive {
    namespace: &'static str,
    dimensions: &'static [&'static [&'static str]],
    metrics: Vec<Metric>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Metric {
    name: &'static str,
    unit: &'static str,
}

impl<'a> Embedded<'a> {
    fn new(line: &'a Line<'_>, function: &'a str, cold_start: bool) -> Self {
        let Notes { dynamodb, ses, retries, .. } = &line.notes;
        let metric = |tally: &Tally| (tally.calls > 0).then(|| millis(tally.time));
        let (dynamo_db_metric, ses_metric) = (metric(dynamodb), metric(ses));
        Self {
            level: line.level(),
            function,
            operation: line.operation,
            outcome: outcome(line.error()),
            request_id: line.request_id,
            trace_id: line.trace_id(),
            tenant: line.tenant.map(TenantId::as_str),
            invitation_id: line.invitation_id().map(InvitationId::as_str),
            status: line.status().as_u16(),
            code: line.code(),
            cause: line.error().and_then(Error::cause),
            duration: millis(line.duration),
            dynamo_db_duration: millis(dynamodb.time),
            dynamo_db_calls: dynamodb.calls,
            ses_duration: millis(ses.time),
            ses_calls: ses.calls,
            retries: *retries,
            cold_start,
            requests: 1,
            duration_metric: millis(line.duration),
            dynamo_db_metric,
            ses_metric,
            metadata: Metadata {
                timestamp: line.at,
                directives: directives(dynamo_db_metric.is_some(), ses_metric.is_some()),
            },
        }
    }
}

/// Which members are metrics, and how they are told apart: the times by operation, the requests by outcome too. Each
/// combination of values is a metric that is paid for, so tenants are told apart by the log alone.
fn directives(calls_dynamodb: bool, calls_ses: bool) -> [Directive; 2] {
    let times = [("Duration", true), ("DynamoDbDuration", calls_dynamodb), ("SesDuration", calls_ses)];
    let times = times.into_iter().filter(|(_, is_there)| *is_there);
    [
        Directive {
            namespace: NAMESPACE,
            dimensions: &[&["function", "operation"]],
            metrics: times.map(|(name, _)| Metric { name, unit: "Milliseconds" }).collect(),
        },
        Directive {
            namespace: NAMESPACE,
            dimensions: &[&["function", "outcome"], &["function", "operation", "outcome"]],
            metrics: vec![Metric { name: "Requests", unit: "Count" }],
        },
    ]
}

/// Milliseconds, with three decimals.
fn millis(duration: Duration) -> f64 {
    f64::from(u32::try_from(duration.as_micros()).unwrap_or(u32::MAX)) / 1000.0
}

impl Line<'_> {
    fn error(&self) -> Option<&Error> {
        self.result.err()
    }

    fn status(&self) -> StatusCode {
        self.result.unwrap_or_else(|error| error.status_and_code().0)
    }

    fn code(&self) -> Option<&'static str> {
        self.error().map(|error| error.status_and_code().1)
    }

    /// The invitation that the request is about, or the one that is in its way.
    fn invitation_id(&self) -> Option<&InvitationId> {
        let in_the_way = match self.error() {
            Some(Error::AlreadyInvited { invitation_id }) => invitation_id.as_ref(),
            _ => None,
        };
        self.notes.invitation_id.as_ref().or(in_the_way)
    }

    fn level(&self) -> &'static str {
        if self.status().is_server_error() { "ERROR" } else { "INFO" }
    }

    /// The trace's own part, by which X-Ray finds it.
    fn trace_id(&self) -> Option<&str> {
        self.trace?.split(';').find_map(|part| part.trim().strip_prefix("Root="))
    }

    fn trace_event(&self, cold_start: bool) {
        let Self { request_id, operation, duration, .. } = self;
        let Notes { dynamodb, ses, retries, .. } = &self.notes;
        let tenant = self.tenant.map(TenantId::as_str);
        let (code, cause) = (self.code(), self.error().and_then(Error::cause));
        let invitation_id = self.invitation_id().map(InvitationId::as_str);
        macro_rules! event {
            ($level:expr) => {
                tracing::event!(
                    $level, request_id, tenant, operation, outcome = outcome(self.error()),
                    status = self.status().as_u16(), code, cause, invitation_id, ?duration,
                    dynamodb = %dynamodb, ses = %ses, retries, cold_start
                )
            };
        }
        if self.status().is_server_error() { event!(tracing::Level::ERROR) } else { event!(tracing::Level::INFO) }
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}x, {:?}", self.calls, self.time)
    }
}

//! The log: one line for each request, written by the handler.
//!
//! Under Lambda the line is JSON in CloudWatch's embedded metric format: whoever searches the log finds all there is
//! to know of a request in one place, and CloudWatch makes the metrics out of the same line, with no call and nothing
//! to flush. Elsewhere it is a line for people. It names nobody: no address, no token, no link, no body.

pub mod notes;

use std::{
    fmt,
    io::Write,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, SystemTime},
};

use lambda_http::http::StatusCode;
use metrique_writer_core::{Entry, EntryWriter, Unit, format::Format};
use metrique_writer_format_emf::{Emf, MetricDefinition, MetricDirective, NoMetric};

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
    output: Output,
    has_answered: AtomicBool,
}

enum Output {
    /// To whoever listens to `tracing`.
    Readable,
    /// As embedded metrics of a function.
    Metrics { function: String, writer: Mutex<(Emf, Box<dyn Write + Send>)> },
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
        Self { output: Output::Readable, has_answered: AtomicBool::new(false) }
    }

    /// Lines that CloudWatch makes the metrics of `function` out of; `out` has to lead to the function's log.
    pub fn metrics(function: String, out: impl Write + Send + 'static) -> Self {
        let writer = Mutex::new((format(), Box::new(out) as Box<dyn Write + Send>));
        Self { output: Output::Metrics { function, writer }, has_answered: AtomicBool::new(false) }
    }

    /// Writes the line of a request. A line that cannot be written is lost: the answer is worth more.
    pub fn write(&self, line: &Line<'_>) {
        let cold_start = !self.has_answered.swap(true, Ordering::Relaxed);
        match &self.output {
            Output::Readable => line.trace_event(cold_start),
            Output::Metrics { function, writer } => {
                let (format, out) = &mut *writer.lock().unwrap_or_else(PoisonError::into_inner);
                let _ = format.format(&Embedded { line, function, cold_start }, out);
            }
        }
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

/// How the metrics are told apart: the times by operation, the requests by outcome too. Each combination of values is
/// a metric that is paid for, so tenants are told apart by the log alone.
fn format() -> Emf {
    let times = vec![["function", "operation"].map(str::to_owned).to_vec()];
    let requests = MetricDirective {
        dimensions: vec![vec!["function", "outcome"], vec!["function", "operation", "outcome"]],
        metrics: vec![MetricDefinition { name: "Requests", unit: Unit::Count, storage_resolution: None }],
        namespace: NAMESPACE,
    };
    Emf::builder(NAMESPACE.to_owned(), times).directive(requests).build()
}

/// A line with its metrics. Those begin with a capital letter; the rest is for queries.
struct Embedded<'a> {
    line: &'a Line<'a>,
    function: &'a str,
    cold_start: bool,
}

impl Entry for Embedded<'_> {
    fn write<'a>(&'a self, writer: &mut impl EntryWriter<'a>) {
        let Self { line, function, cold_start } = self;
        let Notes { dynamodb, ses, retries, .. } = &line.notes;
        let at = u64::try_from(line.at.as_millis()).unwrap_or_default();
        writer.timestamp(SystemTime::UNIX_EPOCH + Duration::from_millis(at));
        writer.value("level", line.level());
        writer.value("function", *function);
        writer.value("operation", line.operation);
        writer.value("outcome", outcome(line.error()));
        writer.value("Requests", &NoMetric::from(1_u64));
        writer.value("Duration", &line.duration);
        writer.value("DynamoDbDuration", &dynamodb.time_of_calls());
        writer.value("SesDuration", &ses.time_of_calls());
        writer.value("requestId", &line.request_id);
        writer.value("traceId", &line.trace_id());
        writer.value("tenant", &line.tenant.map(TenantId::as_str));
        writer.value("invitationId", &line.invitation_id().map(InvitationId::as_str));
        writer.value("status", &NoMetric::from(line.status().as_u16()));
        writer.value("code", &line.code());
        writer.value("cause", &line.error().and_then(Error::cause));
        writer.value("duration", &NoMetric::from(line.duration));
        for (tally, time, calls) in [(dynamodb, "dynamoDbDuration", "dynamoDbCalls"), (ses, "sesDuration", "sesCalls")]
        {
            writer.value(time, &NoMetric::from(tally.time));
            writer.value(calls, &NoMetric::from(tally.calls));
        }
        writer.value("retries", &NoMetric::from(*retries));
        writer.value("coldStart", &NoMetric::from(*cold_start));
    }
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

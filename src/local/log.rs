//! The log of `cargo dev`, for people: one short line for each request, and the warnings and errors of everything else.

use std::fmt::{self, Debug};

use tracing::{
    Event, Subscriber,
    field::{Field, Visit},
};
use tracing_subscriber::{
    fmt::{
        FmtContext, FormatEvent, FormatFields, MakeWriter,
        format::{Compact, Format, Writer, format},
        layer,
    },
    layer::SubscriberExt,
    registry,
    registry::LookupSpan,
};

use crate::telemetry;

/// The filter without `RUST_LOG`. Hides the lines about calls of AWS, which the line of a request sums up, and the
/// emulator's warnings about failed conditions, which are part of normal requests.
const USUAL: &str =
    "warn,organization_invitations=info,organization_invitations::telemetry::aws=off,dynoxide::server=error";

const DIM: &str = "\x1b[2m";
const GREEN: &str = "\x1b[32m";
const YELLOW: &str = "\x1b[33m";
const RED: &str = "\x1b[31m";
const PLAIN: &str = "\x1b[0m";

/// A subscriber that writes the log to `writer`, filtered by `directives` (those of `RUST_LOG`). `color` adds terminal
/// colours.
pub fn subscriber<W>(directives: Option<&str>, color: bool, writer: W) -> impl Subscriber + Send + Sync
where
    W: for<'writer> MakeWriter<'writer> + Send + Sync + 'static,
{
    let others = format().with_target(false).without_time().compact();
    let lines = layer().event_format(Lines { others, color }).with_writer(writer);
    registry().with(lines).with(telemetry::filter(directives, USUAL))
}

/// The form of the lines.
struct Lines {
    /// The form of the other lines.
    others: Format<Compact, ()>,
    color: bool,
}

/// The fields of a request's event.
#[derive(Default)]
struct RequestLine {
    request: String,
    status: u64,
    code: Option<String>,
    timing: String,
    cause: Option<String>,
}

impl<S, N> FormatEvent<S, N> for Lines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, context: &FmtContext<'_, S, N>, mut writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let mut line = RequestLine::default();
        event.record(&mut line);
        if line.request.is_empty() {
            return self.others.format_event(context, writer, event);
        }
        line.write(self.color, &mut writer)
    }
}

impl RequestLine {
    fn write(&self, color: bool, writer: &mut Writer<'_>) -> fmt::Result {
        let Self { request, status, code, timing, cause } = self;
        let hue = match status {
            500.. => RED,
            400.. => YELLOW,
            _ => GREEN,
        };
        let (hue, dim, plain) = if color { (hue, DIM, PLAIN) } else { ("", "", "") };
        write!(writer, "{request} {hue}{status}")?;
        code.iter().try_for_each(|code| write!(writer, " {code}"))?;
        write!(writer, "{plain} {dim}{timing}{plain}")?;
        cause.iter().try_for_each(|cause| write!(writer, " · {hue}{cause}{plain}"))?;
        writeln!(writer)
    }
}

impl Visit for RequestLine {
    fn record_u64(&mut self, field: &Field, value: u64) {
        if field.name() == "status" {
            self.status = value;
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "code" => self.code = Some(value.to_owned()),
            // A cause may quote AWS, with control characters.
            "cause" => self.cause = Some(value.escape_debug().to_string()),
            _ => {}
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        match field.name() {
            "request" => self.request = format!("{value:?}"),
            "timing" => self.timing = format!("{value:?}"),
            _ => {}
        }
    }
}

//! The subscriber of the log: one JSON object per line, without personal data for any `RUST_LOG`.

use tracing::{Level, Metadata, Subscriber};
use tracing_subscriber::{
    filter::{Targets, filter_fn},
    fmt::{MakeWriter, layer},
    layer::SubscriberExt,
    registry,
};

/// The filter of the log: the `directives` of `RUST_LOG`, such as `warn,organization_invitations=debug`, or `usual` if
/// they are absent or invalid.
pub fn filter(directives: Option<&str>, usual: &str) -> Targets {
    let directives = directives.filter(|directives| !directives.is_empty());
    let parse = |directives: &str| directives.parse::<Targets>().ok();
    directives.and_then(parse).or_else(|| parse(usual)).unwrap_or_default()
}

/// A subscriber that writes to `writer`, filtered by `directives` (those of `RUST_LOG`), or by `info` if they are
/// absent or invalid.
pub fn subscriber<W>(directives: Option<&str>, writer: W) -> impl Subscriber + Send + Sync
where
    W: for<'writer> MakeWriter<'writer> + Send + Sync + 'static,
{
    let lines = layer()
        .json()
        .flatten_event(true)
        // CloudWatch adds the time, and the handler's line identifies the request.
        .without_time()
        .with_target(false)
        .with_current_span(false)
        .with_span_list(false)
        .with_writer(writer);
    registry().with(lines).with(filter(directives, "info")).with(filter_fn(has_no_personal_data))
}

/// Below `info`, only this crate's events are known to be free of personal data: Lambda's runtime and the AWS SDK log
/// whole events, requests and responses there, with addresses and tokens.
fn has_no_personal_data(metadata: &Metadata<'_>) -> bool {
    let is_ours = metadata.target().split("::").next() == Some(env!("CARGO_CRATE_NAME"));
    is_ours || *metadata.level() <= Level::INFO
}

#[cfg(test)]
mod tests {
    use std::{
        io::{Result, Write},
        sync::{Arc, Mutex},
    };

    use super::*;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> Result<()> {
            Ok(())
        }
    }

    /// The messages that pass the filter, of events of this crate and of others.
    fn written(directives: Option<&str>) -> Vec<String> {
        let lines = Lines::default();
        let writer = lines.clone();
        tracing::subscriber::with_default(subscriber(directives, move || writer.clone()), || {
            tracing::info!("ours");
            tracing::trace!("our details");
            tracing::info!(target: "lambda_runtime::requests", "another's");
            tracing::debug!(target: "lambda_runtime", "another's details");
            tracing::trace!(target: "aws_smithy_runtime::client", "another's details");
            tracing::trace!(target: "organization_invitations_of_others", "another's details");
        });
        let text = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
        let line = |line: &str| serde_json::from_str::<serde_json::Value>(line).unwrap()["message"].clone();
        text.lines().map(|text| line(text).as_str().unwrap().to_owned()).collect()
    }

    #[test]
    fn only_this_crate_logs_below_info() {
        for (directives, expected, reason) in [
            (None, &["ours", "another's"][..], "the default"),
            (Some("warn"), &[], "a higher level"),
            (Some("trace"), &["ours", "our details", "another's"], "everything"),
            (Some("lambda_runtime=trace,aws_smithy_runtime=trace,off"), &["another's"], "the others by name"),
            (Some("organization_invitations=trace"), &["ours", "our details"], "ours by name"),
            (Some("=nonsense="), &["ours", "another's"], "unreadable"),
        ] {
            assert_eq!(written(directives), expected, "{reason}");
        }
    }
}

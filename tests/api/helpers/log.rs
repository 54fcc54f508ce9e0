//! The function's log, as it is written, kept for reading.

use std::{
    io::{Result, Write, sink},
    sync::{Arc, LazyLock, Mutex},
};

use organization_invitations::{local::log, telemetry};
use serde_json::Value;
use tracing::{
    Dispatch,
    subscriber::{DefaultGuard, set_default},
};

/// What this thread logs for as long as it is kept. A test has a thread of its own, on which all that it starts runs.
pub struct Log {
    text: Text,
    _capturing: DefaultGuard,
}

/// With a single subscriber in the process, `tracing` asks whichever thread comes first to a line of code whether anybody
/// listens there, and takes its answer for everybody's. So there is always another.
static ANOTHER: LazyLock<Dispatch> = LazyLock::new(|| Dispatch::new(telemetry::subscriber(None, sink)));

#[derive(Clone, Default)]
struct Text(Arc<Mutex<Vec<u8>>>);

impl Log {
    /// As the function logs with these directives in `RUST_LOG`, without the emulator's and the stand-in's own lines.
    pub fn capture(directives: &str) -> Self {
        LazyLock::force(&ANOTHER);
        let text = Text::default();
        let writer = text.clone();
        let directives = format!("{directives},dynoxide=off,organization_invitations::local=off");
        let subscriber = telemetry::subscriber(Some(&directives), move || writer.clone());
        Self { text, _capturing: set_default(subscriber) }
    }

    /// As `cargo dev` logs.
    pub fn capture_for_people(color: bool) -> Self {
        LazyLock::force(&ANOTHER);
        let text = Text::default();
        let writer = text.clone();
        let subscriber = log::subscriber(None, color, move || writer.clone());
        Self { text, _capturing: set_default(subscriber) }
    }

    /// What has been logged since this was asked for last.
    pub fn take(&self) -> String {
        String::from_utf8(std::mem::take(&mut *self.text.0.lock().unwrap())).unwrap()
    }
}

/// The lines of a log, each of which has to be a JSON object.
pub fn lines(log: &str) -> Vec<Value> {
    let line =
        |line: &str| serde_json::from_str(line).ok().filter(Value::is_object).unwrap_or_else(|| panic!("{line}"));
    log.lines().map(line).collect()
}

impl Write for Text {
    fn write(&mut self, bytes: &[u8]) -> Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> Result<()> {
        Ok(())
    }
}

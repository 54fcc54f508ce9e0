//! The function's log, as it is written, kept for reading.

use std::{
    io::{Result, Write, sink},
    sync::{Arc, LazyLock, Mutex},
};

use organization_invitations::telemetry;
use tracing::{
    Dispatch,
    subscriber::{DefaultGuard, set_default},
};

pub use crate::common::log::lines;

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

    /// What has been logged since this was asked for last.
    pub fn take(&self) -> String {
        String::from_utf8(std::mem::take(&mut *self.text.0.lock().unwrap())).unwrap()
    }
}

impl Write for Text {
    fn write(&mut self, bytes: &[u8]) -> Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> Result<()> {
        Ok(())
    }
}

//! Captures of the function's log.

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

use super::TestApp;
pub use crate::common::log::lines;

/// Captures the log of this thread until it is dropped. Each test has its own thread, on which all of its tasks run.
pub struct Log {
    text: Text,
    _capturing: DefaultGuard,
}

/// A second subscriber. If the process has a single one, `tracing` caches the interest of the first thread that reaches
/// a callsite for all threads.
static ANOTHER: LazyLock<Dispatch> = LazyLock::new(|| Dispatch::new(telemetry::subscriber(None, sink)));

#[derive(Clone, Default)]
struct Text(Arc<Mutex<Vec<u8>>>);

impl Log {
    /// Captures the function's log with these directives in `RUST_LOG`, without lines of the emulator and the stand-in.
    pub fn capture(directives: &str) -> Self {
        LazyLock::force(&ANOTHER);
        let text = Text::default();
        let writer = text.clone();
        let directives = format!("{directives},dynoxide=off,organization_invitations::local=off");
        let subscriber = telemetry::subscriber(Some(&directives), move || writer.clone());
        Self { text, _capturing: set_default(subscriber) }
    }

    /// Captures the log in the form of `cargo dev`.
    pub fn capture_for_people(color: bool) -> Self {
        LazyLock::force(&ANOTHER);
        let text = Text::default();
        let writer = text.clone();
        let subscriber = log::subscriber(None, color, move || writer.clone());
        Self { text, _capturing: set_default(subscriber) }
    }

    /// Takes what was logged since the last call.
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

/// The log of one app.
#[derive(Clone, Default)]
pub struct Logged(Arc<Mutex<Vec<u8>>>);

impl Logged {
    pub fn by(app: &mut TestApp) -> Self {
        let logged = Self::default();
        app.app.log = telemetry::Log::metrics("f".to_owned(), logged.clone());
        logged
    }

    pub fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }

    pub fn lines(&self) -> Vec<Value> {
        self.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    #[track_caller]
    pub fn last(&self) -> Value {
        self.lines().pop().expect("a line")
    }
}

impl Write for Logged {
    fn write(&mut self, bytes: &[u8]) -> Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> Result<()> {
        Ok(())
    }
}

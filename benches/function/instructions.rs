//! Instructions instead of seconds, counted by valgrind: the same on a busy machine as on an idle one.

use crate::{endpoints::Endpoints, process, subject::Subject};

/// The warm creates over which an average is taken.
const WARM: u64 = 20;

/// What a subject executes, in instructions.
#[derive(Clone, Copy)]
pub struct Instructions {
    /// From the start of the process until it asks for its first event.
    pub init: u64,
    /// For the first create with mail.
    pub first: u64,
    /// For a later one, on average.
    pub warm: u64,
}

impl Instructions {
    /// Counts, where valgrind is there.
    pub async fn count(subject: &Subject, endpoints: &Endpoints) -> Option<Self> {
        process::find("valgrind")?;
        let init = until(subject, endpoints, 0).await;
        let first = until(subject, endpoints, 1).await - init;
        let warm = (until(subject, endpoints, 1 + WARM).await - init - first) / WARM;
        Some(Self { init, first, warm })
    }
}

/// The instructions from the start of the process until so many creates are answered.
async fn until(subject: &Subject, endpoints: &Endpoints, creates: u64) -> u64 {
    let valgrind = process::find("valgrind").expect("it was there a moment ago");
    let valgrind = [valgrind, "--tool=callgrind".into(), "--callgrind-out-file=/dev/null".into()];
    // Under valgrind the directory's rows would soon be too old.
    let mut running = subject.start_under(&valgrind, endpoints, &[("DIRECTORY_CACHE_SECONDS", "3600")]).await;
    for _ in 0..creates {
        running.create(true).await;
    }
    let report = running.stop().await;
    let total = report.lines().find_map(|line| line.split_once("Collected :")?.1.trim().parse().ok());
    total.unwrap_or_else(|| panic!("valgrind reports its count: {report}"))
}

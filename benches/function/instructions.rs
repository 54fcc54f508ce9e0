//! Instruction counts instead of durations, measured by valgrind: they do not depend on the load of the machine.

use crate::{endpoints::Endpoints, process, subject::Subject};

/// The number of warm creates that are averaged.
const WARM: u64 = 20;

/// The instruction counts of a subject.
#[derive(Clone, Copy)]
pub struct Instructions {
    /// From the start of the process until it asks for its first event.
    pub init: u64,
    /// Of the first create with mail.
    pub first: u64,
    /// Of a later create, on average.
    pub warm: u64,
}

impl Instructions {
    /// Counts the instructions; `None` without valgrind.
    pub async fn count(subject: &Subject, endpoints: &Endpoints) -> Option<Self> {
        process::find("valgrind")?;
        let init = until(subject, endpoints, 0).await;
        let first = until(subject, endpoints, 1).await - init;
        let warm = (until(subject, endpoints, 1 + WARM).await - init - first) / WARM;
        Some(Self { init, first, warm })
    }
}

/// The instructions from the start of the process until this many creates have a response.
async fn until(subject: &Subject, endpoints: &Endpoints, creates: u64) -> u64 {
    let valgrind = process::find("valgrind").expect("the caller has found valgrind");
    let valgrind = [valgrind, "--tool=callgrind".into(), "--callgrind-out-file=/dev/null".into()];
    // A create is so slow under valgrind that the cached directory rows would expire.
    let mut running = subject.start_under(&valgrind, endpoints, &[("DIRECTORY_CACHE_SECONDS", "3600")]).await;
    for _ in 0..creates {
        running.create(true).await;
    }
    let report = running.stop().await;
    let total = report.lines().find_map(|line| line.split_once("Collected :")?.1.trim().parse().ok());
    total.unwrap_or_else(|| panic!("valgrind reports its count: {report}"))
}

//! Measures the development stack under load, and the costs that grow with the number of invitations. See
//! `benches/README.md`.
//!
//! `cargo bench --all-features --bench stack` measures; `-- --million` adds a tenant of a million invitations, which
//! takes a minute to fill and 5 GB of disk, and `-- --quick` measures with few runs.
#![allow(clippy::unwrap_used, reason = "a benchmark stops when it cannot go on")]

mod dev;
#[path = "../common/process.rs"]
#[allow(dead_code, reason = "the benchmark of the function uses the rest")]
mod process;
#[path = "../common/table.rs"]
mod table;

use std::{
    io::Write,
    path::Path,
    process::{Command, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

use serde_json::json;
use tokio::task::JoinSet;

use self::{
    dev::{Dev, role_ids},
    table::{Table, count, median, millis, number, percentile},
};

const CONNECTIONS: usize = 16;

#[tokio::main]
async fn main() {
    let has = |argument: &str| std::env::args().any(|given| given == argument);
    let quick = has("--quick");
    throughput(if quick { Duration::from_secs(2) } else { Duration::from_secs(15) }).await;
    let mut sizes = vec![10, if quick { 1_000 } else { 10_000 }];
    sizes.extend(has("--million").then_some(1_000_000));
    growth(&sizes, if quick { 10 } else { 100 }).await;
    import(if quick { 1_000 } else { 100_000 }).await;
}

/// Creates with mail, at the rate that 16 connections reach.
async fn throughput(duration: Duration) {
    let dev = Arc::new(Dev::start().await);
    dev.create("first@example.com", &["member"]).await;
    let first = dev.started.elapsed();
    let (began, until) = (Instant::now(), Instant::now() + duration);
    let mut connections = JoinSet::new();
    for connection in 0..CONNECTIONS {
        let dev = Arc::clone(&dev);
        connections.spawn(async move {
            let mut times = Vec::new();
            while Instant::now() < until {
                let address = format!("person-{connection}-{}@example.com", times.len());
                times.push(millis(dev.create(&address, &["member"]).await));
            }
            times
        });
    }
    let times = connections.join_all().await.concat();
    let cpu = |pid| millis(process::cpu_time(pid)) / count(times.len());
    let mut table = Table::new(["`cargo dev` on disk, 16 connections", "found", "Logto"]);
    for (name, found, logto) in [
        ("start to first 201, s", first.as_secs_f64(), 2.1),
        ("creates with mail a second", count(times.len()) / began.elapsed().as_secs_f64(), 260.0),
        ("p50, ms", median(&times), 60.0),
        ("p99, ms", percentile(&times, 0.99), f64::NAN),
        ("CPU ms a create", cpu(dev.pid()), f64::NAN),
        ("CPU ms a create of the benchmark's own", cpu(std::process::id()), f64::NAN),
        ("resident MB at the end", process::megabytes(dev.pid(), "VmRSS"), 570.0),
        ("most resident MB", process::megabytes(dev.pid(), "VmHWM"), f64::NAN),
    ] {
        table.row(name, [number(found), number(logto)]);
    }
    table.print();
}

/// The cost of single requests in tenants of different sizes.
async fn growth(sizes: &[usize], repeats: usize) {
    let mut reads = Table::new(["ms (median)", "get", "by invitee", "page of 10", "page of 100", "all of them"]);
    let mut creates = Table::new(["ms (median)", "create, no roles", "10 roles", "50 roles"]);
    let mut tenants = Table::new(["", "filled in s", "file MB", "KB an invitation", "most resident MB"]);
    for size in sizes {
        let (dev, filled) = Dev::start_filled(*size).await;
        let name = format!("{size} invitations");
        let mut columns = Vec::new();
        // Before the creates, so that the read data is the same in each run.
        for (path, repeats) in [
            (format!("/{}", filled.an_id), repeats),
            (format!("?invitee={}", filled.an_invitee), repeats),
            ("?page_size=10".to_owned(), repeats),
            ("?page_size=100".to_owned(), repeats),
            (String::new(), repeats.div_ceil(10)),
        ] {
            columns.push(read(&dev, &path, repeats).await);
        }
        reads.row(&name, columns);
        let mut columns = Vec::new();
        for roles in [0, 10, 50] {
            let (role_ids, mut times) = (role_ids(roles), Vec::new());
            for repeat in 0..repeats {
                let invitee = format!("new-{roles}-{repeat}@example.com");
                times.push(millis(dev.create(&invitee, &role_ids).await));
            }
            columns.push(number(median(&times)));
        }
        creates.row(&name, columns);
        let (file, resident) = (count(filled.bytes) / 1e6, process::megabytes(dev.pid(), "VmHWM"));
        let figures = [filled.took.as_secs_f64(), file, file * 1e3 / count(*size), resident];
        tenants.row(&name, figures.map(number));
    }
    for table in [tenants, reads, creates] {
        table.print();
    }
}

/// The median time of reading `path`, with the status if it is not 200.
async fn read(dev: &Dev, path: &str, repeats: usize) -> Option<String> {
    let (mut times, mut failure) = (Vec::new(), None);
    for _ in 0..repeats {
        let (time, status) = dev.get(path).await;
        times.push(millis(time));
        failure = Some(status).filter(|status| *status != 200);
    }
    let time = number(median(&times))?;
    Some(failure.map_or_else(|| time.clone(), |status| format!("{time} ({status})")))
}

/// Runs `cargo directory import` against `cargo dev`.
async fn import(rows: usize) {
    let dev = Dev::start().await;
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join("import.ndjson");
    let mut lines = std::io::BufWriter::new(std::fs::File::create(&file).unwrap());
    for row in 0..rows {
        let user = json!({ "kind": "user", "id": format!("user-{row}"), "name": format!("Person {row}"),
            "primaryEmail": format!("person-{row}@example.com") });
        writeln!(lines, "{user}").unwrap();
    }
    lines.flush().unwrap();
    drop(lines);
    let mut command = Command::new(env!("CARGO_BIN_EXE_directory"));
    command.envs(dev.environment()).args(["--tenant", "imported", "import"]).arg(&file);
    let began = Instant::now();
    let mut import = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let mut peak: f64 = 0.0;
    let status = loop {
        if let Some(status) = import.try_wait().unwrap() {
            break status;
        }
        peak = peak.max(process::megabytes(import.id(), "VmHWM"));
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    assert!(status.success(), "{status}");
    let seconds = began.elapsed().as_secs_f64();
    std::fs::remove_file(&file).unwrap();
    let mut table = Table::new(["`directory import`", "found"]);
    table.row("rows", [number(count(rows))]);
    table.row("rows a second", [number(count(rows) / seconds)]);
    table.row("most resident MB", [number(peak)]);
    table.print();
}

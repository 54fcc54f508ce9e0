//! The development stack under load, and what grows with the number of invitations. See `benches/README.md`.
//!
//! `cargo bench --all-features --bench stack` measures; `-- --million` adds a tenant of a million, which takes long
//! to fill, and `-- --quick` does little.
#![allow(clippy::unwrap_used, reason = "a benchmark stops when it cannot go on")]
#![expect(clippy::print_stdout, reason = "the tables are the benchmark's output")]

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
    dev::Dev,
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

/// Creates with mail, as fast as so many connections can ask for them.
async fn throughput(duration: Duration) {
    let dev = Arc::new(Dev::start().await);
    dev.create("first@example.com", 1).await;
    let first = dev.started.elapsed();
    let (began, until) = (Instant::now(), Instant::now() + duration);
    let mut connections = JoinSet::new();
    for connection in 0..CONNECTIONS {
        let dev = Arc::clone(&dev);
        connections.spawn(async move {
            let mut times = Vec::new();
            while Instant::now() < until {
                let address = format!("person-{connection}-{}@example.com", times.len());
                times.push(millis(dev.create(&address, 1).await));
            }
            times
        });
    }
    let times = connections.join_all().await.concat();
    let mut table = Table::new(["`cargo dev` on disk, 16 connections", "found", "Logto"]);
    for (name, found, logto) in [
        ("start to first 201, s", first.as_secs_f64(), 2.1),
        ("creates with mail a second", count(times.len()) / began.elapsed().as_secs_f64(), 260.0),
        ("p50, ms", median(&times), 60.0),
        ("p99, ms", percentile(&times, 0.99), f64::NAN),
        ("resident MB at the end", process::megabytes(dev.pid(), "VmRSS"), 570.0),
        ("most resident MB", process::megabytes(dev.pid(), "VmHWM"), f64::NAN),
    ] {
        table.row(name, [number(found), number(logto)]);
    }
    table.print();
}

/// What one request costs in tenants of different sizes, one after the other.
async fn growth(sizes: &[usize], repeats: usize) {
    let mut table =
        Table::new(["ms (median)", "create", "with 10 roles", "with 50", "get", "page of 100", "by invitee"]);
    for size in sizes {
        let dev = Dev::start().await;
        let (began, invitations) = (Instant::now(), dev.fill(*size).await);
        if *size > 100_000 {
            println!("filled with {size} in {:.0} s\n", began.elapsed().as_secs_f64());
        }
        let mut columns = Vec::new();
        for roles in [1, 10, 50] {
            let mut times = Vec::new();
            for repeat in 0..repeats {
                times.push(millis(dev.create(&format!("new-{roles}-{repeat}@example.com"), roles).await));
            }
            columns.push(number(median(&times)));
        }
        let paths = [
            format!("/{}", invitations.an_id),
            "?page_size=100".to_owned(),
            format!("?invitee={}", invitations.an_invitee),
        ];
        for path in paths {
            let mut times = Vec::new();
            for _ in 0..repeats {
                times.push(millis(dev.get(&path).await));
            }
            columns.push(number(median(&times)));
        }
        table.row(&format!("{size} invitations"), columns);
    }
    table.print();
}

/// `cargo directory import`, into `cargo dev`.
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

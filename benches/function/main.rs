//! Measures the function as a whole process, as Lambda runs it: start, first and warm creates, CPU time, memory,
//! instructions and size. Compares it with a function that does nothing and with the same create in Node.js. See
//! `benches/README.md`.
//!
//! `cargo bench --bench function` measures everything, `-- --quick` with fewer runs, `-- bulk` only bulk creates, and
//! `-- guard` runs the check of `.ci/guard`.
#![allow(clippy::unwrap_used, reason = "a panic ends the benchmark")]
#![expect(clippy::print_stdout, reason = "the tables are the benchmark's output")]

mod bulk;
mod endpoints;
mod guard;
mod instructions;
#[path = "../common/process.rs"]
mod process;
#[path = "../../tests/common/runtime_api.rs"]
mod runtime_api;
mod subject;
#[path = "../common/table.rs"]
mod table;

use std::{path::Path, process::ExitCode, time::Duration};

use self::{
    bulk::Bulk,
    endpoints::Endpoints,
    instructions::Instructions,
    process::CpuShare,
    subject::{Running, Subject},
    table::{Table, count, median, millis, number, percentile},
};

/// The memory sizes whose CPU share the first create is measured with, in ascending order.
const MEMORY_MB: [u32; 4] = [128, 256, 512, 1024];
const SMALLEST_MB: u32 = MEMORY_MB[0];

/// The delays of DynamoDB and SES for the warm path.
const DELAYS: (Duration, Duration) = (Duration::from_millis(5), Duration::from_millis(20));

/// Endpoints that refuse every connection.
const NOWHERE: [(&str, &str); 2] =
    [("AWS_ENDPOINT_URL_DYNAMODB", "http://127.0.0.1:1"), ("AWS_ENDPOINT_URL_SESV2", "http://127.0.0.1:1")];

/// The number of measurements of each kind.
struct Effort {
    starts: usize,
    warm_creates: usize,
    delayed_creates: usize,
    bulks: usize,
}

const FULL: Effort = Effort { starts: 20, warm_creates: 2_000, delayed_creates: 200, bulks: 20 };
const QUICK: Effort = Effort { starts: 3, warm_creates: 100, delayed_creates: 20, bulks: 3 };

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let has = |argument: &str| std::env::args().any(|given| given == argument);
    if has("guard") {
        return match guard::guard(has("--accept")).await {
            Ok(()) => ExitCode::SUCCESS,
            Err(reason) => {
                println!("{reason}");
                ExitCode::FAILURE
            }
        };
    }
    let effort = if has("--quick") { QUICK } else { FULL };
    if has("bulk") {
        Bulk::measure(&Subject::function(), effort.bulks).await.print();
    } else {
        measure(&effort).await;
    }
    ExitCode::SUCCESS
}

async fn measure(effort: &Effort) {
    let shares = CpuShare::of_memory(SMALLEST_MB).map(drop);
    if let Err(error) = &shares {
        println!("No figures for {SMALLEST_MB} MB and more, because no control group can be created: {error}\n");
    }
    let node = Subject::node();
    if node.is_none() {
        println!("No figures for Node.js, which is not installed.\n");
    }
    let subjects: Vec<Subject> = [Subject::function(), Subject::hello_world()].into_iter().chain(node).collect();
    let mut both = Vec::new();
    for tls in [true, false] {
        let endpoints = Endpoints::start(tls).await;
        let mut figures: Vec<Figures> = subjects.iter().map(|_| Figures::default()).collect();
        // In turns, so that other load on the machine affects all subjects alike.
        for _ in 0..effort.starts {
            for (subject, figures) in subjects.iter().zip(&mut figures) {
                figures.start(subject, &endpoints, shares.is_ok()).await;
            }
        }
        for (subject, figures) in subjects.iter().zip(&mut figures) {
            figures.run(subject, &endpoints, effort.warm_creates).await;
            figures.instructions = Instructions::count(subject, &endpoints).await;
        }
        println!("{}\n", if tls { "With TLS 1.3:" } else { "Without TLS:" });
        print(&subjects, &figures);
        print_by_memory(&subjects, &figures);
        both.push(figures);
    }
    print_sizes(&subjects);
    let delayed = Delayed::measure(&subjects[0], effort.delayed_creates).await;
    delayed.print();
    let bulk = Bulk::measure(&subjects[0], effort.bulks).await;
    bulk.print();
    print_targets(&both[0], &both[1], &delayed, &bulk);
}

/// The figures of a subject, in milliseconds unless said otherwise.
#[derive(Default)]
struct Figures {
    /// Init, with both services refusing the connection.
    init_alone: Vec<f64>,
    init: Vec<f64>,
    first: Vec<f64>,
    first_cpu: Vec<f64>,
    /// With the CPU share of each of [`MEMORY_MB`] from the first event on, as on Lambda.
    first_by_memory: [Vec<f64>; MEMORY_MB.len()],
    warm: Vec<f64>,
    warm_cpu: f64,
    peak_megabytes: f64,
    instructions: Option<Instructions>,
}

impl Figures {
    /// Measures starts with a whole core, and then first creates with smaller CPU shares.
    async fn start(&mut self, subject: &Subject, endpoints: &Endpoints, with_less: bool) {
        // A warm-up run, so that the caches are in the same state for every measured run.
        subject.start(endpoints, &[]).await.stop().await;
        let alone = subject.start(endpoints, &NOWHERE).await;
        self.init_alone.push(millis(alone.init));
        alone.stop().await;
        let mut running = subject.start(endpoints, &[]).await;
        self.init.push(millis(running.init));
        let before = process::cpu_time(running.pid());
        self.first.push(millis(running.create(true).await));
        self.first_cpu.push(millis(process::cpu_time(running.pid()).saturating_sub(before)));
        running.stop().await;
        for (memory, firsts) in MEMORY_MB.into_iter().zip(&mut self.first_by_memory).filter(|_| with_less) {
            let mut running = subject.start(endpoints, &[]).await;
            // A new share for each process: overuse by one would reduce the quota of the next.
            let share = CpuShare::of_memory(memory).unwrap();
            share.admit(running.pid()).unwrap();
            firsts.push(millis(running.create(true).await));
            running.stop().await;
        }
    }

    async fn run(&mut self, subject: &Subject, endpoints: &Endpoints, creates: usize) {
        let mut running = subject.start(endpoints, &[]).await;
        running.create(true).await;
        let before = process::cpu_time(running.pid());
        for _ in 0..creates {
            self.warm.push(millis(running.create(true).await));
        }
        let used = process::cpu_time(running.pid()).saturating_sub(before);
        self.warm_cpu = millis(used) / count(creates);
        self.peak_megabytes = process::megabytes(running.pid(), "VmHWM");
        running.stop().await;
    }

    /// The time until the first response, with the CPU share of the smallest function, in milliseconds.
    fn cold_start(&self) -> f64 {
        median(&self.init) + median(&self.first_by_memory[0])
    }
}

fn print(subjects: &[Subject], figures: &[Figures]) {
    let mut table = Table::new([
        "ms, and others as named",
        "init alone",
        "init",
        "first create",
        "first CPU",
        "warm create",
        "p99",
        "warm CPU",
        "peak MB",
        "init, Minstr",
        "first",
        "warm",
    ]);
    for (subject, figures) in subjects.iter().zip(figures) {
        let millions = |pick: fn(&Instructions) -> u64| {
            figures.instructions.as_ref().and_then(|instructions| number(count_u64(pick(instructions)) / 1e6))
        };
        table.row(
            subject.name,
            [
                number(median(&figures.init_alone)),
                number(median(&figures.init)),
                number(median(&figures.first)),
                number(median(&figures.first_cpu)),
                number(median(&figures.warm)),
                number(percentile(&figures.warm, 0.99)),
                number(figures.warm_cpu),
                number(figures.peak_megabytes),
                millions(|instructions| instructions.init),
                millions(|instructions| instructions.first),
                millions(|instructions| instructions.warm),
            ],
        );
    }
    table.print();
}

fn print_by_memory(subjects: &[Subject], figures: &[Figures]) {
    let heads = MEMORY_MB.map(|memory| format!("{memory} MB"));
    let [a, b, c, d] = &heads;
    let mut table = Table::new(["first create, ms, with the CPU of", a, b, c, d]);
    for (subject, figures) in subjects.iter().zip(figures) {
        table.row(subject.name, figures.first_by_memory.iter().map(|firsts| number(median(firsts))));
    }
    table.print();
}

fn print_sizes(subjects: &[Subject]) {
    println!("What is deployed (Node.js itself is part of Lambda):\n");
    let mut table = Table::new(["MB", "binary or bundle", "compressed"]);
    for subject in subjects {
        let size = std::fs::metadata(&subject.artifact).unwrap().len();
        table.row(subject.name, [number(count_u64(size) / 1e6), compressed(&subject.artifact).and_then(number)]);
    }
    table.print();
}

/// The size of a zip file, in megabytes, estimated with gzip, which uses the same compression.
fn compressed(file: &Path) -> Option<f64> {
    let output = std::process::Command::new(process::find("gzip")?).args(["-9", "--stdout"]).arg(file).output();
    Some(count(output.unwrap().stdout.len()) / 1e6)
}

/// Medians with delayed endpoints, in milliseconds.
struct Delayed {
    with_mail: f64,
    without_mail: f64,
    with_mail_and_cold_directory: f64,
}

impl Delayed {
    async fn measure(function: &Subject, creates: usize) -> Self {
        let endpoints = Endpoints::start(true).await;
        endpoints.delay(DELAYS.0, DELAYS.1);
        let mut warm = function.start(&endpoints, &[]).await;
        warm.create(true).await;
        let mut cold = function.start(&endpoints, &[("DIRECTORY_CACHE_SECONDS", "0")]).await;
        cold.create(true).await;
        let figures = Self {
            with_mail: several(&mut warm, true, creates).await,
            without_mail: several(&mut warm, false, creates).await,
            with_mail_and_cold_directory: several(&mut cold, true, creates).await,
        };
        warm.stop().await;
        cold.stop().await;
        figures
    }

    fn print(&self) {
        let (dynamodb, ses) = (millis(DELAYS.0), millis(DELAYS.1));
        println!("Warm creates with TLS, with a delay of {dynamodb} ms for DynamoDB and {ses} ms for SES:\n");
        let mut table = Table::new(["ms", "delays", "median", "on top"]);
        for (name, delays, median) in [
            ("with mail", dynamodb + ses, self.with_mail),
            ("without mail", dynamodb, self.without_mail),
            ("with mail, directory not cached", 2.0 * dynamodb + ses, self.with_mail_and_cold_directory),
        ] {
            table.row(name, [number(delays), number(median), number(median - delays)]);
        }
        table.print();
    }
}

async fn several(running: &mut Running, mail: bool, creates: usize) -> f64 {
    let mut times = Vec::new();
    for _ in 0..creates {
        times.push(millis(running.create(mail).await));
    }
    median(&times)
}

fn print_targets(tls: &[Figures], plain: &[Figures], delayed: &Delayed, bulk: &Bulk) {
    let (function, hello) = (0, 1);
    let node = tls.get(2);
    let against_node = |pick: fn(&Figures) -> f64| node.map_or(f64::NAN, |node| pick(node) / pick(&tls[function]));
    let instructions = |figures: &[Figures]| {
        let init = |subject: usize| figures[subject].instructions.map_or(f64::NAN, |found| count_u64(found.init));
        init(function) / init(hello)
    };
    let against_hello = |pick: fn(&Figures) -> &[f64], figures: &[Figures]| {
        median(pick(&figures[function])) / median(pick(&figures[hello]))
    };
    let delays = millis(DELAYS.0 + DELAYS.1);
    let zip = compressed(Subject::function().artifact.as_path()).unwrap_or(f64::NAN);
    let mut table = Table::new(["target", "at most", "at least", "found"]);
    for (name, most, least, found) in [
        ("init alone, times hello world's", 1.6, f64::NAN, against_hello(|figures| &figures.init_alone, plain)),
        (
            "init with connections, times hello world's",
            f64::NAN,
            f64::NAN,
            against_hello(|figures| &figures.init, plain),
        ),
        ("init with TLS connections, times hello world's", 2.5, f64::NAN, against_hello(|figures| &figures.init, tls)),
        ("the latter in instructions", f64::NAN, f64::NAN, instructions(tls)),
        ("Node.js's init and first create at 128 MB, times ours", f64::NAN, 30.0, against_node(Figures::cold_start)),
        ("Node.js's warm CPU, times ours", f64::NAN, 4.0, against_node(|figures| figures.warm_cpu)),
        ("peak MB", 12.0, f64::NAN, tls[function].peak_megabytes),
        ("zip MB", 3.0, f64::NAN, zip),
        ("warm median behind delays, ms", delays + 1.0, f64::NAN, delayed.with_mail),
    ]
    .into_iter()
    .chain(bulk.targets())
    {
        table.row(name, [number(most), number(least), number(found)]);
    }
    println!("The targets:\n");
    table.print();
}

#[expect(clippy::cast_precision_loss, reason = "numbers are far below 2^52")]
fn count_u64(number: u64) -> f64 {
    number as f64
}

//! A hundred invitations with mail: in one bulk call and in single calls, measured in turns.

use crate::{
    DELAYS,
    endpoints::Endpoints,
    process,
    subject::{Running, Subject},
    table::{Table, count, median, millis, number},
};

/// The number of invitations in a call.
const ITEMS: usize = 100;
/// The number of invitations that the function processes concurrently (`docs/bulk.md`).
const AT_ONCE: usize = 16;
/// A mail rate that does not slow down the function.
const SETTINGS: [(&str, &str); 1] = [("MAIL_RATE_PER_SECOND", "10000")];
/// The target for the CPU time of an item, in milliseconds.
const CPU_OF_ITEM: f64 = 0.6;

/// Both ways to create [`ITEMS`] invitations, behind delayed services.
pub struct Bulk {
    at_once: Way,
    one_by_one: Way,
}

/// The figures of one way to create: medians in milliseconds, and megabytes.
struct Way {
    delays: f64,
    took: f64,
    cpu_of_item: f64,
    peak_megabytes: f64,
}

impl Bulk {
    pub async fn measure(function: &Subject, rounds: usize) -> Self {
        let endpoints = Endpoints::start(true).await;
        endpoints.delay(DELAYS.0, DELAYS.1);
        let (mut calls, mut singles) = ([Vec::new(), Vec::new()], [Vec::new(), Vec::new()]);
        let mut of_calls = function.start(&endpoints, &SETTINGS).await;
        let mut of_singles = function.start(&endpoints, &SETTINGS).await;
        for running in [&mut of_calls, &mut of_singles] {
            running.create(true).await;
        }
        for _ in 0..rounds {
            let before = process::cpu_time(of_calls.pid());
            calls[0].push(millis(of_calls.create_all(ITEMS).await));
            calls[1].push(millis(process::cpu_time(of_calls.pid()).saturating_sub(before)));
            let (before, mut took) = (process::cpu_time(of_singles.pid()), 0.0);
            for _ in 0..ITEMS {
                took += millis(of_singles.create(true).await);
            }
            singles[0].push(took);
            singles[1].push(millis(process::cpu_time(of_singles.pid()).saturating_sub(before)));
        }
        let delay = millis(DELAYS.0 + DELAYS.1);
        Self {
            at_once: Way::of(of_calls, count(ITEMS.div_ceil(AT_ONCE)) * delay, &calls).await,
            one_by_one: Way::of(of_singles, count(ITEMS) * delay, &singles).await,
        }
    }

    #[expect(clippy::print_stdout, reason = "the tables are the benchmark's output")]
    pub fn print(&self) {
        println!("A hundred invitations with mail, with TLS, the same delays and no pace:\n");
        let mut table = Table::new(["ms, and MB", "delays", "median", "on top", "CPU an item", "peak MB"]);
        for (name, way) in [("one call", &self.at_once), ("single calls", &self.one_by_one)] {
            let figures = [way.delays, way.took, way.took - way.delays, way.cpu_of_item, way.peak_megabytes];
            table.row(name, figures.map(number));
        }
        table.print();
    }

    /// Rows of the table of targets: the name, at most, at least, and what was found.
    pub fn targets(&self) -> [(&'static str, f64, f64, f64); 4] {
        let (bulk, singles) = (&self.at_once, &self.one_by_one);
        let most = 1.5 * bulk.delays + CPU_OF_ITEM * count(ITEMS);
        let memory = bulk.peak_megabytes - singles.peak_megabytes;
        [
            ("a bulk of 100, ms", most, f64::NAN, bulk.took),
            ("its CPU an item, ms", CPU_OF_ITEM, f64::NAN, bulk.cpu_of_item),
            ("100 single calls, times a bulk of 100", f64::NAN, 8.0, singles.took / bulk.took),
            ("MB that a bulk takes more than single calls", 12.0, f64::NAN, memory),
        ]
    }
}

impl Way {
    async fn of(running: Running, delays: f64, [took, cpu]: &[Vec<f64>; 2]) -> Self {
        let peak_megabytes = process::megabytes(running.pid(), "VmHWM");
        running.stop().await;
        Self { delays, took: median(took), cpu_of_item: median(cpu) / count(ITEMS), peak_megabytes }
    }
}

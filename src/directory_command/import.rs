//! A file of rows into the table: read, checked and written one batch after the other, several at a time.
//!
//! Nothing grows with the file. A thread reads and checks rows ahead of the writing, but only a few; they are written
//! in batches, of which a set number is on its way at once. The order of the file decides where two of its rows have
//! the same key: batches that share a key are never on their way together.

mod batch;
mod read_ahead;

use std::{
    collections::{BTreeMap, HashSet},
    io::BufRead,
    num::NonZeroUsize,
    path::PathBuf,
    pin::pin,
    sync::Arc,
    time::Duration,
};

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;
use tokio::{sync::mpsc::Receiver, task::JoinSet, time::Instant};

use self::{
    batch::{Batch, Written},
    read_ahead::{Row, read_ahead},
};
use super::{
    connector,
    entry::{Entry, Kind, Rules},
    reader::BadRow,
};
use crate::{app::App, domain::ids::TenantId};

/// What to import, and how.
#[derive(Clone, Debug, Args)]
pub struct Options {
    /// A file of JSON objects, one to a line (NDJSON) or in an array; `-` is the standard input
    pub file: PathBuf,
    /// Pass over this many rows, which an import that ended early has written
    #[arg(long, value_name = "ROWS", default_value_t = 0)]
    pub skip: u64,
    /// How many batches of 25 rows are written at once
    #[arg(long, value_name = "BATCHES", default_value = "8")]
    pub concurrency: NonZeroUsize,
}

/// Where rows are imported to.
#[derive(Clone, Debug)]
pub struct Target {
    /// The clients.
    pub app: Arc<App>,
    /// The tenant.
    pub tenant: TenantId,
    /// The rules that rows have to keep.
    pub rules: Rules,
}

/// What was imported.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Summary {
    /// How many rows, without those that were skipped.
    pub rows: u64,
    /// How many of each kind.
    pub rows_by_kind: BTreeMap<Kind, u64>,
    /// How long it took.
    pub seconds: f64,
    /// How fast it was.
    pub rows_per_second: f64,
}

/// Why an import ended early. Every row up to `written` is in the table.
#[derive(Debug, thiserror::Error)]
#[error(
    "{reason}\nThe first {written} rows are written. Import the file again, which changes nothing about them, or go on \
         with --skip {written}."
)]
pub struct ImportError {
    /// What happened.
    pub reason: String,
    /// How many rows at the beginning of the file are certainly written, skipped ones included.
    pub written: u64,
}

/// An import that is going on.
struct Import<'a> {
    target: Target,
    options: &'a Options,
    progress: &'a ProgressBar,
    batch: Batch,
    on_their_way: JoinSet<Result<Written, Failed>>,
    /// The keys of the batches that are on their way.
    keys: HashSet<String>,
    summary: Summary,
    /// The first batch of the file that could not be written.
    failed: Option<Failed>,
}

/// A batch that was not written, or not all of it.
#[derive(Debug)]
struct Failed {
    reason: String,
    /// How many rows of the file come before it.
    before: u64,
}

/// A progress bar on a terminal's standard error, and nothing elsewhere.
pub fn progress(length: Option<u64>) -> ProgressBar {
    let (bar, template) = match length {
        Some(length) => (ProgressBar::new(length), "{bar:40} {percent}% {msg} {elapsed} (left: {eta})"),
        None => (ProgressBar::new_spinner(), "{spinner} {msg} {elapsed}"),
    };
    let style = ProgressStyle::with_template(template).expect("the template is well formed");
    bar.enable_steady_tick(Duration::from_millis(200));
    bar.with_style(style)
}

/// Writes the rows of `source`, until one is bad, cannot be written, or somebody interrupts it (Ctrl-C).
pub async fn import(
    target: Target,
    source: impl BufRead + Send + 'static,
    options: &Options,
    progress: &ProgressBar,
) -> Result<Summary, ImportError> {
    let begun = Instant::now();
    let mut rows = read_ahead(source, target.rules, options.skip);
    let import = Import {
        target,
        options,
        progress,
        batch: Batch::after(options.skip),
        on_their_way: JoinSet::new(),
        keys: HashSet::new(),
        summary: Summary::default(),
        failed: None,
    };
    let mut summary = import.run(&mut rows).await.map_err(|Failed { reason, before }| {
        progress.abandon();
        ImportError { reason, written: before }
    })?;
    progress.finish_and_clear();
    summary.seconds = begun.elapsed().as_secs_f64();
    #[expect(clippy::cast_precision_loss, reason = "nobody imports 2^53 rows")]
    let rows = summary.rows as f64;
    summary.rows_per_second = (rows / summary.seconds).round();
    Ok(summary)
}

impl Import<'_> {
    /// Whatever ends it, what was read before is written, as far as that goes.
    async fn run(mut self, rows: &mut Receiver<Result<Row, BadRow>>) -> Result<Summary, Failed> {
        let ended = self.take(rows).await;
        self.submit().await;
        while !self.on_their_way.is_empty() {
            self.next_written().await;
        }
        match (self.failed, ended) {
            // It comes before whatever ended the reading.
            (Some(failed), _) => Err(failed),
            (None, Err(reason)) => Err(Failed { reason, before: self.batch.last() }),
            (None, Ok(())) => Ok(self.summary),
        }
    }

    /// Takes rows until there are no more, or a batch has failed.
    ///
    /// # Errors
    /// Says why there will be no more rows, though the file may have some.
    async fn take(&mut self, rows: &mut Receiver<Result<Row, BadRow>>) -> Result<(), String> {
        let mut interrupted = pin!(tokio::signal::ctrl_c());
        while self.failed.is_none() {
            let row = tokio::select! {
                row = rows.recv() => row,
                _ = &mut interrupted => return Err("interrupted".to_owned()),
            };
            let Some(row) = row else { break };
            let row = row.map_err(|bad| format!("line {}: {}", bad.line, bad.reason))?;
            let row = self.check_templates(row).await?;
            if !self.batch.has_room_for(&row.entry) {
                self.submit().await;
            }
            self.batch.push(row);
        }
        Ok(())
    }

    /// A connector is as good as its templates.
    async fn check_templates(&self, mut row: Row) -> Result<Row, String> {
        if let Entry::Connector(connector) = row.entry {
            let checked = connector::check(&self.target.app.mailer, *connector).await;
            let checked = checked.map_err(|error| format!("line {}: {error}", row.line))?;
            row.entry = Entry::Connector(Box::new(checked.connector));
        }
        Ok(row)
    }

    /// Sends the batch on its way, when there is room and nothing that it overwrites is still on its own way. After a
    /// failure there is nothing more to send.
    async fn submit(&mut self) {
        let next = Batch::after(self.batch.last());
        let batch = std::mem::replace(&mut self.batch, next);
        let keys = batch.keys();
        while !self.on_their_way.is_empty() && !self.may_go(&keys) {
            self.next_written().await;
        }
        if self.failed.is_none() && !keys.is_empty() {
            self.keys.extend(keys);
            let target = self.target.clone();
            self.on_their_way.spawn(async move { batch.write(&target).await });
        }
    }

    fn may_go(&self, keys: &[String]) -> bool {
        let has_room = self.on_their_way.len() < self.options.concurrency.get();
        has_room && !keys.iter().any(|key| self.keys.contains(key))
    }

    /// Waits for a batch to be written, or to fail.
    async fn next_written(&mut self) {
        let Some(joined) = self.on_their_way.join_next().await else { return };
        match joined.expect("a batch's task is neither cancelled nor does it panic") {
            Ok(written) => self.count(&written),
            Err(failed) if self.failed.as_ref().is_some_and(|first| first.before < failed.before) => {}
            Err(failed) => self.failed = Some(failed),
        }
    }

    fn count(&mut self, written: &Written) {
        for key in &written.keys {
            self.keys.remove(key);
        }
        for (kind, rows) in &written.rows_by_kind {
            *self.summary.rows_by_kind.entry(*kind).or_default() += rows;
            self.summary.rows += rows;
        }
        self.progress.set_position(self.progress.position().max(written.end));
        self.progress.set_message(format!("{} rows", self.summary.rows));
    }
}

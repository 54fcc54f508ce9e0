//! Imports a file of rows into the table: reads and checks the rows, and writes them in concurrent batches.
//!
//! Memory use does not depend on the size of the file: a thread reads and checks a limited number of rows ahead, and a
//! limited number of batches is in flight. The last of several rows with the same key in the file wins, because batches
//! that share a key are never in flight together.

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
    connector, display_name,
    entry::{Entry, Kind, Rules},
    reader::BadRow,
};
use crate::{app::App, domain::ids::TenantId};

/// The options of an import.
#[derive(Clone, Debug, Args)]
pub(crate) struct Options {
    /// A file of JSON objects, one per line (NDJSON) or in an array; `-` is the standard input
    pub file: PathBuf,
    /// Skip this many rows, which an import that ended early has written
    #[arg(long, value_name = "ROWS", default_value_t = 0)]
    pub skip: u64,
    /// The number of batches of 25 rows that are written concurrently
    #[arg(long, value_name = "BATCHES", default_value = "8")]
    pub concurrency: NonZeroUsize,
}

/// The destination of an import.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    /// The clients.
    pub app: Arc<App>,
    /// The tenant.
    pub tenant: TenantId,
    /// The rules for rows.
    pub rules: Rules,
}

/// The result of an import.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Summary {
    /// The number of imported rows, without the skipped ones.
    pub rows: u64,
    /// The number of imported rows of each kind.
    pub rows_by_kind: BTreeMap<Kind, u64>,
    /// The duration, in seconds.
    pub seconds: f64,
    /// The average rate, in rows per second.
    pub rows_per_second: f64,
}

/// An import that ended early. Every row up to `written` is in the table.
#[derive(Debug, thiserror::Error)]
#[error("{reason}\n{}", how_to_continue(*.written))]
pub struct ImportError {
    /// The failure.
    pub reason: String,
    /// The number of rows at the beginning of the file that are known to be written, skipped ones included.
    pub written: u64,
}

fn how_to_continue(written: u64) -> String {
    match written {
        0 => "No row is written. Import the file again once the cause is removed.".to_owned(),
        written => format!(
            "The first {written} rows are written. Import the file again, which does not change them, or continue with \
             --skip {written}."
        ),
    }
}

/// A running import.
struct Import<'a> {
    target: Target,
    options: &'a Options,
    progress: &'a ProgressBar,
    batch: Batch,
    in_flight: JoinSet<Result<Written, Failed>>,
    /// The keys of the batches in flight.
    keys: HashSet<String>,
    summary: Summary,
    /// Of the failed batches, the first in the file.
    failed: Option<Failed>,
}

/// A batch that was not written, or not completely.
#[derive(Debug)]
struct Failed {
    reason: String,
    /// The number of rows of the file before it.
    before: u64,
}

/// A progress bar on the standard error if that is a terminal, and none otherwise.
pub(crate) fn progress(length: Option<u64>) -> ProgressBar {
    let (bar, template) = match length {
        Some(length) => (ProgressBar::new(length), "{bar:40} {percent}% {msg} {elapsed} (left: {eta})"),
        None => (ProgressBar::new_spinner(), "{spinner} {msg} {elapsed}"),
    };
    let style = ProgressStyle::with_template(template).expect("the template is well formed");
    bar.enable_steady_tick(Duration::from_millis(200));
    bar.with_style(style)
}

/// Writes the rows of `source` until the end, an invalid row, a failed batch or Ctrl-C.
pub(crate) async fn import(
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
        in_flight: JoinSet::new(),
        keys: HashSet::new(),
        summary: Summary::default(),
        failed: None,
    };
    let mut summary = import.run(&mut rows).await.map_err(|Failed { reason, before }| {
        progress.abandon();
        ImportError { reason: format!("{}: {reason}", display_name(&options.file)), written: before }
    })?;
    progress.finish_and_clear();
    summary.seconds = begun.elapsed().as_secs_f64();
    #[expect(clippy::cast_precision_loss, reason = "a file has fewer than 2^53 rows")]
    let rows = summary.rows as f64;
    summary.rows_per_second = (rows / summary.seconds).round();
    Ok(summary)
}

impl Import<'_> {
    /// Runs the import. Writes the rows that were read even if the reading ends early.
    async fn run(mut self, rows: &mut Receiver<Result<Row, BadRow>>) -> Result<Summary, Failed> {
        let ended = self.take(rows).await;
        self.submit().await;
        while !self.in_flight.is_empty() {
            self.next_written().await;
        }
        match (self.failed, ended) {
            // The failed batch precedes the row that ended the reading.
            (Some(failed), _) => Err(failed),
            (None, Err(reason)) => Err(Failed { reason, before: self.batch.last() }),
            (None, Ok(())) => Ok(self.summary),
        }
    }

    /// Takes rows until the end, or until a batch has failed.
    ///
    /// # Errors
    /// The reason that reading ended before the end of the file.
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

    /// Checks the templates of a connector.
    async fn check_templates(&self, mut row: Row) -> Result<Row, String> {
        if let Entry::Connector(connector) = row.entry {
            let checked = connector::check(&self.target.app.mailer, *connector).await;
            let checked = checked.map_err(|error| format!("line {}: {error}", row.line))?;
            row.entry = Entry::Connector(Box::new(checked.connector));
        }
        Ok(row)
    }

    /// Starts writing the batch as soon as a slot is free and no batch in flight has one of its keys. Does nothing
    /// after a failure.
    async fn submit(&mut self) {
        let next = Batch::after(self.batch.last());
        let batch = std::mem::replace(&mut self.batch, next);
        let keys = batch.keys();
        while !self.in_flight.is_empty() && !self.can_start(&keys) {
            self.next_written().await;
        }
        if self.failed.is_none() && !keys.is_empty() {
            self.keys.extend(keys);
            let target = self.target.clone();
            self.in_flight.spawn(async move { batch.write(&target).await });
        }
    }

    fn can_start(&self, keys: &[String]) -> bool {
        let has_room = self.in_flight.len() < self.options.concurrency.get();
        has_room && !keys.iter().any(|key| self.keys.contains(key))
    }

    /// Waits until a batch is written or has failed.
    async fn next_written(&mut self) {
        let Some(joined) = self.in_flight.join_next().await else { return };
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

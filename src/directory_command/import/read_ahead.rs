//! Reads and checks rows while earlier rows are written.

use std::io::BufRead;

use tokio::sync::mpsc::{self, Receiver};

use crate::directory_command::{
    entry::{Entry, Rules},
    reader::{BadRow, RowReader},
};

/// The number of rows that are read ahead.
const READ_AHEAD: usize = 64;

/// A row between the file and the table.
#[derive(Debug)]
pub(super) struct Row {
    /// The number of the row in the file, counted from 1.
    pub(super) number: u64,
    pub(super) line: u64,
    /// The position in the file after the row, in bytes.
    pub(super) end: u64,
    pub(super) entry: Entry,
}

/// Reads rows on a thread, which ends at the end of the file, at an invalid row, or when the receiver is dropped. The
/// thread does not belong to the runtime, so that the command can exit while its standard input stays open.
pub(super) fn read_ahead(
    source: impl BufRead + Send + 'static,
    rules: Rules,
    skip: u64,
) -> Receiver<Result<Row, BadRow>> {
    let (sender, receiver) = mpsc::channel(READ_AHEAD);
    std::thread::spawn(move || {
        for (number, raw) in (1..).zip(RowReader::new(source)) {
            let row = raw.and_then(|raw| {
                let (line, end) = (raw.line, raw.end);
                let parsed = || rules.parse(&raw.json).map_err(|reason| BadRow { line, reason });
                (number > skip).then(parsed).transpose().map(|entry| Some(Row { number, line, end, entry: entry? }))
            });
            let Some(row) = row.transpose() else { continue };
            let is_bad = row.is_err();
            if sender.blocking_send(row).is_err() || is_bad {
                break;
            }
        }
    });
    receiver
}

//! Reading and checking rows while others are written.

use std::io::BufRead;

use tokio::sync::mpsc::{self, Receiver};

use crate::directory_command::{
    entry::{Entry, Rules},
    reader::{BadRow, RowReader},
};

/// How many rows are read ahead.
const READ_AHEAD: usize = 64;

/// A row on its way from the file to the table.
#[derive(Debug)]
pub(super) struct Row {
    /// Which of the file's rows, counted from 1.
    pub(super) number: u64,
    pub(super) line: u64,
    /// How much of the file is read with it, in bytes.
    pub(super) end: u64,
    pub(super) entry: Entry,
}

/// Reads rows on a thread of its own, which ends with the file, at a bad row, or when nobody wants more. It is none
/// of the runtime's threads, since the end of the command must not wait for the end of what is piped into it.
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

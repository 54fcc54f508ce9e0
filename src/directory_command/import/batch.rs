//! Batches of rows.

use std::{collections::BTreeMap, time::Duration};

use super::{Failed, Target, read_ahead::Row};
use crate::{
    directory_command::{
        entry::{Entry, Kind},
        failure,
    },
    store::{
        StoreError,
        directory_rows::{self, BATCH},
    },
};

/// The maximum time without a written row while DynamoDB throttles.
const PATIENCE: Duration = Duration::from_mins(1);

/// Consecutive rows of the file. The last of several rows with the same key wins.
#[derive(Debug)]
pub(super) struct Batch {
    /// The number of rows of the file before the batch.
    before: u64,
    last: u64,
    /// The lines of the first and the last row.
    lines: Option<(u64, u64)>,
    end: u64,
    rows_by_kind: BTreeMap<Kind, u64>,
    entries: Vec<Entry>,
}

/// A batch that is in the table.
#[derive(Debug)]
pub(super) struct Written {
    pub(super) keys: Vec<String>,
    pub(super) rows_by_kind: BTreeMap<Kind, u64>,
    /// The position in the file after the batch, in bytes.
    pub(super) end: u64,
}

impl Batch {
    /// An empty batch after `before` rows of the file.
    pub(super) fn after(before: u64) -> Self {
        Self { before, last: before, lines: None, end: 0, rows_by_kind: BTreeMap::new(), entries: Vec::new() }
    }

    /// The number of the last row in the file, counted from 1; `before` for an empty batch.
    pub(super) fn last(&self) -> u64 {
        self.last
    }

    pub(super) fn has_room_for(&self, entry: &Entry) -> bool {
        self.entries.iter().map(size).sum::<usize>() + size(entry) <= BATCH
    }

    pub(super) fn push(&mut self, row: Row) {
        let name = row.entry.name();
        self.entries.retain(|entry| entry.name() != name);
        *self.rows_by_kind.entry(Kind::of(&name)).or_default() += 1;
        self.entries.push(row.entry);
        self.last = row.number;
        self.end = row.end;
        self.lines = Some((self.lines.map_or(row.line, |(first, _)| first), row.line));
    }

    /// The sort keys of all table rows that the batch writes.
    pub(super) fn keys(&self) -> Vec<String> {
        self.entries.iter().flat_map(keys).collect()
    }

    pub(super) async fn write(self, target: &Target) -> Result<Written, Failed> {
        self.write_entries(target).await.map_err(|error| self.failed(&failure::describe(&target.app, &error)))?;
        Ok(Written { keys: self.keys(), end: self.end, rows_by_kind: self.rows_by_kind })
    }

    async fn write_entries(&self, target: &Target) -> Result<(), StoreError> {
        let (store, tenant) = (&target.app.store, &target.tenant);
        let (mut rows, mut members) = (Vec::new(), Vec::new());
        for entry in &self.entries {
            match entry {
                Entry::Organization(it) => rows.push(directory_rows::organization(tenant, it)?),
                Entry::Role(it) => rows.push(directory_rows::role(tenant, it)?),
                Entry::User(it) => rows.push(directory_rows::user(tenant, it)?),
                Entry::Connector(it) => rows.push(directory_rows::connector(tenant, it)?),
                Entry::Member(it) => members.push(it),
            }
        }
        store.write_rows(rows, PATIENCE).await?;
        // Members need conditions, which `BatchWriteItem` does not support.
        store.put_members(tenant, &members, PATIENCE).await
    }

    fn failed(&self, error: &str) -> Failed {
        let (first, last) = self.lines.unwrap_or_default();
        Failed { reason: format!("lines {first} to {last}: {error}"), before: self.before }
    }
}

/// The number of table rows that the entry needs.
fn size(entry: &Entry) -> usize {
    if matches!(entry, Entry::Member(_)) { 2 } else { 1 }
}

fn keys(entry: &Entry) -> Vec<String> {
    match entry {
        Entry::Member(member) => member.sort_keys().into(),
        _ => vec![entry.name().sort_key()],
    }
}

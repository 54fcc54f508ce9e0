//! Rows that are written together.

use std::{
    collections::{BTreeMap, HashMap},
    time::Duration,
};

use super::{Failed, Target, read_ahead::Row};
use crate::{
    directory_command::entry::{Entry, Kind},
    store::{
        Item, StoreError,
        directory_rows::{self, BATCH},
        members::{Member, Memberships},
    },
    timestamp::{Deadline, Moment, Timestamp},
};

/// How long DynamoDB may be too busy to write anything at all.
const PATIENCE: Duration = Duration::from_mins(1);

/// Rows of the file that follow each other. Of those with the same key the last counts.
#[derive(Debug)]
pub(super) struct Batch {
    /// The rows before it in the file.
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
    /// How much of the file is read with it, in bytes.
    pub(super) end: u64,
}

/// What a batch's entries come to in the table.
#[derive(Default)]
struct Rows<'a> {
    by_key: HashMap<String, Item>,
    /// Those that have to leave another row, too, which a batch cannot do on a condition.
    moved: Vec<&'a Member>,
}

impl Batch {
    /// An empty batch, after that many rows of the file.
    pub(super) fn after(before: u64) -> Self {
        Self { before, last: before, lines: None, end: 0, rows_by_kind: BTreeMap::new(), entries: Vec::new() }
    }

    /// The number of its last row in the file.
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

    /// The sort keys of all that it writes.
    pub(super) fn keys(&self) -> Vec<String> {
        self.entries.iter().flat_map(keys).collect()
    }

    /// Writes it.
    pub(super) async fn write(self, target: &Target) -> Result<Written, Failed> {
        self.write_entries(target).await.map_err(|error| self.failed(&error))?;
        Ok(Written { keys: self.keys(), end: self.end, rows_by_kind: self.rows_by_kind })
    }

    async fn write_entries(&self, target: &Target) -> Result<(), StoreError> {
        let (store, tenant) = (&target.app.store, &target.tenant);
        let members = self.entries.iter().filter_map(|entry| match entry {
            Entry::Member(member) => Some(member),
            _ => None,
        });
        let known = store.memberships(tenant, members, Deadline::within(PATIENCE)).await?;
        let rows = self.rows(target, &known)?;
        store.write_rows(rows.by_key.into_values().collect(), PATIENCE).await?;
        for member in rows.moved {
            store.put_member(tenant, member, Moment::with_budget(PATIENCE)).await?;
        }
        Ok(())
    }

    fn rows(&self, target: &Target, known: &Memberships) -> Result<Rows<'_>, StoreError> {
        let (mut rows, now) = (Rows::default(), Timestamp::now());
        for entry in &self.entries {
            let items = match entry {
                Entry::Organization(it) => vec![directory_rows::organization(&target.tenant, it)?],
                Entry::Role(it) => vec![directory_rows::role(&target.tenant, it)?],
                Entry::User(it) => vec![directory_rows::user(&target.tenant, it)?],
                Entry::Connector(it) => vec![directory_rows::connector(&target.tenant, it)?],
                Entry::Member(it) if it.may_have_moved(known) => {
                    rows.moved.push(it);
                    continue;
                }
                Entry::Member(it) => it.rows(&target.tenant, known, now).into(),
            };
            rows.by_key.extend(keys(entry).into_iter().zip(items));
        }
        Ok(rows)
    }

    fn failed(&self, error: &StoreError) -> Failed {
        let (first, last) = self.lines.unwrap_or_default();
        Failed { reason: format!("lines {first} to {last}: {error}"), before: self.before }
    }
}

/// How many rows of the table it comes to.
fn size(entry: &Entry) -> usize {
    if matches!(entry, Entry::Member(_)) { 2 } else { 1 }
}

fn keys(entry: &Entry) -> Vec<String> {
    match entry {
        Entry::Member(member) => member.sort_keys().into(),
        _ => vec![entry.name().sort_key()],
    }
}

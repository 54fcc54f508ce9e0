//! Shows and deletes one person's data.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

use super::{CommandError, Session, show};
use crate::store::person::{Kind, PersonRow};

/// The maximum number of rounds of reading and deleting, while other programs write more rows.
const ROUNDS: usize = 10;

/// A row in the output.
#[derive(Serialize)]
struct Shown<'a> {
    kind: Kind,
    key: &'a str,
    row: Value,
}

/// The result of a deletion.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Summary {
    deleted_rows: usize,
    deleted_rows_by_kind: BTreeMap<Kind, usize>,
}

impl Session<'_> {
    pub(super) async fn get_person(&mut self, address: &str) -> Result<(), CommandError> {
        for row in self.app.store.person_rows(&self.tenant, address).await? {
            show(self.out, &Shown { kind: row.kind, key: row.sort_key(), row: row.attributes() })?;
        }
        Ok(())
    }

    /// Deletes in rounds until no rows are left: rows that changed or were added since they were read are read again.
    pub(super) async fn delete_person(&mut self, address: &str) -> Result<(), CommandError> {
        let mut summary = Summary { deleted_rows: 0, deleted_rows_by_kind: BTreeMap::new() };
        for _ in 0..ROUNDS {
            let mut rows = self.app.store.person_rows(&self.tenant, address).await?;
            if rows.is_empty() {
                return show(self.out, &summary);
            }
            // Users last: they lead to the other rows when an interrupted deletion is repeated.
            rows.sort_by_key(|row| row.kind == Kind::User);
            for row in rows {
                self.delete_person_row(&row, &mut summary).await?;
            }
        }
        show(self.out, &summary)?;
        Err(CommandError::StillWritten)
    }

    async fn delete_person_row(&self, row: &PersonRow, summary: &mut Summary) -> Result<(), CommandError> {
        if self.app.store.delete_person_row(&self.tenant, row).await? {
            summary.deleted_rows += 1;
            *summary.deleted_rows_by_kind.entry(row.kind).or_default() += 1;
        }
        Ok(())
    }
}

//! Shows and deletes one person's data.

use std::{collections::BTreeMap, io};

use serde::Serialize;
use serde_json::Value;

use super::{CommandError, Operator, Session, show};
use crate::store::person::{Kind, PersonRow};

/// The maximum number of rounds of reading and deleting. More than two are needed only if other programs write rows.
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

    /// Deletes the person's data after a confirmation.
    pub(super) async fn delete_person(&mut self, address: &str, is_confirmed: bool) -> Result<(), CommandError> {
        if !is_confirmed {
            self.confirm(address).await?;
        }
        self.delete_person_rows(address).await
    }

    async fn confirm(&mut self, address: &str) -> Result<(), CommandError> {
        let Some(operator) = &mut self.operator else { return Err(CommandError::NobodyToAsk) };
        let rows = self.app.store.person_rows(&self.tenant, address).await?;
        let mut by_kind = BTreeMap::new();
        for row in &rows {
            *by_kind.entry(row.kind).or_insert(0_usize) += 1;
        }
        let by_kind = serde_json::to_string(&by_kind).map_err(io::Error::from)?;
        let (count, tenant) = (rows.len(), &self.tenant);
        let question = format!("Delete {count} rows about `{address}` of tenant `{tenant}`, {by_kind}? [y/N] ");
        if rows.is_empty() || operator.agrees_to(&question)? { Ok(()) } else { Err(CommandError::NotConfirmed) }
    }

    /// Deletes in rounds until no rows are left, because rows may change or be added after they were read.
    async fn delete_person_rows(&mut self, address: &str) -> Result<(), CommandError> {
        let mut summary = Summary { deleted_rows: 0, deleted_rows_by_kind: BTreeMap::new() };
        for _ in 0..ROUNDS {
            let mut rows = self.app.store.person_rows(&self.tenant, address).await?;
            if rows.is_empty() {
                return show(self.out, &summary);
            }
            // Users last: a repeated deletion finds the other rows through them.
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

impl Operator<'_> {
    /// Asks the question. Only `y` and `yes` confirm.
    fn agrees_to(&mut self, question: &str) -> io::Result<bool> {
        self.questions.write_all(question.as_bytes())?;
        self.questions.flush()?;
        let mut answer = String::new();
        self.answers.read_line(&mut answer)?;
        Ok(["y", "yes"].contains(&answer.trim().to_ascii_lowercase().as_str()))
    }
}

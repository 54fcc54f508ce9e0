//! The stream of the emulator's table: turned on, read in order, and kept short.
//!
//! The emulator reads all stream records at each write to find the last number, and never deletes any. This module
//! therefore adds an index and a trigger to its table of records before the emulator opens it. Both depend on the
//! schema of the version that `Cargo.toml` pins.

use std::{
    path::Path,
    sync::atomic::{AtomicU64, Ordering},
};

use dynoxide::{
    Database,
    actions::{
        describe_stream::DescribeStreamRequest, get_records::GetRecordsRequest,
        get_shard_iterator::GetShardIteratorRequest, list_streams::ListStreamsRequest,
    },
    storage::Storage,
};
use serde_json::Value;

/// The index finds the last record, and the records after a given one. The trigger keeps the latest 50,000 records,
/// some 100 MB; DynamoDB keeps a day's records.
const PREPARE: &str = "
    CREATE INDEX IF NOT EXISTS _stream_records_in_order
        ON _stream_records (table_name, CAST(sequence_number AS INTEGER));
    CREATE TRIGGER IF NOT EXISTS _stream_records_kept AFTER INSERT ON _stream_records WHEN NEW.id % 1000 = 0 BEGIN
        DELETE FROM _stream_records WHERE id <= NEW.id - 50000;
    END;";

/// The number of in-memory databases so far, for unique names.
static NUMBER: AtomicU64 = AtomicU64::new(0);

/// Opens a database that can have a stream: in the file `path`, or without a path in memory.
///
/// # Errors
/// The emulator's message.
pub(super) fn open(path: Option<&Path>) -> Result<Database, String> {
    if let Some(path) = path {
        let path = path.to_str().ok_or("its name is not UTF-8")?;
        drop(prepare(path)?);
        return Database::new(path).map_err(|error| error.to_string());
    }
    // The emulator's in-memory database is not accessible from here. It copies this one, which has a unique name.
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let name = format!("file:organization-invitations-{number}?mode=memory&cache=shared");
    let _prepared = prepare(&name)?;
    let database = Database::memory().map_err(|error| error.to_string())?;
    database.restore_from(&name).map_err(|error| error.to_string())?;
    Ok(database)
}

fn prepare(path: &str) -> Result<Storage, String> {
    let storage = Storage::new(path).map_err(|error| error.to_string())?;
    storage.conn().execute_batch(PREPARE).map_err(|error| error.to_string())?;
    Ok(storage)
}

/// Reads a table's stream.
pub struct StreamReader {
    database: Database,
    iterator: String,
}

impl StreamReader {
    /// A reader that starts at the next change.
    ///
    /// # Errors
    /// The table has no stream.
    pub fn of_changes_from_now(database: Database, table: &str) -> Result<Self, dynoxide::DynoxideError> {
        let named = ListStreamsRequest { table_name: Some(table.to_owned()), ..ListStreamsRequest::default() };
        let stream = database.list_streams(named)?.streams.into_iter().next();
        let stream_arn = stream.map(|stream| stream.stream_arn).unwrap_or_default();
        let request = DescribeStreamRequest { stream_arn: stream_arn.clone(), ..DescribeStreamRequest::default() };
        let shard = database.describe_stream(request)?.stream_description.shards.into_iter().next();
        let request = GetShardIteratorRequest {
            stream_arn,
            shard_id: shard.map(|shard| shard.shard_id).unwrap_or_default(),
            shard_iterator_type: "LATEST".to_owned(),
            ..GetShardIteratorRequest::default()
        };
        let iterator = database.get_shard_iterator(request)?.shard_iterator.unwrap_or_default();
        Ok(Self { database, iterator })
    }

    /// The next records, at most `limit`, as JSON. Blocks.
    ///
    /// # Errors
    /// A failure of the emulator.
    pub fn next(&mut self, limit: usize) -> Result<Vec<Value>, dynoxide::DynoxideError> {
        let request = GetRecordsRequest { shard_iterator: self.iterator.clone(), limit: Some(limit) };
        let read = self.database.get_records(request)?;
        self.iterator = read.next_shard_iterator.unwrap_or_default();
        Ok(read.records.iter().filter_map(|record| serde_json::to_value(record).ok()).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_record_is_found_by_the_index_and_old_records_are_deleted() {
        let storage = prepare("file:organization-invitations-test?mode=memory&cache=shared").unwrap();
        let insert = |number: i64| {
            let number = number.to_string();
            storage.insert_stream_record("t", "INSERT", "{}", None, None, &number, "s", 0).unwrap();
        };
        (1..=52_000).for_each(insert);
        // The emulator's own queries.
        for query in [
            "SELECT COALESCE(MAX(CAST(sequence_number AS INTEGER)), 0) + 1 FROM _stream_records WHERE table_name = 't'",
            "SELECT event_name FROM _stream_records WHERE table_name = 't' AND shard_id = 's' \
             AND CAST(sequence_number AS INTEGER) > 51990 ORDER BY CAST(sequence_number AS INTEGER) ASC LIMIT 5",
        ] {
            let plan =
                storage.conn().query_row(&format!("EXPLAIN QUERY PLAN {query}"), [], |row| row.get::<_, String>(3));
            assert!(plan.unwrap().contains("_stream_records_in_order"), "{query}");
        }
        let kept = storage.conn().query_row("SELECT COUNT(*) FROM _stream_records", [], |row| row.get::<_, i64>(0));
        assert_eq!(kept.unwrap(), 50_000);
    }
}

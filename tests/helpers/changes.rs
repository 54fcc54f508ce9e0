//! The stream of the function's table, and the events that the function generates from it.

use std::sync::Mutex;

use lambda_runtime::{Context, LambdaEvent};
use organization_invitations::{
    domain::timestamp::Timestamp,
    local::{pipe::Pipe, stream::StreamReader},
    trigger::{self, Output},
};
use serde_json::{Value, value::to_raw_value};

use super::TestApp;

/// The time of these tests: an hour ago, in whole seconds. An invitation that expires within this hour has expired by
/// the clock of the emulator, which deletes its row.
pub fn an_hour_ago() -> i64 {
    (Timestamp::now().as_millis() / 1000 - 3600) * 1000
}

/// The stream of an app's table, from the creation of this value on.
pub struct Changes {
    reader: Mutex<StreamReader>,
    pub pipe: Pipe,
}

impl Changes {
    pub fn of(app: &TestApp) -> Self {
        let reader = StreamReader::of_changes_from_now(app.stack.database.clone(), app.table()).unwrap();
        Self { reader: Mutex::new(reader), pipe: Pipe::of_template().unwrap() }
    }

    /// The records since the last call.
    pub fn records(&self) -> Vec<Value> {
        let mut reader = self.reader.lock().unwrap();
        let mut all = Vec::new();
        loop {
            let records = reader.next(1000).unwrap();
            if records.is_empty() {
                return all;
            }
            all.extend(records);
        }
    }

    /// The events of the records since the last call.
    pub async fn events(&self, app: &TestApp) -> Vec<Value> {
        self.pipe.enrich(&app.app, self.records()).await
    }
}

/// The bytes of the events that the function generates from a batch.
pub async fn details(app: &TestApp, batch: &[Value]) -> Vec<String> {
    let event = LambdaEvent::new(to_raw_value(batch).unwrap(), Context::default());
    let Output::Events(details) = trigger::handle(&app.app, event).await.unwrap() else {
        panic!("not a list of events")
    };
    details.iter().map(|detail| detail.get().to_owned()).collect()
}

/// The last part of an event's type.
pub fn kind(event: &Value) -> &str {
    event["type"].as_str().unwrap().strip_prefix("OrganizationInvitation.").unwrap()
}

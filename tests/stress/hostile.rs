//! Huge and deeply nested events: each gets its response soon, with little in the log.

use std::time::Instant;

use crate::{
    helpers::{TestApp, log::Log},
    hostile_events::{self, MIB, Row},
};

/// What may be logged of one of them, in bytes.
const LONGEST_LOG: usize = 2_000;

#[tokio::test]
async fn huge_and_deeply_nested_events_get_their_response_soon() {
    let app = TestApp::start().await;
    let log = Log::capture("info");
    let mut complaints = Vec::new();
    for Row { reason, event, status } in hostile_events::rows() {
        let started = Instant::now();
        let answer = app.invoke(&event).await;
        let (took, length, logged) = (started.elapsed(), answer.text.len(), log.take().len());
        if answer.status != status || took > hostile_events::PATIENCE || length > MIB || logged > LONGEST_LOG {
            let outcome = format!("{}, {took:?}, {length} bytes, {logged} logged", answer.status);
            complaints.push(format!("{reason}: {outcome}: {:.300}", answer.text));
        }
    }
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
}

//! Huge and deeply nested events: each gets a fast response and a short log line.

use std::time::Instant;

use crate::{
    helpers::{TestApp, log::Log},
    hostile_events::{self, MIB, Row},
};

/// The most bytes that may be logged for one event.
const LONGEST_LOG: usize = 2_000;

#[tokio::test]
async fn huge_and_deeply_nested_events_get_a_fast_response() {
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

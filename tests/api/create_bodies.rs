//! Invalid and unusual bodies of creates: a table for each field and for the syntax, with a reason in each row.

mod body;
mod content_types;
mod expires_at;
mod identifiers;
mod invitee;
mod json;
mod keys;
mod message_payload;
mod order;
mod role_ids;
mod row;
mod size;
mod verdict;

use self::{
    row::Row,
    verdict::{excerpt, judge},
};
use crate::helpers::TestApp;

/// The rows of all tables.
pub fn rows() -> Vec<Row> {
    [
        identifiers::rows(),
        invitee::rows(),
        expires_at::rows(),
        role_ids::rows(),
        message_payload::rows(),
        keys::rows(),
        json::rows(),
        size::rows(),
        content_types::rows(),
        order::rows(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// Sends every row, and reports all rows whose response is not the expected one.
async fn check(rows: Vec<Row>) {
    let app = TestApp::start().await;
    let mut complaints = Vec::new();
    for row in &rows {
        let answer = row.send(&app).await;
        if let Err(complaint) = judge(row, &answer) {
            let (status, text) = (answer.status, excerpt(&answer.text));
            let body = excerpt(&String::from_utf8_lossy(&row.body));
            let reason = &row.reason;
            complaints.push(format!("{reason}: {complaint}\n    {body}\n    {status} {text}"));
        }
    }
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
}

//! Bulk creates, and their results.

use serde_json::{Value, json};

use super::{Answer, Call, TestApp, body_with_mail, rows};

/// A mail rate that delays no test; the tests of pacing set their own.
pub const FAST: (&str, &str) = ("MAIL_RATE_PER_SECOND", "1000");

pub fn bulk(items: &[Value]) -> Call {
    Call::bulk(&json!({ "invitations": items }))
}

pub fn results(answer: &Answer) -> Vec<Value> {
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()["results"].as_array().unwrap().clone()
}

pub fn statuses(results: &[Value]) -> Vec<u64> {
    results.iter().map(|result| result["status"].as_u64().unwrap()).collect()
}

/// The path of SES's `SendEmail`, to which connection probes are sent as well.
pub const SES_PATH: &str = "/v2/email/outbound-emails";

pub fn address(number: usize) -> String {
    format!("person{number}@example.com")
}

pub fn mailed(numbers: impl IntoIterator<Item = usize>) -> Vec<Value> {
    numbers.into_iter().map(|number| body_with_mail(&address(number))).collect()
}

pub async fn count(app: &TestApp, kind: &str) -> usize {
    rows::of_kind(&app.rows().await, kind).count()
}

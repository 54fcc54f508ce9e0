//! The invariant of the whole table (`common/invariant.rs`), with the settings of a [`TestApp`].

use serde_json::Value;

use crate::{common::invariant, helpers::TestApp};

/// Checks the whole table as of `now`.
#[track_caller]
pub fn assert_holds(app: &TestApp, rows: &[Value], now: i64) {
    assert_holds_without(app, rows, now, &[]);
}

/// Checks the whole table as of `now`. `departed` are users who accepted and are no longer members.
#[track_caller]
pub fn assert_holds_without(app: &TestApp, rows: &[Value], now: i64, departed: &[&str]) {
    invariant::assert_holds(&app.app.config, rows, now, departed);
}

/// Checks the whole table of `app` as of `now`.
pub async fn check(app: &TestApp, now: i64) {
    assert_holds(app, &app.rows().await, now);
}

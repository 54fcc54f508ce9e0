//! Faults, races, many callers, many rows and large inputs. These tests take longer than the others, so they are a
//! separate target, and `api` stays fast.
#![allow(clippy::needless_pass_by_value, clippy::unwrap_used, reason = "short test code; a panic fails the test")]

mod bulk;
#[path = "../common/mod.rs"]
#[expect(dead_code, reason = "the other targets use the rest")]
mod common;
mod creates;
#[cfg(feature = "cli")]
mod directory_faults;
mod exactly_once;
mod faults;
#[path = "../helpers/mod.rs"]
#[expect(dead_code, unused_imports, reason = "`api` uses the rest")]
mod helpers;
mod hostile;
#[path = "../common/hostile.rs"]
mod hostile_events;
mod list_limits;
mod long_lists;
mod races;
mod templates;

use aws_config::{stalled_stream_protection::StalledStreamProtectionConfig, timeout::TimeoutConfig};
use helpers::{BUDGET, TestApp};

/// Removes the SDK's own time limits, which a machine under load might exceed.
fn without_time_limits(app: TestApp) -> TestApp {
    let limits = TimeoutConfig::builder().connect_timeout(BUDGET).build();
    let unprotected = StalledStreamProtectionConfig::disabled();
    app.with_sdk(|sdk| sdk.timeout_config(limits).stalled_stream_protection(unprotected))
}

//! The release binary as Lambda starts it, against the embedded emulator and the SES stand-in. A target of its own, because
//! the binary is built first: link-time optimization takes minutes.
#![allow(
    clippy::needless_pass_by_value,
    clippy::unwrap_used,
    reason = "a test may be brief, and stops when it cannot go on"
)]

#[path = "../common/mod.rs"]
mod common;
mod crash;
mod function;
#[path = "../common/hostile.rs"]
mod hostile_events;
mod lambda;
#[path = "../common/runtime_api.rs"]
mod runtime_api;
mod surroundings;

//! The release binary as Lambda starts it, against the embedded emulator and the SES stand-in. It is a separate target,
//! because it builds the binary first, whose link-time optimization takes minutes.
#![allow(clippy::needless_pass_by_value, clippy::unwrap_used, reason = "short test code; a panic fails the test")]

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

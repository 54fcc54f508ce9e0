//! The behaviour of the whole function: real events through the real handler and real SDK clients, against an
//! embedded DynamoDB emulator and an SES stand-in on loopback. Every test has its own.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

mod concurrency;
mod create;
mod create_bodies;
mod directory;
mod events;
mod faults;
mod gateway;
mod helpers;
mod lambda;
mod mail;
mod proxy;

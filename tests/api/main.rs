//! The behaviour of the whole function: real events through the real handler and real SDK clients, against a DynamoDB
//! emulator and an SES stand-in on loopback. Every test has its own emulator and stand-in.
#![allow(clippy::needless_pass_by_value, clippy::unwrap_used, reason = "short test code; a panic fails the test")]

mod bulk;
mod capacity;
mod change;
mod changes;
#[path = "../common/mod.rs"]
#[expect(dead_code, reason = "the other targets use the rest")]
mod common;
mod concurrency;
mod connector;
mod cors;
mod create;
mod create_bodies;
mod delete;
mod delivery;
mod directory;
#[cfg(feature = "cli")]
mod directory_command;
#[cfg(feature = "cli")]
mod directory_import;
#[cfg(feature = "cli")]
mod directory_invite;
#[cfg(feature = "cli")]
mod directory_person;
mod events;
mod feedback;
mod gateway;
mod get;
#[path = "../helpers/mod.rs"]
#[expect(dead_code, reason = "`stress` uses the rest")]
mod helpers;
mod idempotency;
mod injection;
mod list;
mod log;
mod log_for_people;
mod log_of_aws;
mod log_privacy;
mod mail;
mod message;
mod my_account;
mod operations;
mod policy;
mod properties;
mod second_opinion;
mod sign_in;
#[cfg(feature = "cli")]
mod standing;
mod status;
mod template;
mod tenants;
mod test_names;
mod token;
mod token_issuers;
mod unreadable;
mod unreadable_invitations;

use helpers::{invariant, proxy};

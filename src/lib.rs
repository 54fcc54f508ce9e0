//! Organization invitations for multi-tenant applications on AWS: one Lambda function behind API Gateway.
//!
//! The modules, from the entry point down. Imports only run down this list:
//!
//! | module | owns |
//! |---|---|
//! | [`trigger`] | the kinds of event that invoke the function |
//! | [`http`] | API Gateway: event, caller, route, body, response, errors as statuses |
//! | [`feedback`] | SES's events about the mail, from `EventBridge` |
//! | [`changes`] | table changes → events about invitations |
//! | [`invitations`] | the use cases: create, resend, change, end, find, delivery |
//! | [`app`] | [`app::App`]: the settings, the store, the mailer; clients are built once |
//! | [`mail`] | template choice, rendering, SES |
//! | [`store`] | the table: keys, items, transactions, retries |
//! | [`config`] | every setting, from the environment |
//! | [`telemetry`] | one log line per request, which also carries its metrics |
//! | [`clock`] | the time of a request and its time budgets |
//! | [`domain`] | invitations, addresses, the directory, errors: no AWS, no HTTP |
//! | [`sdk_error`] | classification and description of failed AWS calls |
//! | `side_by_side` | concurrent futures within one task, up to a limit |
//! | [`json`] | safe reading of untrusted JSON |
//!
//! With features:
//!
//! | module | owns |
//! |---|---|
//! | `directory_command` (feature `cli`) | the operators' command, which fills and inspects the directory |
//! | `local` (feature `local`) | gateway, token issuer, DynamoDB emulator, SES stand-in, pages to look at |

#![cfg_attr(
    not(all(feature = "cli", feature = "local")),
    allow(dead_code, unused_imports, reason = "the function without its tools uses only a part of the crate")
)]

pub mod app;
#[cfg(test)]
mod arbitrary;
pub mod changes;
pub mod clock;
pub mod config;
#[cfg(test)]
mod debug_privacy;
#[cfg(feature = "cli")]
pub mod directory_command;
pub mod domain;
pub mod feedback;
pub mod http;
pub(crate) mod invitations;
pub(crate) mod json;
#[cfg(feature = "local")]
pub mod local;
pub mod mail;
pub(crate) mod sdk_error;
mod side_by_side;
pub mod store;
pub mod telemetry;
pub mod trigger;

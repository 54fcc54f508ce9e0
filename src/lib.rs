//! Organization invitations for multi-tenant applications on AWS: one Lambda function behind API Gateway.
//!
//! The modules, from the door down. Imports only run down this list:
//!
//! | module | owns |
//! |---|---|
//! | [`trigger`] | the kinds of event that invoke the function |
//! | [`http`] | API Gateway's door: event, caller, route, body, response, errors as statuses |
//! | [`invitations`] | the use cases: create, resend, end, find |
//! | [`app`] | [`app::App`]: the settings, the store, the mailer; clients are built once |
//! | [`mail`] | template choice, rendering, SES |
//! | [`store`] | the table: keys, items, transactions, retries |
//! | [`config`] | every setting, from the environment |
//! | [`telemetry`] | one line for each request, which is its metrics too |
//! | [`clock`] | the time of a request and its time budgets |
//! | [`domain`] | invitations, addresses, the directory, errors: no AWS, no HTTP |
//! | [`sdk_error`] | what may be said of a failed AWS call |
//! | `side_by_side` | futures side by side within one task, so many at a time |
//! | [`json`] | JSON from outside, without surprises |
//!
//! Beside them, with features:
//!
//! | module | owns |
//! |---|---|
//! | `directory_command` (feature `cli`) | the operators' command, which fills and inspects the directory |
//! | `local` (feature `local`) | gateway, token issuer, DynamoDB emulator, SES stand-in, pages to look at |

pub mod app;
pub mod clock;
pub mod config;
#[cfg(feature = "cli")]
pub mod directory_command;
pub mod domain;
pub mod http;
pub mod invitations;
pub mod json;
#[cfg(feature = "local")]
pub mod local;
pub mod mail;
pub mod sdk_error;
mod side_by_side;
pub mod store;
pub mod telemetry;
pub mod trigger;

//! Organization invitations for multi-tenant applications on AWS: one Lambda function behind API Gateway.
//!
//! | module | owns |
//! |---|---|
//! | [`config`] | every setting, from the environment |
//! | [`app`] | [`app::App`]: the settings, the store, the mailer; clients are built once |
//! | [`handler`] | event → route → endpoint → answer; infallible; logs once |
//! | [`event`] | the two forms of API Gateway's events and answers |
//! | [`caller`] | the authorizers' findings → [`caller::Caller`] |
//! | [`body`] | bytes → typed fields, every violation at once |
//! | [`cursor`] | the sealed cursors of paged lists |
//! | [`idempotency`] | what makes two requests the same one, made again |
//! | [`error`] | [`error::Error`], and the one table to status, code and message |
//! | [`endpoints`] | one file per operation |
//! | [`json`] | JSON from outside, without surprises |
//! | [`log`] | one line for each request, which is its metrics too; and what cannot get into the log |
//! | [`mail`] | template choice, rendering, SES |
//! | [`store`] | access patterns, keys, items, cancellation reasons |
//! | [`sdk_error`] | what may be said of a failed AWS call |
//! | [`invitation`], [`email_address`], [`directory`], [`timestamp`] | the domain: no AWS, no HTTP |
//! | `directory_command` (feature `cli`) | the operators' command, which fills and inspects the directory |
//! | `local` (feature `local`) | gateway, token issuer, DynamoDB emulator, SES stand-in, pages to look at |

pub mod app;
pub mod body;
pub mod caller;
pub mod config;
pub mod cursor;
pub mod directory;
#[cfg(feature = "cli")]
pub mod directory_command;
pub mod email_address;
pub mod endpoints;
pub mod error;
pub mod event;
pub mod handler;
pub mod idempotency;
pub mod invitation;
pub mod json;
#[cfg(feature = "local")]
pub mod local;
pub mod log;
pub mod mail;
pub mod sdk_error;
pub mod store;
pub mod timestamp;

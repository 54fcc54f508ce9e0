//! The domain: invitations, their creation and their end. No AWS, no HTTP.
//!
//! | module | owns |
//! |---|---|
//! | [`ids`] | tenants and the identifiers of invitations |
//! | [`email_address`] | the address of an invitee |
//! | [`invitation`] | an invitation, its status, and the entity that callers see |
//! | [`delivery`] | the delivery of an invitation's message, and the order of SES's reports about it |
//! | [`directory`] | organizations, roles, users and the email connector |
//! | [`message_payload`] | a caller's variables for an email |
//! | [`rate_limit`] | the limit of messages to one recipient |
//! | [`idempotency`] | the idempotency key and the fingerprint of a request |
//! | [`token`] | the secret in the link of a message |
//! | [`person`] | a person who acts on their own invitations |
//! | [`timestamp`] | time in milliseconds |
//! | [`error`] | the failures of the use cases |

pub mod delivery;
pub mod directory;
pub mod email_address;
pub(crate) mod error;
pub(crate) mod idempotency;
pub mod ids;
pub mod invitation;
pub(crate) mod message_payload;
pub(crate) mod person;
pub(crate) mod rate_limit;
pub mod timestamp;
pub mod token;

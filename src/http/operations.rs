//! The operations of the API, one file each: from HTTP to the use case and back.

pub(crate) mod bulk;
pub(crate) mod change;
pub(crate) mod create;
pub(crate) mod delete;
pub(crate) mod get;
pub(crate) mod list;
pub(crate) mod message;
pub(crate) mod own;
pub(crate) mod status;
pub(crate) mod token;

use super::{caller::Caller, event::Event};
use crate::clock::RequestClock;

/// An authorized request.
#[derive(Debug)]
pub(crate) struct Request<'a> {
    /// The caller.
    pub caller: Caller,
    /// The event from API Gateway.
    pub event: &'a Event,
    /// The clock of the request.
    pub clock: RequestClock,
}

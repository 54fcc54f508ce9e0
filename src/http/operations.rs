//! The operations of the API, one file each: from HTTP to the use case and back.

pub mod bulk;
pub mod change;
pub mod create;
pub mod delete;
pub mod get;
pub mod list;
pub mod message;
pub mod status;

use super::{caller::Caller, event::Event};
use crate::clock::RequestClock;

/// An authorized request.
#[derive(Debug)]
pub struct Request<'a> {
    /// The caller.
    pub caller: Caller,
    /// The event from API Gateway.
    pub event: &'a Event,
    /// The clock of the request.
    pub clock: RequestClock,
}

//! The operations of the API, one file for each: from the wire form to the use case and back.

pub mod create;
pub mod delete;
pub mod get;
pub mod list;
pub mod message;
pub mod status;

use super::{caller::Caller, event::Event};
use crate::clock::RequestClock;

/// A request that has been let in.
#[derive(Debug)]
pub struct Request<'a> {
    /// Who is asking.
    pub caller: Caller,
    /// What API Gateway handed over.
    pub event: &'a Event,
    /// The time.
    pub clock: RequestClock,
}

//! Helpers of all test targets: requests and responses, the operations, the events, the invariant of the table, and the
//! secrets that the log must not contain.

pub mod answer;
pub mod body;
pub mod call;
pub mod events;
pub mod invariant;
pub mod log;
pub mod operation;
pub mod rows;

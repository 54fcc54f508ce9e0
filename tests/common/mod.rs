//! What both test targets use: requests and what is returned to them, the operations, the events, the table's invariant,
//! and what the log must not repeat.

pub mod answer;
pub mod body;
pub mod call;
pub mod events;
pub mod hostile;
pub mod invariant;
pub mod log;
pub mod operation;
pub mod rows;

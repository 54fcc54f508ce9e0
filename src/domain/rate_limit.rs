//! The limit of messages to one recipient.

use std::time::Duration;

/// How many messages one recipient may get in a sliding window, across all organizations of a tenant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MessageRate {
    /// `MESSAGE_RATE_LIMIT` (10; 1 to 100): the most messages in a window.
    pub limit: usize,
    /// `MESSAGE_RATE_WINDOW_SECONDS` (600; 1 to 86400): the window's length.
    pub window: Duration,
}

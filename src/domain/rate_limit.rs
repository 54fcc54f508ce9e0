//! The rate limit of messages to one recipient.

use std::time::Duration;

/// The maximum number of messages to one recipient in a sliding window, across all organizations of a tenant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MessageRate {
    /// `MESSAGE_RATE_LIMIT` (10; 1 to 100): the maximum number of messages in a window.
    pub limit: usize,
    /// `MESSAGE_RATE_WINDOW_SECONDS` (600; 1 to 86400): the length of the window.
    pub window: Duration,
}

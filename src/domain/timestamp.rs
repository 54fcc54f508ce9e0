//! Time as the API speaks it: integer milliseconds since the Unix epoch.
//!
//! Nothing in the domain reads a clock: the time of a request is an argument that comes from the edge.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::Serialize;

/// A moment, in **milliseconds** since the Unix epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct Timestamp(i64);

impl Timestamp {
    /// The last moment that JavaScript's `Date` can hold, and so the largest `expiresAt` (ECMAScript, time values).
    pub const MAX: Self = Self(8_640_000_000_000_000);

    /// A moment from milliseconds since the epoch.
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis)
    }

    /// The machine's clock. To be called once per request, at the edge.
    pub fn now() -> Self {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self(i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX))
    }

    /// Milliseconds since the epoch.
    pub const fn as_millis(self) -> i64 {
        self.0
    }

    /// Seconds since the epoch, rounded up: the unit of a DynamoDB TTL. Rounding up never deletes too early.
    pub const fn as_secs_ceil(self) -> i64 {
        self.0.div_euclid(1000) + (self.0.rem_euclid(1000) != 0) as i64
    }

    /// The timestamp `duration` later, to the millisecond; stops at the end of the range.
    #[must_use]
    pub fn plus(self, duration: Duration) -> Self {
        Self(self.0.saturating_add_unsigned(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)))
    }

    /// The timestamp `duration` earlier, to the millisecond; stops at the end of the range.
    #[must_use]
    pub fn minus(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub_unsigned(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)))
    }

    /// This moment and `millis` milliseconds more, or fewer where negative; stops at the ends of the range.
    #[must_use]
    pub const fn plus_millis(self, millis: i64) -> Self {
        Self(self.0.saturating_add(millis))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_are_rounded_up_so_that_nothing_is_deleted_early() {
        for (millis, seconds) in [(0, 0), (1, 1), (999, 1), (1000, 1), (1001, 2), (-1, 0)] {
            assert_eq!(Timestamp::from_millis(millis).as_secs_ceil(), seconds, "{millis} ms");
        }
    }
}

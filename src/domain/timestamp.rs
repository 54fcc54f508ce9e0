//! Timestamps as in the API: integer milliseconds since the Unix epoch.
//!
//! The domain reads no clock: the time of a request is an argument.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::Serialize;

/// A point in time, in **milliseconds** since the Unix epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct Timestamp(i64);

impl Timestamp {
    /// The maximum `expiresAt`: the latest time that JavaScript's `Date` can hold (ECMAScript, time values).
    pub(crate) const MAX: Self = Self(8_640_000_000_000_000);

    /// A timestamp from milliseconds since the epoch.
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis)
    }

    /// Returns `true` if this number of milliseconds, read as seconds, is after `now` and before the year 2101.
    pub(crate) fn looks_like_seconds(self, now: Self) -> bool {
        /// 2101-01-01T00:00:00Z, in milliseconds.
        const END: i64 = 4_133_980_800_000;
        (now.0.saturating_add(1)..END).contains(&self.0.saturating_mul(1000))
    }

    /// Reads the machine's clock. Use cases take the time from their `RequestClock` instead.
    pub fn now() -> Self {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self(i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX))
    }

    /// Milliseconds since the epoch.
    pub const fn as_millis(self) -> i64 {
        self.0
    }

    /// Seconds since the epoch, rounded up: the unit of a DynamoDB TTL. Rounding down would delete a row early.
    pub(crate) const fn as_secs_ceil(self) -> i64 {
        self.0.div_euclid(1000) + (self.0.rem_euclid(1000) != 0) as i64
    }

    /// Adds `duration`, to the millisecond. Saturates at the end of the range.
    #[must_use]
    pub(crate) fn plus(self, duration: Duration) -> Self {
        Self(self.0.saturating_add_unsigned(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)))
    }

    /// Subtracts `duration`, to the millisecond. Saturates at the end of the range.
    #[must_use]
    pub(crate) fn minus(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub_unsigned(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)))
    }

    /// Adds `millis` milliseconds, which may be negative. Saturates at the ends of the range.
    #[must_use]
    pub const fn plus_millis(self, millis: i64) -> Self {
        Self(self.0.saturating_add(millis))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_are_rounded_up() {
        for (millis, seconds) in [(0, 0), (1, 1), (999, 1), (1000, 1), (1001, 2), (-1, 0)] {
            assert_eq!(Timestamp::from_millis(millis).as_secs_ceil(), seconds, "{millis} ms");
        }
    }
}

//! Formats times for emails, in UTC.

use aws_sdk_sesv2::primitives::{DateTime, DateTimeFormat};

use crate::domain::timestamp::Timestamp;

/// The latest time that RFC 3339 can represent: the end of the year 9999.
const LAST_WRITABLE: Timestamp = Timestamp::from_millis(253_402_300_799_000);

/// A time in UTC, to the second.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct UtcTime {
    /// In the format of RFC 3339: `2026-11-26T14:30:00Z`.
    rfc3339: String,
}

impl UtcTime {
    /// The time of `timestamp`, or the end of the year 9999 if that comes first.
    pub fn of(timestamp: Timestamp) -> Self {
        let seconds = timestamp.min(LAST_WRITABLE).as_millis().div_euclid(1000);
        Self { rfc3339: DateTime::from_secs(seconds).fmt(DateTimeFormat::DateTime).unwrap_or_default() }
    }

    /// `2026-11-26T14:30:00Z`.
    pub fn rfc3339(&self) -> &str {
        &self.rfc3339
    }

    /// `2026-11-26 14:30 UTC`.
    pub fn to_the_minute(&self) -> String {
        format!("{} {} UTC", self.part(0, 10), self.time())
    }

    /// The year, in four digits.
    pub fn year(&self) -> &str {
        self.part(0, 4)
    }

    /// The month, from 1 to 12.
    pub fn month(&self) -> usize {
        self.part(5, 7).parse().unwrap_or_default()
    }

    /// The month's name from `names`, the twelve names separated by spaces.
    pub fn month_name(&self, names: &'static str) -> &'static str {
        names.split(' ').nth(self.month().saturating_sub(1)).unwrap_or_default()
    }

    /// The day of the month.
    pub fn day(&self) -> usize {
        self.part(8, 10).parse().unwrap_or_default()
    }

    /// The hour and the minute: `14:30`.
    pub fn time(&self) -> &str {
        self.part(11, 16)
    }

    fn part(&self, from: usize, to: usize) -> &str {
        self.rfc3339.get(from..to).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_seconds_and_are_capped_at_the_year_9999() {
        for (millis, rfc3339, to_the_minute, parts) in [
            (4_102_444_800_999, "2100-01-01T00:00:00Z", "2100-01-01 00:00 UTC", ("2100", 1, 1, "00:00")),
            (1_795_703_459_000, "2026-11-26T14:30:59Z", "2026-11-26 14:30 UTC", ("2026", 11, 26, "14:30")),
            (1_000, "1970-01-01T00:00:01Z", "1970-01-01 00:00 UTC", ("1970", 1, 1, "00:00")),
            (Timestamp::MAX.as_millis(), "9999-12-31T23:59:59Z", "9999-12-31 23:59 UTC", ("9999", 12, 31, "23:59")),
        ] {
            let time = UtcTime::of(Timestamp::from_millis(millis));
            assert_eq!((time.rfc3339(), time.to_the_minute().as_str()), (rfc3339, to_the_minute));
            assert_eq!((time.year(), time.month(), time.day(), time.time()), parts, "{rfc3339}");
        }
    }
}

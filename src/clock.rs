//! The clock of a request: its time, its deadline, and the time that each stage may use of it.

use std::time::Duration;

use tokio::time::Instant;

use crate::domain::timestamp::Timestamp;

/// The time of a request, and the time that is left for it. Made once, at the edge.
#[derive(Clone, Copy, Debug)]
pub struct RequestClock {
    /// The time of the request.
    pub now: Timestamp,
    /// Until when AWS may be called for it.
    pub deadline: Deadline,
    /// How long after `now` the request may be worked on: Lambda ends a function that goes on for longer.
    pub lifetime: Duration,
}

/// The most that the clocks of two machines are taken to differ by.
const CLOCKS_APART: Duration = Duration::from_secs(1);

/// Until when AWS may be called. An attempt that may change something can end late with its outcome unknown, so one
/// does not begin unless it has the time that it may take.
#[derive(Clone, Copy, Debug)]
pub struct Deadline {
    /// The last moment at which an attempt may begin.
    pub begin_by: Instant,
    /// The moment at which one that has begun is given up.
    pub end: Instant,
}

/// The longest that one attempt may take to get an answer from AWS.
pub const LONGEST_ATTEMPT: Duration = Duration::from_secs(2);

/// What an answer takes when all that it needs from AWS is there.
const ANSWERING: Duration = Duration::from_millis(200);

impl RequestClock {
    /// The moment of a request that has to be answered within `budget` from now on.
    pub fn with_budget(budget: Duration) -> Self {
        Self { now: Timestamp::now(), deadline: Deadline::within(budget), lifetime: budget }
    }

    /// When nobody works on the request any more, whatever happened, by the clock of whichever machine looks.
    pub fn end(self) -> Timestamp {
        let lifetime = self.lifetime + CLOCKS_APART;
        self.now.plus_millis(i64::try_from(lifetime.as_millis()).unwrap_or(i64::MAX))
    }

    /// The deadline of what has to leave `rest` of the time.
    pub fn leaving(self, rest: Duration) -> Deadline {
        self.deadline.leaving(rest)
    }
}

impl Deadline {
    /// The deadline where the answer has to be there within `budget` from now on. A budget too small for the slowest of
    /// attempts is shared between beginning and ending.
    pub fn within(budget: Duration) -> Self {
        let end = Instant::now() + budget - ANSWERING.min(budget / 10);
        Self { begin_by: end - LONGEST_ATTEMPT.min(budget / 4), end }
    }

    /// An earlier deadline, which leaves `rest` of the time; or half of what is left, where that is little.
    #[must_use]
    pub fn leaving(self, rest: Duration) -> Self {
        let rest = rest.min(self.begin_by.saturating_duration_since(Instant::now()) / 2);
        Self { begin_by: self.begin_by - rest, end: self.end - rest }
    }

    /// Whether something that begins now and takes `duration` ends in time.
    pub fn leaves(self, duration: Duration) -> bool {
        Instant::now() + duration <= self.end
    }

    /// Whether an attempt that begins after `wait` would begin too late.
    pub fn has_passed_in(self, wait: Duration) -> bool {
        Instant::now() + wait >= self.begin_by
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_attempt_that_begins_in_time_ends_in_time_and_leaves_what_it_should() {
        let millis = Duration::from_millis;
        for (budget, rest, begin_by, end, reason) in [
            (25_000, 0, 22_800, 24_800, "the deployed function"),
            (25_000, 7_000, 15_800, 17_800, "and what it leaves to take back what it has begun"),
            (4_000, 0, 2_800, 3_800, "little time: the longest attempt is shorter"),
            (4_000, 7_000, 1_400, 2_400, "little time: half of it is left"),
            (0, 0, 0, 0, "no time at all"),
        ] {
            let started = Instant::now();
            let deadline = Deadline::within(millis(budget)).leaving(millis(rest));
            let late = deadline.end.duration_since(started).checked_sub(millis(end));
            assert!(late.is_some_and(|late| late < millis(300)), "{reason}: {late:?}");
            assert!((deadline.end - deadline.begin_by).abs_diff(millis(end - begin_by)) < millis(1), "{reason}");
            assert!(deadline.has_passed_in(millis(begin_by + 300)), "{reason}");
            assert_eq!(deadline.has_passed_in(Duration::ZERO), begin_by == 0, "{reason}");
        }
    }
}

//! The clock of a request: its time, its deadline, and the time budget of each stage.

use std::time::Duration;

use tokio::time::Instant;

use self::budgets::{LONGEST_ATTEMPT, RESPONDING};
use crate::domain::timestamp::Timestamp;

/// Every time budget. Those of a request, in the order of the slowest create:
///
/// | stage | budget |
/// |---|---|
/// | any attempt at DynamoDB | [`budgets::LONGEST_ATTEMPT`], including [`budgets::CONNECT_TIMEOUT`] for a new connection |
/// | writing | begins while [`budgets::TIME_AFTER_WRITING`] is left behind its longest attempt |
/// | proof of the connection to SES, while writing | [`budgets::PROOF_LIMITS`] |
/// | sending | begins only with [`budgets::LEAST_TIME_TO_SEND`] or, once written, [`budgets::SHORTEST_SEND`] left |
/// | completing or rolling back | [`budgets::TIME_AFTER_SENDING`], then one longest attempt |
/// | the response | [`budgets::RESPONDING`] |
///
/// [`Deadline`] leaves the last three to the stages before them. The test below adds them up against the function's
/// `Timeout`.
pub(crate) mod budgets {
    use std::time::Duration;

    /// The longest that one attempt may wait for a response from AWS. DynamoDB usually takes milliseconds; an attempt that
    /// may have committed must be followed by another before the deadline, so it is given up early.
    pub(crate) const LONGEST_ATTEMPT: Duration = Duration::from_secs(2);

    /// The longest that a connection may take to open, TLS handshake included. Less than an attempt, so that a connection
    /// that cannot be opened is a failure after which certainly nothing was done.
    pub(crate) const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);

    /// The time to write a response once AWS has responded.
    pub(crate) const RESPONDING: Duration = Duration::from_millis(200);

    /// The time left when a request begins to write an invitation that may be mailed: to learn the outcome if the response
    /// is lost, to send the email, and to roll back.
    pub(crate) const TIME_AFTER_WRITING: Duration = Duration::from_secs(7);

    /// The time left when a request begins to end an invitation: to read the outcome if the response is lost.
    pub(crate) const TIME_AFTER_ENDING: Duration = Duration::from_secs(3);

    /// The time left behind the last attempt to send, so that completing or rolling back can begin in time and have a
    /// retry.
    pub(crate) const TIME_AFTER_SENDING: Duration = Duration::from_secs(1);

    /// The least time for an attempt to send. SES usually responds in a tenth of it.
    pub(crate) const SHORTEST_SEND: Duration = Duration::from_millis(500);

    /// The least time for sending that a request must have when it begins to write: for the transaction, and for one
    /// attempt to send. A function whose timeout is 3 seconds has it, one with 2 seconds has not.
    pub(crate) const LEAST_TIME_TO_SEND: Duration = Duration::from_millis(700);

    /// The time limits of the attempts to prove a connection to SES alive. The first attempt may meet a dead connection: a
    /// response takes milliseconds, so the attempt is given up soon, which closes the connection. The others open a new
    /// one. The last may use the rest of the time for sending, which ends it.
    pub(crate) const PROOF_LIMITS: [Duration; 3] =
        [Duration::from_millis(500), Duration::from_secs(5), Duration::from_secs(15)];

    /// The time for an operator's single read or write, retries included. No request waits for it.
    pub(crate) const OPERATOR_CALL: Duration = Duration::from_mins(1);
}

/// The time of a request, and the time that is left for it. Made once, at the edge.
#[derive(Clone, Copy, Debug)]
pub struct RequestClock {
    /// The time of the request.
    pub now: Timestamp,
    /// The deadline for calls of AWS.
    pub deadline: Deadline,
    /// The longest that the request can be worked on after `now`: Lambda ends a function that takes longer.
    pub lifetime: Duration,
}

/// The assumed maximum difference between the clocks of two machines.
const CLOCK_SKEW: Duration = Duration::from_secs(1);

/// The deadline for calls of AWS. An attempt that writes can end late with an unknown outcome, so one does not begin
/// unless it has the time that it may take.
#[derive(Clone, Copy, Debug)]
pub struct Deadline {
    /// The latest time at which an attempt may begin.
    pub begin_by: Instant,
    /// The time at which an attempt that has begun is given up.
    pub end: Instant,
}

impl RequestClock {
    /// The clock of a request that begins now and must be complete within `budget`.
    pub fn with_budget(budget: Duration) -> Self {
        Self { now: Timestamp::now(), deadline: Deadline::within(budget), lifetime: budget }
    }

    /// The time from which on no attempt of this request can be alive, by the clock of any machine.
    pub(crate) fn end(self) -> Timestamp {
        self.now.plus(self.lifetime + CLOCK_SKEW)
    }

    /// The deadline of a stage that must leave `rest` of the time.
    pub(crate) fn leaving(self, rest: Duration) -> Deadline {
        self.deadline.leaving(rest)
    }
}

impl Deadline {
    /// The deadline of a request that begins now and must be complete within `budget`. If the budget is too small for the
    /// longest attempt, the attempt gets a share of it.
    pub(crate) fn within(budget: Duration) -> Self {
        let end = Instant::now() + budget - RESPONDING.min(budget / 10);
        Self { begin_by: end - LONGEST_ATTEMPT.min(budget / 4), end }
    }

    /// An earlier deadline, which leaves `rest` of the time, or half of what is left if that is less.
    #[must_use]
    pub(crate) fn leaving(self, rest: Duration) -> Self {
        let rest = rest.min(self.begin_by.saturating_duration_since(Instant::now()) / 2);
        Self { begin_by: self.begin_by - rest, end: self.end - rest }
    }

    /// Returns `true` if something that begins now and takes `duration` ends in time.
    pub(crate) fn leaves(self, duration: Duration) -> bool {
        Instant::now() + duration <= self.end
    }

    /// Returns `true` if an attempt that begins after `wait` would begin too late.
    pub(crate) fn has_passed_in(self, wait: Duration) -> bool {
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
            (25_000, 7_000, 15_800, 17_800, "and what it leaves to roll back"),
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

    #[test]
    fn the_stages_of_the_slowest_create_fit_into_the_timeout_of_the_template() {
        use super::budgets::*;
        // The last attempt to prove the connection ends with the time for sending, whatever its limit.
        let proof = PROOF_LIMITS[..2].iter().sum::<Duration>();
        let rolling_back = TIME_AFTER_SENDING + LONGEST_ATTEMPT;
        for (stages, reason) in [
            (
                &[LONGEST_ATTEMPT, LONGEST_ATTEMPT, TIME_AFTER_WRITING, LONGEST_ATTEMPT, RESPONDING][..],
                "a lost response",
            ),
            (&[LONGEST_ATTEMPT, proof, SHORTEST_SEND, rolling_back, RESPONDING], "a connection that is hard to prove"),
        ] {
            let sum = stages.iter().sum::<Duration>();
            assert!(sum < timeout_of_template(), "{reason}: {sum:?}");
        }
        assert!(TIME_AFTER_WRITING > LONGEST_ATTEMPT + SHORTEST_SEND + rolling_back, "one retry, the email, roll-back");
        assert!(TIME_AFTER_ENDING > LONGEST_ATTEMPT, "reading the outcome");
        assert!(LEAST_TIME_TO_SEND > SHORTEST_SEND, "the transaction, and an attempt to send");
        assert!(LONGEST_ATTEMPT > CONNECT_TIMEOUT, "a connection that cannot be opened is told from a late response");
    }

    /// The `Timeout` of the function that answers requests: the longest in the template.
    fn timeout_of_template() -> Duration {
        let template = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/template.yaml")).unwrap();
        let timeouts = template.lines().filter_map(|line| line.trim().strip_prefix("Timeout: ")?.parse().ok());
        Duration::from_secs(timeouts.max().unwrap())
    }
}

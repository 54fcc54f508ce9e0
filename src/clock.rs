//! The clock of a request: its time, its deadline, and the time budget of each stage.

use std::time::Duration;

use tokio::time::Instant;

use self::budgets::{ATTEMPT_TIMEOUT, RESPONDING};
use crate::domain::timestamp::Timestamp;

/// All time budgets. The budgets of the slowest create, in order:
///
/// | stage | budget |
/// |---|---|
/// | any DynamoDB attempt | [`budgets::ATTEMPT_TIMEOUT`], including [`budgets::CONNECT_TIMEOUT`] for a new connection |
/// | writing | an attempt begins only if [`budgets::TIME_AFTER_WRITING`] would be left after it |
/// | proof of the connection to SES, while writing | [`budgets::PROOF_LIMITS`] |
/// | sending | needs [`budgets::MIN_TIME_TO_SEND`] before writing, and [`budgets::MIN_SEND_TIME`] before each attempt |
/// | completing or rolling back | [`budgets::TIME_AFTER_SENDING`] to begin an attempt, then [`budgets::ATTEMPT_TIMEOUT`] for it |
/// | the response | [`budgets::RESPONDING`] |
///
/// [`Deadline`] reserves the later budgets while an earlier stage runs. A test below checks their sum against the
/// function's `Timeout`.
pub(crate) mod budgets {
    use std::time::Duration;

    /// The timeout of one AWS call attempt. DynamoDB usually takes milliseconds. The timeout is short, because an
    /// attempt that may have committed must be followed by another before the deadline.
    pub(crate) const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(2);

    /// The timeout for opening a connection, including the TLS handshake. It is shorter than an attempt's, so that a
    /// connection that cannot be opened fails as such: then certainly nothing was written.
    pub(crate) const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);

    /// The time reserved for the response after the last AWS call.
    pub(crate) const RESPONDING: Duration = Duration::from_millis(200);

    /// The time reserved after an attempt to write an invitation: for a retry if its response is lost, for sending the
    /// email, and for rolling back.
    pub(crate) const TIME_AFTER_WRITING: Duration = Duration::from_secs(7);

    /// The time reserved after an attempt to end or change an invitation: for reading the outcome if its response is
    /// lost.
    pub(crate) const TIME_AFTER_ENDING: Duration = Duration::from_secs(3);

    /// The time after the last attempt to send in which completing or rolling back can begin an attempt, or retry it.
    pub(crate) const TIME_AFTER_SENDING: Duration = Duration::from_secs(1);

    /// The minimum time for an attempt to send. SES usually responds within a tenth of it.
    pub(crate) const MIN_SEND_TIME: Duration = Duration::from_millis(500);

    /// The minimum time before the sending deadline when a request begins to write: for the transaction and one attempt
    /// to send. A function timeout of 3 seconds leaves enough, 2 seconds do not.
    pub(crate) const MIN_TIME_TO_SEND: Duration = Duration::from_millis(700);

    /// The timeouts of the attempts to prove that a connection to SES is alive. The first attempt may use a dead
    /// connection; its timeout is short, because a live one responds within milliseconds, and closes the connection.
    /// The later attempts open a new connection. The last one may use all time until the sending deadline.
    pub(crate) const PROOF_LIMITS: [Duration; 3] =
        [Duration::from_millis(500), Duration::from_secs(5), Duration::from_secs(15)];

    /// The time for one read or write of the operators' command, including retries. No request waits for it.
    pub(crate) const OPERATOR_CALL: Duration = Duration::from_mins(1);
}

/// The time of a request, and its deadline. Created once per invocation.
#[derive(Clone, Copy, Debug)]
pub struct RequestClock {
    /// The time of the request.
    pub now: Timestamp,
    /// The deadline for AWS calls.
    pub deadline: Deadline,
    /// The maximum time from `now` until Lambda ends the invocation.
    pub lifetime: Duration,
}

/// The assumed maximum difference between the clocks of two machines.
const CLOCK_SKEW: Duration = Duration::from_secs(1);

/// The deadline for AWS calls. A write that times out has an unknown outcome, so an attempt only begins if it can take
/// its full timeout.
#[derive(Clone, Copy, Debug)]
pub struct Deadline {
    /// The latest time at which an attempt may begin.
    pub begin_by: Instant,
    /// The time at which a running attempt is cancelled.
    pub end: Instant,
}

impl RequestClock {
    /// The clock of a request that begins now and must respond within `budget`.
    pub fn with_budget(budget: Duration) -> Self {
        Self { now: Timestamp::now(), deadline: Deadline::within(budget), lifetime: budget }
    }

    /// The time after which no attempt of this request can still be running, by the clock of any machine.
    pub(crate) fn end(self) -> Timestamp {
        self.now.plus(self.lifetime + CLOCK_SKEW)
    }

    /// An earlier deadline that reserves `rest` for later stages: see [`Deadline::leaving`].
    pub(crate) fn leaving(self, rest: Duration) -> Deadline {
        self.deadline.leaving(rest)
    }
}

impl Deadline {
    /// The deadline of a request that begins now and must respond within `budget`. With a small budget, an attempt may
    /// take a quarter of it instead of [`ATTEMPT_TIMEOUT`].
    pub(crate) fn within(budget: Duration) -> Self {
        let end = Instant::now() + budget - RESPONDING.min(budget / 10);
        Self { begin_by: end - ATTEMPT_TIMEOUT.min(budget / 4), end }
    }

    /// An earlier deadline that reserves `rest`, or half of the remaining time if that is less.
    #[must_use]
    pub(crate) fn leaving(self, rest: Duration) -> Self {
        let rest = rest.min(self.begin_by.saturating_duration_since(Instant::now()) / 2);
        Self { begin_by: self.begin_by - rest, end: self.end - rest }
    }

    /// Returns `true` if at least `duration` is left.
    pub(crate) fn leaves(self, duration: Duration) -> bool {
        Instant::now() + duration <= self.end
    }

    /// Returns `true` if an attempt could no longer begin after `wait`.
    pub(crate) fn has_passed_in(self, wait: Duration) -> bool {
        Instant::now() + wait >= self.begin_by
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_attempt_that_begins_in_time_ends_in_time_and_leaves_the_reserved_time() {
        let millis = Duration::from_millis;
        for (budget, rest, begin_by, end, reason) in [
            (25_000, 0, 22_800, 24_800, "the deployed function"),
            (25_000, 7_000, 15_800, 17_800, "with the time to send and roll back reserved"),
            (4_000, 0, 2_800, 3_800, "little time: the longest attempt is shorter"),
            (4_000, 7_000, 1_400, 2_400, "little time: half of it is reserved"),
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
        // The sending deadline ends the last attempt to prove the connection, whatever its timeout.
        let proof = PROOF_LIMITS[..2].iter().sum::<Duration>();
        let rolling_back = TIME_AFTER_SENDING + ATTEMPT_TIMEOUT;
        for (stages, reason) in [
            (
                &[ATTEMPT_TIMEOUT, ATTEMPT_TIMEOUT, TIME_AFTER_WRITING, ATTEMPT_TIMEOUT, RESPONDING][..],
                "a lost response",
            ),
            (&[ATTEMPT_TIMEOUT, proof, MIN_SEND_TIME, rolling_back, RESPONDING], "a connection that is hard to prove"),
        ] {
            let sum = stages.iter().sum::<Duration>();
            assert!(sum < timeout_of_template(), "{reason}: {sum:?}");
        }
        assert!(TIME_AFTER_WRITING > ATTEMPT_TIMEOUT + MIN_SEND_TIME + rolling_back, "one retry, the email, roll-back");
        assert!(TIME_AFTER_ENDING > ATTEMPT_TIMEOUT, "reading the outcome");
        assert!(MIN_TIME_TO_SEND > MIN_SEND_TIME, "the transaction, and an attempt to send");
        assert!(
            ATTEMPT_TIMEOUT > CONNECT_TIMEOUT,
            "a connection that cannot be opened is distinguished from a late response"
        );
    }

    /// The `Timeout` of the function that answers requests: the longest in the template.
    fn timeout_of_template() -> Duration {
        let template = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/template.yaml")).unwrap();
        let timeouts = template.lines().filter_map(|line| line.trim().strip_prefix("Timeout: ")?.parse().ok());
        Duration::from_secs(timeouts.max().unwrap())
    }
}

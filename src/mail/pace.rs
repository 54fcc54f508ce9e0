//! The send rate of a bulk call: SES throttles messages above the account's rate.
//!
//! A message waits for its turn before its invitation is written, so that no invitation is written that cannot be
//! mailed in time. A token bucket with the configured rate issues the turns. If SES throttles nevertheless, the rate is
//! halved, and recovers with each message that SES does not throttle.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    sync::{Mutex as Queue, Notify, Semaphore},
    time::{Instant, sleep_until},
};

use super::{Email, Mailer, SendError, Sent, ses::Attempt};
use crate::{
    clock::{Deadline, budgets::MIN_SEND_TIME},
    domain::timestamp::Timestamp,
    telemetry::statistics,
};

/// The period whose unused turns can be taken later: the burst of the token bucket.
const BURST: Duration = Duration::from_millis(100);
/// The maximum interval between two messages, however often SES throttles.
const MAX_INTERVAL: Duration = Duration::from_secs(1);
/// The maximum number of concurrent SES calls.
const MAX_CONCURRENT_SENDS: u32 = 16;
/// The messages per second that one connection carries if SES responds within 250 ms.
const MESSAGES_PER_CONNECTION: u32 = 4;
/// The maximum number of attempts of a message that fail to open a connection.
const MAX_CONNECTION_FAILURES: u32 = 3;

/// The send rate and the connections of one bulk call.
#[derive(Debug)]
pub(crate) struct Pace {
    /// Gives turns in the order of requests.
    queue: Queue<()>,
    bucket: Mutex<TokenBucket>,
    turn_released: Notify,
    /// One permit for each connection that was proved alive at the beginning of the call.
    connections: Semaphore,
}

/// The token bucket.
#[derive(Debug)]
struct TokenBucket {
    /// The interval between two turns at the configured rate.
    configured_interval: Duration,
    /// The current interval between two turns.
    interval: Duration,
    /// The time of the next turn.
    next: Instant,
    /// The time when the rate was last halved. Throttling of a message sent before then does not halve it again.
    halved_at: Option<Instant>,
}

/// The turn of one message. Dropping an unused turn releases it.
#[derive(Debug)]
pub(crate) struct Turn {
    pace: Arc<Pace>,
    is_used: bool,
}

impl Pace {
    /// A rate of `per_second` messages over `connections` connections.
    pub(crate) fn new(per_second: u32, connections: usize) -> Arc<Self> {
        let (now, configured) = (Instant::now(), Duration::from_secs(1) / per_second.max(1));
        Arc::new(Self {
            queue: Queue::default(),
            bucket: Mutex::new(TokenBucket {
                configured_interval: configured,
                interval: configured,
                next: now,
                halved_at: None,
            }),
            turn_released: Notify::new(),
            connections: Semaphore::new(connections),
        })
    }

    /// The number of connections that the rate needs: one for each concurrent SES call.
    pub(crate) fn connections(per_second: u32) -> usize {
        per_second.div_ceil(MESSAGES_PER_CONNECTION).clamp(1, MAX_CONCURRENT_SENDS) as usize
    }

    /// Waits for a turn. Returns `None` at once if the next turn is after `until`.
    pub(crate) async fn turn(self: &Arc<Self>, until: Instant) -> Option<Turn> {
        let is_in_time = self.wait(until).await;
        is_in_time.then(|| Turn { pace: Arc::clone(self), is_used: false })
    }

    async fn wait(&self, until: Instant) -> bool {
        let _place = self.queue.lock().await;
        loop {
            let (now, next) = (Instant::now(), self.bucket().next);
            if next.max(now) > until {
                return false;
            }
            if next <= now {
                self.bucket().take(now);
                return true;
            }
            tokio::select! {
                () = sleep_until(next) => {}
                () = self.turn_released.notified() => {}
            }
        }
    }

    fn bucket(&self) -> MutexGuard<'_, TokenBucket> {
        self.bucket.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl TokenBucket {
    /// Takes the next turn, which must not be after `now`.
    fn take(&mut self, now: Instant) {
        let earliest = now.checked_sub(BURST).map_or(self.next, |earliest| earliest.max(self.next));
        self.next = earliest + self.interval;
    }

    fn release(&mut self) {
        self.next = self.next.checked_sub(self.interval).unwrap_or(self.next);
    }

    /// Halves the rate after SES throttled a message that was sent at `sent_at`.
    fn halve_rate(&mut self, sent_at: Instant, now: Instant) {
        if self.halved_at.is_some_and(|halved_at| sent_at <= halved_at) {
            return;
        }
        self.interval = (self.interval * 2).min(MAX_INTERVAL.max(self.configured_interval));
        self.next = self.next.max(now + self.interval);
        self.halved_at = Some(now);
    }

    /// Increases the rate by an eighth of the configured rate, after a message that SES did not throttle.
    fn recover(&mut self) {
        let (configured, interval) = (self.configured_interval.as_secs_f64(), self.interval.as_secs_f64());
        self.interval =
            Duration::from_secs_f64(1.0 / (1.0 / interval + 0.125 / configured)).max(self.configured_interval);
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        if !self.is_used {
            self.pace.bucket().release();
            self.pace.turn_released.notify_one();
        }
    }
}

impl Mailer {
    /// Sends `email` in its `turn`. A message that SES throttles, or that found no connection, waits for another turn
    /// while there is time.
    pub(super) async fn send_in_turn(
        &self,
        email: &Email,
        mut turn: Turn,
        deadline: Deadline,
        now: Timestamp,
    ) -> Result<Sent, SendError> {
        turn.is_used = true;
        let (pace, mut failures) = (&turn.pace, 0);
        let Some(latest) = deadline.end.checked_sub(MIN_SEND_TIME) else { return Err(SendError::no_time()) };
        loop {
            // The semaphore is never closed.
            let connection = pace.connections.acquire().await.ok();
            if Instant::now() > latest {
                return Err(SendError::no_time());
            }
            let sent_at = Instant::now();
            let failure = match self.attempt(email, deadline).await {
                Attempt::Sent(sent) => {
                    pace.bucket().recover();
                    self.note_outcome(&sent, now);
                    return Ok(sent);
                }
                Attempt::Retryable(failure) => failure,
                Attempt::Failed(failure) => return Err(failure),
            };
            drop(connection);
            match &failure {
                SendError::Throttled(_) => pace.bucket().halve_rate(sent_at, Instant::now()),
                _ => failures += 1,
            }
            if failures == MAX_CONNECTION_FAILURES || !pace.wait(latest).await {
                return Err(failure);
            }
            statistics::retry();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bucket(per_second: u32) -> (TokenBucket, Instant) {
        let (now, configured) = (Instant::now() + Duration::from_mins(1), Duration::from_secs(1) / per_second);
        (TokenBucket { configured_interval: configured, interval: configured, next: now, halved_at: None }, now)
    }

    /// The times of the next turns when they are requested from `from` on, in ms after `started`.
    fn times(bucket: &mut TokenBucket, turns: usize, from: u64, started: Instant) -> Vec<u128> {
        let mut now = started + Duration::from_millis(from);
        let turn = |_| {
            now = now.max(bucket.next);
            bucket.take(now);
            (now - started).as_millis()
        };
        (0..turns).map(turn).collect()
    }

    #[test]
    fn turns_come_at_the_rate_and_unused_ones_expire_soon() {
        let (mut bucket, started) = bucket(10);
        assert_eq!(times(&mut bucket, 4, 0, started), [0, 100, 200, 300]);
        assert_eq!(times(&mut bucket, 4, 5000, started), [5000, 5000, 5100, 5200], "one unused turn was kept");
        bucket.release();
        assert_eq!(times(&mut bucket, 2, 5200, started), [5200, 5300], "one was released");
    }

    #[test]
    fn throttling_of_concurrent_messages_halves_the_rate_once_and_it_recovers() {
        let (mut bucket, started) = bucket(10);
        times(&mut bucket, 1, 0, started);
        let later = started + Duration::from_secs(1);
        (0..5).for_each(|_| bucket.halve_rate(started, started));
        bucket.halve_rate(started, later);
        assert_eq!(times(&mut bucket, 3, 0, started), [200, 400, 600]);
        (0..100).for_each(|_| bucket.recover());
        assert_eq!(times(&mut bucket, 3, 600, started), [800, 900, 1000]);
        for second in 1..20 {
            let now = later + Duration::from_secs(second);
            bucket.halve_rate(now, now);
        }
        let [first, second] = times(&mut bucket, 2, 30_000, started + BURST)[..] else { unreachable!() };
        assert_eq!(second - first, 900, "never slower than one a second, less the burst");
    }

    #[tokio::test]
    async fn a_turn_after_the_deadline_is_none_at_once() {
        let (pace, started) = (Pace::new(2, 1), Instant::now());
        let until = started + Duration::from_millis(700);
        let mut turns = Vec::new();
        for _ in 0..4 {
            turns.push(pace.turn(until).await);
        }
        assert_eq!(turns.iter().map(Option::is_some).collect::<Vec<_>>(), [true, true, false, false]);
        assert!(started.elapsed() < Duration::from_millis(690), "{:?}", started.elapsed());
    }

    #[tokio::test]
    async fn a_waiting_message_gets_a_released_turn() {
        let (pace, started) = (Pace::new(1, 1), Instant::now());
        let until = started + Duration::from_mins(1);
        for _ in 0..5 {
            drop(pace.turn(until).await.unwrap());
        }
        let first = pace.turn(until).await.unwrap();
        let (second, ()) = tokio::join!(pace.turn(until), async {
            tokio::time::sleep(Duration::from_millis(50)).await;
            drop(first);
        });
        assert!(second.is_some() && started.elapsed() < Duration::from_millis(900), "{:?}", started.elapsed());
    }

    #[test]
    fn the_number_of_connections_follows_from_the_rate() {
        for (per_second, connections) in [(1, 1), (10, 3), (50, 13), (1000, 16)] {
            assert_eq!(Pace::connections(per_second), connections, "{per_second} a second");
        }
    }
}

//! The pace of a call that sends many messages: SES accepts so many a second and throttles the rest.
//!
//! A message takes its turn before its invitation is written, so that nothing is written for which no time is left. The
//! turns are a token bucket of the set rate. When SES throttles all the same, the pace is halved, and recovers with each
//! message that SES takes.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    sync::{Mutex as Queue, Notify, Semaphore},
    time::{Instant, sleep_until},
};

use super::{Email, Mailer, SendError, Sent};
use crate::{
    clock::{Deadline, budgets::MIN_SEND_TIME},
    domain::timestamp::Timestamp,
    telemetry::statistics,
};

/// The time for which turns that nobody took are kept.
const KEPT: Duration = Duration::from_millis(100);
/// The longest time between two messages, however often SES throttles.
const SLOWEST: Duration = Duration::from_secs(1);
/// The most messages on their way to SES at the same time.
const MOST_AT_ONCE: u32 = 16;
/// The share of a second that SES may take to answer at the set rate: it decides how many messages are on their way.
const USUAL_ANSWER: u32 = 4;
/// The attempts of one message to find a connection.
const MOST_CONNECTIONS: u32 = 3;

/// The pace of one call.
#[derive(Debug)]
pub(crate) struct Pace {
    /// The turns are taken in the order in which they are asked for.
    queue: Queue<()>,
    rhythm: Mutex<Rhythm>,
    turn_given_back: Notify,
    /// The connections that were proved alive when the call began.
    connections: Semaphore,
}

/// The token bucket.
#[derive(Debug)]
struct Rhythm {
    /// The time between two turns at the set rate.
    usual: Duration,
    /// The time between two turns.
    interval: Duration,
    /// The time of the next turn.
    next: Instant,
    /// The time of the last halving. Throttling of a message that was on its way by then tells nothing new.
    slowed_at: Option<Instant>,
}

/// The turn of one message. Dropped without a message, it is given back.
#[derive(Debug)]
pub(crate) struct Turn {
    pace: Arc<Pace>,
    is_used: bool,
}

impl Pace {
    /// The pace of so many messages a second over that number of connections.
    pub(crate) fn new(per_second: u32, connections: usize) -> Arc<Self> {
        let (now, usual) = (Instant::now(), Duration::from_secs(1) / per_second.max(1));
        Arc::new(Self {
            queue: Queue::default(),
            rhythm: Mutex::new(Rhythm { usual, interval: usual, next: now, slowed_at: None }),
            turn_given_back: Notify::new(),
            connections: Semaphore::new(connections),
        })
    }

    /// The number of messages that are on their way at the same time at that rate: as many connections are needed.
    pub(crate) fn connections(per_second: u32) -> usize {
        per_second.div_ceil(USUAL_ANSWER).clamp(1, MOST_AT_ONCE) as usize
    }

    /// Waits for a turn. `None`, at once, if the next one is after `until`.
    pub(crate) async fn turn(self: &Arc<Self>, until: Instant) -> Option<Turn> {
        let is_in_time = self.wait(until).await;
        is_in_time.then(|| Turn { pace: Arc::clone(self), is_used: false })
    }

    async fn wait(&self, until: Instant) -> bool {
        let _place = self.queue.lock().await;
        loop {
            let (now, next) = (Instant::now(), self.rhythm().next);
            if next.max(now) > until {
                return false;
            }
            if next <= now {
                self.rhythm().take(now);
                return true;
            }
            tokio::select! {
                () = sleep_until(next) => {}
                () = self.turn_given_back.notified() => {}
            }
        }
    }

    fn rhythm(&self) -> MutexGuard<'_, Rhythm> {
        self.rhythm.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Rhythm {
    /// Takes the turn that has come.
    fn take(&mut self, now: Instant) {
        let earliest = now.checked_sub(KEPT).map_or(self.next, |earliest| earliest.max(self.next));
        self.next = earliest + self.interval;
    }

    fn give_back(&mut self) {
        self.next = self.next.checked_sub(self.interval).unwrap_or(self.next);
    }

    /// SES has throttled a message that was sent at that time.
    fn slow_down(&mut self, sent_at: Instant, now: Instant) {
        if self.slowed_at.is_some_and(|slowed_at| sent_at <= slowed_at) {
            return;
        }
        self.interval = (self.interval * 2).min(SLOWEST.max(self.usual));
        self.next = self.next.max(now + self.interval);
        self.slowed_at = Some(now);
    }

    /// SES has taken a message: the rate grows by an eighth of the set one.
    fn recover(&mut self) {
        let (usual, interval) = (self.usual.as_secs_f64(), self.interval.as_secs_f64());
        self.interval = Duration::from_secs_f64(1.0 / (1.0 / interval + 0.125 / usual)).max(self.usual);
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        if !self.is_used {
            self.pace.rhythm().give_back();
            self.pace.turn_given_back.notify_one();
        }
    }
}

impl Mailer {
    /// Sends `email` in its `turn`. A message that SES throttles waits for another one, as long as there is time.
    pub(super) async fn send_in_turn(
        &self,
        email: &Email,
        mut turn: Turn,
        deadline: Deadline,
        now: Timestamp,
    ) -> Result<Sent, SendError> {
        turn.is_used = true;
        let (pace, mut connections) = (&turn.pace, 0);
        let Some(latest) = deadline.end.checked_sub(MIN_SEND_TIME) else { return Err(SendError::no_time()) };
        loop {
            // Closed by nobody.
            let connection = pace.connections.acquire().await.ok();
            if Instant::now() > latest {
                return Err(SendError::no_time());
            }
            let sent_at = Instant::now();
            let failure = match self.attempt(email, deadline).await {
                Ok(sent) => {
                    pace.rhythm().recover();
                    self.note_outcome(&sent, now);
                    return Ok(sent);
                }
                Err((failure, false)) => return Err(failure),
                Err((failure, true)) => failure,
            };
            drop(connection);
            match &failure {
                SendError::Throttled(_) => pace.rhythm().slow_down(sent_at, Instant::now()),
                _ => connections += 1,
            }
            if connections == MOST_CONNECTIONS || !pace.wait(latest).await {
                return Err(failure);
            }
            statistics::retry();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rhythm(per_second: u32) -> (Rhythm, Instant) {
        let (now, usual) = (Instant::now() + Duration::from_mins(1), Duration::from_secs(1) / per_second);
        (Rhythm { usual, interval: usual, next: now, slowed_at: None }, now)
    }

    /// The milliseconds after `started` at which turns come that are asked for from `from` on.
    fn times(rhythm: &mut Rhythm, turns: usize, from: u64, started: Instant) -> Vec<u128> {
        let mut now = started + Duration::from_millis(from);
        let turn = |_| {
            now = now.max(rhythm.next);
            rhythm.take(now);
            (now - started).as_millis()
        };
        (0..turns).map(turn).collect()
    }

    #[test]
    fn turns_come_at_the_rate_and_unused_ones_are_not_kept_for_long() {
        let (mut rhythm, started) = rhythm(10);
        assert_eq!(times(&mut rhythm, 4, 0, started), [0, 100, 200, 300]);
        assert_eq!(times(&mut rhythm, 4, 5000, started), [5000, 5000, 5100, 5200], "one was kept");
        rhythm.give_back();
        assert_eq!(times(&mut rhythm, 2, 5200, started), [5200, 5300], "one was given back");
    }

    #[test]
    fn throttling_halves_the_pace_once_for_all_that_were_on_their_way_and_it_recovers() {
        let (mut rhythm, started) = rhythm(10);
        times(&mut rhythm, 1, 0, started);
        let later = started + Duration::from_secs(1);
        (0..5).for_each(|_| rhythm.slow_down(started, started));
        rhythm.slow_down(started, later);
        assert_eq!(times(&mut rhythm, 3, 0, started), [200, 400, 600]);
        (0..100).for_each(|_| rhythm.recover());
        assert_eq!(times(&mut rhythm, 3, 600, started), [800, 900, 1000]);
        for second in 1..20 {
            let now = later + Duration::from_secs(second);
            rhythm.slow_down(now, now);
        }
        let [first, second] = times(&mut rhythm, 2, 30_000, started + KEPT)[..] else { unreachable!() };
        assert_eq!(second - first, 900, "one a second, of which a tenth was kept: never slower");
    }

    #[tokio::test]
    async fn there_is_no_turn_after_the_last_time_for_one_which_is_told_at_once() {
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
    async fn whoever_waits_gets_a_turn_that_is_given_back() {
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
    fn as_many_connections_are_proved_as_messages_are_on_their_way() {
        for (per_second, connections) in [(1, 1), (10, 3), (50, 13), (1000, 16)] {
            assert_eq!(Pace::connections(per_second), connections, "{per_second} a second");
        }
    }
}

//! The order of the calls: rows to retry go first, fresh rows fill the rest of a call.

use std::{collections::VecDeque, pin::pin, time::Duration};

use indicatif::ProgressBar;
use serde_json::{Value, json};
use tokio::{
    signal,
    sync::watch,
    time::{Instant, sleep_until},
};

use super::{
    Summary,
    api::{Answer, Api, ItemResult},
    file::Row,
    rejected::Rejected,
    row::Defaults,
};

/// The maximum number of invitations in a call.
const MAX_ITEMS: usize = 100;
/// The maximum size of the invitations in a call, in bytes, below the API's limit of 1 MiB.
pub(super) const MAX_BYTES: usize = 1_000_000;
/// The maximum time without a final answer to any row.
const PATIENCE: Duration = Duration::from_mins(5);
/// The maximum wait before a retry. A row with a longer `retryAfter` is rejected.
const LONGEST_WAIT: Duration = Duration::from_mins(1);
/// The first and the longest exponential backoff after a failed call without `Retry-After`.
const BACKOFF: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));

/// A run.
pub(super) struct Run<'a, 'r> {
    api: &'a Api,
    defaults: &'a Defaults<'a>,
    key: String,
    progress: &'a ProgressBar,
    fresh: VecDeque<&'r Row>,
    waiting: VecDeque<Waiting<'r>>,
    summary: Summary,
    rejected: Vec<Rejected<'r>>,
    /// The time of the last final answer to a row.
    progressed: Instant,
    /// The number of consecutive failed calls.
    failures: u32,
}

/// A row to retry.
struct Waiting<'r> {
    row: &'r Row,
    ready: Instant,
    /// The code and the message of the row's last result; `None` if the whole call failed.
    answer: Option<(String, String)>,
}

/// The rows of a call and their bodies.
#[derive(Default)]
struct Batch<'r> {
    rows: Vec<&'r Row>,
    bodies: Vec<String>,
    bytes: usize,
}

impl<'a, 'r> Run<'a, 'r> {
    pub(super) fn new(api: &'a Api, defaults: &'a Defaults<'a>, key: String, progress: &'a ProgressBar) -> Self {
        Self {
            api,
            defaults,
            key,
            progress,
            fresh: VecDeque::new(),
            waiting: VecDeque::new(),
            summary: Summary::default(),
            rejected: Vec::new(),
            progressed: Instant::now(),
            failures: 0,
        }
    }

    /// Creates the invitations of the rows.
    ///
    /// # Errors
    /// The reason that the run ended before each row had a final answer.
    pub(super) async fn run(&mut self, rows: Vec<&'r Row>) -> Result<(), String> {
        self.fresh = rows.into();
        let interrupted = interrupts();
        while !self.fresh.is_empty() || !self.waiting.is_empty() {
            let batch = self.next_batch();
            if batch.rows.is_empty() {
                self.wait(interrupted.clone()).await;
            } else {
                self.call(batch, interrupted.clone()).await?;
            }
            if *interrupted.borrow() {
                return Err("interrupted".to_owned());
            }
            if self.progressed.elapsed() > PATIENCE {
                return Err(self.out_of_patience("no row was done for 5 minutes"));
            }
        }
        Ok(())
    }

    /// The summary of what was done, and the rejected rows in the order of the file.
    pub(super) fn finish(mut self) -> (Summary, Vec<Rejected<'r>>) {
        self.rejected.sort_by_key(|rejected| rejected.row.line);
        (self.summary, self.rejected)
    }

    pub(super) fn reject_all(&mut self, rejected: Vec<Rejected<'r>>) {
        for one in rejected {
            self.reject(one);
        }
    }

    fn reject(&mut self, rejected: Rejected<'r>) {
        self.summary.rejected += 1;
        *self.summary.rejected_by_code.entry(rejected.code.clone()).or_default() += 1;
        self.rejected.push(rejected);
    }

    /// Takes the rows of the next call. Takes fresh rows only while all waiting rows fit into one call, which keeps the
    /// waiting rows few.
    fn next_batch(&mut self) -> Batch<'r> {
        let (now, mut batch) = (Instant::now(), Batch::default());
        self.waiting.retain(|waiting| waiting.ready > now || !batch.push(waiting.row, self.defaults));
        while batch.rows.len() + self.waiting.len() < MAX_ITEMS
            && self.fresh.front().is_some_and(|row| batch.push(row, self.defaults))
        {
            self.fresh.pop_front();
        }
        batch
    }

    /// Waits until a row may be retried, or for an interrupt.
    async fn wait(&self, mut interrupted: watch::Receiver<bool>) {
        let Some(ready) = self.waiting.iter().map(|waiting| waiting.ready).min() else { return };
        tokio::select! {
            () = sleep_until(ready) => {}
            _ = interrupted.wait_for(|is_interrupted| *is_interrupted) => {}
        }
    }

    /// Makes a call and handles its answer.
    async fn call(&mut self, batch: Batch<'r>, interrupted: watch::Receiver<bool>) -> Result<(), String> {
        let answer = self.answer(&batch, interrupted).await;
        self.summary.calls += 1;
        match answer {
            Answer::Results(results) => {
                self.failures = 0;
                for (row, result) in batch.rows.into_iter().zip(results) {
                    self.take(row, result);
                }
                self.show();
                Ok(())
            }
            Answer::Later { after, reason } => self.retry(batch.rows, after, reason),
            Answer::Final(reason) => Err(reason),
        }
    }

    /// The answer to a call. An interrupt does not cancel the call.
    async fn answer(&self, batch: &Batch<'r>, mut interrupted: watch::Receiver<bool>) -> Answer {
        let body = format!("{{\"invitations\":[{}]}}", batch.bodies.join(","));
        let mut call = pin!(self.api.create(body, &self.key, batch.rows.len()));
        tokio::select! {
            answer = &mut call => return answer,
            _ = interrupted.wait_for(|is_interrupted| *is_interrupted) => {}
        }
        self.progress.set_message("ends after the call in flight");
        call.await
    }

    fn take(&mut self, row: &'r Row, result: ItemResult) {
        let ItemResult { status, body, retry_after, replayed } = result;
        let text = |key: &str| body[key].as_str().map(str::to_owned);
        match (status, retry_after) {
            (201, _) if replayed => self.summary.replayed += 1,
            (201, _) => self.summary.created += 1,
            (_, Some(seconds)) if Duration::from_secs(seconds) <= LONGEST_WAIT => {
                let ready = Instant::now() + Duration::from_secs(seconds);
                let answer = Some((text("code").unwrap_or_default(), message(&body)));
                self.waiting.push_back(Waiting { row, ready, answer });
                return;
            }
            _ => {
                let code = text("code").unwrap_or_else(|| status.to_string());
                self.reject(Rejected { row, code, message: message(&body) });
            }
        }
        self.progressed = Instant::now();
    }

    /// Queues the rows of a failed call for a retry. Fails if the first call does not reach the API, or after
    /// [`PATIENCE`].
    fn retry(&mut self, rows: Vec<&'r Row>, after: Option<Duration>, reason: String) -> Result<(), String> {
        let is_first = self.summary.calls == 1;
        if is_first && after.is_none() && reason.starts_with(super::api::UNREACHABLE) {
            return Err(reason);
        }
        let (first, longest) = BACKOFF;
        let backoff = first.saturating_mul(2_u32.saturating_pow(self.failures)).min(longest);
        self.failures += 1;
        if self.progressed.elapsed() > PATIENCE {
            return Err(self.out_of_patience(&reason));
        }
        let ready = Instant::now() + after.unwrap_or(backoff).min(LONGEST_WAIT);
        let waiting = rows.into_iter().map(|row| Waiting { row, ready, answer: None });
        self.waiting.extend(waiting);
        self.progress.set_message(format!("{reason}; trying again"));
        Ok(())
    }

    /// Rejects the waiting rows that have a result of their own. Returns `reason`.
    fn out_of_patience(&mut self, reason: &str) -> String {
        for Waiting { row, answer, .. } in std::mem::take(&mut self.waiting) {
            if let Some((code, message)) = answer {
                self.reject(Rejected { row, code, message });
            }
        }
        reason.to_owned()
    }

    fn show(&self) {
        let Summary { created, replayed, rejected, .. } = self.summary;
        self.progress.set_position((created + replayed + rejected) as u64);
        self.progress.set_message(format!("{created} created, {replayed} replayed, {rejected} rejected"));
    }
}

impl<'r> Batch<'r> {
    /// Adds a row if there is room. The first row always fits.
    fn push(&mut self, row: &'r Row, defaults: &Defaults<'_>) -> bool {
        let body = defaults.body(row).unwrap_or_else(|_| json!({})).to_string();
        if self.rows.len() == MAX_ITEMS || (!self.rows.is_empty() && self.bytes + body.len() > MAX_BYTES) {
            return false;
        }
        self.bytes += body.len() + 1;
        self.rows.push(row);
        self.bodies.push(body);
        true
    }
}

/// The message of an error, with the lines of its details.
fn message(body: &Value) -> String {
    let texts: Vec<&str> = ["message", "details"].iter().filter_map(|key| body[key].as_str()).collect();
    let missing = body["data"].as_object().map(|data| {
        let named = data.iter().filter(|(key, _)| *key != "issues");
        named.map(|(key, value)| format!("{key}: {value}")).collect::<Vec<_>>().join(", ")
    });
    let data = missing.filter(|data| !data.is_empty());
    texts.into_iter().map(str::to_owned).chain(data).collect::<Vec<_>>().join(" ")
}

/// Becomes `true` with the first Ctrl-C.
fn interrupts() -> watch::Receiver<bool> {
    let (sender, receiver) = watch::channel(false);
    tokio::spawn(async move {
        if signal::ctrl_c().await.is_ok() {
            sender.send_replace(true);
        }
        // Keeps the sender: without it the receivers would return at once.
        sender.closed().await;
    });
    receiver
}

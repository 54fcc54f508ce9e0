//! The proof that a connection to SES is alive.

use std::sync::{
    Arc, PoisonError,
    atomic::{AtomicI64, Ordering},
};

use aws_sdk_sesv2::{Client, error::SdkError};
use tokio::{
    sync::watch,
    time::{Instant, timeout, timeout_at},
};

use super::{Mailer, SendError, Sent, sending_deadline};
use crate::{
    clock::{
        RequestClock,
        budgets::{MIN_TIME_TO_SEND, PROOF_LIMITS},
    },
    domain::timestamp::Timestamp,
    mail::pace::Turn,
    sdk_error,
    telemetry::{aws, statistics},
};

/// The time after SES's last response for which the connection is assumed alive, in **milliseconds** of the wall clock,
/// because the monotonic clock may stop while Lambda freezes a container.
const ALIVE_MILLIS: i64 = 2_000;

/// The proof that a connection to SES is alive.
#[derive(Debug)]
#[must_use]
pub(crate) enum ConnectionProof {
    /// SES has responded recently.
    Alive,
    /// The proof was started, and has to be waited for.
    InProgress(Proof),
    /// The connections were proved alive before this turn of a message of a bulk call.
    InTurn(Turn),
}

/// A started proof.
#[derive(Clone, Debug)]
pub(crate) struct Proof {
    /// The time of the request that started it.
    begun_at: Timestamp,
    /// `None` while the proof is in progress. The error contains no personal data.
    result: watch::Receiver<Option<Result<(), String>>>,
}

/// The time of the request in which SES last responded, in milliseconds since the epoch; 0 if unknown.
#[derive(Debug, Default)]
pub(super) struct LastResponse(AtomicI64);

impl Mailer {
    /// Opens the connection. If it fails, the first message opens one.
    pub(crate) async fn warm_up(&self, now: Timestamp) {
        if prove(&self.client).await.is_ok() {
            self.last_response.note(now);
        }
    }

    /// Starts to prove that the connection is alive, while the caller writes the invitation. Must be called before
    /// anything is written.
    ///
    /// # Errors
    /// [`SendError::Unavailable`] if there is not enough time to write and to send.
    pub(crate) fn prove_connection(&self, clock: RequestClock) -> Result<ConnectionProof, SendError> {
        if !sending_deadline(clock).leaves(MIN_TIME_TO_SEND) {
            return Err(SendError::no_time());
        }
        if self.last_response.is_recent(clock.now) {
            return Ok(ConnectionProof::Alive);
        }
        let mut last = self.last_proof.lock().unwrap_or_else(PoisonError::into_inner);
        let in_progress = last.take().filter(|proof| proof.is_in_progress(clock.now));
        let proof = in_progress.unwrap_or_else(|| self.begin_proof(clock.now));
        Ok(ConnectionProof::InProgress(last.insert(proof).clone()))
    }

    /// Starts to prove that `count` connections are alive, for a bulk call, by concurrent requests. These also close
    /// pooled connections that died while the container was frozen.
    ///
    /// # Errors
    /// [`SendError::Unavailable`] if there is not enough time to write and to send.
    pub(crate) fn prove_connections(&self, count: usize, clock: RequestClock) -> Result<ConnectionProofs, SendError> {
        if !sending_deadline(clock).leaves(MIN_TIME_TO_SEND) {
            return Err(SendError::no_time());
        }
        Ok(ConnectionProofs((0..count).map(|_| self.begin_proof(clock.now)).collect()))
    }

    fn begin_proof(&self, begun_at: Timestamp) -> Proof {
        let (client, last_response) = (self.client.clone(), Arc::clone(&self.last_response));
        let (sender, result) = watch::channel(None);
        let prove_in_time = async move {
            let mut failure = String::new();
            for limit in PROOF_LIMITS {
                match timeout(limit, prove(&client)).await {
                    Ok(Ok(())) => {
                        last_response.note(begun_at);
                        sender.send_replace(Some(Ok(())));
                        return;
                    }
                    Ok(Err(cause)) => failure = cause,
                    Err(_) => "SES: no response to the proof of a connection".clone_into(&mut failure),
                }
                aws::call_failed(&failure, None);
            }
            sender.send_replace(Some(Err(failure)));
        };
        // Boxed, because the SDK's futures are too deeply nested for the compiler to lay out as one.
        tokio::spawn(Box::pin(prove_in_time));
        Proof { begun_at, result }
    }
}

/// The proofs that several connections are alive.
#[derive(Debug)]
pub(crate) struct ConnectionProofs(Vec<Proof>);

impl ConnectionProofs {
    /// Waits for the proofs until `until` at most, and counts the successful ones.
    ///
    /// # Errors
    /// [`SendError::Unavailable`] if none succeeded.
    pub(crate) async fn proved(&self, until: Instant) -> Result<usize, SendError> {
        let (mut proved, mut failure) = (0, SendError::no_time());
        for proof in self.0.iter().cloned() {
            match timeout_at(until, proof.outcome()).await {
                Ok(Ok(())) => proved += 1,
                Ok(Err(failed)) => failure = failed,
                Err(_) => {}
            }
        }
        if proved == 0 { Err(failure) } else { Ok(proved) }
    }
}

impl Proof {
    /// Waits for the outcome.
    pub(super) async fn outcome(mut self) -> Result<(), SendError> {
        let Ok(result) = self.result.wait_for(Option::is_some).await else {
            return Err(SendError::Unavailable("SES: the proof of a connection was given up".to_owned()));
        };
        result.clone().unwrap_or(Ok(())).map_err(SendError::Unavailable)
    }

    /// Returns `true` if a request at `now` can share the proof. A proof from before the container was frozen proves
    /// nothing: its response may have arrived before.
    fn is_in_progress(&self, now: Timestamp) -> bool {
        let is_recent = (self.begun_at..=self.begun_at.plus_millis(ALIVE_MILLIS)).contains(&now);
        is_recent && self.result.borrow().is_none() && self.result.has_changed().is_ok()
    }
}

impl LastResponse {
    fn note(&self, now: Timestamp) {
        self.0.store(now.as_millis(), Ordering::Relaxed);
    }

    /// After an unknown outcome, the connection may be dead.
    pub(super) fn note_outcome(&self, sent: &Sent, now: Timestamp) {
        self.note(if *sent == Sent::Accepted { now } else { Timestamp::from_millis(0) });
    }

    /// Returns `true` for a recent response. A response after `now` does not count: the clock was set back.
    fn is_recent(&self, now: Timestamp) -> bool {
        let last = self.0.load(Ordering::Relaxed);
        last != 0 && (last..=last.saturating_add(ALIVE_MILLIS)).contains(&now.as_millis())
    }
}

/// Sends SES a `GET` to a path that supports only `POST`, which has no effect and needs no permission. Any response
/// proves that the connection is alive. The next request uses the same connection, because the pool reuses the most
/// recently used one.
async fn prove(client: &Client) -> Result<(), String> {
    let ask = client.send_email().customize().mutate_request(|request| {
        request.headers_mut().remove("content-length");
        *request.body_mut() = "".into();
        request.set_method("GET").expect("GET is a method");
    });
    // Excluded from the request statistics: neither counted nor timed.
    let (response, _) = statistics::of(ask.send()).await;
    match response {
        Ok(_) | Err(SdkError::ServiceError(_) | SdkError::ResponseError(_)) => Ok(()),
        Err(error) => Err(sdk_error::describe("SES", &error)),
    }
}

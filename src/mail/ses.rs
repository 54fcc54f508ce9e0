//! The call of SES: the proof that its connection is alive, the attempts and their outcomes.
//!
//! SES has no request token, so a message must never be sent again once SES may have taken it. An attempt ends in one of
//! three ways: SES *took* the message; SES *certainly did not* (no connection, throttled, rejected), so that it may be
//! sent again or rolled back; or SES *may have* taken it (the request was written, and the response is late, lost or
//! unreadable). A message only goes out on a connection that was proved alive, so that the third way stays rare.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use aws_sdk_sesv2::{
    Client,
    config::{retry::RetryConfig, timeout::TimeoutConfig},
    error::{ProvideErrorMetadata, SdkError},
    operation::send_email::{SendEmailError, builders::SendEmailFluentBuilder},
    types::{Body, Content as Part, Destination, EmailContent, Message as SesMessage, MessageTag, Template},
};
use aws_types::SdkConfig;
use tokio::{
    sync::watch,
    time::{Instant, sleep, timeout, timeout_at},
};

use super::{Content, Email, compose::one_line, pace::Turn};
use crate::{
    clock::{
        Deadline, RequestClock,
        budgets::{LEAST_TIME_TO_SEND, PROOF_LIMITS, SHORTEST_SEND, TIME_AFTER_SENDING},
    },
    config::Config,
    domain::{error::Error, timestamp::Timestamp},
    sdk_error,
    telemetry::statistics::{self, CountCalls},
};

/// The waits before each attempt. Only a message that SES certainly did not take is sent again.
const WAITS: [Duration; 3] = [Duration::ZERO, Duration::from_millis(100), Duration::from_millis(200)];

/// The time after SES's last response in which a connection counts as alive, in **milliseconds** of the wall clock:
/// the monotonic clock may stand still while Lambda freezes a container.
const ALIVE_MILLIS: i64 = 2_000;

const CHARSET: &str = "UTF-8";

/// Access to SES.
#[derive(Debug)]
pub struct Mailer {
    pub(super) client: Client,
    stack_name: Option<String>,
    retention_seconds: i64,
    last_answer: Arc<LastAnswer>,
    /// The proof that was begun last: requests at the same time share one.
    last_proof: Mutex<Option<Proof>>,
}

/// The outcome of a send after which SES has the email or may have it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Sent {
    /// SES has it.
    Accepted,
    /// SES may have it: the request was written on a live connection, and no readable response came.
    Unknown {
        /// The failure, for the operator.
        cause: String,
    },
}

impl Sent {
    /// Notes for the request's line in the log that the message may not have been taken.
    pub(crate) fn note(self) {
        if let Self::Unknown { cause } = self {
            statistics::mail_unknown(cause);
        }
    }
}

/// The reason why SES certainly did not take an email. Each holds SES's error code for the operator, and no
/// address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum SendError {
    /// SES will not accept it, however often it is sent.
    Rejected(String),
    /// SES accepts less than is being sent.
    Throttled(String),
    /// SES cannot be reached or is not available, or there is no time left for an attempt.
    Unavailable(String),
}

impl SendError {
    /// Returns `true` if SES may take the same message later.
    pub(crate) const fn is_passing(&self) -> bool {
        matches!(self, Self::Throttled(_) | Self::Unavailable(_))
    }

    /// There is no time left for an attempt.
    pub fn no_time() -> Self {
        Self::Unavailable("SES: no time left".to_owned())
    }
}

/// The proof that a connection to SES is alive, possibly still under way.
#[derive(Debug)]
#[must_use]
pub(crate) struct ConnectionProof {
    /// `None` where the connection is known to be alive.
    result: Option<watch::Receiver<ProofResult>>,
    /// The turn of the message, where its call has a pace.
    turn: Option<Turn>,
}

/// A proof that has begun.
#[derive(Debug)]
struct Proof {
    /// The time of the request that began it.
    begun_at: Timestamp,
    result: watch::Receiver<ProofResult>,
}

/// `None` while the proof is under way. The failure contains no personal data.
type ProofResult = Option<Result<(), String>>;

/// The time of the request in which SES last responded, in milliseconds since the epoch; 0 if unknown.
#[derive(Debug, Default)]
struct LastAnswer(AtomicI64);

impl Mailer {
    /// Access to SES as `sdk` describes it, for the mails of a function with the settings `config`, but for the retries and the time limit of an attempt, which [`Mailer::send`]
    /// decides.
    pub(crate) fn new(sdk: &SdkConfig, config: &Config) -> Self {
        let connect_timeout = sdk.timeout_config().and_then(TimeoutConfig::connect_timeout);
        let time_limits = TimeoutConfig::builder().disable_operation_attempt_timeout().disable_operation_timeout();
        let mut time_limits = time_limits.disable_read_timeout();
        time_limits.set_connect_timeout(connect_timeout);
        let client = aws_sdk_sesv2::config::Builder::from(sdk)
            .retry_config(RetryConfig::disabled())
            .timeout_config(time_limits.build())
            .interceptor(CountCalls::Ses);
        Self {
            client: Client::from_conf(client.build()),
            stack_name: config.stack_name.clone(),
            retention_seconds: config.retention_seconds,
            last_answer: Arc::default(),
            last_proof: Mutex::default(),
        }
    }

    /// Opens the connection. If it fails, the first message opens one.
    pub(crate) async fn warm_up(&self, now: Timestamp) {
        if prove(&self.client).await.is_ok() {
            self.last_answer.note(now);
        }
    }

    /// Starts to prove that the connection is alive, while the caller writes the invitation. To be called before anything
    /// is written.
    ///
    /// # Errors
    /// [`SendError::Unavailable`] where there is not enough time to write and to send.
    pub(crate) fn prove_connection(&self, clock: RequestClock) -> Result<ConnectionProof, SendError> {
        if !sending_deadline(clock).leaves(LEAST_TIME_TO_SEND) {
            return Err(SendError::no_time());
        }
        if self.last_answer.is_recent(clock.now) {
            return Ok(ConnectionProof { result: None, turn: None });
        }
        let mut last = self.last_proof.lock().unwrap_or_else(PoisonError::into_inner);
        let result = match last.as_ref().filter(|proof| proof.is_under_way(clock.now)) {
            Some(proof) => proof.result.clone(),
            None => last.insert(self.begin_proof(clock.now)).result.clone(),
        };
        Ok(ConnectionProof { result: Some(result), turn: None })
    }

    /// Begins to prove that so many connections are alive, by requests at the same time: for a call that sends many messages.
    /// Those of the pool that died while the container slept are closed by that.
    ///
    /// # Errors
    /// [`SendError::Unavailable`] where there is not enough time to write and to send.
    pub(crate) fn prove_connections(&self, count: usize, clock: RequestClock) -> Result<ConnectionProofs, SendError> {
        if !sending_deadline(clock).leaves(LEAST_TIME_TO_SEND) {
            return Err(SendError::no_time());
        }
        Ok(ConnectionProofs((0..count).map(|_| self.begin_proof(clock.now).result).collect()))
    }

    fn begin_proof(&self, begun_at: Timestamp) -> Proof {
        let (client, last_answer) = (self.client.clone(), Arc::clone(&self.last_answer));
        let (sender, result) = watch::channel(None);
        let prove_in_time = async move {
            let mut failure = String::new();
            for limit in PROOF_LIMITS {
                match timeout(limit, prove(&client)).await {
                    Ok(Ok(())) => {
                        last_answer.note(begun_at);
                        sender.send_replace(Some(Ok(())));
                        return;
                    }
                    Ok(Err(cause)) => failure = cause,
                    Err(_) => "SES: no response to the proof of a connection".clone_into(&mut failure),
                }
            }
            sender.send_replace(Some(Err(failure)));
        };
        // Boxed, because the SDK's futures are too deeply nested for the compiler to lay out as one.
        tokio::spawn(Box::pin(prove_in_time));
        Proof { begun_at, result }
    }

    /// Sends `email` on a connection that `proof` found alive. A message that SES certainly did not take, for throttling or
    /// for want of a connection, is sent again. The last attempt may use all the time of the request but for what has to
    /// follow it.
    ///
    /// # Errors
    /// SES certainly did not take the message.
    pub(crate) async fn send(
        &self,
        email: &Email,
        proof: ConnectionProof,
        clock: RequestClock,
    ) -> Result<Sent, SendError> {
        let deadline = sending_deadline(clock);
        let (proof, turn) = proof.split();
        if let Some(turn) = turn {
            return self.send_in_turn(email, turn, deadline, clock.now).await;
        }
        let mut failure = match timeout_at(deadline.end, proof.outcome()).await {
            Ok(Ok(())) => SendError::no_time(),
            Ok(Err(failure)) => return Err(failure),
            Err(_) => return Err(SendError::no_time()),
        };
        for (attempt, wait) in WAITS.into_iter().enumerate() {
            if !deadline.leaves(wait + SHORTEST_SEND) {
                break;
            }
            // Even no wait at all would be one of a millisecond, which is as finely as timers go.
            if attempt > 0 {
                statistics::retry();
                sleep(wait).await;
            }
            match self.attempt(email, deadline).await {
                Ok(sent) => {
                    self.note_outcome(&sent, clock.now);
                    return Ok(sent);
                }
                Err((error, true)) => failure = error,
                Err((error, false)) => return Err(error),
            }
        }
        Err(failure)
    }

    /// Makes one attempt. A failure comes with `true` where the email may be sent again.
    pub(super) async fn attempt(&self, email: &Email, deadline: Deadline) -> Result<Sent, (SendError, bool)> {
        let unknown = |cause: &str| Ok(Sent::Unknown { cause: cause.to_owned() });
        match timeout_at(deadline.end, self.request(email).send()).await {
            Ok(Ok(answer)) if answer.message_id().is_some_and(|id| !id.is_empty()) => Ok(Sent::Accepted),
            Ok(Ok(_)) => unknown("SES: a response without a MessageId"),
            Ok(Err(error)) => classify(&error),
            Err(_) => unknown("SES: no response in time"),
        }
    }

    pub(super) fn note_outcome(&self, sent: &Sent, now: Timestamp) {
        self.last_answer.note_outcome(sent, now);
    }

    fn request(&self, email: &Email) -> SendEmailFluentBuilder {
        let connector = &email.connector;
        let reply_to = connector.reply_to.iter().map(|address| one_line(address)).collect();
        let reply_to = Some(reply_to).filter(|addresses: &Vec<String>| !addresses.is_empty());
        let feedback = connector.feedback_forwarding_email_address.as_deref();
        self.client
            .send_email()
            .from_email_address(one_line(&connector.from_email_address))
            .set_from_email_address_identity_arn(connector.from_email_address_identity_arn.clone())
            .destination(Destination::builder().to_addresses(&email.to).build())
            .set_reply_to_addresses(reply_to)
            .set_feedback_forwarding_email_address(feedback.map(one_line))
            .set_configuration_set_name(connector.configuration_set_name.clone())
            .content(content(&email.content))
            .set_email_tags(Some(self.tags(email)))
    }

    /// The tags of an email, which SES's events about it repeat: the invitation, the stack that they are for, and the time
    /// until which the invitation is kept, in epoch seconds, so that its row need not be read for it.
    fn tags(&self, email: &Email) -> Vec<MessageTag> {
        let kept_until = email.expires_at.as_secs_ceil().saturating_add(self.retention_seconds);
        let tags = [
            ("tenant", Some(email.tenant.as_str())),
            ("invitation", Some(email.invitation_id.as_str())),
            ("stack", self.stack_name.as_deref()),
            ("ttl", Some(&kept_until.to_string())),
        ];
        tags.into_iter().filter_map(|(name, value)| Some(tag(name, value?))).collect()
    }
}

/// The proofs that several connections are alive.
#[derive(Debug)]
pub(crate) struct ConnectionProofs(Vec<watch::Receiver<ProofResult>>);

impl ConnectionProofs {
    /// Waits for the proofs, but not longer than `until`, and counts those that succeeded.
    ///
    /// # Errors
    /// [`SendError::Unavailable`] if none did.
    pub(crate) async fn proved(&self, until: Instant) -> Result<usize, SendError> {
        let (mut proved, mut failure) = (0, SendError::no_time());
        for result in &self.0 {
            let proof = ConnectionProof { result: Some(result.clone()), turn: None };
            match timeout_at(until, proof.outcome()).await {
                Ok(Ok(())) => proved += 1,
                Ok(Err(failed)) => failure = failed,
                Err(_) => {}
            }
        }
        if proved == 0 { Err(failure) } else { Ok(proved) }
    }
}

impl ConnectionProof {
    /// Returns `true` for a message of a call that sends many.
    pub(crate) const fn is_in_turn(&self) -> bool {
        self.turn.is_some()
    }

    /// For a message in its `turn`, on one of the connections that its call has proved.
    pub fn in_turn(turn: Turn) -> Self {
        Self { result: None, turn: Some(turn) }
    }

    fn split(mut self) -> (Self, Option<Turn>) {
        let turn = self.turn.take();
        (self, turn)
    }

    async fn outcome(self) -> Result<(), SendError> {
        let Some(mut proof) = self.result else { return Ok(()) };
        let Ok(result) = proof.wait_for(Option::is_some).await else {
            return Err(SendError::Unavailable("SES: the proof of a connection was given up".to_owned()));
        };
        result.clone().unwrap_or(Ok(())).map_err(SendError::Unavailable)
    }
}

impl Proof {
    /// Says whether a request at `now` can share the proof. One from before the container slept proves nothing: its
    /// answer may have arrived before.
    fn is_under_way(&self, now: Timestamp) -> bool {
        let is_recent = (self.begun_at..=self.begun_at.plus_millis(ALIVE_MILLIS)).contains(&now);
        is_recent && self.result.borrow().is_none() && self.result.has_changed().is_ok()
    }
}

impl LastAnswer {
    fn note(&self, now: Timestamp) {
        self.0.store(now.as_millis(), Ordering::Relaxed);
    }

    /// A connection on which a response was lost may be dead.
    fn note_outcome(&self, sent: &Sent, now: Timestamp) {
        self.note(if *sent == Sent::Accepted { now } else { Timestamp::from_millis(0) });
    }

    /// A response in the future does not count either: the clock was set back.
    fn is_recent(&self, now: Timestamp) -> bool {
        let last = self.0.load(Ordering::Relaxed);
        last != 0 && (last..=last.saturating_add(ALIVE_MILLIS)).contains(&now.as_millis())
    }
}

/// The time by which sending has to end: an attempt may last until then, and one call to DynamoDB fits in after it.
fn sending_deadline(clock: RequestClock) -> Deadline {
    let Deadline { begin_by, .. } = clock.leaving(TIME_AFTER_SENDING);
    Deadline { begin_by, end: begin_by }
}

/// Sends SES a `GET` to a path that supports only `POST`, which has no effect and needs no permission. Any response
/// proves that the connection is alive. The next request uses the same connection, because the pool takes the one that
/// was used last.
async fn prove(client: &Client) -> Result<(), String> {
    let ask = client.send_email().customize().mutate_request(|request| {
        request.headers_mut().remove("content-length");
        *request.body_mut() = "".into();
        request.set_method("GET").expect("GET is a method");
    });
    // Not a call of the request's own: it is neither counted nor timed.
    let (answer, _) = statistics::of(ask.send()).await;
    match answer {
        Ok(_) | Err(SdkError::ServiceError(_) | SdkError::ResponseError(_)) => Ok(()),
        Err(error) => Err(sdk_error::describe("SES", &error)),
    }
}

/// Classifies a failed attempt. If SES certainly does not have the email, the error comes with `true` if the email may be
/// sent again.
fn classify(error: &SdkError<SendEmailError>) -> Result<Sent, (SendError, bool)> {
    const REJECTED: [&str; 6] = [
        "AccountSuspendedException",
        "BadRequestException",
        "MailFromDomainNotVerifiedException",
        "MessageRejected",
        "NotFoundException",
        "SendingPausedException",
    ];
    const THROTTLED: [&str; 4] =
        ["LimitExceededException", "Throttling", "ThrottlingException", "TooManyRequestsException"];
    const NOT_AVAILABLE: u16 = 503;
    let cause = sdk_error::describe("SES", error);
    match error.as_service_error().and_then(ProvideErrorMetadata::code) {
        Some(code) if REJECTED.contains(&code) => return Err((SendError::Rejected(cause), false)),
        Some(code) if THROTTLED.contains(&code) => return Err((SendError::Throttled(cause), true)),
        _ => {}
    }
    match error {
        // A 500, or a response that names none of SES's errors, may come after the message was taken.
        SdkError::ServiceError(answer) => {
            let status = answer.raw().status();
            let is_refusal = status.is_client_error() || status.as_u16() == NOT_AVAILABLE;
            if is_refusal && answer.err().code().is_some() {
                Err((SendError::Unavailable(cause), false))
            } else {
                Ok(Sent::Unknown { cause })
            }
        }
        SdkError::ConstructionFailure(_) => Err((SendError::Unavailable(cause), false)),
        _ if sdk_error::never_arrived(error) => Err((SendError::Unavailable(cause), true)),
        _ => Ok(Sent::Unknown { cause }),
    }
}

impl From<SendError> for Error {
    fn from(error: SendError) -> Self {
        match error {
            SendError::Rejected(cause) => Self::MailRefused { cause },
            SendError::Throttled(cause) => Self::MailThrottled { cause },
            SendError::Unavailable(cause) => Self::MailUnavailable { cause },
        }
    }
}

fn content(content: &Content) -> EmailContent {
    match content {
        Content::Rendered { subject, html, text } => {
            let body = Body::builder().html(part(html)).text(part(text)).build();
            EmailContent::builder().simple(SesMessage::builder().subject(part(subject)).body(body).build()).build()
        }
        Content::Stored { template, data } => {
            let template = Template::builder().template_name(template).template_data(data).build();
            EmailContent::builder().template(template).build()
        }
    }
}

fn part(text: &str) -> Part {
    Part::builder().data(text).charset(CHARSET).build().expect("data is set")
}

fn tag(name: &str, value: &str) -> MessageTag {
    MessageTag::builder().name(name).value(value).build().expect("name and value are set")
}

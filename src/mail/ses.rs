//! Sends an email with SES.
//!
//! SES has no request token, so a message must never be sent again if SES may have taken it. An attempt has one of
//! three outcomes: SES *took* the message; SES *certainly did not* (no connection, throttled, rejected), so that it can
//! be sent again or rolled back; or SES *may have* taken it (the request was written, and the response is late, lost or
//! unreadable). To keep the third outcome rare, a message is only sent on a connection that was proved alive.

mod outcome;
mod proof;

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use aws_sdk_sesv2::{
    Client,
    config::{retry::RetryConfig, timeout::TimeoutConfig},
    operation::{RequestId, send_email::builders::SendEmailFluentBuilder},
    types::{Body, Content as Part, Destination, EmailContent, Message as SesMessage, MessageTag, Template},
};
use aws_types::SdkConfig;
use tokio::time::{sleep, timeout_at};

pub(super) use self::outcome::Attempt;
use self::{
    outcome::classify,
    proof::{LastResponse, Proof},
};
pub(crate) use self::{
    outcome::{SendError, Sent},
    proof::{ConnectionProof, ConnectionProofs},
};
use super::{Content, Email, compose::one_line};
use crate::{
    clock::{
        Deadline, RequestClock,
        budgets::{MIN_SEND_TIME, TIME_AFTER_SENDING},
    },
    config::Config,
    domain::timestamp::Timestamp,
    telemetry::{
        aws,
        statistics::{self, CountCalls},
    },
};

/// The wait before each attempt. Only a message that SES certainly did not take is sent again.
const WAITS: [Duration; 3] = [Duration::ZERO, Duration::from_millis(100), Duration::from_millis(200)];

const CHARSET: &str = "UTF-8";

/// Access to SES.
#[derive(Debug)]
pub struct Mailer {
    pub(super) client: Client,
    stack_name: Option<String>,
    retention_seconds: i64,
    last_response: Arc<LastResponse>,
    /// The latest proof. Concurrent requests share it while it is in progress.
    last_proof: Mutex<Option<Proof>>,
}

impl Mailer {
    /// Builds the SES client from `sdk`, without its retries and attempt timeout: [`Mailer::send`] has its own.
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
            last_response: Arc::default(),
            last_proof: Mutex::default(),
        }
    }

    /// Sends `email` on a connection that `proof` found alive. Retries if SES throttles or no connection could be
    /// opened. An attempt may take all the time until the sending deadline.
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
        match proof {
            ConnectionProof::Alive => {}
            ConnectionProof::InProgress(proof) => {
                timeout_at(deadline.end, proof.outcome()).await.map_err(|_| SendError::no_time())??;
            }
            ConnectionProof::InTurn(turn) => return self.send_in_turn(email, turn, deadline, clock.now).await,
        }
        let mut failure = SendError::no_time();
        for (attempt, wait) in WAITS.into_iter().enumerate() {
            if !deadline.leaves(wait + MIN_SEND_TIME) {
                break;
            }
            // No sleep before the first attempt: even a zero sleep can take a millisecond, the timer's resolution.
            if attempt > 0 {
                statistics::retry();
                sleep(wait).await;
            }
            match self.attempt(email, deadline).await {
                Attempt::Sent(sent) => {
                    self.note_outcome(&sent, clock.now);
                    return Ok(sent);
                }
                Attempt::Retryable(error) => failure = error,
                Attempt::Failed(error) => return Err(error),
            }
        }
        Err(failure)
    }

    /// Makes one attempt.
    pub(super) async fn attempt(&self, email: &Email, deadline: Deadline) -> Attempt {
        let unknown = |cause: &str, aws_request_id| {
            aws::call_failed(cause, aws_request_id);
            Attempt::Sent(Sent::Unknown { cause: cause.to_owned() })
        };
        match timeout_at(deadline.end, self.request(email).send()).await {
            Ok(Ok(response)) => match response.message_id().filter(|id| !id.is_empty()) {
                Some(message_id) => {
                    aws::mail_sent(&email.invitation_id, message_id);
                    Attempt::Sent(Sent::Accepted)
                }
                None => unknown("SES: a response without a MessageId", response.request_id()),
            },
            Ok(Err(error)) => classify(&error),
            Err(_) => unknown("SES: no response in time", None),
        }
    }

    pub(super) fn note_outcome(&self, sent: &Sent, now: Timestamp) {
        self.last_response.note_outcome(sent, now);
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

    /// The tags of an email, which SES repeats in its events: tenant, invitation, stack, and the invitation's TTL in
    /// epoch seconds, so that feedback needs no read.
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

/// The sending deadline: an attempt may last until then, and a DynamoDB call still fits in after it.
fn sending_deadline(clock: RequestClock) -> Deadline {
    let Deadline { begin_by, .. } = clock.leaving(TIME_AFTER_SENDING);
    Deadline { begin_by, end: begin_by }
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

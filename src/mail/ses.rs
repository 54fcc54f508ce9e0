//! The call of SES: what is sent, when it may be sent again, and what a refusal means.

use std::time::Duration;

use aws_sdk_sesv2::{
    Client,
    config::retry::RetryConfig,
    error::{ProvideErrorMetadata, SdkError},
    operation::send_email::{SendEmailError, builders::SendEmailFluentBuilder},
    types::{Body, Content as Part, Destination, EmailContent, Message as SesMessage, MessageTag, Template},
};
use aws_types::SdkConfig;
use tokio::time::sleep;

use super::{Content, Letter, compose::one_line};
use crate::{
    error::Error,
    log::notes::{self, NoteCalls},
    sdk_error,
    timestamp::{Deadline, LONGEST_ATTEMPT},
};

/// The waits before each attempt.
const WAITS: [Duration; 3] = [Duration::ZERO, Duration::from_millis(100), Duration::from_millis(200)];

/// What is left of the time after the last attempt, for the table to be told that nothing was sent.
const TIME_AFTER_SENDING: Duration = Duration::from_secs(1);

const CHARSET: &str = "UTF-8";

/// Access to SES.
#[derive(Debug)]
pub struct Mailer {
    pub(super) client: Client,
}

/// Why a message was not sent. Each tells the operator SES's code, which names nobody.
#[derive(Debug, PartialEq, Eq)]
pub enum SendError {
    /// SES will not accept it, however often it is sent.
    Refused(String),
    /// SES accepts less than is being sent.
    Throttled(String),
    /// SES fails or cannot be reached; the message may have been accepted all the same.
    Unavailable(String),
}

impl Mailer {
    /// Access to SES as `sdk` describes it, but for the retries: SES has no request token, so that a message must be
    /// sent again only where it certainly was not accepted, which [`Mailer::send`] sees to.
    pub fn new(sdk: &SdkConfig) -> Self {
        let config = aws_sdk_sesv2::config::Builder::from(sdk);
        let config = config.retry_config(RetryConfig::disabled()).interceptor(NoteCalls::Ses);
        Self { client: Client::from_conf(config.build()) }
    }

    /// Opens the connection, by asking for something that is not there: `GET` where SES only knows `POST`. Nothing can
    /// come of that, and it takes no permission.
    pub async fn warm_up(&self) {
        let ask = self.client.send_email().customize().mutate_request(|request| {
            request.headers_mut().remove("content-length");
            *request.body_mut() = "".into();
            request.set_method("GET").expect("GET is a method");
        });
        // The answer is that there is no such thing.
        let _ = ask.send().await;
    }

    /// Sends `letter`. One that was throttled, or never arrived because no connection came about, is sent again. No
    /// attempt begins that could not end in time for what has to follow where it fails.
    pub async fn send(&self, letter: &Letter, deadline: Deadline) -> Result<(), SendError> {
        let deadline = deadline.leaving(TIME_AFTER_SENDING);
        let mut failure = SendError::Unavailable("SES: no time left".to_owned());
        for (attempt, wait) in WAITS.into_iter().enumerate() {
            if deadline.has_passed_in(wait + LONGEST_ATTEMPT) {
                break;
            }
            // Even no wait at all would be one of a millisecond, which is as finely as timers go.
            if attempt > 0 {
                notes::retry();
                sleep(wait).await;
            }
            let Err(error) = self.request(letter).send().await else { return Ok(()) };
            failure = SendError::from(&error);
            if !matches!(failure, SendError::Throttled(_)) && !sdk_error::never_arrived(&error) {
                break;
            }
        }
        Err(failure)
    }

    fn request(&self, letter: &Letter) -> SendEmailFluentBuilder {
        let connector = &letter.connector;
        let reply_to = connector.reply_to.iter().map(|address| one_line(address)).collect();
        let reply_to = Some(reply_to).filter(|addresses: &Vec<String>| !addresses.is_empty());
        let feedback = connector.feedback_forwarding_email_address.as_deref();
        let (tenant, invitation_id) = &letter.about;
        self.client
            .send_email()
            .from_email_address(one_line(&connector.from_email_address))
            .set_from_email_address_identity_arn(connector.from_email_address_identity_arn.clone())
            .destination(Destination::builder().to_addresses(&letter.to).build())
            .set_reply_to_addresses(reply_to)
            .set_feedback_forwarding_email_address(feedback.map(one_line))
            .set_configuration_set_name(connector.configuration_set_name.clone())
            .content(content(&letter.content))
            .email_tags(tag("tenant", tenant.as_str()))
            .email_tags(tag("invitation", invitation_id.as_str()))
    }
}

impl From<&SdkError<SendEmailError>> for SendError {
    fn from(error: &SdkError<SendEmailError>) -> Self {
        const FOR_GOOD: [&str; 6] = [
            "AccountSuspendedException",
            "BadRequestException",
            "MailFromDomainNotVerifiedException",
            "MessageRejected",
            "NotFoundException",
            "SendingPausedException",
        ];
        const THROTTLED: [&str; 4] =
            ["LimitExceededException", "Throttling", "ThrottlingException", "TooManyRequestsException"];
        let cause = sdk_error::describe("SES", error);
        match error.as_service_error().and_then(ProvideErrorMetadata::code) {
            Some(code) if FOR_GOOD.contains(&code) => Self::Refused(cause),
            Some(code) if THROTTLED.contains(&code) => Self::Throttled(cause),
            _ => Self::Unavailable(cause),
        }
    }
}

impl From<SendError> for Error {
    fn from(error: SendError) -> Self {
        match error {
            SendError::Refused(cause) => Self::MailRefused { cause },
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

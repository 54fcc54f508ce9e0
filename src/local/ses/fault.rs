//! The faults that a test asks for: every error that SES v2 documents for `SendEmail`, and the failures of a network.

use std::{io, time::Duration};

use axum::{
    body::Body,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use tokio_stream::StreamExt;

use super::refusal::Refusal;

/// How a `SendEmail` call fails. Only the variants that say so keep the mail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SesFault {
    /// The account may no longer send.
    AccountSuspended,
    /// Sending is paused for the account or the configuration set.
    SendingPaused,
    /// The MAIL FROM domain is not verified.
    MailFromDomainNotVerified,
    /// The message is refused for what it is, as one from an address that is not verified.
    MessageRejected,
    /// More resources than allowed.
    LimitExceeded,
    /// More requests than allowed.
    TooManyRequests,
    /// A resource, such as the configuration set, does not exist.
    NotFound,
    /// The input is not valid.
    BadRequest,
    /// More requests than allowed, as the frame around all of AWS's services says it.
    Throttling,
    /// The credentials have expired.
    ExpiredToken,
    /// The credentials are none that AWS knows.
    UnrecognizedClient,
    /// A failure inside SES, with status 500.
    InternalFailure,
    /// SES is not available: status 503.
    ServiceUnavailable,
    /// The connection is closed without an answer.
    Disconnect {
        /// Whether SES accepts the mail all the same.
        accepts: bool,
    },
    /// SES accepts the mail, and the connection ends in the middle of its answer.
    CutOff,
    /// SES accepts the mail, and answers this.
    Garbled(&'static str),
    /// No answer ever comes.
    Silence {
        /// Whether SES accepts the mail all the same.
        accepts: bool,
    },
    /// The usual answer, this much later.
    Delay(Duration),
}

impl SesFault {
    /// Whether the mail is accepted, whatever the sender gets to hear.
    pub(super) const fn accepts(self) -> bool {
        match self {
            Self::Disconnect { accepts } | Self::Silence { accepts } => accepts,
            Self::CutOff | Self::Garbled(_) | Self::Delay(_) => true,
            _ => false,
        }
    }

    /// What the sender gets to hear, where `usual` is the answer that they would have got.
    pub(super) async fn answer(self, usual: Response) -> Response {
        match self {
            Self::Delay(time) => tokio::time::sleep(time).await,
            Self::Silence { .. } => std::future::pending().await,
            Self::Disconnect { .. } => return ending(&[]),
            Self::CutOff => return ending(b"{\"Mess"),
            Self::Garbled(text) => return text.into_response(),
            _ => return self.refusal().into_response(),
        }
        usual
    }

    fn refusal(self) -> Refusal {
        const BAD: StatusCode = StatusCode::BAD_REQUEST;
        let (status, error_type, message) = match self {
            Self::AccountSuspended => (BAD, "AccountSuspendedException", "Your account is suspended."),
            Self::SendingPaused => (BAD, "SendingPausedException", "Sending is paused for this account."),
            Self::MailFromDomainNotVerified => {
                (BAD, "MailFromDomainNotVerifiedException", "The MAIL FROM domain is not verified.")
            }
            Self::MessageRejected => (BAD, "MessageRejected", "Email address is not verified."),
            Self::LimitExceeded => (BAD, "LimitExceededException", "Too many resources."),
            Self::TooManyRequests => {
                (StatusCode::TOO_MANY_REQUESTS, "TooManyRequestsException", "Maximum sending rate exceeded.")
            }
            Self::Throttling => (BAD, "ThrottlingException", "Rate exceeded"),
            Self::ExpiredToken => (
                StatusCode::FORBIDDEN,
                "ExpiredTokenException",
                "The security token included in the request is expired",
            ),
            Self::UnrecognizedClient => (
                StatusCode::FORBIDDEN,
                "UnrecognizedClientException",
                "The security token included in the request is invalid.",
            ),
            Self::NotFound => (StatusCode::NOT_FOUND, "NotFoundException", "Configuration set does not exist."),
            Self::BadRequest => (BAD, "BadRequestException", "The request is invalid."),
            Self::ServiceUnavailable => {
                (StatusCode::SERVICE_UNAVAILABLE, "ServiceUnavailable", "The service is temporarily unavailable.")
            }
            _ => (StatusCode::INTERNAL_SERVER_ERROR, "InternalFailure", "An internal error occurred."),
        };
        Refusal::new(status, error_type, message)
    }
}

/// An answer that is cut off behind `beginning`, together with the connection. With nothing of it, not even the status
/// is written.
fn ending(beginning: &'static [u8]) -> Response {
    let end = tokio_stream::once(Err::<&[u8], _>(io::Error::other("the fault that a test asked for")));
    if beginning.is_empty() {
        return Body::from_stream(end).into_response();
    }
    // What is there already is sent while the rest is waited for.
    let end = end.then(|end| async {
        tokio::time::sleep(Duration::from_millis(20)).await;
        end
    });
    Body::from_stream(tokio_stream::once(Ok(beginning)).chain(end)).into_response()
}

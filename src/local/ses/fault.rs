//! The faults that a test can request: every error that SES v2 documents for `SendEmail`, and failures of the network.

use std::{io, time::Duration};

use axum::{
    body::Body,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use tokio_stream::StreamExt;

use super::rejection::Rejection;

/// A fault of a `SendEmail` call. The mail is accepted only if the variant says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SesFault {
    /// The account may no longer send.
    AccountSuspended,
    /// Sending is paused for the account or the configuration set.
    SendingPaused,
    /// The MAIL FROM domain is not verified.
    MailFromDomainNotVerified,
    /// The message is rejected for its contents or its sender, such as an unverified address.
    MessageRejected,
    /// More resources than allowed.
    LimitExceeded,
    /// More requests than allowed.
    TooManyRequests,
    /// A resource, such as the configuration set, does not exist.
    NotFound,
    /// The input is not valid.
    BadRequest,
    /// More requests than allowed, as the common error of all AWS services.
    Throttling,
    /// The credentials have expired.
    ExpiredToken,
    /// The credentials are unknown to AWS.
    UnrecognizedClient,
    /// A failure inside SES, with status 500.
    InternalFailure,
    /// SES is not available: status 503.
    ServiceUnavailable,
    /// The connection is closed without a response.
    Disconnect {
        /// `true` if SES accepts the mail nevertheless.
        accepts: bool,
    },
    /// SES accepts the mail, and the connection ends in the middle of the response.
    CutOff,
    /// SES accepts the mail, and sends this response.
    Garbled(&'static str),
    /// No response is sent.
    Silence {
        /// `true` if SES accepts the mail nevertheless.
        accepts: bool,
    },
    /// The normal response after this delay.
    Delay(Duration),
}

impl SesFault {
    /// Returns `true` if the mail is accepted, for any response.
    pub(super) const fn accepts(self) -> bool {
        match self {
            Self::Disconnect { accepts } | Self::Silence { accepts } => accepts,
            Self::CutOff | Self::Garbled(_) | Self::Delay(_) => true,
            _ => false,
        }
    }

    /// The faulty response to a request whose normal response is `usual`.
    pub(super) async fn respond(self, usual: Response) -> Response {
        match self {
            Self::Delay(time) => tokio::time::sleep(time).await,
            Self::Silence { .. } => std::future::pending().await,
            Self::Disconnect { .. } => return ending(&[]),
            Self::CutOff => return ending(b"{\"Mess"),
            Self::Garbled(text) => return text.into_response(),
            _ => return self.rejection().into_response(),
        }
        usual
    }

    fn rejection(self) -> Rejection {
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
        Rejection::new(status, error_type, message)
    }
}

/// A response that ends after `beginning` by closing the connection. An empty `beginning` omits even the status.
fn ending(beginning: &'static [u8]) -> Response {
    let end = tokio_stream::once(Err::<&[u8], _>(io::Error::other("a requested fault")));
    if beginning.is_empty() {
        return Body::from_stream(end).into_response();
    }
    // The beginning is sent during this pause.
    let end = end.then(|end| async {
        tokio::time::sleep(Duration::from_millis(20)).await;
        end
    });
    Body::from_stream(tokio_stream::once(Ok(beginning)).chain(end)).into_response()
}

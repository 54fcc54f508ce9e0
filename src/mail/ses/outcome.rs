//! The outcome of an attempt to send.

use aws_sdk_sesv2::{
    error::{ProvideErrorMetadata, SdkError},
    operation::{RequestId, send_email::SendEmailError},
};

use crate::{
    domain::error::Error,
    sdk_error,
    telemetry::{aws, statistics},
};

/// The outcome of an attempt to send.
#[derive(Debug)]
pub(crate) enum Attempt {
    /// SES has or may have the email.
    Sent(Sent),
    /// SES certainly does not have the email, and it may be sent again.
    Retryable(SendError),
    /// SES certainly does not have the email, and an attempt that follows at once would fail too.
    Failed(SendError),
}

/// The outcome of a send after which SES has or may have the email.
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
    /// Records an unknown outcome in the request statistics.
    pub(crate) fn note(self) {
        if let Self::Unknown { cause } = self {
            statistics::mail_unknown(cause);
        }
    }
}

/// The reason why SES certainly did not take an email. Holds the cause for the operator, without addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum SendError {
    /// SES rejects the email, and would reject a retry.
    Rejected(String),
    /// SES throttles the account.
    Throttled(String),
    /// SES cannot be reached or is not available, or there is no time left for an attempt.
    Unavailable(String),
}

impl SendError {
    /// Returns `true` if SES may take the same message later.
    pub(crate) const fn is_transient(&self) -> bool {
        matches!(self, Self::Throttled(_) | Self::Unavailable(_))
    }

    /// There is no time left for an attempt.
    pub fn no_time() -> Self {
        Self::Unavailable("SES: no time left".to_owned())
    }
}

/// Classifies a failed attempt.
pub(super) fn classify(error: &SdkError<SendEmailError>) -> Attempt {
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
    aws::call_failed(&cause, error.request_id());
    match error.as_service_error().and_then(ProvideErrorMetadata::code) {
        Some(code) if REJECTED.contains(&code) => return Attempt::Failed(SendError::Rejected(cause)),
        Some(code) if THROTTLED.contains(&code) => return Attempt::Retryable(SendError::Throttled(cause)),
        _ => {}
    }
    match error {
        // SES may have taken the message before a 500, or before a response without an SES error code.
        SdkError::ServiceError(response) => {
            let status = response.raw().status();
            let is_refusal = status.is_client_error() || status.as_u16() == NOT_AVAILABLE;
            if is_refusal && response.err().code().is_some() {
                Attempt::Failed(SendError::Unavailable(cause))
            } else {
                Attempt::Sent(Sent::Unknown { cause })
            }
        }
        SdkError::ConstructionFailure(_) => Attempt::Failed(SendError::Unavailable(cause)),
        _ if sdk_error::failed_to_connect(error) => Attempt::Retryable(SendError::Unavailable(cause)),
        _ => Attempt::Sent(Sent::Unknown { cause }),
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

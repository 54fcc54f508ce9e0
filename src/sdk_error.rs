//! What may be said of a failed AWS call: the kind of failure, and nothing of the data.

use std::{error::Error, io};

use aws_sdk_dynamodb::error::{DisplayErrorContext, ProvideErrorMetadata, SdkError};

/// One line about `error` for the log. An answer of the service is told by its code alone, since its message may
/// quote an item or an address. Where nothing was answered there is no data either, and the chain of causes helps.
pub fn describe<E>(service: &str, error: &SdkError<E>) -> String
where
    E: ProvideErrorMetadata + Error + 'static,
{
    match error {
        SdkError::ServiceError(answer) => format!("{service}: {}", answer.err().code().unwrap_or("unknown error")),
        SdkError::ResponseError(_) => format!("{service}: unreadable answer"),
        unanswered => format!("{service}: {}", DisplayErrorContext(unanswered)),
    }
}

/// Whether a request that may change something certainly did not: the service refused it, or never got it.
pub fn certainly_failed<E: Error + 'static>(error: &SdkError<E>) -> bool {
    match error {
        SdkError::ServiceError(answer) => answer.raw().status().is_client_error(),
        SdkError::ConstructionFailure(_) => true,
        _ => never_arrived(error),
    }
}

/// Whether a request certainly never reached the service, because no connection came about.
pub fn never_arrived<E: Error + 'static>(error: &SdkError<E>) -> bool {
    let mut cause: Option<&(dyn Error + 'static)> = match error {
        SdkError::DispatchFailure(failure) => failure.as_connector_error().and_then(Error::source),
        _ => None,
    };
    while let Some(error) = cause {
        let kind = error.downcast_ref::<io::Error>().map(io::Error::kind);
        if kind == Some(io::ErrorKind::ConnectionRefused) {
            return true;
        }
        cause = error.source();
    }
    false
}

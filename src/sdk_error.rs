//! What may be said of a failed AWS call: the kind of failure, and nothing of the data.

use std::error::Error;

use aws_sdk_dynamodb::error::{DisplayErrorContext, ProvideErrorMetadata, SdkError};
use hyper_util::client::legacy::Error as ClientError;

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

/// Whether a request certainly never reached the service, because no connection came about: an address that does not
/// resolve, a refused connection, a handshake that failed or took too long.
pub fn never_arrived<E: Error + 'static>(error: &SdkError<E>) -> bool {
    let mut cause: Option<&(dyn Error + 'static)> = match error {
        SdkError::DispatchFailure(failure) => failure.as_connector_error().and_then(Error::source),
        _ => None,
    };
    while let Some(error) = cause {
        if error.downcast_ref::<ClientError>().is_some_and(ClientError::is_connect) {
            return true;
        }
        cause = error.source();
    }
    false
}

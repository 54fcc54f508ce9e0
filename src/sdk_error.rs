//! Classification and description of failed AWS calls. Descriptions contain no data of the request.

use std::error::Error;

use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use hyper_util::client::legacy::Error as ClientError;

/// Describes `error` in one line for the log. A service error is described by its code only, because its message may
/// quote an item or an address. Without a response, the description is the chain of causes.
pub(crate) fn describe<E>(service: &str, error: &SdkError<E>) -> String
where
    E: ProvideErrorMetadata + Error + 'static,
{
    match error {
        SdkError::ServiceError(response) => format!("{service}: {}", response.err().code().unwrap_or("unknown error")),
        SdkError::ResponseError(_) => format!("{service}: unreadable response"),
        without_response => format!("{service}: {}", causes(without_response)),
    }
}

/// The texts of an error and its causes, in one line. The SDK's error about an invalid endpoint quotes the whole
/// request, which is left out.
fn causes(error: &(dyn Error + 'static)) -> String {
    const REQUEST: &str = " to request `";
    let chain =
        std::iter::successors(Some(error), |error: &&(dyn Error + 'static)| (*error).source()).map(ToString::to_string);
    let texts = chain
        .map(|text| text.split(REQUEST).next().unwrap_or_default().split_whitespace().collect::<Vec<_>>().join(" "));
    texts.collect::<Vec<_>>().join(": ")
}

/// Returns `true` if a write certainly did not happen: the service rejected it or did not receive it.
pub(crate) fn certainly_failed<E: Error + 'static>(error: &SdkError<E>) -> bool {
    match error {
        SdkError::ServiceError(response) => response.raw().status().is_client_error(),
        SdkError::ConstructionFailure(_) => true,
        _ => failed_to_connect(error),
    }
}

/// Returns `true` if the request certainly did not reach the service, because no connection was established: the name
/// does not resolve, the connection is refused, or the handshake fails or times out.
pub(crate) fn failed_to_connect<E: Error + 'static>(error: &SdkError<E>) -> bool {
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

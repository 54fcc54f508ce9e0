//! Describes failures of DynamoDB for operators: the table, the region, the endpoint, and advice.

use crate::{app::App, store::StoreError};

/// The environment variables of the endpoint, by precedence.
const ENDPOINTS: [&str; 2] = ["AWS_ENDPOINT_URL_DYNAMODB", "AWS_ENDPOINT_URL"];

/// The advice for an error code of DynamoDB, or for a part of the text of a failure without a response.
const ADVICE: [(&str, &str); 14] = [
    ("ResourceNotFoundException", "there is no such table: check --table (TABLE_NAME) and the region (AWS_REGION)"),
    ("AccessDeniedException", "these credentials have no right to do this with the table"),
    ("UnrecognizedClientException", NOT_VALID),
    ("InvalidSignatureException", NOT_VALID),
    ("IncompleteSignatureException", NOT_VALID),
    ("MissingAuthenticationTokenException", NOT_VALID),
    ("ExpiredTokenException", "the credentials have expired: sign in again"),
    ("ThrottlingException", "the table is busy: try again later"),
    ("ProvisionedThroughputExceededException", "the table is busy: try again later"),
    ("Missing Region", NO_REGION),
    ("missing signing region", NO_REGION),
    (
        "credential",
        "no credentials were found: sign in (`aws sso login`), select a profile (AWS_PROFILE), or set \
         AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
    ),
    ("failed to apply endpoint", "the endpoint is not a URL: check AWS_ENDPOINT_URL_DYNAMODB"),
    ("io error", "cannot reach DynamoDB"),
];

const NO_REGION: &str = "no region is set: set AWS_REGION, or a region in the profile";
const NOT_VALID: &str = "AWS does not accept these credentials: check the profile, or the access key and its secret";

/// Describes a failure.
pub(super) fn describe(app: &App, error: &StoreError) -> String {
    let region = app.store.region().map(|region| format!(" in {region}")).unwrap_or_default();
    let endpoint = ENDPOINTS.iter().find_map(|name| std::env::var(name).ok().filter(|url| !url.is_empty()));
    let endpoint = endpoint.map(|url| format!(" at {url}")).unwrap_or_default();
    format!("table `{}`{region}{endpoint}: {}", app.config.table_name, advise(&error.to_string()))
}

/// Puts the advice in front of the error.
fn advise(error: &str) -> String {
    match ADVICE.iter().find(|(part, _)| error.contains(part)) {
        // Without the error, which lists every place where the SDK looked for credentials.
        Some(("credential", advice)) => (*advice).to_owned(),
        Some((_, advice)) => format!("{advice} ({error})"),
        None => error.to_owned(),
    }
}

//! The calls of the API.

use std::time::Duration;

use aws_smithy_http_client::{
    Connector,
    proxy::ProxyConfig,
    tls::{Provider, rustls_provider::CryptoMode},
};
use aws_smithy_runtime_api::client::{
    http::{HttpConnector, HttpConnectorSettings},
    orchestrator::HttpRequest,
};
use aws_smithy_types::{body::SdkBody, byte_stream::ByteStream};
use serde::Deserialize;
use serde_json::Value;
use tokio::time::timeout;

use super::Token;

/// The path of the resource.
const PATH: &str = "/api/organization-invitations";
/// The timeout of a call. API Gateway answers within 30 seconds.
const TIMEOUT: Duration = Duration::from_mins(1);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// The beginning of the reason of a call that got no connection or no answer.
pub(super) const UNREACHABLE: &str = "cannot reach the API";

/// The API of a stack.
pub(super) struct Api {
    connector: Connector,
    url: String,
    authorization: String,
}

/// The answer to a call.
pub(super) enum Answer {
    /// The result of each item, in the order of the request.
    Results(Vec<ItemResult>),
    /// The same call may succeed later.
    Later {
        /// The time to wait, if the API said so.
        after: Option<Duration>,
        /// The reason.
        reason: String,
    },
    /// No call can succeed.
    Final(String),
}

/// The result of an item.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ItemResult {
    pub(super) status: u16,
    pub(super) body: Value,
    /// Seconds.
    pub(super) retry_after: Option<u64>,
    #[serde(default)]
    pub(super) replayed: bool,
}

#[derive(Deserialize)]
struct Results {
    results: Vec<ItemResult>,
}

impl Api {
    /// The API at `url`.
    ///
    /// # Errors
    /// A URL that is invalid or without TLS, or an invalid token.
    pub(super) fn new(url: &str, Token(token): &Token) -> Result<Self, String> {
        let base = url.trim_end_matches('/');
        let base = base.strip_suffix(PATH).unwrap_or(base);
        check_url(base)?;
        if token.is_empty() || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err("--token: not a bearer token".to_owned());
        }
        let connector = Connector::builder()
            .tls_provider(Provider::Rustls(CryptoMode::Ring))
            .proxy_config(ProxyConfig::from_env())
            .connector_settings(HttpConnectorSettings::builder().connect_timeout(CONNECT_TIMEOUT).build())
            .build();
        Ok(Self { connector, url: format!("{base}{PATH}/bulk"), authorization: format!("Bearer {token}") })
    }

    /// Creates the invitations of `body` under an idempotency key; `items` is their number.
    pub(super) async fn create(&self, body: String, key: &str, items: usize) -> Answer {
        match timeout(TIMEOUT, self.call(body, key)).await {
            Ok(Ok(response)) => response.answer(items),
            Ok(Err(reason)) => Answer::Later { after: None, reason },
            Err(_) => Answer::Later { after: None, reason: "the API does not answer".to_owned() },
        }
    }

    async fn call(&self, body: String, key: &str) -> Result<Response, String> {
        let mut request = HttpRequest::new(SdkBody::from(body));
        let invalid = |error| format!("the request is not valid: {error}");
        request.set_method("POST").map_err(invalid)?;
        request.set_uri(self.url.as_str()).map_err(invalid)?;
        for (name, value) in [
            ("authorization", self.authorization.clone()),
            ("content-type", "application/json".to_owned()),
            ("idempotency-key", key.to_owned()),
            ("user-agent", concat!("organization-invitations-directory/", env!("CARGO_PKG_VERSION")).to_owned()),
        ] {
            request.headers_mut().try_insert(name, value).map_err(invalid)?;
        }
        let called = self.connector.call(request).await;
        let response = called.map_err(|error| format!("{UNREACHABLE}: {}", innermost_cause(&error)))?;
        let status = response.status().as_u16();
        let retry_after = response.headers().get("retry-after").and_then(|text| text.parse().ok());
        let body = ByteStream::new(response.into_body()).collect().await;
        let body = body.map_err(|error| format!("the API's answer broke off: {}", innermost_cause(&error)))?.to_vec();
        Ok(Response { status, retry_after: retry_after.map(Duration::from_secs), body })
    }
}

/// The innermost cause, which is the most specific.
fn innermost_cause(error: &dyn std::error::Error) -> String {
    let mut innermost = error;
    while let Some(cause) = innermost.source() {
        innermost = cause;
    }
    innermost.to_string()
}

/// Requires an HTTP URL: `https`, or `http` to this machine, because the token is readable without TLS.
fn check_url(url: &str) -> Result<(), String> {
    let is_plain = |rest: &str| !rest.is_empty() && !rest.contains(['?', '#', '@', ' ']);
    if url.strip_prefix("https://").is_some_and(is_plain) {
        return Ok(());
    }
    let rest = url.strip_prefix("http://").filter(|rest| is_plain(rest));
    let rest = rest.ok_or("--api: expected the base URL of the API, such as https://example.com")?;
    let authority = rest.split('/').next().unwrap_or_default();
    let host = authority.rsplit_once(':').filter(|(_, port)| port.parse::<u16>().is_ok());
    let host = host.map_or(authority, |(host, _)| host);
    if matches!(host, "localhost" | "127.0.0.1" | "[::1]") {
        return Ok(());
    }
    Err("--api: without https the token is sent to this machine only".to_owned())
}

struct Response {
    status: u16,
    retry_after: Option<Duration>,
    body: Vec<u8>,
}

impl Response {
    fn answer(self, items: usize) -> Answer {
        match self.status {
            200 => match serde_json::from_slice::<Results>(&self.body) {
                Ok(Results { results }) if results.len() == items => Answer::Results(results),
                _ => Answer::Final("--api: this is not the API of organization invitations".to_owned()),
            },
            401 | 403 => Answer::Final(format!("--token: the API does not accept the token ({})", self.says())),
            404 | 405 => Answer::Final(format!("--api: the API is not at this URL ({})", self.says())),
            429 | 500 | 502..=504 => {
                Answer::Later { after: self.retry_after, reason: format!("the API answers {}", self.says()) }
            }
            _ => Answer::Final(format!("the API answers {}", self.says())),
        }
    }

    /// The status with the code and the message of the body.
    fn says(&self) -> String {
        let body: Value = serde_json::from_slice(&self.body).unwrap_or_default();
        let texts = ["code", "message"].iter().filter_map(|key| body[key].as_str());
        texts.fold(self.status.to_string(), |said, text| format!("{said} {text}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_goes_to_https_and_to_this_machine_only() {
        let token = Token("t".to_owned());
        for (url, expected) in [
            ("https://api.example.com", Some("https://api.example.com/api/organization-invitations/bulk")),
            ("https://api.example.com/prod/", Some("https://api.example.com/prod/api/organization-invitations/bulk")),
            (
                "http://localhost:3000/api/organization-invitations",
                Some("http://localhost:3000/api/organization-invitations/bulk"),
            ),
            ("http://[::1]", Some("http://[::1]/api/organization-invitations/bulk")),
            ("http://127.0.0.1:1", Some("http://127.0.0.1:1/api/organization-invitations/bulk")),
            ("http://api.example.com", None),
            ("http://localhost.example.com", None),
            ("http://localhost@example.com", None),
            ("https://", None),
            ("https://x?y", None),
            ("ftp://localhost", None),
            ("localhost:3000", None),
        ] {
            assert_eq!(Api::new(url, &token).ok().map(|api| api.url).as_deref(), expected, "{url}");
        }
    }

    #[test]
    fn a_text_that_cannot_be_a_token_is_not_shown() {
        for token in ["", "a secret", "a\nsecret", "sécret"] {
            let error = Api::new("https://x", &Token(token.to_owned())).err().unwrap();
            assert_eq!(error, "--token: not a bearer token");
        }
        assert!(!format!("{:?}", Token::new("secret")).contains("secret"));
    }
}

//! What every request shares: the settings and the clients, built once when the function starts.

use std::time::Duration;

use aws_config::{BehaviorVersion, SdkConfig, retry::RetryConfig, timeout::TimeoutConfig};
use aws_smithy_http_client::{
    Builder,
    tls::{Provider, rustls_provider::CryptoMode},
};

use crate::{
    config::Config,
    mail::{Mailer, ses::LONGEST_ATTEMPT},
    store::Store,
    timestamp::LONGEST_CALL,
};

/// The function's state. It is shared by all requests and never changes, but for the directory's cache.
#[derive(Debug)]
pub struct App {
    /// The settings.
    pub config: Config,
    /// Access to the table.
    pub store: Store,
    /// Access to SES.
    pub mailer: Mailer,
}

impl App {
    /// Builds the clients from the process's environment: region, credentials, and `AWS_ENDPOINT_URL_DYNAMODB` and
    /// `AWS_ENDPOINT_URL_SESV2` where something else than AWS is meant. Connects to nothing yet.
    pub async fn connect(config: Config) -> Self {
        let client = Builder::new().tls_provider(Provider::Rustls(CryptoMode::Ring)).build_https();
        let sdk = aws_config::defaults(BehaviorVersion::latest())
            .http_client(client)
            .timeout_config(time_limits())
            .retry_config(RetryConfig::standard().with_max_attempts(3))
            .load()
            .await;
        Self::new(config, &sdk)
    }

    /// Builds the clients from `sdk`.
    pub fn new(config: Config, sdk: &SdkConfig) -> Self {
        let store = Store::new(aws_sdk_dynamodb::Client::new(sdk), &config);
        let mailer = Mailer::new(sdk);
        Self { config, store, mailer }
    }
}

/// The limits within which a request can be answered whatever AWS does.
pub fn time_limits() -> TimeoutConfig {
    TimeoutConfig::builder()
        .connect_timeout(Duration::from_secs(1))
        .operation_attempt_timeout(LONGEST_ATTEMPT)
        .operation_timeout(LONGEST_CALL)
        .build()
}

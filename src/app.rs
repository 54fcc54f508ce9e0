//! What every request shares: the settings and the clients, built once when the function starts.

use std::time::Duration;

use aws_config::{BehaviorVersion, SdkConfig, retry::RetryConfig, timeout::TimeoutConfig};
use aws_smithy_http_client::{
    Builder,
    tls::{Provider, rustls_provider::CryptoMode},
};

use crate::{
    config::Config,
    log::{Log, notes::NoteCalls},
    mail::Mailer,
    store::Store,
    timestamp::LONGEST_ATTEMPT,
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
    /// Where each request is told of.
    pub log: Log,
}

impl App {
    /// Builds the clients from the process's environment: region, credentials, and `AWS_ENDPOINT_URL_DYNAMODB` and
    /// `AWS_ENDPOINT_URL_SESV2` where something else than AWS is meant. Connects to nothing yet.
    pub async fn connect(config: Config) -> Self {
        Self::connect_within(config, time_limits(), retries()).await
    }

    /// As [`App::connect`], for a command that nobody waits for at an API, over lines slower than a function's: with
    /// more patience.
    #[cfg(feature = "cli")]
    pub async fn connect_patiently(config: Config) -> Self {
        let time_limits = TimeoutConfig::builder()
            .connect_timeout(Duration::from_secs(10))
            .operation_attempt_timeout(Duration::from_secs(20))
            .operation_timeout(Duration::from_mins(1));
        Self::connect_within(config, time_limits.build(), RetryConfig::standard().with_max_attempts(8)).await
    }

    async fn connect_within(config: Config, time_limits: TimeoutConfig, retries: RetryConfig) -> Self {
        let client = Builder::new().tls_provider(Provider::Rustls(CryptoMode::Ring)).build_https();
        let sdk = aws_config::defaults(BehaviorVersion::latest())
            .http_client(client)
            .timeout_config(time_limits)
            .retry_config(retries)
            .load()
            .await;
        Self::new(config, &sdk)
    }

    /// Builds the clients from `sdk`.
    pub fn new(config: Config, sdk: &SdkConfig) -> Self {
        let dynamodb = aws_sdk_dynamodb::config::Builder::from(sdk).interceptor(NoteCalls::DynamoDb);
        let store = Store::new(aws_sdk_dynamodb::Client::from_conf(dynamodb.build()), &config);
        let mailer = Mailer::new(sdk);
        Self { config, store, mailer, log: Log::readable() }
    }
}

/// The limits within which a request can be answered whatever AWS does.
pub fn time_limits() -> TimeoutConfig {
    TimeoutConfig::builder().connect_timeout(Duration::from_secs(1)).operation_attempt_timeout(LONGEST_ATTEMPT).build()
}

/// The SDK makes one attempt and no more: it knows neither how much time a request has left, nor what must not be done
/// twice. The store and the mailer do.
pub fn retries() -> RetryConfig {
    RetryConfig::disabled()
}

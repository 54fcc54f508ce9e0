//! What every request shares: the settings and the clients, built once when the function starts.

mod environment;

use std::time::Duration;

use aws_sdk_dynamodb::config::{retry::RetryConfig, timeout::TimeoutConfig};
use aws_types::SdkConfig;
use tokio::time::timeout;

use crate::{
    clock::budgets::{CONNECT_TIMEOUT, LONGEST_ATTEMPT},
    config::{Config, ConfigError},
    domain::timestamp::Timestamp,
    mail::{Mailer, render, template},
    store::Store,
    telemetry::{Log, statistics::CountCalls},
};

/// How long the start may wait for connections that only save time later.
const WARM_UP: Duration = Duration::from_secs(1);

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
    ///
    /// # Errors
    /// Names the variable that is missing, or of no use.
    pub fn connect(config: Config) -> Result<Self, ConfigError> {
        let sdk = environment::sdk_config(|name| std::env::var(name).ok().filter(|value| !value.is_empty()))?;
        Ok(Self::new(config, &sdk))
    }

    /// As [`App::connect`], for a command that people run where they sign in to AWS: with all the ways of doing so, and
    /// the certificates that their machine trusts. Nobody waits for it at an API, over lines slower than a function's,
    /// so with more patience.
    #[cfg(feature = "cli")]
    pub async fn connect_patiently(config: Config) -> Self {
        use aws_config::BehaviorVersion;
        use aws_smithy_http_client::{
            Builder,
            tls::{Provider, rustls_provider::CryptoMode},
        };

        let time_limits = TimeoutConfig::builder()
            .connect_timeout(Duration::from_secs(10))
            .operation_attempt_timeout(Duration::from_secs(20))
            .operation_timeout(Duration::from_mins(1));
        let sdk = aws_config::defaults(BehaviorVersion::latest())
            .http_client(Builder::new().tls_provider(Provider::Rustls(CryptoMode::Ring)).build_https())
            .timeout_config(time_limits.build())
            .retry_config(RetryConfig::standard().with_max_attempts(8))
            .load()
            .await;
        Self::new(config, &sdk)
    }

    /// Builds the clients from `sdk`.
    pub fn new(config: Config, sdk: &SdkConfig) -> Self {
        let dynamodb = aws_sdk_dynamodb::config::Builder::from(sdk).interceptor(CountCalls::DynamoDb);
        let store = Store::new(aws_sdk_dynamodb::Client::from_conf(dynamodb.build()), &config);
        let mailer = Mailer::new(sdk);
        Self { config, store, mailer, log: Log::readable() }
    }

    /// Opens the connections to DynamoDB and SES and compiles the usual template, so that the first request need not: a
    /// function has more CPU while it starts than it may have later. What fails, or takes too long, the first request
    /// does after all. `now` is the time of the start.
    pub async fn warm_up(&self, now: Timestamp) {
        let usual = || match &self.config.default_connector {
            Some(connector) => template::choose(connector, None).map(|(_, template)| template),
            None => template::built_in("en"),
        };
        // Last, while the others wait for their answers.
        let template = async { usual().map(render::prepare) };
        let all = async { tokio::join!(self.store.warm_up(), self.mailer.warm_up(now), template) };
        let _ = timeout(WARM_UP, all).await;
    }
}

/// The limits within which a request can be answered whatever AWS does.
pub fn time_limits() -> TimeoutConfig {
    TimeoutConfig::builder().connect_timeout(CONNECT_TIMEOUT).operation_attempt_timeout(LONGEST_ATTEMPT).build()
}

/// The SDK makes one attempt and no more: it knows neither how much time a request has left, nor what must not be done
/// twice. The store and the mailer do.
pub fn retries() -> RetryConfig {
    RetryConfig::disabled()
}

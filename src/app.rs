//! The state that all requests share: the settings and the clients, built once when the function starts.

mod environment;

use std::time::Duration;

use aws_sdk_dynamodb::config::{retry::RetryConfig, timeout::TimeoutConfig};
use aws_types::SdkConfig;
use tokio::time::timeout;

use crate::{
    clock::budgets::{ATTEMPT_TIMEOUT, CONNECT_TIMEOUT},
    config::{Config, ConfigError},
    domain::timestamp::Timestamp,
    mail::{Mailer, built_in, template},
    store::Store,
    telemetry::{Log, statistics::CountCalls},
};

/// The maximum time that the init phase waits for connections. A request can open them too.
const WARM_UP: Duration = Duration::from_secs(1);

/// The state of the function, shared by all requests. Only the directory cache and the mailer's connection state
/// change.
#[derive(Debug)]
pub struct App {
    /// The settings.
    pub config: Config,
    /// Access to the table.
    pub store: Store,
    /// Access to SES.
    pub mailer: Mailer,
    /// The request log.
    pub log: Log,
}

impl App {
    /// Builds the clients from the process's environment: region, credentials, and the endpoints
    /// `AWS_ENDPOINT_URL_DYNAMODB` and `AWS_ENDPOINT_URL_SESV2`. Opens no connection.
    ///
    /// # Errors
    /// The name of a variable that is missing or invalid.
    pub fn connect(config: Config) -> Result<Self, ConfigError> {
        let sdk = environment::sdk_config(|name| std::env::var(name).ok().filter(|value| !value.is_empty()))?;
        Self::new(config, &sdk)
    }

    /// Builds the clients for a command that people run: every way to sign in to AWS, the machine's trusted
    /// certificates, and longer timeouts and more retries than [`App::connect`], because no API caller waits and the
    /// connection may be slow.
    ///
    /// # Errors
    /// Those of [`App::new`].
    #[cfg(feature = "cli")]
    pub async fn connect_patiently(config: Config) -> Result<Self, ConfigError> {
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
    ///
    /// # Errors
    /// [`ConfigError::Invalid`] if there is no built-in mail in the language of `DEFAULT_LOCALE`.
    pub fn new(config: Config, sdk: &SdkConfig) -> Result<Self, ConfigError> {
        check_default_locale(&config)?;
        let dynamodb = aws_sdk_dynamodb::config::Builder::from(sdk).interceptor(CountCalls::DynamoDb);
        let store = Store::new(aws_sdk_dynamodb::Client::from_conf(dynamodb.build()), &config);
        let mailer = Mailer::new(sdk, &config);
        Ok(Self { config, store, mailer, log: Log::readable() })
    }

    /// Opens the connections to DynamoDB and SES, so that the first request need not: a function may have more CPU
    /// during init than later. If a connection fails or takes too long, the first request opens it.
    pub async fn warm_up(&self, now: Timestamp) {
        let all = async { tokio::join!(self.store.warm_up(), self.mailer.warm_up(now)) };
        let _ = timeout(WARM_UP, all).await;
    }
}

/// Checks that `DEFAULT_LOCALE` has a built-in template, because the default connector has no templates of its own.
fn check_default_locale(config: &Config) -> Result<(), ConfigError> {
    let Some(connector) = &config.default_connector else { return Ok(()) };
    if template::choose(connector, None).is_some() {
        return Ok(());
    }
    let locales: Vec<&str> = built_in::locales().collect();
    let (value, expected) = (connector.default_locale.clone(), format!("one of {}", locales.join(", ")));
    Err(ConfigError::Invalid { name: "DEFAULT_LOCALE", value, expected })
}

/// The timeouts of the SDK's clients. They leave time for a response even if AWS does not respond.
pub fn time_limits() -> TimeoutConfig {
    TimeoutConfig::builder().connect_timeout(CONNECT_TIMEOUT).operation_attempt_timeout(ATTEMPT_TIMEOUT).build()
}

/// Turns the SDK's retries off: the SDK knows neither the remaining time of a request nor which calls are unsafe to
/// repeat. The store and the mailer retry instead.
pub(crate) fn retries() -> RetryConfig {
    RetryConfig::disabled()
}

#[cfg(test)]
mod tests {
    use aws_sdk_dynamodb::config::BehaviorVersion;

    use super::*;

    #[test]
    fn a_default_locale_without_built_in_mail_is_reported_by_the_name_of_its_variable() {
        let app = |locale: &str| {
            let config = Config::from_lookup(|name| match name {
                "TABLE_NAME" | "DEFAULT_FROM_EMAIL_ADDRESS" => Some("t".to_owned()),
                "DEFAULT_LOCALE" => Some(locale.to_owned()),
                _ => None,
            });
            App::new(config.unwrap(), &SdkConfig::builder().behavior_version(BehaviorVersion::latest()).build())
        };
        let message = app("xx").unwrap_err().to_string();
        assert!(message.contains("DEFAULT_LOCALE"), "{message}");
        assert!(app("pt-BR").is_ok(), "the language");
    }
}

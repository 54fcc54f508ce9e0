//! The SDK configuration of a function: from environment variables only. Lambda sets most of them.
//!
//! `aws-config` also searches profiles, single sign-on, and the roles of containers and machines, which a function does
//! not have. Without `aws-config` the binary is smaller and starts sooner.

use aws_sdk_dynamodb::config::{BehaviorVersion, Credentials, Region, SharedCredentialsProvider};
use aws_smithy_http_client::{
    Connector,
    tls::{Provider, TlsContext, TrustStore, rustls_provider::CryptoMode},
};
use aws_smithy_runtime_api::client::http::{
    HttpConnectorSettings, SharedHttpClient, SharedHttpConnector, http_client_fn,
};
use aws_types::{
    SdkConfig,
    app_name::AppName,
    service_config::{LoadServiceConfig, ServiceConfigKey},
};
use rustls::{
    RootCertStore,
    pki_types::{CertificateDer, pem::PemObject},
};

use super::{retries, time_limits};
use crate::{clock::budgets::CONNECT_TIMEOUT, config::ConfigError};

/// The application name in the `User-Agent` of each call, such as `app/organization-invitations-1.2.3`.
const APP_NAME: &str = concat!(env!("CARGO_PKG_NAME"), "-", env!("CARGO_PKG_VERSION"));

/// The certificate authorities of AWS's endpoints, in PEM form.
const AMAZON_ROOTS: &str = include_str!("amazon_roots.pem");

/// Looks up an environment variable. Tests pass their own variables.
type Lookup = fn(&str) -> Option<String>;

/// Reads region and credentials (`AWS_REGION`, `AWS_ACCESS_KEY_ID`, …), endpoints (`AWS_ENDPOINT_URL_DYNAMODB`, …) and
/// trusted certificates (`AWS_CA_BUNDLE`) from the same variables as the AWS CLI. The credentials of a running function
/// do not change.
///
/// # Errors
/// The name of a variable that is missing or invalid.
pub(super) fn sdk_config(lookup: Lookup) -> Result<SdkConfig, ConfigError> {
    let required = |name| lookup(name).ok_or(ConfigError::Missing(name));
    let region = lookup("AWS_REGION").map_or_else(|| required("AWS_DEFAULT_REGION"), Ok)?;
    let credentials = Credentials::new(
        required("AWS_ACCESS_KEY_ID")?,
        required("AWS_SECRET_ACCESS_KEY")?,
        lookup("AWS_SESSION_TOKEN"),
        None,
        "environment",
    );
    let is_on = |name| lookup(name).is_some_and(|value| value.eq_ignore_ascii_case("true"));
    Ok(SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new(region))
        .app_name(AppName::new(APP_NAME).expect("the name has only allowed characters"))
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .use_fips(is_on("AWS_USE_FIPS_ENDPOINT"))
        .use_dual_stack(is_on("AWS_USE_DUALSTACK_ENDPOINT"))
        .service_config(Environment(lookup))
        .http_client(http_client(trust_store(lookup)?))
        .timeout_config(time_limits())
        .retry_config(retries())
        .build())
}

/// The settings that an SDK client looks up by service.
#[derive(Debug)]
struct Environment(Lookup);

impl LoadServiceConfig for Environment {
    /// Reads the service's own variable, else the one for all services (AWS SDKs and Tools Reference Guide,
    /// "Service-specific endpoints").
    fn load_config(&self, key: ServiceConfigKey<'_>) -> Option<String> {
        let Self(lookup) = self;
        let service = key.service_id().to_ascii_uppercase().replace(' ', "_");
        lookup(&format!("{}_{service}", key.env())).or_else(|| lookup(key.env()))
    }
}

/// One HTTP client with one connection pool for both services. By default, each SDK client would build a second HTTP
/// client only to validate its configuration.
fn http_client(trust_store: TrustStore) -> SharedHttpClient {
    let tls =
        TlsContext::builder().with_trust_store(trust_store).build().expect("a context with a trust store is valid");
    let connector = Connector::builder()
        .tls_provider(Provider::Rustls(CryptoMode::Ring))
        .tls_context(tls)
        .connector_settings(HttpConnectorSettings::builder().connect_timeout(CONNECT_TIMEOUT).build())
        .build();
    let connector = SharedHttpConnector::new(connector);
    http_client_fn(move |_, _| connector.clone())
}

/// Amazon's certificate authorities, unless the environment configures others.
fn trust_store(lookup: Lookup) -> Result<TrustStore, ConfigError> {
    const BUNDLE: &str = "AWS_CA_BUNDLE";
    if let Some(file) = lookup(BUNDLE) {
        let pem = std::fs::read(&file).ok().filter(|pem| are_certificates(pem));
        let expected = "a readable file with certificates in PEM form".to_owned();
        let pem = pem.ok_or(ConfigError::Invalid { name: BUNDLE, value: file, expected })?;
        return Ok(TrustStore::empty().with_pem_certificate(pem));
    }
    if ["SSL_CERT_FILE", "SSL_CERT_DIR"].into_iter().any(|name| lookup(name).is_some()) {
        return Ok(TrustStore::default());
    }
    Ok(TrustStore::empty().with_pem_certificate(AMAZON_ROOTS))
}

/// Returns `true` if `pem` holds at least one certificate and no invalid one. Without a certificate the client would
/// trust no server, and an invalid one would make it panic.
fn are_certificates(pem: &[u8]) -> bool {
    let mut trusted = RootCertStore::empty();
    let mut certificates = CertificateDer::pem_slice_iter(pem);
    certificates.all(|certificate| certificate.is_ok_and(|valid| trusted.add(valid).is_ok())) && !trusted.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variable(name: &str) -> Option<String> {
        let value = match name {
            "AWS_DEFAULT_REGION" => "eu-central-1",
            "AWS_ACCESS_KEY_ID" | "AWS_SECRET_ACCESS_KEY" => "key",
            "AWS_ENDPOINT_URL" => "http://127.0.0.1:1",
            "AWS_ENDPOINT_URL_SESV2" => "http://127.0.0.1:2",
            _ => return None,
        };
        Some(value.to_owned())
    }

    fn without_secret(name: &str) -> Option<String> {
        variable(name).filter(|_| name != "AWS_SECRET_ACCESS_KEY")
    }

    #[test]
    fn a_service_uses_its_own_endpoint_or_else_the_common_one() {
        let sdk = sdk_config(variable).unwrap();
        assert_eq!(sdk.region().unwrap().as_ref(), "eu-central-1");
        let endpoint = |service| {
            let key = ServiceConfigKey::builder().service_id(service).env("AWS_ENDPOINT_URL").profile("endpoint_url");
            sdk.service_config().unwrap().load_config(key.build().unwrap())
        };
        assert_eq!(endpoint("SESv2").as_deref(), Some("http://127.0.0.1:2"));
        assert_eq!(endpoint("DynamoDB").as_deref(), Some("http://127.0.0.1:1"));
    }

    #[test]
    fn each_call_sends_the_application_name_and_version() {
        let name = sdk_config(variable).unwrap().app_name().unwrap().to_string();
        assert_eq!(name, format!("organization-invitations-{}", env!("CARGO_PKG_VERSION")));
    }

    #[test]
    fn an_error_names_the_variable_that_is_missing_or_invalid() {
        for (lookup, name) in [((|_| None) as Lookup, "AWS_DEFAULT_REGION"), (without_secret, "AWS_SECRET_ACCESS_KEY")]
        {
            let message = sdk_config(lookup).unwrap_err().to_string();
            assert!(message.contains(name), "{message}");
        }
    }

    #[test]
    fn a_certificate_bundle_must_hold_valid_certificates_only() {
        let damaged = |from, to| AMAZON_ROOTS.replacen(from, to, 1).into_bytes();
        for (pem, expected, reason) in [
            (AMAZON_ROOTS.as_bytes().to_vec(), true, "certificates"),
            (Vec::new(), false, "empty"),
            (b"[package]".to_vec(), false, "something else"),
            (damaged("-----BEGIN CERTIFICATE-----\n", "-----BEGIN CERTIFICATE-----\nMIID"), false, "not a certificate"),
            (damaged("-----BEGIN CERTIFICATE-----\n", "-----BEGIN CERTIFICATE-----\n!"), false, "not base64"),
            (damaged("-----END CERTIFICATE-----", ""), false, "cut off"),
        ] {
            assert_eq!(are_certificates(&pem), expected, "{reason}");
        }
        let missing = |name: &str| if name == "AWS_CA_BUNDLE" { Some("/nowhere".to_owned()) } else { variable(name) };
        let another = |name: &str| {
            let file = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml").to_owned();
            if name == "AWS_CA_BUNDLE" { Some(file) } else { variable(name) }
        };
        for (lookup, reason) in [(missing as Lookup, "not there"), (another, "no bundle")] {
            assert!(sdk_config(lookup).unwrap_err().to_string().contains("AWS_CA_BUNDLE"), "{reason}");
        }
    }
}

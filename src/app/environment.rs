//! What the clients are built from in a function: environment variables, most of which Lambda sets, and nothing else.
//!
//! `aws-config` would look in more places (profiles, single sign-on, roles of containers and machines), none of which a
//! function has; without it the binary is smaller and starts sooner.

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

/// What the `User-Agent` of each call says, as `app/organization-invitations-1.2.3`.
const APP_NAME: &str = concat!(env!("CARGO_PKG_NAME"), "-", env!("CARGO_PKG_VERSION"));

/// The certificate authorities that AWS's endpoints are certified by.
const AMAZON_ROOTS: &str = include_str!("amazon_roots.pem");

/// Finds variables; those of the process, but in tests.
type Lookup = fn(&str) -> Option<String>;

/// Region and credentials (`AWS_REGION`, `AWS_ACCESS_KEY_ID`, …), endpoints (`AWS_ENDPOINT_URL_DYNAMODB`, …) and trusted
/// certificates (`AWS_CA_BUNDLE`), as the AWS CLI reads them too. Credentials do not change while a function runs.
///
/// # Errors
/// Names the variable that is missing, or of no use.
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
        .app_name(AppName::new(APP_NAME).expect("the name has none but allowed characters"))
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .use_fips(is_on("AWS_USE_FIPS_ENDPOINT"))
        .use_dual_stack(is_on("AWS_USE_DUALSTACK_ENDPOINT"))
        .service_config(Environment(lookup))
        .http_client(http_client(trust_store(lookup)?))
        .timeout_config(time_limits())
        .retry_config(retries())
        .build())
}

/// The settings that a client looks up by itself.
#[derive(Debug)]
struct Environment(Lookup);

impl LoadServiceConfig for Environment {
    /// The service's own variable, then the one for all services (AWS SDKs and Tools Reference Guide,
    /// "Service-specific endpoints").
    fn load_config(&self, key: ServiceConfigKey<'_>) -> Option<String> {
        let Self(lookup) = self;
        let service = key.service_id().to_ascii_uppercase().replace(' ', "_");
        lookup(&format!("{}_{service}", key.env())).or_else(|| lookup(key.env()))
    }
}

/// One client with one pool of connections for both services. Left to themselves, the clients would each build a
/// second one, only to see whether it can be built.
fn http_client(trust_store: TrustStore) -> SharedHttpClient {
    let tls = TlsContext::builder().with_trust_store(trust_store).build().expect("there is nothing to go wrong");
    let connector = Connector::builder()
        .tls_provider(Provider::Rustls(CryptoMode::Ring))
        .tls_context(tls)
        .connector_settings(HttpConnectorSettings::builder().connect_timeout(CONNECT_TIMEOUT).build())
        .build();
    let connector = SharedHttpConnector::new(connector);
    http_client_fn(move |_, _| connector.clone())
}

/// Amazon's certificate authorities, unless the environment names others.
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

/// Whether there are certificates, and nothing wrong with any: without them the client would trust nobody, and with one
/// that it cannot read it would panic.
fn are_certificates(pem: &[u8]) -> bool {
    let mut trusted = RootCertStore::empty();
    let mut certificates = CertificateDer::pem_slice_iter(pem);
    certificates.all(|one| one.is_ok_and(|one| trusted.add(one).is_ok())) && !trusted.is_empty()
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
    fn a_service_has_its_own_endpoint_or_the_one_of_all() {
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
    fn each_call_names_the_program_and_its_version() {
        let name = sdk_config(variable).unwrap().app_name().unwrap().to_string();
        assert_eq!(name, format!("organization-invitations-{}", env!("CARGO_PKG_VERSION")));
    }

    #[test]
    fn what_is_missing_or_of_no_use_is_named() {
        for (lookup, name) in [((|_| None) as Lookup, "AWS_DEFAULT_REGION"), (without_secret, "AWS_SECRET_ACCESS_KEY")]
        {
            let message = sdk_config(lookup).unwrap_err().to_string();
            assert!(message.contains(name), "{message}");
        }
    }

    #[test]
    fn a_bundle_is_certificates_and_nothing_else() {
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

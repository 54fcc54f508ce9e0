//! The development token issuer, and the token verification of API Gateway's JWT authorizer.
//!
//! - `POST /oidc/token` issues tokens: to every client (client credentials), and for the code of a person.
//! - `/oidc/auth` is the sign-in page for people, without a password (authorization code with PKCE).
//!
//! It listens on the loopback interface only. The key is a constant, because a secret would protect nothing; a token
//! therefore stays valid after a restart.

mod authorization;
mod codes;
mod jwt;
mod page;
mod sign_in;
mod token_endpoint;

use std::sync::Arc;

use axum::{Json, Router, extract::State, routing};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use self::codes::Codes;
pub(crate) use self::jwt::{Claims, verify};
use crate::domain::{email_address::EmailAddress, ids::TenantId, timestamp::Timestamp};

/// The `iss` of every token. It has no port, so that a token stays valid when the port changes.
pub(crate) const ISSUER: &str = "http://localhost/oidc";
/// The path of the token endpoint.
pub(crate) const TOKEN_PATH: &str = "/oidc/token";
/// The lifetime of a token from the endpoint, in seconds, as with Logto.
pub(crate) const LIFETIME_SECONDS: i64 = 3600;

const AUTHORIZATION_PATH: &str = "/oidc/auth";
const DISCOVERY_PATH: &str = "/oidc/.well-known/openid-configuration";

/// The holder of a token.
#[derive(Clone, Copy, Debug)]
pub enum Holder<'a> {
    /// A program with scopes, separated by spaces.
    Client {
        /// The `sub`: the client id.
        id: &'a str,
        /// The scopes.
        scope: &'a str,
    },
    /// A person, without a scope.
    Person(&'a Person),
}

/// A person with a verified address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Person {
    email: EmailAddress,
    subject: String,
}

impl Person {
    /// A person with the address `email`. Without a `subject`, the `sub` is derived from the address, so that it stays
    /// the same after each sign-in.
    pub fn new(email: EmailAddress, subject: Option<String>) -> Self {
        let subject = subject.unwrap_or_else(|| derived_subject(&email));
        Self { email, subject }
    }
}

/// A user id of at most 21 characters of `[0-9a-z]`: the readable beginning of the address, and a hash of the address.
fn derived_subject(email: &EmailAddress) -> String {
    const READABLE: usize = 9;
    const UNIQUE: usize = 12;
    const DIGITS: &[u8; 36] = b"0123456789abcdefghijklmnopqrstuvwxyz";
    let address = email.normalized();
    let local = address.as_str().split('@').next().unwrap_or_default();
    let readable = local.chars().filter(char::is_ascii_alphanumeric).take(READABLE);
    let hash = Sha256::digest(address.as_str().as_bytes());
    let unique = hash.iter().take(UNIQUE).map(|byte| char::from(DIGITS[usize::from(*byte) % DIGITS.len()]));
    readable.chain(unique).collect()
}

/// Issues a token of `tenant`.
pub fn token(tenant: &TenantId, holder: Holder<'_>, now: Timestamp, lifetime_seconds: i64) -> String {
    let now = now.as_millis().div_euclid(1000);
    let mut claims = json!({
        "iss": ISSUER,
        "aud": resource(tenant),
        "tenant_id": tenant,
        "iat": now,
        "exp": now.saturating_add(lifetime_seconds),
    });
    match holder {
        Holder::Client { id, scope } => {
            claims["sub"] = id.into();
            claims["scope"] = scope.into();
        }
        Holder::Person(person) => {
            claims["sub"] = person.subject.as_str().into();
            claims["email"] = person.email.as_str().into();
            claims["email_verified"] = true.into();
        }
    }
    jwt::sign(&claims)
}

/// The issuer's state.
#[derive(Debug)]
struct Issuer {
    /// The URL of the gateway.
    url: String,
    codes: Codes,
}

/// The issuer at the gateway's `url`.
pub(crate) fn router(url: String) -> Router {
    Router::new()
        .route(TOKEN_PATH, routing::post(token_endpoint::issue))
        .route(AUTHORIZATION_PATH, routing::get(sign_in::show).post(sign_in::submit))
        .route(DISCOVERY_PATH, routing::get(discovery))
        .with_state(Arc::new(Issuer { url, codes: Codes::default() }))
}

/// The metadata of the issuer, as far as clients of the two grants need it (`OpenID` Connect Discovery 1.0, section 3).
async fn discovery(State(issuer): State<Arc<Issuer>>) -> Json<Value> {
    Json(json!({
        "issuer": ISSUER,
        "authorization_endpoint": format!("{}{AUTHORIZATION_PATH}", issuer.url),
        "token_endpoint": format!("{}{TOKEN_PATH}", issuer.url),
        "grant_types_supported": ["authorization_code", "client_credentials"],
        "response_types_supported": ["code"],
        "code_challenge_methods_supported": ["S256"],
        "token_endpoint_auth_methods_supported": ["none", "client_secret_basic", "client_secret_post"],
    }))
}

/// Logto's resource indicator of a tenant's management API.
fn resource(tenant: &TenantId) -> String {
    format!("https://{tenant}.logto.app/api")
}

/// The tenant of a resource indicator; `default` without an indicator of a tenant.
fn tenant_of(resource: Option<&str>) -> TenantId {
    let named = resource.and_then(|resource| resource.strip_prefix("https://")?.strip_suffix(".logto.app/api"));
    let named = named.and_then(TenantId::parse);
    named.unwrap_or_else(|| TenantId::parse("default").expect("the default tenant has a valid name"))
}

/// The `code_challenge` of a `code_verifier` (RFC 7636, section 4.2).
fn challenge_of(verifier: &str) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest(verifier.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_000_000_500);

    fn tenant() -> TenantId {
        TenantId::parse("t1").unwrap()
    }

    fn person(address: &str) -> Person {
        Person::new(EmailAddress::parse(address).unwrap(), None)
    }

    #[test]
    fn a_token_is_valid_for_its_tenant_and_its_lifetime() {
        let token = token(&tenant(), Holder::Client { id: "me", scope: "all" }, NOW, 60);
        let claims = verify(&token, NOW).unwrap();
        assert_eq!(
            (&claims["tenant_id"], &claims["sub"], &claims["scope"]),
            (&json!("t1"), &json!("me"), &json!("all"))
        );
        assert!(!claims.contains_key("email"), "a program has no address");
        assert!(verify(&token, NOW.plus_millis(59_000)).is_ok());
        assert!(verify(&token, NOW.plus_millis(60_000)).is_err());
        assert!(verify(&token, NOW.plus_millis(-2_000)).is_err());
    }

    #[test]
    fn a_persons_token_has_a_verified_address_and_no_scope() {
        let grace = Person::new(EmailAddress::parse("Grace@example.com").unwrap(), Some("grace".to_owned()));
        let claims = verify(&token(&tenant(), Holder::Person(&grace), NOW, 60), NOW).unwrap();
        assert_eq!(
            (&claims["tenant_id"], &claims["sub"], &claims["email"], &claims["email_verified"]),
            (&json!("t1"), &json!("grace"), &json!("Grace@example.com"), &json!(true))
        );
        assert!(!claims.contains_key("scope"));
    }

    #[test]
    fn a_derived_subject_is_unique_for_each_address_and_a_valid_id() {
        let subject = |address: &str| person(address).subject;
        for address in ["grace@example.com", "averylongname.with+more@example.com", "_@example.com"] {
            let subject = subject(address);
            let fits = (1..=21).contains(&subject.len());
            assert!(
                fits && subject.bytes().all(|byte| byte.is_ascii_digit() || byte.is_ascii_lowercase()),
                "{subject}"
            );
        }
        assert!(subject("grace@example.com").starts_with("grace"));
        assert_eq!(subject("grace@example.com"), subject("GRACE@Example.com"), "addresses are case-insensitive");
        assert_ne!(subject("grace@example.com"), subject("grace@example.org"));
        assert_ne!(subject("grace.h@example.com"), subject("graceh@example.com"), "of the same letters");
    }
}

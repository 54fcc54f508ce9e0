//! The development token issuer, and the token verification of API Gateway's JWT authorizer.
//!
//! The issuer gives a token to every client, and listens on the loopback interface only. The key is a constant, because
//! a secret would protect nothing; a token therefore stays valid after a restart.

use axum::{
    Form, Json, Router,
    extract::rejection::FormRejection,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
    routing,
};
use base64::{
    Engine,
    prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD},
};
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Map, Value, json};
use sha2::Sha256;

use crate::domain::{ids::TenantId, timestamp::Timestamp};

/// The `iss` of every token. It has no port, so that a token stays valid when the port changes.
pub(crate) const ISSUER: &str = "http://localhost/oidc";
/// The path of the token endpoint.
pub(crate) const TOKEN_PATH: &str = "/oidc/token";
/// The lifetime of a token from the endpoint, in seconds, as with Logto.
pub(crate) const LIFETIME_SECONDS: i64 = 3600;

const KEY: &[u8] = b"organization-invitations: a development key that protects nothing";
/// `{"alg":"HS256","typ":"JWT"}`: the header of every token, and the only accepted one.
const HEADER: &str = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9";
const DEFAULT_SCOPE: &str = "all";

/// The verified claims of a token.
pub(crate) type Claims = Map<String, Value>;

/// Issues a token of `tenant` for the client `client_id`.
pub fn token(tenant: &TenantId, client_id: &str, scope: &str, now: Timestamp, lifetime_seconds: i64) -> String {
    let now = now.as_millis().div_euclid(1000);
    sign(&json!({
        "iss": ISSUER,
        "aud": resource(tenant),
        "sub": client_id,
        "tenant_id": tenant,
        "scope": scope,
        "iat": now,
        "exp": now.saturating_add(lifetime_seconds),
    }))
}

/// Signs claims without checking them.
pub(crate) fn sign(claims: &Value) -> String {
    let signed = format!("{HEADER}.{}", BASE64_URL_SAFE_NO_PAD.encode(claims.to_string()));
    let signature = BASE64_URL_SAFE_NO_PAD.encode(mac(&signed).finalize().into_bytes());
    format!("{signed}.{signature}")
}

/// Verifies `token` as API Gateway would, and returns its claims. A valid token is signed by this issuer, is for the
/// API of its tenant, and is within its lifetime.
///
/// # Errors
/// The reason, as the `error_description` for the caller.
pub(crate) fn verify(token: &str, now: Timestamp) -> Result<Claims, &'static str> {
    let (signed, signature) = token.rsplit_once('.').ok_or("the token is not a JWT")?;
    let (header, payload) = signed.split_once('.').ok_or("the token is not a JWT")?;
    if header != HEADER {
        return Err("the token's algorithm is not that of the issuer");
    }
    let signature = BASE64_URL_SAFE_NO_PAD.decode(signature).map_err(|_| "the signature is not base64url")?;
    mac(signed).verify_slice(&signature).map_err(|_| "the signature is invalid")?;
    let payload = BASE64_URL_SAFE_NO_PAD.decode(payload).map_err(|_| "the claims are not base64url")?;
    let claims: Claims = serde_json::from_slice(&payload).map_err(|_| "the claims are not a JSON object")?;
    check(&claims, now)?;
    Ok(claims)
}

/// The token endpoint.
pub(crate) fn router() -> Router {
    Router::new().route(TOKEN_PATH, routing::post(issue))
}

fn mac(signed: &str) -> Hmac<Sha256> {
    Hmac::<Sha256>::new_from_slice(KEY).expect("HMAC takes keys of any length").chain_update(signed)
}

fn check(claims: &Claims, now: Timestamp) -> Result<(), &'static str> {
    // A `NumericDate` may have a fraction (RFC 7519).
    let seconds = |name: &str| claims.get(name).and_then(Value::as_f64);
    #[expect(clippy::cast_precision_loss, reason = "a token's time needs no milliseconds")]
    let now = now.as_millis() as f64 / 1000.0;
    let audience = claims.get("tenant_id").and_then(Value::as_str).and_then(TenantId::parse).map(|id| resource(&id));
    if claims.get("iss").and_then(Value::as_str) != Some(ISSUER) {
        return Err("the issuer is not the one expected");
    }
    if !audience.is_none_or(|audience| is_for(claims, &audience)) {
        return Err("the audience is not the one expected");
    }
    if seconds("exp").is_none_or(|exp| exp <= now) {
        return Err("the token has expired");
    }
    if seconds("nbf").is_some_and(|nbf| nbf > now) || seconds("iat").is_some_and(|iat| iat > now) {
        return Err("the token is not valid yet");
    }
    Ok(())
}

/// Returns `true` if `audience` is the token's audience or one of several.
fn is_for(claims: &Claims, audience: &str) -> bool {
    match claims.get("aud") {
        Some(Value::String(text)) => text == audience,
        Some(Value::Array(entries)) => entries.iter().any(|entry| entry == audience),
        _ => false,
    }
}

/// Logto's resource indicator of a tenant's management API.
fn resource(tenant: &TenantId) -> String {
    format!("https://{tenant}.logto.app/api")
}

/// The client credentials grant (RFC 6749, section 4.4). Any client id and secret are accepted, but they are required,
/// as with other issuers.
async fn issue(headers: HeaderMap, form: Result<Form<Vec<(String, String)>>, FormRejection>) -> Response {
    let granted = match form {
        Ok(Form(fields)) => grant(&headers, &fields),
        Err(rejection) => Err(OauthError::InvalidRequest(rejection.body_text())),
    };
    let mut response = granted.map(Json).into_response();
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

fn grant(headers: &HeaderMap, fields: &[(String, String)]) -> Result<Value, OauthError> {
    let field =
        |name: &str| fields.iter().find(|(key, value)| key == name && !value.is_empty()).map(|(_, value)| value);
    match field("grant_type").map(String::as_str) {
        Some("client_credentials") => {}
        Some(_) => return Err(OauthError::UnsupportedGrantType),
        None => return Err(OauthError::InvalidRequest("grant_type is missing".to_owned())),
    }
    let client = basic(headers).or_else(|| Some((field("client_id")?.clone(), field("client_secret")?.clone())));
    let (client_id, _any_secret) = client.ok_or(OauthError::InvalidClient)?;
    let scope = field("scope").map_or(DEFAULT_SCOPE, String::as_str);
    let tenant = field("resource").and_then(|resource| tenant_of(resource)).or_else(|| TenantId::parse("default"));
    let tenant = tenant.ok_or(OauthError::InvalidClient)?;
    Ok(json!({
        "access_token": token(&tenant, &client_id, scope, Timestamp::now(), LIFETIME_SECONDS),
        "expires_in": LIFETIME_SECONDS,
        "token_type": "Bearer",
        "scope": scope,
    }))
}

fn tenant_of(resource: &str) -> Option<TenantId> {
    TenantId::parse(resource.strip_prefix("https://")?.strip_suffix(".logto.app/api")?)
}

/// The client id and secret from HTTP Basic authentication, if they are not empty.
fn basic(headers: &HeaderMap) -> Option<(String, String)> {
    let (scheme, credentials) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    let decoded = BASE64_STANDARD.decode(credentials.trim()).ok().filter(|_| scheme.eq_ignore_ascii_case("basic"))?;
    let (id, secret) = std::str::from_utf8(&decoded).ok()?.split_once(':')?;
    (!id.is_empty() && !secret.is_empty()).then(|| (id.to_owned(), secret.to_owned()))
}

/// The errors of the token endpoint (RFC 6749, section 5.2).
#[derive(Debug)]
enum OauthError {
    InvalidRequest(String),
    InvalidClient,
    UnsupportedGrantType,
}

impl IntoResponse for OauthError {
    fn into_response(self) -> Response {
        let (status, error, description) = match self {
            Self::InvalidRequest(description) => (StatusCode::BAD_REQUEST, "invalid_request", description),
            Self::InvalidClient => {
                let description = "client_id and client_secret are missing; any values will do here";
                (StatusCode::UNAUTHORIZED, "invalid_client", description.to_owned())
            }
            Self::UnsupportedGrantType => {
                (StatusCode::BAD_REQUEST, "unsupported_grant_type", "only client_credentials is supported".to_owned())
            }
        };
        let mut response = (status, Json(json!({ "error": error, "error_description": description }))).into_response();
        if status == StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Basic"));
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_000_000_500);

    fn claims() -> Value {
        json!({
            "iss": ISSUER, "aud": "https://t1.logto.app/api", "tenant_id": "t1", "iat": 999_999, "exp": 1_000_010
        })
    }

    #[test]
    fn a_token_is_valid_for_its_tenant_and_its_lifetime() {
        let tenant = TenantId::parse("t1").unwrap();
        let token = token(&tenant, "me", "all", NOW, 60);
        let claims = verify(&token, NOW).unwrap();
        assert_eq!(
            (&claims["tenant_id"], &claims["sub"], &claims["scope"]),
            (&json!("t1"), &json!("me"), &json!("all"))
        );
        assert!(verify(&token, NOW.plus_millis(59_000)).is_ok());
        assert!(verify(&token, NOW.plus_millis(60_000)).is_err());
        assert!(verify(&token, NOW.plus_millis(-2_000)).is_err());
    }

    #[test]
    fn a_token_with_wrong_claims_is_invalid() {
        for (name, value, reason) in [
            ("iss", json!("https://elsewhere.example/oidc"), "another issuer"),
            ("aud", json!("https://t2.logto.app/api"), "another tenant's API"),
            ("aud", json!(["a", "b"]), "other audiences"),
            ("aud", Value::Null, "no audience"),
            ("exp", json!(1_000_000), "expired"),
            ("exp", Value::Null, "never expires"),
            ("nbf", json!(1_000_001), "not yet"),
            ("iat", json!(1_000_001), "issued in the future"),
        ] {
            let mut claims = claims();
            claims[name] = value;
            assert!(verify(&sign(&claims), NOW).is_err(), "{reason}");
        }
        assert!(verify(&sign(&claims()), NOW).is_ok());
    }

    #[test]
    fn a_token_without_the_issuers_signature_is_invalid() {
        let good = sign(&claims());
        let (signed, signature) = good.rsplit_once('.').unwrap();
        let forged = BASE64_URL_SAFE_NO_PAD.encode(json!({ "tenant_id": "t2" }).to_string());
        let unsigned = BASE64_URL_SAFE_NO_PAD.encode(r#"{"alg":"none"}"#);
        let payload = signed.split_once('.').unwrap().1;
        for (token, reason) in [
            (String::new(), "empty"),
            ("a.b".to_owned(), "two parts"),
            (format!("{HEADER}.{forged}.{signature}"), "other claims"),
            (format!("{unsigned}.{payload}."), "no algorithm"),
            (format!("{signed}."), "no signature"),
            (format!("{signed}.{}", &signature[..20]), "half a signature"),
            (format!("{good}.x"), "four parts"),
        ] {
            assert!(verify(&token, NOW).is_err(), "{reason}");
        }
    }

    #[test]
    fn the_grant_follows_rfc_6749() {
        let fields = |text: &str| -> Vec<(String, String)> {
            let pairs = text.split('&').filter_map(|pair| pair.split_once('='));
            pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
        };
        let mut basic = HeaderMap::new();
        basic.insert(header::AUTHORIZATION, HeaderValue::from_static("Basic YTpi"));
        let grant = |headers: &HeaderMap, text: &str| match grant(headers, &fields(text)) {
            Ok(granted) => {
                let claims = verify(granted["access_token"].as_str().unwrap(), Timestamp::now()).unwrap();
                format!("{} {} {}", claims["sub"], claims["tenant_id"], granted["scope"])
            }
            Err(error) => error.into_response().status().to_string(),
        };
        let none = HeaderMap::new();
        let in_body = "grant_type=client_credentials&client_id=a&client_secret=b";
        assert_eq!(grant(&none, in_body), r#""a" "default" "all""#);
        assert_eq!(grant(&basic, "grant_type=client_credentials&scope=x y"), r#""a" "default" "x y""#);
        let resource = |name: &str| grant(&none, &format!("{in_body}&resource=https://{name}/api"));
        assert_eq!(resource("acme.logto.app"), r#""a" "acme" "all""#);
        assert_eq!(resource("acme.example.com"), r#""a" "default" "all""#);
        assert_eq!(grant(&none, "grant_type=client_credentials"), "401 Unauthorized");
        assert_eq!(grant(&none, "grant_type=password"), "400 Bad Request");
        assert_eq!(grant(&none, ""), "400 Bad Request");
    }
}

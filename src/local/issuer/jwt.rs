//! The form and the verification of a token: a JWT with an HMAC signature.

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Map, Value};
use sha2::Sha256;

use super::{ISSUER, resource};
use crate::domain::{ids::TenantId, timestamp::Timestamp};

const KEY: &[u8] = b"organization-invitations: a development key that protects nothing";
/// `{"alg":"HS256","typ":"JWT"}`: the header of every token, and the only accepted one.
const HEADER: &str = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9";

/// The verified claims of a token.
pub(crate) type Claims = Map<String, Value>;

/// Signs claims without checking them.
pub(super) fn sign(claims: &Value) -> String {
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_000_000_500);

    fn claims() -> Value {
        json!({
            "iss": ISSUER, "aud": "https://t1.logto.app/api", "tenant_id": "t1", "iat": 999_999, "exp": 1_000_010
        })
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
}

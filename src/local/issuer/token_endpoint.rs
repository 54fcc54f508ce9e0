//! The token endpoint: the client credentials grant (RFC 6749, section 4.4) and the authorization code grant
//! (section 4.1.3, with the verifier of RFC 7636).

use std::sync::Arc;

use axum::{
    Form, Json,
    extract::{State, rejection::FormRejection},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use base64::{Engine, prelude::BASE64_STANDARD};
use serde_json::{Value, json};

use super::{
    Holder, Issuer, LIFETIME_SECONDS,
    authorization::{Fields, field},
    codes::{Codes, Redemption},
    tenant_of, token,
};
use crate::domain::timestamp::Timestamp;

const DEFAULT_SCOPE: &str = "all";

/// `POST /oidc/token`.
pub(super) async fn issue(
    State(issuer): State<Arc<Issuer>>,
    headers: HeaderMap,
    form: Result<Form<Vec<(String, String)>>, FormRejection>,
) -> Response {
    let granted = match form {
        Ok(Form(fields)) => grant(&issuer.codes, &headers, &fields),
        Err(rejection) => Err(OauthError::InvalidRequest(rejection.body_text())),
    };
    let mut response = granted.map(Json).into_response();
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

fn grant(codes: &Codes, headers: &HeaderMap, fields: &Fields) -> Result<Value, OauthError> {
    match required(fields, "grant_type")? {
        "client_credentials" => client_credentials(headers, fields),
        "authorization_code" => authorization_code(codes, fields),
        _ => Err(OauthError::UnsupportedGrantType),
    }
}

/// Any client id and secret are accepted, but they are required, as with other issuers.
fn client_credentials(headers: &HeaderMap, fields: &Fields) -> Result<Value, OauthError> {
    let in_body = || Some((field(fields, "client_id")?.to_owned(), field(fields, "client_secret")?.to_owned()));
    let (client_id, _any_secret) = basic(headers).or_else(in_body).ok_or(OauthError::InvalidClient)?;
    let scope = field(fields, "scope").unwrap_or(DEFAULT_SCOPE);
    let tenant = tenant_of(field(fields, "resource"));
    let token = token(&tenant, Holder::Client { id: &client_id, scope }, Timestamp::now(), LIFETIME_SECONDS);
    Ok(json!({ "access_token": token, "expires_in": LIFETIME_SECONDS, "token_type": "Bearer", "scope": scope }))
}

/// The client is public: the verifier proves that it is the one that asked for the code.
fn authorization_code(codes: &Codes, fields: &Fields) -> Result<Value, OauthError> {
    let redemption = Redemption {
        code: required(fields, "code")?,
        client_id: required(fields, "client_id")?,
        redirect_uri: required(fields, "redirect_uri")?,
        verifier: required(fields, "code_verifier")?,
    };
    let now = Timestamp::now();
    let authorized = codes.redeem(redemption, now).ok_or(OauthError::InvalidGrant)?;
    let token = token(&authorized.tenant, Holder::Person(&authorized.person), now, LIFETIME_SECONDS);
    Ok(json!({ "access_token": token, "expires_in": LIFETIME_SECONDS, "token_type": "Bearer" }))
}

fn required<'a>(fields: &'a Fields, name: &str) -> Result<&'a str, OauthError> {
    field(fields, name).ok_or_else(|| OauthError::InvalidRequest(format!("{name} is missing")))
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
    InvalidGrant,
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
            Self::InvalidGrant => {
                let description = "the code is unknown, used, older than a minute, or of another request";
                (StatusCode::BAD_REQUEST, "invalid_grant", description.to_owned())
            }
            Self::UnsupportedGrantType => {
                let description = "only client_credentials and authorization_code are supported";
                (StatusCode::BAD_REQUEST, "unsupported_grant_type", description.to_owned())
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
    use crate::{
        domain::email_address::EmailAddress,
        local::issuer::{Person, challenge_of, codes::Authorized, verify},
    };

    fn fields(text: &str) -> Vec<(String, String)> {
        let pairs = text.split('&').filter_map(|pair| pair.split_once('='));
        pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
    }

    /// Some claims of the token, or the status and the error.
    fn granted(codes: &Codes, headers: &HeaderMap, text: &str) -> String {
        match grant(codes, headers, &fields(text)) {
            Ok(granted) => {
                let claims = verify(granted["access_token"].as_str().unwrap(), Timestamp::now()).unwrap();
                format!("{} {} {}", claims["sub"], claims["tenant_id"], granted["scope"])
            }
            Err(error) => error.into_response().status().to_string(),
        }
    }

    #[test]
    fn the_client_credentials_grant_follows_rfc_6749() {
        let mut basic = HeaderMap::new();
        basic.insert(header::AUTHORIZATION, HeaderValue::from_static("Basic YTpi"));
        let grant = |headers: &HeaderMap, text: &str| granted(&Codes::default(), headers, text);
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

    #[test]
    fn the_code_of_a_person_becomes_a_token_of_that_person() {
        let codes = Codes::default();
        let verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
        let code = || {
            let authorized = Authorized {
                client_id: "app".to_owned(),
                redirect_uri: "http://localhost:1/".to_owned(),
                challenge: challenge_of(verifier),
                tenant: tenant_of(Some("https://acme.logto.app/api")),
                person: Person::new(EmailAddress::parse("grace@example.com").unwrap(), Some("grace".to_owned())),
            };
            codes.issue(authorized, Timestamp::now()).unwrap()
        };
        let complete = |code: &str| {
            let rest = format!("client_id=app&redirect_uri=http://localhost:1/&code_verifier={verifier}");
            format!("grant_type=authorization_code&code={code}&{rest}")
        };
        let grant = |text: &str| granted(&codes, &HeaderMap::new(), text);
        assert_eq!(grant(&complete(&code())), r#""grace" "acme" null"#);
        for name in ["code", "client_id", "redirect_uri", "code_verifier"] {
            let text = complete(&code()).replace(&format!("&{name}="), "&other=");
            assert_eq!(grant(&text), "400 Bad Request", "without {name}");
        }
        let error = super::grant(&codes, &HeaderMap::new(), &fields(&complete("unknown"))).unwrap_err();
        assert!(matches!(error, OauthError::InvalidGrant), "{error:?}");
    }
}

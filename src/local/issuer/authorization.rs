//! The parameters of an authorization request, from the query or the form (RFC 6749, section 4.1.1, and RFC 7636).

use axum::http::{HeaderValue, Uri};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use form_urlencoded::Serializer;

/// The hosts to which a browser is redirected with a code. IPv6 addresses are missing, because a content security
/// policy cannot contain them.
const HOSTS: [&str; 2] = ["localhost", "127.0.0.1"];

/// The name and the value of each field.
pub(super) type Fields = [(String, String)];

/// A valid request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct AuthorizationRequest {
    pub(super) client_id: String,
    pub(super) redirect: Redirection,
    pub(super) challenge: String,
    pub(super) resource: Option<String>,
    pub(super) login_hint: Option<String>,
}

/// The address of the redirect, and the client's `state`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Redirection {
    pub(super) uri: String,
    pub(super) state: Option<String>,
}

/// A request that gets no code.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// The client or its address is invalid: no redirect.
    Shown(&'static str),
    /// The client is told the error and its description.
    Returned(Redirection, &'static str, &'static str),
}

impl AuthorizationRequest {
    /// Reads a request.
    pub(super) fn parse(fields: &Fields) -> Result<Self, Fault> {
        let client_id = field(fields, "client_id").ok_or(Fault::Shown("The request has no client_id."))?;
        let uri = field(fields, "redirect_uri").ok_or(Fault::Shown("The request has no redirect_uri."))?;
        if !is_local(uri) {
            let message = "The redirect_uri has to be an http or https address on localhost or 127.0.0.1, without #.";
            return Err(Fault::Shown(message));
        }
        let redirect = Redirection { uri: uri.to_owned(), state: field(fields, "state").map(str::to_owned) };
        let fault = |error, description| Err(Fault::Returned(redirect.clone(), error, description));
        if field(fields, "response_type") != Some("code") {
            return fault("unsupported_response_type", "response_type has to be code");
        }
        if field(fields, "code_challenge_method") != Some("S256") {
            return fault("invalid_request", "code_challenge_method has to be S256");
        }
        let Some(challenge) = field(fields, "code_challenge").filter(|text| is_challenge(text)) else {
            return fault("invalid_request", "code_challenge has to be a SHA-256 in base64url without padding");
        };
        Ok(Self {
            client_id: client_id.to_owned(),
            challenge: challenge.to_owned(),
            resource: field(fields, "resource").map(str::to_owned),
            login_hint: field(fields, "login_hint").map(str::to_owned),
            redirect,
        })
    }

    /// The parameters that the form sends again.
    pub(super) fn fields(&self) -> Vec<(&'static str, &str)> {
        let optional = [("state", &self.redirect.state), ("resource", &self.resource)];
        let optional = optional.into_iter().filter_map(|(name, value)| Some((name, value.as_deref()?)));
        [
            ("response_type", "code"),
            ("client_id", self.client_id.as_str()),
            ("redirect_uri", self.redirect.uri.as_str()),
            ("code_challenge", self.challenge.as_str()),
            ("code_challenge_method", "S256"),
        ]
        .into_iter()
        .chain(optional)
        .collect()
    }
}

impl Redirection {
    /// The address with `parameters` and the state in its query.
    pub(super) fn with(&self, parameters: &[(&str, &str)]) -> String {
        let mut query = Serializer::new(String::new());
        query.extend_pairs(parameters);
        if let Some(state) = &self.state {
            query.append_pair("state", state);
        }
        let separator = if self.uri.contains('?') { '&' } else { '?' };
        format!("{}{separator}{}", self.uri, query.finish())
    }

    /// The origin of the address.
    pub(super) fn origin(&self) -> &str {
        let host = self.uri.find("://").map_or(0, |scheme| scheme + "://".len());
        let end = self.uri[host..].find(['/', '?']).map_or(self.uri.len(), |length| host + length);
        &self.uri[..end]
    }
}

/// The value of the first field of that name, if it is not empty.
pub(super) fn field<'a>(fields: &'a Fields, name: &str) -> Option<&'a str> {
    fields.iter().find(|(key, value)| key == name && !value.is_empty()).map(|(_, value)| value.as_str())
}

fn is_local(uri: &str) -> bool {
    let Ok(parsed) = Uri::try_from(uri) else { return false };
    let has_scheme = matches!(parsed.scheme_str(), Some("http" | "https"));
    let has_host = parsed.authority().is_some_and(|authority| {
        // Only a host and a port: the authority becomes a source in the page's content security policy.
        let is_plain = authority.port_u16().is_some() || authority.as_str() == authority.host();
        is_plain
            && !authority.as_str().contains('@')
            && HOSTS.iter().any(|host| authority.host().eq_ignore_ascii_case(host))
    });
    has_scheme && has_host && !uri.contains('#') && HeaderValue::from_str(uri).is_ok()
}

fn is_challenge(text: &str) -> bool {
    BASE64_URL_SAFE_NO_PAD.decode(text).is_ok_and(|hash| hash.len() == 32)
}

#[cfg(test)]
mod tests {
    use super::*;

    const REDIRECT: &str = "http://localhost:5173/callback";
    const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

    /// A valid request in which `changed` has another value; an empty one leaves it out.
    fn parse(changed: &str, value: &str) -> Result<AuthorizationRequest, Fault> {
        let fields = [
            ("response_type", "code"),
            ("client_id", "app"),
            ("redirect_uri", REDIRECT),
            ("state", "s&1"),
            ("code_challenge", CHALLENGE),
            ("code_challenge_method", "S256"),
        ];
        let value_of = |name: &str, usual: &str| if name == changed { value.to_owned() } else { usual.to_owned() };
        let fields: Vec<_> = fields.map(|(name, usual)| (name.to_owned(), value_of(name, usual))).into();
        AuthorizationRequest::parse(&fields)
    }

    #[test]
    fn a_browser_is_redirected_to_this_machine_only() {
        for (uri, accepted, reason) in [
            (REDIRECT, true, "a page under development"),
            ("https://127.0.0.1/?x=1", true, "an address with a query"),
            ("http://LOCALHOST:1", true, "names are case-insensitive"),
            ("https://evil.example/callback", false, "another site"),
            ("http://localhost.evil.example/", false, "a name that begins alike"),
            ("http://localhost@evil.example/", false, "a user by that name"),
            ("http://user@localhost/", false, "a user"),
            ("http://evil.example\\@localhost/", false, "what browsers read otherwise"),
            ("//localhost/", false, "no scheme"),
            ("/callback", false, "no host"),
            ("javascript:alert(1)//localhost", false, "code"),
            ("myapp://localhost/", false, "an application's scheme"),
            ("http://[::1]/", false, "no source of a content security policy"),
            ("http://localhost:80;sandbox", false, "a port that would be a directive of the policy"),
            ("http://localhost/#x", false, "the fragment is not sent"),
            ("http://localhost/\r\nx: y", false, "more than one line"),
            ("", false, "none"),
        ] {
            let parsed = parse("redirect_uri", uri);
            assert!(accepted != matches!(parsed, Err(Fault::Shown(_))), "{uri}: {reason}: {parsed:?}");
        }
    }

    #[test]
    fn the_client_is_told_of_any_other_fault_at_its_address() {
        for (name, value, expected) in [
            ("response_type", "token", "unsupported_response_type"),
            ("response_type", "", "unsupported_response_type"),
            ("code_challenge_method", "plain", "invalid_request"),
            ("code_challenge_method", "", "invalid_request"),
            ("code_challenge", "", "invalid_request"),
            ("code_challenge", "short", "invalid_request"),
        ] {
            let Err(Fault::Returned(redirect, error, _)) = parse(name, value) else { panic!("{name}={value}") };
            assert_eq!((redirect.uri.as_str(), error), (REDIRECT, expected), "{name}={value}");
        }
        assert!(matches!(parse("client_id", ""), Err(Fault::Shown(_))));
    }

    #[test]
    fn the_form_sends_the_same_request_again() {
        let request = parse("state", "a b&c=d").unwrap();
        let fields: Vec<_> = request.fields().into_iter().map(|(name, value)| (name.into(), value.into())).collect();
        assert_eq!(AuthorizationRequest::parse(&fields), Ok(request));
    }

    #[test]
    fn an_address_keeps_its_query_and_gets_the_state_back() {
        for (uri, expected, origin) in [
            ("http://localhost:1", "http://localhost:1?code=x+y&state=a%26b", "http://localhost:1"),
            ("http://localhost:1/c?d=e", "http://localhost:1/c?d=e&code=x+y&state=a%26b", "http://localhost:1"),
            ("https://127.0.0.1?d", "https://127.0.0.1?d&code=x+y&state=a%26b", "https://127.0.0.1"),
        ] {
            let redirect = Redirection { uri: uri.to_owned(), state: Some("a&b".to_owned()) };
            assert_eq!((redirect.with(&[("code", "x y")]).as_str(), redirect.origin()), (expected, origin));
        }
    }
}

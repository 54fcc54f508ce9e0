//! The guard in front of every server of `cargo dev`, against requests from web pages.
//!
//! The servers listen on the loopback interface, which every page in a browser on the same machine can reach. A page
//! whose host name resolves to 127.0.0.1 (DNS rebinding) could read responses; its requests carry that host name. A
//! page of another origin cannot read responses but can send requests; they carry that origin. The guard rejects both,
//! except pages of CORS origins on [`CORS_PATHS`].

use axum::{
    Json, Router,
    extract::{Request, State},
    http::{HeaderMap, StatusCode, Uri, header, uri::Authority},
    middleware::{Next, from_fn_with_state},
    response::{IntoResponse, Response},
};
use serde_json::json;

use super::cors::Cors;

/// The host names that a server accepts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Names {
    /// The names of the loopback interface.
    Loopback,
    /// The names of the loopback interface, and the name by which containers reach this machine. No web page can have
    /// that name, because `internal` is reserved for private use and is in no public DNS.
    LoopbackAndContainers,
}

const LOOPBACK: [&str; 3] = ["localhost", "127.0.0.1", "[::1]"];
const CONTAINERS: &str = "host.docker.internal";

/// The path prefixes that pages of CORS origins may call. Only pages of this machine may call other paths.
const CORS_PATHS: [&str; 2] = ["/api/", "/oidc/"];

/// Adds the guard to `router`. It accepts requests to `names` from programs, from pages of this machine and, on
/// [`CORS_PATHS`], from pages of the origins of `cors`.
pub(super) fn guarded(router: Router, names: Names, cors: &Cors) -> Router {
    router.layer(from_fn_with_state((names, cors.clone()), check))
}

async fn check(State((names, cors)): State<(Names, Cors)>, request: Request, next: Next) -> Response {
    match rejection(request.uri(), request.headers(), names, &cors) {
        None => next.run(request).await,
        Some((status, message)) => rejected(status, message),
    }
}

fn rejected(status: StatusCode, message: &str) -> Response {
    (status, Json(json!({ "message": message }))).into_response()
}

fn rejection(uri: &Uri, headers: &HeaderMap, names: Names, cors: &Cors) -> Option<(StatusCode, &'static str)> {
    let is_ours = |authority: &Authority| {
        let is_container = names == Names::LoopbackAndContainers && authority.host().eq_ignore_ascii_case(CONTAINERS);
        is_container || is_loopback(authority)
    };
    let host = headers.get(header::HOST).map(|host| Authority::try_from(host.as_bytes()));
    let is_named = match (&host, uri.authority()) {
        (Some(Ok(host)), authority) => is_ours(host) && authority.is_none_or(is_ours),
        (Some(Err(_)), _) | (None, None) => false,
        (None, Some(authority)) => is_ours(authority),
    };
    if !is_named {
        let message = "This server is for its own machine: call it by the host name localhost, 127.0.0.1 or [::1].";
        return Some((StatusCode::MISDIRECTED_REQUEST, message));
    }
    let has_cors = CORS_PATHS.iter().any(|path| uri.path().starts_with(path));
    let is_accepted = |origin: &[u8]| is_local_origin(origin) || (has_cors && cors.lists(origin));
    if !headers.get_all(header::ORIGIN).iter().all(|origin| is_accepted(origin.as_bytes())) {
        return Some((StatusCode::FORBIDDEN, "This server takes no requests of pages from elsewhere."));
    }
    None
}

fn is_loopback(authority: &Authority) -> bool {
    LOOPBACK.iter().any(|name| authority.host().eq_ignore_ascii_case(name))
}

fn is_local_origin(origin: &[u8]) -> bool {
    Uri::try_from(origin).is_ok_and(|origin| origin.scheme().is_some() && origin.authority().is_some_and(is_loopback))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(uri: &str, headers: &[(header::HeaderName, &str)], names: Names) -> u16 {
        let headers = headers.iter().map(|(name, value)| (name.clone(), value.parse().unwrap()));
        let cors = Cors::parse("https://app.example.com").unwrap();
        let rejection = rejection(&uri.parse().unwrap(), &headers.collect(), names, &cors);
        rejection.map_or(200, |(status, _)| status.as_u16())
    }

    #[test]
    fn only_names_of_the_loopback_interface_are_accepted() {
        for (host, expected, reason) in [
            ("localhost", 200, "the name"),
            ("LocalHost:3000", 200, "names are case-insensitive"),
            ("127.0.0.1:1", 200, "the address"),
            ("[::1]:3000", 200, "the address of IPv6"),
            ("evil.example:3000", 421, "a name that may resolve to this machine"),
            ("localhost.evil.example", 421, "a name that begins alike"),
            ("evil-localhost", 421, "a name that ends alike"),
            ("127.0.0.1.evil.example", 421, "a name that looks like an address"),
            ("localhost@evil.example", 421, "a user by that name"),
            ("192.168.0.7:3000", 421, "an address of another interface"),
            ("0.0.0.0:3000", 421, "an address that reaches this machine on some systems"),
            ("", 421, "nothing"),
            ("a b", 421, "no name at all"),
        ] {
            assert_eq!(status("/inbox.json", &[(header::HOST, host)], Names::Loopback), expected, "{host}: {reason}");
            let (uri, header) = ("http://localhost/inbox.json", [(header::HOST, host)]);
            assert_eq!(status(uri, &header, Names::Loopback), expected, "{host}, absolute: {reason}");
        }
        let host = [(header::HOST, "localhost")];
        assert_eq!(status("/", &[], Names::Loopback), 421, "no host");
        assert_eq!(status("http://evil.example/", &host, Names::Loopback), 421, "another host in the URI");
        assert_eq!(status("http://localhost/", &[], Names::Loopback), 200, "a host in the URI alone");
        let container = [(header::HOST, "host.docker.internal:8000")];
        assert_eq!(status("/", &container, Names::Loopback), 421, "containers need the emulators only");
        assert_eq!(status("/", &container, Names::LoopbackAndContainers), 200, "which they find by this name");
    }

    #[test]
    fn only_pages_of_this_machine_may_send() {
        for (origin, expected, reason) in [
            ("http://localhost:5173", 200, "a page under development"),
            ("http://127.0.0.1:3000", 200, "a page of ours"),
            ("https://[::1]:3000", 200, "in any form"),
            ("https://evil.example", 403, "another site"),
            ("http://localhost.evil.example:3000", 403, "another site with a name alike"),
            ("http://host.docker.internal:3000", 403, "no page is served by that name"),
            ("null", 403, "a page without an origin, such as a sandboxed frame"),
            ("localhost", 403, "no origin"),
            ("", 403, "nothing"),
        ] {
            let headers = [(header::HOST, "localhost"), (header::ORIGIN, origin)];
            assert_eq!(status("/oidc/token", &headers, Names::LoopbackAndContainers), expected, "{origin}: {reason}");
        }
    }

    #[test]
    fn pages_of_origins_with_cors_may_call_the_api_and_the_issuer_only() {
        for (origin, path, expected, reason) in [
            ("https://app.example.com", "/api/organization-invitations", 200, "the API"),
            ("https://app.example.com", "/oidc/token", 200, "the issuer"),
            ("https://app.example.com", "/inbox/clear", 403, "the inbox"),
            ("https://app.example.com", "/inbox.json", 403, "the mail"),
            ("https://app.example.com", "/apis", 403, "a path that begins alike"),
            ("https://app.example.com.evil.example", "/api/x", 403, "an origin that begins alike"),
            ("http://app.example.com", "/api/x", 403, "without TLS"),
            ("https://evil.example", "/api/x", 403, "another site"),
        ] {
            let headers = [(header::HOST, "localhost"), (header::ORIGIN, origin)];
            assert_eq!(status(path, &headers, Names::Loopback), expected, "{origin} {path}: {reason}");
        }
    }
}

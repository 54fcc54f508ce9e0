//! Checks of the link and the code that a caller puts into an email.
//!
//! Other keys of a payload are not checked, because only a tenant's own templates use them, nor are names from the
//! tenant's directory. The logo URL of the built-in mail, also from the directory, must be a plain `https` URL.

use crate::domain::{
    directory::{EmailConnector, is_host_name},
    error::Error,
    ids::utf16_length,
};

/// Characters that RFC 3986 does not allow in a URL. Mail programs end or begin a link there.
const FORBIDDEN_BYTES: &[u8] = b"\"<>\\^`{|}";

/// Schemes that run code (`javascript`, `vbscript`), embed their content (`data`), or read local content of the
/// reader's machine or browser. Not all mail programs and browsers block them.
const FORBIDDEN_SCHEMES: [&str; 9] =
    ["about", "blob", "data", "file", "filesystem", "jar", "javascript", "vbscript", "view-source"];

/// The maximum length of a code if link hosts are listed, in UTF-16 units.
const MAX_CODE_LENGTH: usize = 64;

/// Checks the payload's `link` and `code`. If `hosts` is empty, any host and any code are allowed.
///
/// # Errors
/// [`Error::LinkSchemeRefused`], [`Error::LinkNotAllowed`] or [`Error::CodeNotAllowed`].
pub(super) fn check(link: Option<&str>, code: Option<&str>, hosts: &[String]) -> Result<(), Error> {
    match link {
        Some(link) if has_forbidden_scheme(link) => return Err(Error::LinkSchemeRefused),
        Some(link) if !hosts.is_empty() && !has_listed_host(link, hosts) => return Err(Error::LinkNotAllowed),
        _ => {}
    }
    match code {
        Some(code) if !hosts.is_empty() && !is_plain_code(code) => Err(Error::CodeNotAllowed),
        _ => Ok(()),
    }
}

/// Returns `true` if the connector allows a token in a payload's link. A token admits its bearer to the organization,
/// so it may only go to hosts that the tenant has listed, unless the tenant allows any host.
pub(super) fn allows_tokens(connector: &EmailConnector) -> bool {
    connector.allow_token_in_any_link || !connector.allowed_link_hosts.is_empty()
}

/// Returns `true` for a forbidden scheme. Browsers drop control characters and spaces before a scheme, drop tabs and
/// line ends within it, and ignore its case (WHATWG URL Standard, "URL parsing"). This check ignores everything except
/// visible ASCII characters, which also covers programs that drop more.
fn has_forbidden_scheme(link: &str) -> bool {
    let Some((scheme, _)) = link.split_once(':') else { return false };
    let scheme: String = scheme.chars().filter(char::is_ascii_graphic).map(|c| c.to_ascii_lowercase()).collect();
    FORBIDDEN_SCHEMES.contains(&scheme.as_str())
}

/// Returns `true` if the link is a plain web URL with a listed host. Programs differ in how they parse a URL with `@`,
/// `\` and similar characters, so such URLs are not allowed.
fn has_listed_host(link: &str, hosts: &[String]) -> bool {
    let is_listed = |host: &str| hosts.iter().any(|allowed| allowed.eq_ignore_ascii_case(host));
    is_plain(link) && host(link).is_some_and(is_listed)
}

/// Returns `true` for an `https` URL without user, password and special characters.
pub(super) fn is_plain_https(link: &str) -> bool {
    link.starts_with("https://") && is_plain(link) && host(link).is_some()
}

fn is_plain(link: &str) -> bool {
    link.bytes().all(|byte| byte.is_ascii_graphic() && !FORBIDDEN_BYTES.contains(&byte))
}

fn host(link: &str) -> Option<&str> {
    let rest = link.strip_prefix("https://").or_else(|| link.strip_prefix("http://"))?;
    let authority = &rest[..rest.find(['/', '?', '#']).unwrap_or(rest.len())];
    let (host, port) = authority.split_once(':').unwrap_or((authority, ""));
    (is_host_name(host) && port.bytes().all(|byte| byte.is_ascii_digit())).then_some(host)
}

/// Returns `true` for a single line without `/`, `:` and `@`: a mail program could turn a scheme, a path or an address
/// into a link.
fn is_plain_code(code: &str) -> bool {
    let is_forbidden = |c: char| c.is_control() || matches!(c, '/' | ':' | '@' | '\u{2028}' | '\u{2029}');
    utf16_length(code) <= MAX_CODE_LENGTH && !code.contains(is_forbidden)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_must_be_a_plain_url_with_a_listed_host() {
        let hosts = ["app.example.com".to_owned()];
        for (link, allowed, reason) in [
            ("https://app.example.com/join?x=1", true, "plain"),
            ("https://APP.example.com", true, "hosts have no case"),
            ("http://app.example.com:8080/", true, "any port"),
            ("https://app.example.com.evil.org/", false, "another host"),
            ("https://evil.org/app.example.com", false, "in the path"),
            ("https://app.example.com@evil.org/", false, "as a user name"),
            ("https://evil.org\\@app.example.com/", false, "read differently by browsers"),
            ("https://evil.org#@app.example.com/", false, "in the fragment"),
            ("https:app.example.com", false, "no authority"),
            ("https:///app.example.com/", false, "an empty authority, which browsers skip"),
            ("//app.example.com/", false, "no scheme, so the reader's current one"),
            ("/join", false, "no host"),
            ("app.example.com/join", false, "no scheme"),
            ("https://evil.org//app.example.com/", false, "after two slashes"),
            ("https:\\\\app.example.com/", false, "backslashes, which browsers turn around"),
            ("https://app.example.com\\.evil.org/", false, "a backslash, which some take for a slash"),
            ("https://app.example.com%2eevil.org/", false, "an encoded dot"),
            ("https://app%2Eexample.com/", false, "the host itself, encoded"),
            ("https://app.example.com%00.evil.org/", false, "an encoded NUL"),
            ("https://user:password@app.example.com/", false, "a user, even of the right host"),
            ("https://app.example.com:443@evil.org/", false, "a user and a password"),
            ("https://app.example.com:https/", false, "a port that is none"),
            ("https://app.example.com:80:80/", false, "two ports"),
            ("https://app.example.com./", false, "the root's dot"),
            ("https://.app.example.com/", false, "a dot in front"),
            ("https://sub.app.example.com/", false, "a host below"),
            ("https://example.com/", false, "the host above"),
            ("https://notapp.example.com/", false, "a longer name"),
            ("https://app.example.com\u{3002}evil.org/", false, "a dot of another script"),
            ("https://\u{430}pp.example.com/", false, "a letter of another script"),
            ("https://xn--pp-7kc.example.com/", false, "the same, as DNS has it"),
            ("https://app.example.com\t.evil.org/", false, "a tab, which browsers drop"),
            ("https://app.example.com\n/", false, "a line end"),
            ("https://app.example.com/ https://evil.org/", false, "two links"),
            ("https://app.example.com/\nhttps://evil.org/", false, "two links, one a line"),
            ("https://app.example.com/<https://evil.org/>", false, "two links, by brackets"),
            ("https://app.example.com/\u{202e}gro.live//:sptth", false, "read backwards"),
            ("https://app.example.com/{unknown}", false, "a placeholder that nobody fills in"),
            (" https://app.example.com/", false, "a space in front"),
            ("https://app.example.com/ ", false, "a space behind"),
            ("javascript:alert(1)", false, "another scheme"),
            ("javascript://app.example.com/%0aalert(1)", false, "another scheme with the host"),
            ("data:text/html,https://app.example.com/", false, "another scheme"),
            ("HTTPS://app.example.com/", false, "not the plainest form"),
            ("https://app.example.com/a%20b?c=%22#d", true, "encoded, as it should be"),
            ("https://app.example.com?x=1", true, "no path"),
            ("", false, "empty"),
        ] {
            assert_eq!(check(Some(link), None, &hosts).is_ok(), allowed, "{reason}");
        }
        assert!(check(None, None, &hosts).is_ok(), "no link");
    }

    #[test]
    fn without_hosts_a_link_may_have_any_scheme_except_forbidden_ones() {
        for (link, allowed, reason) in [
            ("https://anywhere.example.org/", true, "the web"),
            ("http://anywhere.example.org/", true, "the web, without TLS"),
            ("acme-app://join/1", true, "an application's own scheme"),
            ("com.example.app:/join", true, "the same, as RFC 8252 has it"),
            ("https://example.org/?next=javascript:x", true, "in the query"),
            ("/javascript:x", true, "in a path"),
            ("join", true, "no scheme"),
            ("", true, "empty"),
            ("javascript:alert(1)", false, "runs code"),
            ("JaVaScRiPt:alert(1)", false, "schemes have no case"),
            (" javascript:alert(1)", false, "a space in front, which browsers drop"),
            ("\u{1}\u{1f}javascript:alert(1)", false, "control characters in front"),
            ("java\tscript:alert(1)", false, "a tab inside"),
            ("java\r\nscript\n:alert(1)", false, "line ends inside"),
            ("\u{feff}java\u{200b}script:alert(1)", false, "characters without width"),
            ("\u{a0}javascript:alert(1)", false, "another space"),
            ("javascript://app.example.com/%0aalert(1)", false, "as if with a host"),
            ("vbscript:x", false, "runs code"),
            ("data:text/html,<script>", false, "carries its content along"),
            ("file:///etc/passwd", false, "reads local content"),
            ("FILE:\\\\server\\share", false, "gives a password's hash to a server"),
            ("blob:https://example.org/1", false, "reads what a page keeps"),
            ("about:blank", false, "a page of the browser"),
            ("view-source:https://example.org/", false, "a page of the browser"),
        ] {
            assert_eq!(check(Some(link), None, &[]).is_ok(), allowed, "{reason}: {link:?}");
        }
        let error = check(Some("data:,x"), None, &["app.example.com".to_owned()]);
        assert!(matches!(error, Err(Error::LinkSchemeRefused)), "also where hosts are listed");
    }

    #[test]
    fn a_code_must_be_short_and_no_address_if_hosts_are_listed() {
        let hosts = ["app.example.com".to_owned()];
        for (code, allowed, reason) in [
            ("482 915", true, "digits"),
            ("ABC-def_1.2", true, "letters and marks"),
            ("", true, "empty"),
            ("\u{1f600}".repeat(32).as_str(), true, "64 UTF-16 units"),
            ("\u{1f600}".repeat(33).as_str(), false, "66 UTF-16 units"),
            ("1".repeat(64).as_str(), true, "64 characters"),
            ("1".repeat(65).as_str(), false, "65 characters"),
            ("https://evil.example.org", false, "an address"),
            ("evil.example.org/x", false, "an address without its scheme"),
            ("tel:+1", false, "another scheme"),
            ("a@evil.example.org", false, "a mail address"),
            ("1\n2", false, "two lines"),
            ("1\r2", false, "two lines"),
            ("1\t2", false, "a tab"),
            ("1\u{2028}2", false, "two lines, to some programs"),
        ] {
            assert_eq!(check(None, Some(code), &hosts).is_ok(), allowed, "{reason}: {code:?}");
            assert!(check(None, Some(code), &[]).is_ok(), "no hosts are listed");
        }
    }
}

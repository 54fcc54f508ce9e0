//! `invitee`: valid and invalid addresses.

use super::{
    body::{to, with, without},
    check,
    row::{INVALID_STRING, INVALID_TYPE, Row, TOO_LONG, error, guard, ok, wrong_kinds},
};

#[tokio::test]
async fn an_invitee_is_an_ascii_email_address() {
    check(rows()).await;
}

pub fn rows() -> Vec<Row> {
    [invitee(), good_addresses(), bad_addresses()].into_iter().flatten().collect()
}

#[rustfmt::skip]
fn invitee() -> Vec<Row> {
    let mut rows = wrong_kinds("invitee", INVALID_TYPE, ["1", "true", "false", "null", "[]", "{}"]);
    rows.extend([
        guard("an invitee is required", without("invitee"), &[("invitee", INVALID_TYPE)]),
        guard(
            "a list of one address is no address",
            with("invitee", r#"["list@example.com"]"#),
            &[("invitee", INVALID_TYPE)],
        ),
    ]);
    rows
}

#[rustfmt::skip]
fn good_addresses() -> Vec<Row> {
    let at_the_limit = address_of(256);
    [
        ("a plus tag", "plus+tag@example.com"),
        ("a dot inside", "dot.inside@example.com"),
        ("capitals", "CAPITALS@EXAMPLE.COM"),
        ("an apostrophe inside", "o'brien@example.com"),
        ("a leading apostrophe", "'quoted@example.com"),
        ("an underscore first and last", "_under_@example.com"),
        ("a hyphen first and last", "-hyphen-@example.com"),
        ("a plus first and last", "+plus+@example.com"),
        ("digits alone", "0123@example.com"),
        ("one character", "x@example.com"),
        ("a local part of 65 characters", format!("{}@example.com", "l".repeat(65)).as_str()),
        ("subdomains", "sub@a.b.c.example.com"),
        ("a domain of one-letter labels", "letters@a.b.cd"),
        ("a label of digits", "digits@123.com"),
        ("a hyphen inside a label", "inner@ex-ample.com"),
        ("two hyphens inside a label", "inner@ex--ample.com"),
        ("a domain in punycode", "puny@xn--bcher-kva.example"),
        ("a top-level domain in punycode", "puny@example.xn--p1ai"),
        ("a top-level domain of two letters", "two@example.at"),
        ("a long top-level domain", "long@example.photography"),
        ("256 characters", at_the_limit.as_str()),
    ]
    .into_iter()
    .map(|(reason, address)| ok(format!("a good address: {reason}"), to(address)))
    .collect()
}

#[rustfmt::skip]
fn bad_addresses() -> Vec<Row> {
    let long_and_malformed = format!("{}.", address_of(257));
    let mut rows: Vec<Row> = [
        ("empty", ""),
        ("a space", " "),
        ("no @", "example.com"),
        ("only @", "@"),
        ("two @", "two@@example.com"),
        ("two addresses in one", "one@two@example.com"),
        ("an empty local part", "@example.com"),
        ("an empty domain", "nobody@"),
        ("a leading dot", ".leading@example.com"),
        ("a trailing dot in the local part", "trailing.@example.com"),
        ("two dots in the local part", "double..dot@example.com"),
        ("a trailing apostrophe", "trailing'@example.com"),
        ("an exclamation mark", "bang!path@example.com"),
        ("a percent sign", "per%cent@example.com"),
        ("a hash", "ha#sh@example.com"),
        ("a slash", "sl/ash@example.com"),
        ("a backslash", r"back\slash@example.com"),
        ("a quoted local part", r#""quoted"@example.com"#),
        ("a quoted space", r#""quoted space"@example.com"#),
        ("a comment", "comment(here)@example.com"),
        ("a leading space", " leading@example.com"),
        ("a trailing space", "trailing@example.com "),
        ("a space inside", "in side@example.com"),
        ("a space before the @", "before @example.com"),
        ("a tab", "tab\t@example.com"),
        ("a trailing newline", "newline@example.com\n"),
        ("a newline inside", "new\nline@example.com"),
        ("a header after a line break", "header@example.com\r\nBcc: all@example.com"),
        ("NUL inside", "nul\0@example.com"),
        ("NUL at the end", "nul@example.com\0"),
        ("DEL inside", "del\u{7f}@example.com"),
        ("a display name", "Ada <ada@example.com>"),
        ("angle brackets", "<angle@example.com>"),
        ("a list", "one@example.com,two@example.com"),
        ("a URL", "mailto:url@example.com"),
        ("a domain of one label", "single@localhost"),
        ("a top-level domain of one letter", "letter@example.c"),
        ("a top-level domain of digits", "digits@example.123"),
        ("a digit in the top-level domain", "digit@example.c0m"),
        ("a hyphen in the top-level domain", "hyphen@example.co-m"),
        ("an IP address", "ip@192.0.2.1"),
        ("an IP literal", "ip@[192.0.2.1]"),
        ("an IPv6 literal", "ip@[IPv6:2001:db8::1]"),
        ("a port", "port@example.com:25"),
        ("a leading dot in the domain", "dot@.example.com"),
        ("two dots in the domain", "dot@example..com"),
        ("a trailing dot in the domain", "dot@example.com."),
        ("a leading hyphen in a label", "hyphen@-example.com"),
        ("a leading hyphen in an inner label", "hyphen@a.-b.com"),
        ("an underscore in the domain", "under@ex_ample.com"),
        ("an apostrophe in the domain", "apostrophe@o'brien.com"),
        ("a plus in the domain", "plus@ex+ample.com"),
        ("a letter beyond ASCII in the local part", "jürgen@example.com"),
        ("a letter beyond ASCII in the domain", "idn@bücher.example"),
        ("a top-level domain beyond ASCII", "idn@example.рф"),
        ("a Kelvin sign, whose lower case is k", "\u{212a}elvin@example.com"),
        ("a long s, whose upper case is S", "\u{17f}ofia@example.com"),
        ("a full-width @", "wide\u{ff20}example.com"),
        ("a zero-width space", "zero\u{200b}width@example.com"),
        ("a no-break space at the end", "nbsp@example.com\u{a0}"),
        ("an emoji", "😀@example.com"),
        ("over 256 characters and malformed", long_and_malformed.as_str()),
    ]
    .into_iter()
    .map(|(reason, address)| {
        let reason = format!("a bad address: {reason}");
        guard(reason, to(address), &[("invitee", INVALID_STRING)])
    })
    .collect();
    rows.extend([
        error("an address of 257 characters", to(&address_of(257)), TOO_LONG),
        error("an address of the size of a body", to(&vast_address()), TOO_LONG),
    ]);
    rows
}

/// A well-formed address of this length, up to 257.
fn address_of(length: usize) -> String {
    let (local, label) = ("l".repeat(64), "d".repeat(63));
    let rest = length - local.len() - 2 * label.len() - "@...com".len();
    format!("{local}@{label}.{label}.{}.com", "e".repeat(rest))
}

fn vast_address() -> String {
    format!("{}@example.com", "v".repeat(500_000))
}

//! `inviterId` and `organizationId`: their lengths, and characters that are invalid in keys.

use serde_json::json;

use super::{
    body::{with, without},
    check,
    row::{INVALID_TYPE, NOT_FOUND, Row, TOO_BIG, TOO_SMALL, error, guard, ok, wrong_kinds},
};

#[tokio::test]
async fn an_inviter_and_an_organization_are_identifiers_that_exist() {
    check(rows()).await;
}

pub fn rows() -> Vec<Row> {
    [inviter_id(), organization_id()].into_iter().flatten().collect()
}

#[rustfmt::skip]
fn inviter_id() -> Vec<Row> {
    let mut rows = wrong_kinds("inviterId", INVALID_TYPE, ["1", "true", "false", "[]", "{}"]);
    rows.extend([
        ok("an inviter may be absent", without("inviterId")),
        ok("an inviter may be null", with("inviterId", "null")),
        ok("an empty inviter means none", with("inviterId", r#""""#)),
        error("a space is an unknown inviter", with("inviterId", r#"" ""#), NOT_FOUND),
        error("identifiers are case-sensitive", with("inviterId", r#""Ada""#), NOT_FOUND),
    ]);
    rows.extend(lengths("inviterId"));
    rows.extend(impossible_identifiers("inviterId"));
    rows
}

#[rustfmt::skip]
fn organization_id() -> Vec<Row> {
    let field = "organizationId";
    let mut rows = wrong_kinds(field, INVALID_TYPE, ["1", "true", "false", "null", "[]", "{}"]);
    rows.extend([
        guard("an organization is required", without(field), &[(field, INVALID_TYPE)]),
        guard("an organization is not empty", with(field, r#""""#), &[(field, TOO_SMALL)]),
        error("a space is an unknown organization", with(field, r#"" ""#), NOT_FOUND),
        error("an identifier is not trimmed", with(field, r#""acme ""#), NOT_FOUND),
    ]);
    rows.extend(lengths(field));
    rows.extend(impossible_identifiers(field));
    rows
}

/// Lengths count UTF-16 units: an emoji has two, and so has a letter with a combining accent.
#[rustfmt::skip]
fn lengths(field: &'static str) -> Vec<Row> {
    let fits = [
        ("1 letter", "z".into()),
        ("21 letters", "z".repeat(21)),
        ("10 emoji and a letter", format!("{}z", "😀".repeat(10))),
        ("10 accented letters and a plain one", format!("{}z", "e\u{301}".repeat(10))),
        ("21 letters of two bytes each", "é".repeat(21)),
        ("21 letters of three bytes each", "€".repeat(21)),
    ]
    .map(|(reason, id)| error(format!("{field} of {reason}"), with(field, json!(id)), NOT_FOUND));
    let escaped = |count| format!(r#""{}""#, r"\ud83d\ude00".repeat(count));
    let exceeds = [
        ("22 letters", json!("z".repeat(22)).to_string()),
        ("11 emoji", json!("😀".repeat(11)).to_string()),
        ("11 emoji as escapes", escaped(11)),
        ("11 accented letters", json!("e\u{301}".repeat(11)).to_string()),
        ("a family of 7 code points, twice", json!("👨‍👩‍👧‍👦".repeat(2)).to_string()),
        ("100,000 letters", json!("z".repeat(100_000)).to_string()),
    ]
    .map(|(reason, id)| {
        guard(format!("{field} of {reason}"), with(field, id), &[(field, TOO_BIG)])
    });
    let as_escapes =
        error(format!("{field} of 10 emoji as escapes"), with(field, escaped(10)), NOT_FOUND);
    fits.into_iter().chain(exceeds).chain([as_escapes]).collect()
}

/// Identifiers that cannot be part of a key are reported as not found.
#[rustfmt::skip]
fn impossible_identifiers(field: &'static str) -> Vec<Row> {
    [
        ("a hash", "ac#me"),
        ("a hash alone", "#"),
        ("NUL", "ac\0me"),
        ("NUL alone", "\0"),
        ("a control character", "ac\u{1}me"),
        ("DEL", "ac\u{7f}me"),
        ("a C1 control character", "ac\u{85}me"),
        ("a line break", "acme\r\n"),
    ]
    .map(|(reason, id)| {
        error(format!("{field} with {reason}"), with(field, json!(id)), NOT_FOUND)
    })
    .into()
}

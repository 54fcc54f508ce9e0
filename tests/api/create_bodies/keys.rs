//! Unknown and duplicate keys.

use super::{
    body::{base, with, without},
    check,
    row::{INVALID_STRING, INVALID_TYPE, INVALID_UNION, Row, TOO_BIG, TOO_SMALL, guard, ok},
};

#[tokio::test]
async fn unknown_keys_are_ignored_and_the_last_of_two_wins() {
    check(rows()).await;
}

pub fn rows() -> Vec<Row> {
    [unknown_keys(), duplicate_keys()].into_iter().flatten().collect()
}

#[rustfmt::skip]
fn unknown_keys() -> Vec<Row> {
    [
        ("tenantId", r#""no-mail""#),
        ("id", r#""chosen""#),
        ("status", r#""Accepted""#),
        ("acceptedUserId", r#""ada""#),
        ("createdAt", "0"),
        ("organizationRoles", r#"[{"id":"admin"}]"#),
        ("__proto__", r#"{"tenantId":"no-mail","invitee":1}"#),
        ("constructor", r#"{"prototype":{"invitee":1}}"#),
        ("toString", "null"),
        ("Invitee", "1"),
        ("invitee ", "1"),
        ("", "[]"),
        ("ключ", r#""значение""#),
        ("huge", "1e400"),
        ("tiny", "-1e-400"),
        ("digits", "9".repeat(1_000).as_str()),
    ]
    .into_iter()
    .map(|(key, json)| ok(format!("an unknown key is ignored: {key:?}"), with(key, json)))
    .chain([
        guard(
            "keys are case-sensitive",
            without("invitee").and("Invitee", r#""case@example.com""#),
            &[("invitee", INVALID_TYPE)],
        ),
        guard(
            "__proto__ supplies no missing key",
            without("invitee").and("__proto__", r#"{"invitee":"proto@example.com"}"#),
            &[("invitee", INVALID_TYPE)],
        ),
        ok(
            "a key may be written with escapes",
            without("organizationId").and(r"\u006frganizationI\u0064", r#""acme""#),
        ),
    ])
    .collect()
}

#[rustfmt::skip]
fn duplicate_keys() -> Vec<Row> {
    [
        ("inviterId", r#""ada""#, "1", INVALID_TYPE),
        ("invitee", r#""last-wins@example.com""#, r#""bad""#, INVALID_STRING),
        ("organizationId", r#""acme""#, r#""""#, TOO_SMALL),
        ("expiresAt", "4102444800000", "9e15", TOO_BIG),
        ("organizationRoleIds", "[]", "null", INVALID_TYPE),
        ("messagePayload", "false", "true", INVALID_UNION),
    ]
    .into_iter()
    .flat_map(|(key, good, bad, code)| {
        [
            ok(format!("the last {key} wins, and is valid"), with(key, bad).and(key, good)),
            guard(
                format!("the last {key} wins, and is invalid"),
                with(key, good).and(key, bad),
                &[(key, code)],
            ),
        ]
    })
    .chain([
        guard(
            "an escaped key is the same key",
            base().and(r"invite\u0065", r#""bad""#),
            &[("invitee", INVALID_STRING)],
        ),
        ok("an unknown key may occur twice", base().and("twice", "1").and("twice", "2")),
    ])
    .collect()
}

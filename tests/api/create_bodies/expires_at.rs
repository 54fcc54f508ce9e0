//! `expiresAt`: notations of numbers, and past and future times.

use serde_json::Value;

use super::{
    body::{with, without},
    check,
    row::{INVALID_TYPE, NOT_IN_FUTURE, Row, TOO_BIG, error, guard, ok, unreadable, wrong_kinds},
};
use crate::helpers::{NOW, TestApp};

#[tokio::test]
async fn an_expiry_is_a_future_time_in_milliseconds() {
    check(rows()).await;
}

#[tokio::test]
async fn an_expiry_in_seconds_is_answered_with_a_hint_at_milliseconds() {
    let app = TestApp::start().await;
    for (reason, number, has_hint) in [
        ("2100 in seconds", "4102444800", true),
        ("the next second", "1767225601", true),
        ("the current time in seconds, which is not in the future", "1767225600", false),
        ("the last second of 2100", "4133980799", true),
        ("the year 2101 in seconds, which is implausible", "4133980800", false),
        ("a time in milliseconds, just past", "1767225600000", false),
        ("nought", "0", false),
        ("a negative number", "-4102444800", false),
    ] {
        let body: Value = serde_json::from_str(&with("expiresAt", number).to_string()).unwrap();
        let answer = app.create_at(NOW, &body).await;
        answer.assert_error(400, "request.invalid_input");
        let details = answer.json()["details"].as_str().unwrap_or_default().to_owned();
        assert_eq!(details.contains("milliseconds"), has_hint, "{reason}: {details:?}");
    }
}

#[rustfmt::skip]
pub fn rows() -> Vec<Row> {
    let field = "expiresAt";
    let kinds = [r#""4102444800000""#, r#""2100-01-01""#, "true", "false", "null", "[]", "{}"];
    let mut rows = wrong_kinds(field, INVALID_TYPE, kinds);
    rows.push(guard("a time is required", without(field), &[(field, INVALID_TYPE)]));
    let digits = "9".repeat(400);
    rows.extend(
        [
            ("a time with a fraction", "4102444800000.75"),
            ("a time with a fraction of zero", "4102444800000.0"),
            ("a time with an exponent", "4.1024448e12"),
            ("a time with a capital exponent and a sign", "41024448E+5"),
            ("a time with a negative exponent", "410244480000000e-2"),
            ("the last instant of ECMAScript", "8640000000000000"),
            ("the last instant, with an exponent", "8.64e15"),
        ]
        .map(|(reason, number)| ok(reason, with(field, number))),
    );
    rows.extend(
        [
            ("one millisecond after the last instant", "8640000000000001"),
            ("two milliseconds after the last instant", "8640000000000002"),
            ("a number beyond 2^53", "9007199254740993"),
            ("a number beyond 2^64", "18446744073709551616"),
            ("the largest double", "1.7976931348623157e308"),
            ("a number that no double holds", "1e400"),
            ("a number of 400 digits", digits.as_str()),
        ]
        .map(|(reason, number)| guard(reason, with(field, number), &[(field, TOO_BIG)])),
    );
    rows.extend(
        [
            ("nought", "0"),
            ("negative nought", "-0"),
            ("negative zero with a fraction", "-0.0"),
            ("a negative time", "-1"),
            ("a fraction of a millisecond", "0.5"),
            ("a number too small for a double", "1e-400"),
            ("the example of Logto's reference", "42.0"),
            ("a time in seconds instead of milliseconds", "4102444800"),
            ("a negative number that no double holds", "-1e400"),
            ("the first instant of ECMAScript", "-8640000000000000"),
            ("shortly ago", "1577836800000"),
        ]
        .map(|(reason, number)| error(reason, with(field, number), NOT_IN_FUTURE)),
    );
    rows.extend(
        [
            ("a leading zero", "04102444800000"),
            ("a plus sign", "+4102444800000"),
            ("a number without digits before the point", ".5"),
            ("a number without digits after the point", "4102444800000."),
            ("a number without digits in the exponent", "4e"),
            ("a hexadecimal number", "0x3bb2cc3d800"),
            ("a number with separators", "4_102_444_800_000"),
            ("a big integer of ECMAScript", "4102444800000n"),
            ("a lone minus", "-"),
            ("NaN", "NaN"),
            ("Infinity", "Infinity"),
            ("-Infinity", "-Infinity"),
        ]
        .map(|(reason, number)| unreadable(format!("{reason} is not JSON"), with(field, number))),
    );
    rows
}

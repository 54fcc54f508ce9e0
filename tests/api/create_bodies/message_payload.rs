//! `messagePayload`: the values that ask for mail, and its contents.

use super::{
    body::{with, without},
    check,
    row::{
        CREATED, INVALID_TYPE, INVALID_UNION, LACKS_VARIABLE, NOT_READABLE, Row, error, guard, ok, tolerated,
        wrong_kinds,
    },
};

#[tokio::test]
async fn a_payload_is_an_object_or_false() {
    check(rows()).await;
}

#[rustfmt::skip]
pub fn rows() -> Vec<Row> {
    let field = "messagePayload";
    let kinds = ["true", "null", "[]", "[{}]", r#""""#, r#""false""#, "0", "1"];
    let mut rows = wrong_kinds(field, INVALID_UNION, kinds);
    for (path, key) in [
        ("messagePayload.code", "code"),
        ("messagePayload.link", "link"),
        ("messagePayload.locale", "locale"),
        ("messagePayload.uiLocales", "uiLocales"),
    ] {
        rows.extend(["1", "true", "false", "null", "[]", "{}"].map(|json| {
            let reason = format!("{path} may not be {json}");
            let payload = format!(r#"{{"{key}":{json}}}"#);
            guard(reason, with(field, payload), &[(path, INVALID_TYPE)])
        }));
    }
    rows.push(guard(
        "each wrong key of the payload is reported, in the order of the table",
        with(field, r#"{"uiLocales":["de"],"locale":1,"link":null,"code":493016}"#),
        &[
            ("messagePayload.code", INVALID_TYPE),
            ("messagePayload.link", INVALID_TYPE),
            ("messagePayload.locale", INVALID_TYPE),
            ("messagePayload.uiLocales", INVALID_TYPE),
        ],
    ));
    rows.extend(
        [
            ("false", "false"),
            ("an empty object", "{}"),
            ("the four known keys", r#"{"code":"1","link":"l","locale":"en","uiLocales":"en"}"#),
            ("empty strings", r#"{"code":"","link":"","locale":"","uiLocales":""}"#),
            ("an unknown locale", r#"{"locale":"tlh-QO"}"#),
            ("a locale that is a property of JavaScript objects", r#"{"locale":"__proto__"}"#),
            ("extra keys of any type", r#"{"a":1,"b":null,"c":[],"d":{},"e":true,"f":"g"}"#),
            ("a nested extra key", r#"{"team":{"lead":{"name":"Ada"}}}"#),
            ("an extra key without a name", r#"{"":"empty"}"#),
            ("__proto__", r#"{"__proto__":{"link":1},"constructor":{"prototype":{}}}"#),
            ("the names of the directory's variables", r#"{"organization":1,"inviter":null,"invitation":[]}"#),
            ("markup", r#"{"code":"<script>alert(1)</script>{{link}}"}"#),
            ("a line break and a header", r#"{"code":"1\r\nBcc: all@example.com"}"#),
            ("a wrong key that a duplicate corrects", r#"{"code":1,"code":"1"}"#),
        ]
        .map(|(reason, payload)| ok(format!("a payload of {reason}"), with(field, payload))),
    );
    rows.extend([
        ok("a payload may be absent", without(field)),
        tolerated(
            "an extra number that no double holds",
            with(field, r#"{"big":1e400}"#),
            &[CREATED, NOT_READABLE],
        ),
        guard(
            "a valid key that a duplicate invalidates",
            with(field, r#"{"code":"1","code":1}"#),
            &[("messagePayload.code", INVALID_TYPE)],
        ),
        error(
            "a template whose variables are missing",
            with(field, r#"{"locale":"x-strict"}"#),
            LACKS_VARIABLE,
        )
        .naming(&["code", "link"]),
    ]);
    rows
}

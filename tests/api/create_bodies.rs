//! Create, fed with bodies that are bad or merely odd: one table, a reason in each row.

use std::{
    fmt::Display,
    sync::atomic::{AtomicUsize, Ordering},
};

use serde_json::{Value, json};

use crate::helpers::{Answer, TestApp};

const MIB: usize = 1024 * 1024;
const JSON: Option<&str> = Some("application/json");

const NOT_READABLE: (u16, &str) = (400, "request.invalid_input");
const NOT_IN_FUTURE: (u16, &str) = (400, "request.invalid_input");
const NOT_VALID: (u16, &str) = (400, "guard.invalid_input");
const NOT_FOUND: (u16, &str) = (422, "entity.relation_foreign_key_not_found");
const TOO_LONG: (u16, &str) = (422, "entity.value_too_long");
const TOO_LARGE: (u16, &str) = (413, "request.invalid_input");
const LACKS_VARIABLE: (u16, &str) = (400, "connector.insufficient_request_parameters");
const CREATED: (u16, &str) = (201, "");

const INVALID_TYPE: &str = "invalid_type";
const INVALID_STRING: &str = "invalid_string";
const INVALID_UNION: &str = "invalid_union";
const TOO_SMALL: &str = "too_small";
const TOO_BIG: &str = "too_big";

#[tokio::test]
async fn every_odd_body_is_answered_as_its_row_says() {
    let app = TestApp::start().await;
    let rows = rows();
    let mut complaints = Vec::new();
    let mut broken = Vec::new();
    for row in &rows {
        let answer = row.send(&app).await;
        if answer.status >= 500 {
            broken.push(row.reason.as_str());
        }
        if let Err(complaint) = judge(row, &answer) {
            let (status, text) = (answer.status, excerpt(&answer.text));
            let body = excerpt(&String::from_utf8_lossy(&row.body));
            let reason = &row.reason;
            complaints.push(format!("{reason}: {complaint}\n    {body}\n    {status} {text}"));
        }
    }
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
    assert!(broken.is_empty(), "not the caller's fault: {broken:?}");
    assert!(rows.len() >= 140, "only {} rows are left", rows.len());
}

/// All of them.
pub fn rows() -> Vec<Row> {
    [
        inviter_id(),
        invitee(),
        good_addresses(),
        bad_addresses(),
        organization_id(),
        expires_at(),
        organization_role_ids(),
        message_payload(),
        unknown_keys(),
        duplicate_keys(),
        top_level(),
        text(),
        encoding(),
        size_and_depth(),
        content_types(),
        order_of_rules(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

// ---- What a row is

pub struct Row {
    pub reason: String,
    content_type: Option<&'static str>,
    pub body: Vec<u8>,
    base64: bool,
    allowed: Vec<(u16, &'static str)>,
    issues: Vec<(&'static str, &'static str)>,
    names: &'static [&'static str],
    explains: bool,
}

/// Any of several answers will do: the contract leaves the choice.
fn tolerated(reason: impl Into<String>, body: impl Into<Vec<u8>>, allowed: &[(u16, &'static str)]) -> Row {
    Row {
        reason: reason.into(),
        content_type: JSON,
        body: body.into(),
        base64: false,
        allowed: allowed.to_vec(),
        issues: Vec::new(),
        names: &[],
        explains: false,
    }
}

fn ok(reason: impl Into<String>, body: impl Into<Vec<u8>>) -> Row {
    tolerated(reason, body, &[CREATED])
}

fn refused(reason: impl Into<String>, body: impl Into<Vec<u8>>, outcome: (u16, &'static str)) -> Row {
    tolerated(reason, body, &[outcome])
}

/// Not UTF-8 JSON, or not said to be: `details` says where.
fn unreadable(reason: impl Into<String>, body: impl Into<Vec<u8>>) -> Row {
    Row { explains: true, ..refused(reason, body, NOT_READABLE) }
}

/// JSON that does not fit the table of the body: each issue is a key path and zod's code.
fn guard(reason: impl Into<String>, body: impl Into<Vec<u8>>, issues: &[(&'static str, &'static str)]) -> Row {
    Row { issues: issues.to_vec(), ..refused(reason, body, NOT_VALID) }
}

impl Row {
    fn of_type(self, content_type: Option<&'static str>) -> Self {
        Self { content_type, ..self }
    }

    fn in_base64(self) -> Self {
        Self { base64: true, ..self }
    }

    /// `data` mentions each of these.
    fn naming(self, names: &'static [&'static str]) -> Self {
        Self { names, ..self }
    }

    pub async fn send(&self, app: &TestApp) -> Answer {
        if self.base64 {
            app.create_base64(self.content_type, &self.body).await
        } else {
            app.create_bytes(self.content_type, &self.body).await
        }
    }
}

// ---- What is expected of an answer

fn judge(row: &Row, answer: &Answer) -> Result<(), String> {
    let body: Value = serde_json::from_str(&answer.text).map_err(|error| error.to_string())?;
    let outcome = (answer.status, body["code"].as_str().unwrap_or_default());
    if !row.allowed.contains(&outcome) {
        return Err(format!("expected {:?}", row.allowed));
    }
    if outcome == CREATED {
        return judge_entity(&body);
    }
    judge_error_form(answer, &body)?;
    if !row.issues.is_empty() {
        judge_issues(&row.issues, &body)?;
    }
    let data = body["data"].to_string();
    if let Some(name) = row.names.iter().find(|name| !data.contains(**name)) {
        return Err(format!("expected data to name {name}"));
    }
    if row.explains && !body["details"].is_string() { Err("expected details".into()) } else { Ok(()) }
}

/// Whatever the body said, the invitation is new, pending, and the caller's tenant's.
fn judge_entity(entity: &Value) -> Result<(), String> {
    let id = entity["id"].as_str().unwrap_or_default();
    let well_formed = |c: u8| c.is_ascii_digit() || c.is_ascii_lowercase();
    if id.len() != 21 || !id.bytes().all(well_formed) {
        return Err("expected an id of ours".into());
    }
    if entity["tenantId"] != "default" || entity["status"] != "Pending" {
        return Err("expected a pending invitation of the caller's tenant".into());
    }
    if !entity["acceptedUserId"].is_null() || !entity["expiresAt"].is_u64() {
        return Err("expected nobody to have accepted, and whole milliseconds".into());
    }
    let roles = entity["organizationRoles"].as_array().ok_or("expected roles")?;
    let names: Vec<_> = roles.iter().map(|role| role["name"].as_str()).collect();
    if names.is_sorted_by(|one, next| one < next) {
        Ok(())
    } else {
        Err("expected distinct roles, sorted by name".into())
    }
}

fn judge_error_form(answer: &Answer, body: &Value) -> Result<(), String> {
    let content_type = answer.headers.get("content-type").map(String::as_str);
    if content_type != Some("application/json; charset=utf-8") {
        return Err(format!("expected JSON, not {content_type:?}"));
    }
    if body["message"].as_str().is_none_or(str::is_empty) {
        return Err("expected a message".into());
    }
    let known = ["code", "message", "data", "details"];
    for (key, value) in body.as_object().ok_or("expected an object")? {
        if value.is_null() || !known.contains(&key.as_str()) {
            return Err(format!("expected no {key}, or not null"));
        }
    }
    Ok(())
}

fn judge_issues(expected: &[(&str, &str)], body: &Value) -> Result<(), String> {
    let issues = body["data"]["issues"].as_array().ok_or("expected issues")?;
    let mut found = Vec::new();
    for issue in issues {
        let path = issue["path"].as_array().ok_or("expected a path")?;
        let steps = path.iter().map(|step| match step {
            Value::String(key) => key.clone(),
            index => index.to_string(),
        });
        let code = issue["code"].as_str().unwrap_or_default();
        found.push((steps.collect::<Vec<_>>().join("."), code));
        if issue["message"].as_str().is_none_or(str::is_empty) {
            return Err("expected each issue to have a message".into());
        }
    }
    if !found.iter().map(|(path, code)| (path.as_str(), *code)).eq(expected.iter().copied()) {
        return Err(format!("expected the issues {expected:?}, found {found:?}"));
    }
    let mut lines = body["details"].as_str().unwrap_or_default().lines();
    let in_line = |(path, code): &(&str, &str)| {
        let start = format!("Error in key path \"{path}\": ({code}) ");
        lines.next().is_some_and(|line| line.starts_with(&start))
    };
    if expected.iter().all(in_line) && lines.next().is_none() {
        Ok(())
    } else {
        Err("expected details with one line for each issue".into())
    }
}

fn excerpt(text: &str) -> String {
    match text.chars().count() {
        0..=400 => text.into(),
        count => format!("{}… ({count} characters)", text.chars().take(200).collect::<String>()),
    }
}

// ---- The rows, by field

#[rustfmt::skip]
fn inviter_id() -> Vec<Row> {
    let mut rows = wrong_kinds("inviterId", INVALID_TYPE, ["1", "true", "false", "[]", "{}"]);
    rows.extend([
        ok("an inviter may be absent", without("inviterId")),
        ok("an inviter may be null", with("inviterId", "null")),
        ok("an empty inviter means none", with("inviterId", r#""""#)),
        refused("a space is an inviter, an unknown one", with("inviterId", r#"" ""#), NOT_FOUND),
        refused("identifiers are case-sensitive", with("inviterId", r#""Ada""#), NOT_FOUND),
    ]);
    rows.extend(lengths("inviterId"));
    rows.extend(impossible_identifiers("inviterId"));
    rows
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
        ("a Kelvin sign, which folds to k", "\u{212a}elvin@example.com"),
        ("a long s, which folds to s", "\u{17f}ofia@example.com"),
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
        refused("an address of 257 characters", to(&address_of(257)), TOO_LONG),
        refused("an address as long as a body may carry it", to(&vast_address()), TOO_LONG),
    ]);
    rows
}

#[rustfmt::skip]
fn organization_id() -> Vec<Row> {
    let field = "organizationId";
    let mut rows = wrong_kinds(field, INVALID_TYPE, ["1", "true", "false", "null", "[]", "{}"]);
    rows.extend([
        guard("an organization is required", without(field), &[(field, INVALID_TYPE)]),
        guard("an organization is not empty", with(field, r#""""#), &[(field, TOO_SMALL)]),
        refused("a space is an organization, an unknown one", with(field, r#"" ""#), NOT_FOUND),
        refused("an identifier is not trimmed", with(field, r#""acme ""#), NOT_FOUND),
    ]);
    rows.extend(lengths(field));
    rows.extend(impossible_identifiers(field));
    rows
}

#[rustfmt::skip]
fn expires_at() -> Vec<Row> {
    let field = "expiresAt";
    let kinds = [r#""4102444800000""#, r#""2100-01-01""#, "true", "false", "null", "[]", "{}"];
    let mut rows = wrong_kinds(field, INVALID_TYPE, kinds);
    rows.push(guard("a time is required", without(field), &[(field, INVALID_TYPE)]));
    let digits = "9".repeat(400);
    rows.extend(
        [
            ("a time with a fraction", "4102444800000.75"),
            ("a time with a fraction of nought", "4102444800000.0"),
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
            ("negative nought with a fraction", "-0.0"),
            ("a negative time", "-1"),
            ("a fraction of a millisecond", "0.5"),
            ("a number too small for a double", "1e-400"),
            ("the example of Logto's reference", "42.0"),
            ("a time in seconds instead of milliseconds", "4102444800"),
            ("a negative number that no double holds", "-1e400"),
            ("the first instant of ECMAScript", "-8640000000000000"),
            ("a moment ago", "1577836800000"),
        ]
        .map(|(reason, number)| refused(reason, with(field, number), NOT_IN_FUTURE)),
    );
    rows.extend(
        [
            ("a leading nought", "04102444800000"),
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

#[rustfmt::skip]
fn organization_role_ids() -> Vec<Row> {
    let field = "organizationRoleIds";
    let kinds = [r#""member""#, "1", "true", "false", "null", "{}", r#"{"0":"member"}"#];
    let mut rows = wrong_kinds(field, INVALID_TYPE, kinds);
    rows.extend(["1", "true", "null", "[]", "{}", r#"["member"]"#].map(|json| {
        let reason = format!("no role is {json}");
        let issues = &[("organizationRoleIds.0", INVALID_TYPE)];
        guard(reason, with(field, format!("[{json}]")), issues)
    }));
    rows.extend([
        guard(
            "the second of two roles is wrong",
            with(field, r#"["member",1]"#),
            &[("organizationRoleIds.1", INVALID_TYPE)],
        ),
        guard(
            "each wrong role is reported",
            with(field, r#"[null,"member",2]"#),
            &[("organizationRoleIds.0", INVALID_TYPE), ("organizationRoleIds.2", INVALID_TYPE)],
        ),
        ok("roles may be absent", without(field)),
        ok("roles may be empty", with(field, "[]")),
        ok("two roles", with(field, r#"["member","admin"]"#)),
        ok("a role named twice counts once", with(field, r#"["member","member"]"#)),
        ok("60 times the same role is one role", with(field, json!(vec!["member"; 60]))),
        refused("50 distinct roles are allowed", with(field, json!(roles(50))), NOT_FOUND),
        refused(
            "50 distinct roles, each named twice, are still 50",
            with(field, json!([roles(50), roles(50)].concat())),
            NOT_FOUND,
        ),
        guard("51 distinct roles", with(field, json!(roles(51))), &[(field, TOO_BIG)]),
        guard("5,000 distinct roles", with(field, json!(roles(5_000))), &[(field, TOO_BIG)]),
        refused("one of two roles is unknown", with(field, r#"["member","emperor"]"#), NOT_FOUND)
            .naming(&["emperor"]),
        refused("an empty role", with(field, r#"[""]"#), NOT_FOUND),
    ]);
    rows.extend(
        [
            ("a role of 22 characters", "r".repeat(22)),
            ("a role longer than a key of DynamoDB", "r".repeat(3_000)),
            ("a role with a hash", "mem#ber".into()),
            ("a role that looks like a key", "ROLE#member".into()),
            ("a role with NUL", "mem\0ber".into()),
            ("a role with a control character", "mem\u{1}ber".into()),
            ("a role with DEL", "mem\u{7f}ber".into()),
            ("a role with a line break", "member\n".into()),
        ]
        .map(|(reason, role)| refused(reason, with(field, json!([role])), NOT_FOUND)),
    );
    rows
}

#[rustfmt::skip]
fn message_payload() -> Vec<Row> {
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
            ("a locale that is a property of objects", r#"{"locale":"__proto__"}"#),
            ("extra keys of any type", r#"{"a":1,"b":null,"c":[],"d":{},"e":true,"f":"g"}"#),
            ("a nested extra key", r#"{"team":{"lead":{"name":"Ada"}}}"#),
            ("an extra key without a name", r#"{"":"empty"}"#),
            ("__proto__", r#"{"__proto__":{"link":1},"constructor":{"prototype":{}}}"#),
            ("the trusted variables", r#"{"organization":1,"inviter":null,"invitation":[]}"#),
            ("markup", r#"{"code":"<script>alert(1)</script>{{link}}"}"#),
            ("a line break for a header", r#"{"code":"1\r\nBcc: all@example.com"}"#),
            ("a wrong key that is then put right", r#"{"code":1,"code":"1"}"#),
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
            "a right key that is then spoilt",
            with(field, r#"{"code":"1","code":1}"#),
            &[("messagePayload.code", INVALID_TYPE)],
        ),
        refused(
            "a template whose variables are lacking",
            with(field, r#"{"locale":"x-strict"}"#),
            LACKS_VARIABLE,
        )
        .naming(&["code", "link"]),
    ]);
    rows
}

// ---- The rows, by shape

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
            "another case is another key",
            without("invitee").and("Invitee", r#""case@example.com""#),
            &[("invitee", INVALID_TYPE)],
        ),
        guard(
            "__proto__ lends nothing",
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
            ok(format!("the last {key} wins, and is good"), with(key, bad).and(key, good)),
            guard(
                format!("the last {key} wins, and is bad"),
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
        ok("an unknown key may be there twice", base().and("twice", "1").and("twice", "2")),
    ])
    .collect()
}

fn top_level() -> Vec<Row> {
    let nothing: &[(&str, &str)] =
        &[("invitee", INVALID_TYPE), ("organizationId", INVALID_TYPE), ("expiresAt", INVALID_TYPE)];
    ["[]", "[{}]", r#""text""#, r#""""#, "1", "0", "null", "true", "false"]
        .map(|json| guard(format!("a body is not {json}"), json, &[("", INVALID_TYPE)]))
        .into_iter()
        .chain([
            guard("no body counts as an empty object", "", nothing),
            guard("no body, and no type", "", nothing).of_type(None),
            guard("no body, encoded", "", nothing).in_base64(),
            guard("an empty object", "{}", nothing),
            guard("an empty object in white space", " \r\n\t{ } ", nothing),
        ])
        .collect()
}

#[rustfmt::skip]
fn text() -> Vec<Row> {
    let cut = base().bytes();
    let (cut, _) = cut.split_at(cut.len() - 1);
    let object = |members: &str| format!("{{{members}}}");
    vec![
        ok("white space around the body", format!("\r\n\t {}\n", base())),
        ok("any character as an escape", with("note", r#""\u0000\b\f\n\r\t\"\\\/\ud83d\ude00""#)),
        ok("a line separator within a string", with("note", "\"\u{2028}\"")),
        unreadable("white space alone", " \n"),
        unreadable("a body that breaks off", cut.to_vec()),
        unreadable("a brace alone", "{"),
        unreadable("a closing brace too many", format!("{}}}", base())),
        unreadable("two bodies", format!("{}{}", base(), base())),
        unreadable("a trailing comma", object(r#""a":1,"#)),
        unreadable("a trailing comma in a list", with("organizationRoleIds", r#"["member",]"#)),
        unreadable("a missing comma", object(r#""a":1 "b":2"#)),
        unreadable("a missing colon", object(r#""a" 1"#)),
        unreadable("a missing value", object(r#""a":"#)),
        unreadable("a line comment", format!("// body\n{}", base())),
        unreadable("a block comment", with("note", "/* none */ 1")),
        unreadable("single quotes", object("'a':1")),
        unreadable("a key without quotes", object("a:1")),
        unreadable("undefined", with("inviterId", "undefined")),
        unreadable("True of Python", with("messagePayload", "True")),
        unreadable("a misspelt literal", with("messagePayload", "fals")),
        unreadable("a form", "invitee=form%40example.com&organizationId=acme"),
        unreadable("XML", "<invitee>xml@example.com</invitee>"),
        unreadable("a line break within a string", with("note", "\"a\nb\"")),
        unreadable("a tab within a string", with("note", "\"a\tb\"")),
        unreadable("NUL within a string", with("note", "\"a\0b\"")),
        unreadable("NUL after the body", format!("{}\0", base())),
        unreadable("a form feed as white space", format!("\u{c}{}", base())),
        unreadable("a no-break space as white space", format!("\u{a0}{}", base())),
        unreadable("an escape that JSON lacks", with("note", r#""\x41""#)),
        unreadable("an escape that is not hexadecimal", with("note", r#""\u00g0""#)),
        unreadable("an escape that breaks off", with("note", r#""\u00""#)),
        unreadable("a lone high surrogate", with("invitee", r#""\ud800@example.com""#)),
        unreadable("a lone low surrogate", with("invitee", r#""\udc00@example.com""#)),
        unreadable("surrogates the wrong way round", with("inviterId", r#""\ude00\ud83d""#)),
        unreadable("a lone surrogate as a role", with("organizationRoleIds", r#"["\ud800"]"#)),
        unreadable("a lone surrogate in a code", with("messagePayload", r#"{"code":"\ud800"}"#)),
    ]
}

#[rustfmt::skip]
fn encoding() -> Vec<Row> {
    let note = |bytes: &[u8]| {
        let (before, after) = (base().and("note", "\"").to_string(), b"\"}");
        let open = before.trim_end_matches('}').as_bytes();
        [open, bytes, after].concat()
    };
    let utf16: Vec<u8> = base().to_string().encode_utf16().flat_map(u16::to_le_bytes).collect();
    vec![
        ok("a body in base64", base()).in_base64(),
        ok("characters of every width", note("aé€😀".as_bytes())),
        ok("characters of every width in base64", note("aé€😀".as_bytes())).in_base64(),
        unreadable("a byte that UTF-8 lacks", note(b"\xff")),
        unreadable("Latin-1", note(b"J\xfcrgen")),
        unreadable("an overlong form", note(b"\xc0\xaf")),
        unreadable("a surrogate in UTF-8", note(b"\xed\xa0\x80")),
        unreadable("a code point beyond Unicode", note(b"\xf4\x90\x80\x80")),
        unreadable("a character that breaks off", note(b"\xe2\x82")),
        unreadable("a body that breaks off within a character", b"{\"\xe2\x82".to_vec()),
        unreadable("a key that is not UTF-8", b"{\"\xff\":1}".to_vec()),
        unreadable("a byte order mark is no JSON", format!("\u{feff}{}", base())),
        unreadable("UTF-16", utf16.clone()),
        unreadable("UTF-16 with its mark", [&b"\xff\xfe"[..], &utf16].concat()),
        unreadable("gzip", b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03".to_vec()),
    ]
}

#[rustfmt::skip]
fn size_and_depth() -> Vec<Row> {
    let deep = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
    let deep_object = format!("{}1{}", r#"{"a":"#.repeat(100_000), "}".repeat(100_000));
    let any_400 = [NOT_READABLE, NOT_VALID];
    let lenient = [NOT_READABLE, CREATED];
    vec![
        ok("exactly 1 MiB", padded(MIB, "x")),
        ok("exactly 1 MiB, encoded", padded(MIB, "x")).in_base64(),
        ok("exactly 1 MiB of wide characters", padded(MIB, "é")),
        refused("one byte more than 1 MiB", padded(MIB + 1, "x"), TOO_LARGE),
        refused("one byte more than 1 MiB, encoded", padded(MIB + 1, "x"), TOO_LARGE).in_base64(),
        refused("bytes are counted, not characters", padded(MIB + 1, "é"), TOO_LARGE),
        refused("the size is looked at before the text", " ".repeat(MIB + 1), TOO_LARGE),
        refused("the size is looked at before the type", " ".repeat(MIB + 1), TOO_LARGE)
            .of_type(Some("text/plain")),
        refused("the size is looked at before the encoding", vec![0xff; MIB + 1], TOO_LARGE),
        ok("a nested unknown key", with("note", deep(20))),
        ok("a nested payload", with("messagePayload", format!(r#"{{"note":{}}}"#, deep(20)))),
        tolerated("a bottomless unknown key", with("note", deep(100_000)), &lenient),
        tolerated("a bottomless unknown object", with("note", &deep_object), &lenient),
        tolerated("a bottomless list", deep(100_000), &any_400),
        tolerated("a bottomless object", deep_object.as_str(), &any_400),
        tolerated("bottomless roles", with("organizationRoleIds", deep(100_000)), &any_400),
        tolerated("a bottomless inviter", with("inviterId", deep(100_000)), &any_400),
        tolerated("a bottomless payload", with("messagePayload", &deep_object), &any_400),
        unreadable("a list that never ends", "[".repeat(100_000)),
        unreadable("an object that never ends", r#"{"a":"#.repeat(100_000)),
    ]
}

fn content_types() -> Vec<Row> {
    let good = [
        "application/json; charset=utf-8",
        "application/json;charset=UTF-8",
        "application/json; charset=iso-8859-1",
        "application/json ; charset=\"utf-8\"",
        "APPLICATION/JSON",
        "Application/Json; Charset=UTF-8",
        "application/problem+json",
        "application/vnd.api+json; charset=utf-8",
        "application/json-patch+json",
        "APPLICATION/LD+JSON",
    ];
    let bad = [
        "text/plain",
        "text/plain; charset=utf-8",
        "text/json",
        "text/x+json",
        "text/html",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=application/json",
        "application/octet-stream",
        "application/xml",
        "application/javascript",
        "application/jsonp",
        "application/json5",
        "application/x-ndjson",
        "application/vnd.api+xml",
        "application/vnd.json",
        "application",
        "json",
        "garbage",
        "; charset=utf-8",
        "",
    ];
    let unlabelled = ok("a body without a type is JSON", base()).of_type(None);
    [unlabelled]
        .into_iter()
        .chain(good.map(|kind| ok(format!("{kind:?} is JSON"), base()).of_type(Some(kind))))
        .chain(bad.map(|kind| unreadable(format!("{kind:?} is not JSON"), base()).of_type(Some(kind))))
        .collect()
}

#[rustfmt::skip]
fn order_of_rules() -> Vec<Row> {
    let past = "1577836800000";
    let all_wrong: &[(&str, &str)] = &[
        ("inviterId", INVALID_TYPE),
        ("invitee", INVALID_STRING),
        ("organizationId", TOO_BIG),
        ("expiresAt", INVALID_TYPE),
        ("organizationRoleIds.0", INVALID_TYPE),
        ("messagePayload", INVALID_UNION),
    ];
    let backwards = format!(
        r#"{{"messagePayload":[],"organizationRoleIds":[0],"expiresAt":"soon",
        "organizationId":"{}","invitee":"nobody","inviterId":false}}"#,
        "o".repeat(22)
    );
    vec![
        guard("violations come in the order of the table", backwards, all_wrong),
        guard(
            "a violation keeps the time from being looked at",
            with("invitee", r#""bad""#).set("expiresAt", past),
            &[("invitee", INVALID_STRING)],
        ),
        guard(
            "a violation keeps the directory from being looked at",
            with("messagePayload", "true").set("organizationId", r#""atlantis""#),
            &[("messagePayload", INVALID_UNION)],
        ),
        unreadable("the type is looked at before the fields", "{}").of_type(Some("text/plain")),
        refused(
            "the time is looked at before the organization",
            with("expiresAt", past).set("organizationId", r#""atlantis""#),
            NOT_IN_FUTURE,
        ),
        refused(
            "the time is looked at before the template",
            with("expiresAt", past).set("messagePayload", r#"{"locale":"x-strict"}"#),
            NOT_IN_FUTURE,
        ),
        refused(
            "the directory is looked at before the template",
            with("organizationId", r#""atlantis""#)
                .set("messagePayload", r#"{"locale":"x-strict"}"#),
            NOT_FOUND,
        ),
        refused(
            "everything unknown is named at once",
            with("inviterId", r#""nobody""#)
                .set("organizationId", r#""atlantis""#)
                .set("organizationRoleIds", r#"["member","emperor","empress"]"#),
            NOT_FOUND,
        )
        .naming(&["nobody", "atlantis", "emperor", "empress"]),
    ]
}

// ---- Rows that several fields share

#[rustfmt::skip]
fn wrong_kinds<const N: usize>(
    field: &'static str,
    code: &'static str,
    kinds: [&str; N],
) -> Vec<Row> {
    let row =
        |json| guard(format!("{field} may not be {json}"), with(field, json), &[(field, code)]);
    kinds.map(row).into()
}

/// Lengths count UTF-16 units: of an emoji two, of a letter and its combining accent two as well.
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
    .map(|(reason, id)| refused(format!("{field} of {reason}"), with(field, json!(id)), NOT_FOUND));
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
        refused(format!("{field} of 10 emoji as escapes"), with(field, escaped(10)), NOT_FOUND);
    fits.into_iter().chain(exceeds).chain([as_escapes]).collect()
}

/// What could not be the key of anything is simply not there.
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
        refused(format!("{field} with {reason}"), with(field, json!(id)), NOT_FOUND)
    })
    .into()
}

// ---- Bodies

/// The members of an object, each value as JSON text: it can say what no JSON library would write.
struct Body(Vec<(String, String)>);

/// A body that creates an invitation, for an invitee of its own.
fn base() -> Body {
    static COUNT: AtomicUsize = AtomicUsize::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    Body(Vec::new())
        .and("inviterId", r#""ada""#)
        .and("invitee", format!(r#""body-{count}@example.com""#))
        .and("organizationId", r#""acme""#)
        .and("expiresAt", "4102444800000")
        .and("organizationRoleIds", r#"["member"]"#)
        .and("messagePayload", "false")
}

/// The base with one value replaced, or with one more member.
fn with(key: &str, json: impl Display) -> Body {
    base().set(key, json)
}

fn without(key: &str) -> Body {
    let mut body = base();
    body.0.retain(|(known, _)| known != key);
    body
}

fn to(address: &str) -> Body {
    with("invitee", json!(address))
}

impl Body {
    fn set(mut self, key: &str, json: impl Display) -> Self {
        match self.0.iter_mut().find(|(known, _)| known == key) {
            Some((_, value)) => *value = json.to_string(),
            None => return self.and(key, json),
        }
        self
    }

    /// One more member at the end, even if there is one of this name.
    fn and(mut self, key: &str, json: impl Display) -> Self {
        self.0.push((key.into(), json.to_string()));
        self
    }

    fn bytes(&self) -> Vec<u8> {
        self.to_string().into_bytes()
    }
}

impl Display for Body {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let members = self.0.iter().map(|(key, json)| format!(r#""{key}":{json}"#));
        write!(f, "{{{}}}", members.collect::<Vec<_>>().join(","))
    }
}

impl From<Body> for Vec<u8> {
    fn from(body: Body) -> Self {
        body.bytes()
    }
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

fn roles(count: usize) -> Vec<String> {
    (0..count).map(|number| format!("role-{number}")).collect()
}

/// The base, filled up to this many bytes by an unknown key; an odd byte goes to a space.
fn padded(length: usize, filler: &str) -> String {
    let bare = with("padding", r#""""#).to_string();
    let room = length - bare.len();
    let filling = filler.repeat(room / filler.len());
    let body = bare.replace(r#""padding":"""#, &format!(r#""padding":"{filling}""#));
    body + &" ".repeat(room % filler.len())
}

//! The JSON syntax of a body, its encoding, and JSON that is not an object.

use super::{
    body::{base, with},
    check,
    row::{INVALID_TYPE, Row, guard, ok, unreadable},
};

#[tokio::test]
async fn a_body_is_an_object_in_json_and_utf_8() {
    check(rows()).await;
}

pub fn rows() -> Vec<Row> {
    [top_level(), text(), encoding()].into_iter().flatten().collect()
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
            guard("a byte order mark alone", "\u{feff}", nothing),
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
        unreadable("a truncated body", cut.to_vec()),
        unreadable("a brace alone", "{"),
        unreadable("an extra closing brace", format!("{}}}", base())),
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
        unreadable("an escape that is not JSON", with("note", r#""\x41""#)),
        unreadable("an escape that is not hexadecimal", with("note", r#""\u00g0""#)),
        unreadable("a truncated escape", with("note", r#""\u00""#)),
        unreadable("a lone high surrogate", with("invitee", r#""\ud800@example.com""#)),
        unreadable("a lone low surrogate", with("invitee", r#""\udc00@example.com""#)),
        unreadable("surrogates in the wrong order", with("inviterId", r#""\ude00\ud83d""#)),
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
        unreadable("a byte that is invalid in UTF-8", note(b"\xff")),
        unreadable("Latin-1", note(b"J\xfcrgen")),
        unreadable("an overlong form", note(b"\xc0\xaf")),
        unreadable("a surrogate in UTF-8", note(b"\xed\xa0\x80")),
        unreadable("a code point beyond Unicode", note(b"\xf4\x90\x80\x80")),
        unreadable("a truncated character", note(b"\xe2\x82")),
        unreadable("a body truncated within a character", b"{\"\xe2\x82".to_vec()),
        unreadable("a key that is not UTF-8", b"{\"\xff\":1}".to_vec()),
        ok("a byte order mark is skipped", format!("\u{feff}{}", base())),
        ok("a byte order mark in base64", format!("\u{feff}{}", base())).in_base64(),
        unreadable("two byte order marks", format!("\u{feff}\u{feff}{}", base())),
        unreadable("a byte order mark after white space", format!(" \u{feff}{}", base())),
        unreadable("half a byte order mark", b"\xef\xbb{}".to_vec()),
        unreadable("UTF-16", utf16.clone()),
        unreadable("UTF-16 with its mark", [&b"\xff\xfe"[..], &utf16].concat()),
        unreadable("gzip", b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03".to_vec()),
    ]
}

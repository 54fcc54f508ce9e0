//! The size and the nesting of a body.

use super::{
    body::with,
    check,
    row::{CREATED, NOT_READABLE, NOT_VALID, Row, TOO_LARGE, error, ok, tolerated, unreadable},
};

const MIB: usize = 1024 * 1024;

#[tokio::test]
async fn a_body_has_at_most_1_mib_and_deep_nesting_is_harmless() {
    check(rows()).await;
}

#[rustfmt::skip]
pub fn rows() -> Vec<Row> {
    let deep = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
    let deep_object = format!("{}1{}", r#"{"a":"#.repeat(100_000), "}".repeat(100_000));
    let any_400 = [NOT_READABLE, NOT_VALID];
    let lenient = [NOT_READABLE, CREATED];
    vec![
        ok("exactly 1 MiB", padded(MIB, "x")),
        ok("exactly 1 MiB, encoded", padded(MIB, "x")).in_base64(),
        ok("exactly 1 MiB of wide characters", padded(MIB, "é")),
        error("one byte more than 1 MiB", padded(MIB + 1, "x"), TOO_LARGE),
        error("one byte more than 1 MiB, encoded", padded(MIB + 1, "x"), TOO_LARGE).in_base64(),
        error("the limit counts bytes, not characters", padded(MIB + 1, "é"), TOO_LARGE),
        error("the size is checked before the text", " ".repeat(MIB + 1), TOO_LARGE),
        error("the size is checked before the type", " ".repeat(MIB + 1), TOO_LARGE)
            .of_type(Some("text/plain")),
        error("the size is checked before the encoding", vec![0xff; MIB + 1], TOO_LARGE),
        ok("a nested unknown key", with("note", deep(20))),
        ok("a nested payload", with("messagePayload", format!(r#"{{"note":{}}}"#, deep(20)))),
        tolerated("an unknown key with very deep lists", with("note", deep(100_000)), &lenient),
        tolerated("an unknown key with very deep objects", with("note", &deep_object), &lenient),
        tolerated("a body of very deep lists", deep(100_000), &any_400),
        tolerated("a body of very deep objects", deep_object.as_str(), &any_400),
        tolerated("bottomless roles", with("organizationRoleIds", deep(100_000)), &any_400),
        tolerated("an inviter of very deep lists", with("inviterId", deep(100_000)), &any_400),
        tolerated("a payload of very deep objects", with("messagePayload", &deep_object), &any_400),
        unreadable("an unclosed list", "[".repeat(100_000)),
        unreadable("an unclosed object", r#"{"a":"#.repeat(100_000)),
    ]
}

/// The base, padded to this length in bytes by an unknown key, and by a space if the filler does not fit.
fn padded(length: usize, filler: &str) -> String {
    let bare = with("padding", r#""""#).to_string();
    let room = length - bare.len();
    let filling = filler.repeat(room / filler.len());
    let body = bare.replace(r#""padding":"""#, &format!(r#""padding":"{filling}""#));
    body + &" ".repeat(room % filler.len())
}

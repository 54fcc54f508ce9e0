//! The content types of a body.

use super::{
    body::base,
    check,
    row::{Row, ok, unreadable},
};
use crate::helpers::TestApp;

#[tokio::test]
async fn the_content_type_is_json_or_absent() {
    check(rows()).await;
}

#[tokio::test]
async fn the_error_for_a_wrong_content_type_names_the_content_type() {
    let app = TestApp::start().await;
    let answer = app.create_bytes(Some("text/plain"), base().to_string().as_bytes()).await;
    answer.assert_error(400, "request.invalid_input");
    for part in ["message", "details"] {
        let text = answer.json()[part].as_str().unwrap().to_owned();
        assert!(text.contains("content type"), "{text}");
        assert!(!text.contains("valid JSON"), "{text}");
    }
}

pub fn rows() -> Vec<Row> {
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

//! `organizationRoleIds`: their number, and the identifiers.

use serde_json::json;

use super::{
    body::{with, without},
    check,
    row::{INVALID_TYPE, NOT_FOUND, Row, TOO_BIG, error, guard, ok, wrong_kinds},
};

#[tokio::test]
async fn roles_are_a_list_of_at_most_fifty_existing_identifiers() {
    check(rows()).await;
}

pub fn rows() -> Vec<Row> {
    [organization_role_ids()].into_iter().flatten().collect()
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
        error("50 distinct roles are allowed", with(field, json!(roles(50))), NOT_FOUND),
        error(
            "50 distinct roles, each named twice, are still 50",
            with(field, json!([roles(50), roles(50)].concat())),
            NOT_FOUND,
        ),
        guard("51 distinct roles", with(field, json!(roles(51))), &[(field, TOO_BIG)]),
        guard("5,000 distinct roles", with(field, json!(roles(5_000))), &[(field, TOO_BIG)]),
        error("one of two roles is unknown", with(field, r#"["member","emperor"]"#), NOT_FOUND)
            .naming(&["emperor"]),
        error("an empty role", with(field, r#"[""]"#), NOT_FOUND),
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
        .map(|(reason, role)| error(reason, with(field, json!([role])), NOT_FOUND)),
    );
    rows
}

fn roles(count: usize) -> Vec<String> {
    (0..count).map(|number| format!("role-{number}")).collect()
}

//! The error for a body with several violations.

use super::{
    body::with,
    check,
    row::{
        INVALID_STRING, INVALID_TYPE, INVALID_UNION, NOT_FOUND, NOT_IN_FUTURE, Row, TOO_BIG, error, guard, unreadable,
    },
};

#[tokio::test]
async fn of_several_violations_the_first_in_the_contracts_order_is_reported() {
    check(rows()).await;
}

#[rustfmt::skip]
pub fn rows() -> Vec<Row> {
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
            "violations are reported before the time is checked",
            with("invitee", r#""bad""#).set("expiresAt", past),
            &[("invitee", INVALID_STRING)],
        ),
        guard(
            "violations are reported before the directory is read",
            with("messagePayload", "true").set("organizationId", r#""atlantis""#),
            &[("messagePayload", INVALID_UNION)],
        ),
        unreadable("the content type is checked before the fields", "{}").of_type(Some("text/plain")),
        error(
            "the time is checked before the organization",
            with("expiresAt", past).set("organizationId", r#""atlantis""#),
            NOT_IN_FUTURE,
        ),
        error(
            "the time is checked before the template",
            with("expiresAt", past).set("messagePayload", r#"{"locale":"x-strict"}"#),
            NOT_IN_FUTURE,
        ),
        error(
            "the directory is checked before the template",
            with("organizationId", r#""atlantis""#)
                .set("messagePayload", r#"{"locale":"x-strict"}"#),
            NOT_FOUND,
        ),
        error(
            "all unknown references are named at once",
            with("inviterId", r#""nobody""#)
                .set("organizationId", r#""atlantis""#)
                .set("organizationRoleIds", r#"["member","emperor","empress"]"#),
            NOT_FOUND,
        )
        .naming(&["nobody", "atlantis", "emperor", "empress"]),
    ]
}

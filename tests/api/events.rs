//! Replays every event of `events/` and compares the response with its row of a table.

use std::{collections::BTreeSet, time::Duration};

use lambda_runtime::{Context, LambdaEvent};
use organization_invitations::trigger;
use serde_json::{Value, value::RawValue};

use crate::{
    common::events::{self, read},
    helpers::{Answer, TestApp},
};

/// The expected outcome of one file.
struct Row {
    file: &'static str,
    status: u16,
    code: &'static str,
    /// The header `Allow`, or an empty text.
    allow: &'static str,
    mails: usize,
    reason: &'static str,
}

const fn created(file: &'static str, reason: &'static str) -> Row {
    fails(file, 201, "", reason)
}

const fn mailed(file: &'static str, reason: &'static str) -> Row {
    Row { mails: 1, ..created(file, reason) }
}

const fn fails(file: &'static str, status: u16, code: &'static str, reason: &'static str) -> Row {
    Row { file, status, code, allow: "", mails: 0, reason }
}

const fn listed(file: &'static str, reason: &'static str) -> Row {
    fails(file, 200, "", reason)
}

const fn not_allowed(file: &'static str, allow: &'static str, reason: &'static str) -> Row {
    Row { allow, ..fails(file, 405, "request.method_not_allowed", reason) }
}

#[rustfmt::skip]
const ROWS: &[Row] = &[
    // Bodies
    mailed("create", "the example of the README"),
    created("create-without-mail", "a payload of false asks for no mail"),
    created("create-without-inviter-and-roles", "only three fields are required"),
    mailed("create-with-empty-payload", "an empty object still asks for mail"),
    mailed("create-with-localised-mail", "de-AT falls back to de, and that to the default"),
    mailed("create-with-strict-template", "the payload has all variables of the template"),
    mailed("create-with-idempotency-key", "the first call with this key; a second one would be a replay"),
    mailed("create-logto-reference", "the request of Logto's reference, with an expiry in the future"),
    created("create-fractional-expiry", "a fraction of a millisecond is dropped"),
    created("create-ignores-foreign-keys", "a caller cannot set tenantId, id and status"),
    created("create-tenant-without-connector", "without mail no connector is needed"),

    Row { status: 200, ..mailed("bulk", "two of four succeed: one is a duplicate, and one is not an object") },
    fails("fails-bulk-empty", 400, "guard.invalid_input", "an empty list of invitations"),
    not_allowed("fails-wrong-method-of-bulk", "POST", "a bulk create is a POST"),

    // Formats of the event
    created("create-trailing-slash", "a trailing slash is accepted"),
    created("create-rest-trailing-slash", "a trailing slash is accepted"),
    mailed("create-named-stage", "an HTTP API puts a named stage before the path"),
    mailed("create-rest-stage", "a REST API keeps the stage out of the path"),
    mailed("create-base64", "an HTTP API encodes a body whose type it does not treat as text"),
    mailed("create-rest-base64", "a REST API encodes every binary media type"),
    mailed("create-payload-format-1", "an HTTP API can be configured to use payload format 1.0"),

    // Callers
    mailed("create-cognito-groups", "an HTTP API renders a list as [a b]"),
    created("create-cognito-groups-without-mail", "an HTTP API renders a list as [a b]"),
    mailed("create-strange-claims", "unknown claims of every JSON type are ignored"),
    created("create-strange-claims-without-mail", "unknown claims of every JSON type are ignored"),
    mailed("create-lambda-authorizer", "strings from a Lambda authorizer"),
    created("create-lambda-authorizer-without-mail", "strings from a Lambda authorizer"),
    mailed("create-lambda-authorizer-mixed-types", "an HTTP API passes a context on as it is"),
    created("create-lambda-authorizer-mixed-types-without-mail", "an HTTP API passes a context on as it is"),
 mailed("create-rest-cognito", "a REST API renders groups as a,b"),
    created("create-rest-cognito-without-mail", "a REST API renders groups as a,b"),
    mailed("create-rest-lambda-authorizer", "the context lies beside principalId"),
    created("create-rest-lambda-authorizer-without-mail", "the context lies beside principalId"),

    listed("list-okta-scopes", "Okta's scopes are a list in scp"),

    // Tokens in links, and people
    mailed("create-with-token-in-link", "the message gets its own token"),
    fails("fails-verify-unknown", 404, "entity.not_found", "no such invitation"),
    fails("fails-verify-unknown-rest", 404, "entity.not_found", "no such invitation"),
    fails("fails-verify-without-token", 400, "guard.invalid_input", "the body has no token"),
    fails("fails-accept-by-token-unknown", 404, "entity.not_found", "no such invitation"),
    fails("fails-accept-by-token-unknown-rest", 404, "entity.not_found", "no such invitation"),
    fails("fails-status-wrong-token-type", 400, "guard.invalid_input", "a token is a text"),
    not_allowed("fails-wrong-method-of-verify", "POST", "a token is sent in a body, never in a URL"),
    listed("my-list", "a person's own token, without a scope"),
    listed("my-list-rest", "a person's own token, through a Lambda authorizer"),
    fails("fails-my-list-no-authorizer", 401, "auth.unauthorized", "no authorizer has verified the token"),
    fails("fails-my-list-of-a-program", 403, "auth.forbidden", "a program's token has no verified address"),
    fails("fails-my-list-unverified", 403, "auth.forbidden", "the address is not verified"),
    fails("fails-my-list-without-verification", 403, "auth.forbidden", "no claim says that the address is verified"),
    fails("fails-my-list-long-subject-rest", 403, "auth.forbidden", "a subject that is not a valid user identifier"),
    fails("fails-my-status-not-settable", 400, "guard.invalid_input", "a person can only accept or decline"),
    fails("fails-my-status-unknown", 404, "entity.not_found", "no such invitation"),
    fails("fails-my-status-unknown-rest", 404, "entity.not_found", "no such invitation"),
    not_allowed("fails-wrong-method-of-my-list", "GET", "a person's list is a GET"),
    fails("fails-person-at-the-management-api", 403, "auth.forbidden", "a person's token has no management scope"),

    // Client errors
    fails("fails-no-authorizer", 401, "auth.unauthorized", "no authorizer has verified the token"),
    fails("fails-no-authorizer-rest", 401, "auth.unauthorized", "no authorizer has verified the token"),
    fails("fails-no-tenant", 403, "guard.can_not_get_tenant_id", "no claim names the tenant"),
    fails("fails-bad-tenant", 403, "guard.can_not_get_tenant_id", "a tenant that contains the separator of keys"),
    fails("fails-missing-scope", 403, "auth.forbidden", "scopes match as whole tokens"),
    fails("fails-missing-group", 403, "auth.forbidden", "groups match as a whole"),
    fails("fails-group-with-a-space", 403, "auth.forbidden", "an HTTP API renders a group with a space like two"),
    fails("fails-idempotency-key", 400, "request.invalid_input", "a key has no spaces"),
    fails("fails-not-json", 400, "request.invalid_input", "a truncated body"),
    fails("fails-wrong-content-type", 400, "request.invalid_input", "the default content type of curl"),
    fails("fails-empty-body", 400, "guard.invalid_input", "no body counts as {}"),
    fails("fails-empty-body-rest", 400, "guard.invalid_input", "no body counts as {}"),
    fails("fails-many-violations", 400, "guard.invalid_input", "each field is wrong in its own way"),
    fails("fails-expires-in-the-past", 400, "request.invalid_input", "2020 is over"),
    fails("fails-logto-reference-expired", 400, "request.invalid_input", "Logto's reference, verbatim, expires in 1970"),
    fails("fails-unknown-organization", 422, "entity.relation_foreign_key_not_found", "no such organization"),
    fails("fails-unknown-inviter", 422, "entity.relation_foreign_key_not_found", "no such user"),
    fails("fails-unknown-role", 422, "entity.relation_foreign_key_not_found", "one of two roles is unknown"),
    fails("fails-unknown-everything", 422, "entity.relation_foreign_key_not_found", "three kinds at once"),
    fails("fails-role-of-another-tenant", 422, "entity.relation_foreign_key_not_found", "a role of another tenant"),
    fails("fails-address-too-long", 422, "entity.value_too_long", "257 characters"),
    fails("fails-no-connector", 501, "connector.not_found", "mail without a connector"),
    fails("fails-link-scheme", 400, "connector.invalid_request_parameters", "a link with a scheme that runs code"),
    fails("fails-missing-variable", 400, "connector.insufficient_request_parameters", "the template needs a link"),
    fails("fails-unknown-path", 404, "entity.not_found", "the name of the collection is misspelt"),
    not_allowed("fails-wrong-method", "GET, POST", "the collection has no PATCH"),

    // Lists
    listed("list", "all invitations, newest first"),
    listed("list-of-the-proof", "the check of a new version before it gets traffic, as in the template"),
    listed("list-with-filters", "three filters, and the invitee in another case"),
    listed("list-page", "a page, with a link to the next"),
    listed("list-named-stage", "a stage before the path, and a trailing slash"),
    listed("list-rest", "a REST API hands parameters over decoded"),
    listed("list-rest-page", "a REST API keeps the stage out of the path"),
    fails("fails-list-page-size", 400, "guard.invalid_pagination", "a page holds a hundred at most"),
    fails("fails-list-page-size-rest", 400, "guard.invalid_pagination", "a page size is a number"),
    fails("fails-list-cursor", 400, "guard.invalid_pagination", "a cursor of another origin"),
    fails("fails-list-page-number", 400, "guard.invalid_pagination", "pages go by cursor"),
    fails("fails-list-parameter-twice", 400, "guard.invalid_input", "a parameter may occur once"),
    fails("fails-list-parameter-twice-rest", 400, "guard.invalid_input", "a REST API hands over all values"),
    fails("fails-list-no-authorizer", 401, "auth.unauthorized", "no authorizer has verified the token"),

    // Operations on an invitation. Identifiers are random, so no event can name one that exists.
    fails("fails-get-unknown", 404, "entity.not_found", "no such invitation"),
    fails("fails-get-unknown-rest", 404, "entity.not_found", "no such invitation, with a trailing slash"),
    fails("fails-delete-unknown", 404, "entity.not_found", "no such invitation"),
    fails("fails-delete-unknown-rest", 404, "entity.not_found", "no such invitation"),
    fails("fails-change-unknown", 404, "entity.not_found", "a valid body for an unknown invitation"),
    fails("fails-change-of-nothing", 400, "guard.invalid_input", "the status has its own path"),
    fails("fails-change-into-the-past", 400, "request.invalid_input", "2020 is over"),
    fails("fails-message-unknown", 404, "entity.not_found", "a valid body for an unknown invitation"),
    fails("fails-message-not-an-object", 400, "guard.invalid_input", "the body is checked first; false is no object"),
    fails("fails-message-wrong-types", 400, "guard.invalid_input", "four keys have to be texts"),
    fails("fails-accept-unknown", 404, "entity.not_found", "a valid body for an unknown invitation"),
    fails("fails-accept-without-user", 422, "request.invalid_input", "the accepting user is missing"),
    fails("fails-revoke-unknown", 404, "entity.not_found", "a valid body for an unknown invitation"),
    fails("fails-revoke-unknown-rest", 404, "entity.not_found", "a valid body for an unknown invitation"),
    fails("fails-status-not-settable", 400, "guard.invalid_input", "time alone makes an invitation expire"),
    fails("fails-status-wrong-user-type", 400, "guard.invalid_input", "a user's identifier is a text"),
    not_allowed("fails-wrong-method-of-an-invitation", "DELETE, GET, PATCH", "the status has its own path"),
    fails("fails-unknown-operation", 404, "entity.not_found", "an unknown operation on an invitation"),
];

/// Batches of the table's stream (`events/changes/`), with the events that the function generates from them.
#[rustfmt::skip]
const CHANGES: &[(&str, &[&str], &str)] = &[
    ("all", &["Created", "Updated", "Accepted", "Revoked", "Deleted"], "two invitations with their standings"),
    ("expired", &["Expired", "Expired"], "by time to live, and by a new invitation; the retention's end has no event"),
    ("delivery", &["DeliveryUpdated", "DeliveryUpdated"], "sent, then bounced"),
    ("unreadable", &["Unreadable", "Created"], "a row without an address, and a valid one"),
];

#[tokio::test]
async fn every_batch_of_changes_gives_the_events_of_its_row() {
    let app = TestApp::start().await;
    for (file, expected, reason) in CHANGES {
        let event = LambdaEvent::new(
            serde_json::from_str(&events::read(&format!("changes/{file}"))).unwrap(),
            Context::default(),
        );
        let output = serde_json::to_value(trigger::handle(&app.app, event).await.unwrap()).unwrap();
        let types: Vec<&str> = output.as_array().unwrap().iter().map(|event| event["type"].as_str().unwrap()).collect();
        let expected: Vec<String> = expected.iter().map(|kind| format!("OrganizationInvitation.{kind}")).collect();
        assert_eq!(types, expected, "{file}: {reason}");
    }
}

#[tokio::test]
async fn every_event_gets_the_response_of_its_row() {
    let app = TestApp::start().await;
    let mut complaints = Vec::new();
    for row in ROWS {
        let already_sent = app.mails().len();
        let answer = app.invoke(&read(row.file)).await;
        let sent = app.mails().len() - already_sent;
        if let Err(complaint) = judge(row, &answer, sent) {
            complaints
                .push(format!("{} ({}): {complaint}\n    {} {}", row.file, row.reason, answer.status, answer.text));
        }
    }
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
}

#[tokio::test]
async fn a_mail_has_the_invitee_as_its_only_recipient() {
    let app = TestApp::start().await;
    for row in ROWS.iter().filter(|row| row.mails == 1 && row.status == 201) {
        let entity = app.invoke(&read(row.file)).await.json();
        let newest = app.mails().into_iter().next().expect(row.file);
        assert_eq!(newest.to, entity["invitee"], "{}", row.file);
    }
}

#[tokio::test]
async fn a_list_shows_the_created_invitations_that_match_its_filters() {
    let app = TestApp::start().await;
    let mut created = Vec::new();
    for file in ["create", "create-without-mail", "create-tenant-without-connector"] {
        created.push(app.invoke(&read(file)).await.json());
        // Distinct creation times make the order certain.
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    assert_eq!(created[0]["invitee"], "grace@example.com");
    for (file, expected, has_next) in [
        ("list", &[1, 0][..], false),
        ("list-with-filters", &[0], false),
        ("list-page", &[1], true),
        ("list-named-stage", &[1, 0], false),
        ("list-rest", &[0], false),
        ("list-rest-page", &[1], true),
    ] {
        let answer = app.invoke(&read(file)).await;
        let expected: Vec<&Value> = expected.iter().map(|index: &usize| &created[*index]).collect();
        assert_eq!(answer.json().as_array().unwrap().iter().collect::<Vec<_>>(), expected, "{file}");
        assert_eq!(answer.headers.contains_key("link"), has_next, "{file}");
    }
}

#[tokio::test]
async fn all_violations_are_reported_at_once_and_in_the_contracts_order() {
    let app = TestApp::start().await;
    let answer = app.invoke(&read("fails-many-violations")).await.json();
    let issues = answer["data"]["issues"].as_array().expect("issues");
    let codes: Vec<_> = issues.iter().map(|issue| (issue["path"][0].clone(), issue["code"].clone())).collect();
    let expected = [
        ("inviterId", "invalid_type"),
        ("invitee", "invalid_string"),
        ("organizationId", "too_small"),
        ("expiresAt", "invalid_type"),
        ("organizationRoleIds", "invalid_type"),
        ("messagePayload", "invalid_type"),
    ];
    assert_eq!(codes, expected.map(|(key, code)| (key.into(), code.into())));
}

#[tokio::test]
async fn an_error_names_what_is_missing() {
    let app = TestApp::start().await;
    let expectations: [(&str, &[&str]); 5] = [
        ("fails-unknown-organization", &["atlantis"]),
        ("fails-unknown-inviter", &["nobody"]),
        ("fails-unknown-role", &["emperor"]),
        ("fails-unknown-everything", &["atlantis", "nobody", "emperor"]),
        ("fails-missing-variable", &["link"]),
    ];
    for (file, missing) in expectations {
        let data = app.invoke(&read(file)).await.json()["data"].to_string();
        for name in missing {
            assert!(data.contains(name), "{file}: {name} is not in {data}");
        }
    }
}

#[test]
fn every_file_of_events_has_one_row() {
    let files: BTreeSet<String> = events::all().into_iter().map(|(name, _)| name).collect();
    let rows: BTreeSet<String> = ROWS.iter().map(|row| row.file.to_owned()).collect();
    assert_eq!(files, rows);
    assert_eq!(rows.len(), ROWS.len(), "a file has two rows");
}

fn judge(row: &Row, answer: &Answer, sent: usize) -> Result<(), String> {
    let body: Value = serde_json::from_str(&answer.text).map_err(|error| error.to_string())?;
    let code = body["code"].as_str().unwrap_or_default();
    if answer.status != row.status || code != row.code {
        return Err(format!("expected {} {:?}", row.status, row.code));
    }
    if sent != row.mails {
        return Err(format!("expected {} mails, {sent} were sent", row.mails));
    }
    if answer.headers.get("allow").map_or("", String::as_str) != row.allow {
        return Err(format!("expected Allow to be {:?}", row.allow));
    }
    match answer.status {
        200 if row.file == "bulk" => judge_results(&answer.text),
        200 => judge_list(&answer.text),
        201 => judge_entity(&answer.text),
        _ => Ok(()),
    }
}

/// Expects one created invitation, one mailed invitation, and two client errors.
fn judge_results(text: &str) -> Result<(), String> {
    #[derive(serde::Deserialize)]
    struct Results<'a> {
        #[serde(borrow)]
        results: Vec<ItemResult<'a>>,
    }
    #[derive(serde::Deserialize)]
    struct ItemResult<'a> {
        status: u16,
        #[serde(borrow)]
        body: &'a RawValue,
    }
    let Results { results } = serde_json::from_str(text).map_err(|error| error.to_string())?;
    let statuses: Vec<u16> = results.iter().map(|result| result.status).collect();
    if statuses != [201, 201, 422, 400] {
        return Err(format!("expected other results than {statuses:?}"));
    }
    results[..2].iter().try_for_each(|result| judge_entity(result.body.get()))
}

fn judge_list(text: &str) -> Result<(), String> {
    let entities: Vec<&RawValue> = serde_json::from_str(text).map_err(|error| error.to_string())?;
    entities.into_iter().try_for_each(|entity| judge_entity(entity.get()))
}

/// The keys of an invitation, in the order of the response.
const KEYS: [&str; 11] = [
    "tenantId",
    "id",
    "inviterId",
    "invitee",
    "acceptedUserId",
    "organizationId",
    "status",
    "createdAt",
    "updatedAt",
    "expiresAt",
    "organizationRoles",
];

fn judge_entity(text: &str) -> Result<(), String> {
    let entity: Value = serde_json::from_str(text).map_err(|error| error.to_string())?;
    let mut rest = text;
    for key in KEYS {
        let quoted = format!("\"{key}\":");
        let (_, after) = rest.split_once(&quoted).ok_or_else(|| format!("expected {key} in its place"))?;
        rest = after;
    }
    let count = entity.as_object().map_or(0, serde_json::Map::len);
    if count != KEYS.len() {
        return Err("expected no other keys".into());
    }
    for key in ["createdAt", "updatedAt", "expiresAt"] {
        if !entity[key].is_u64() {
            return Err(format!("expected {key} in whole milliseconds"));
        }
    }
    if entity["status"] == "Pending" && entity["acceptedUserId"].is_null() {
        Ok(())
    } else {
        Err("expected a pending invitation".into())
    }
}

//! The tenant's email connector: unusable ones, allowed link hosts, the limits of its templates, and the configuration
//! set.

use std::time::{Duration, Instant};

use aws_sdk_dynamodb::{primitives::Blob, types::AttributeValue};
use organization_invitations::{
    domain::directory::{EmailConnector, User},
    mail::render::{MAX_TAGS, MAX_TEMPLATE_BYTES, render},
    store::items,
};
use serde_json::{Value, json};

use crate::helpers::{
    Call, NOW, TestApp, body, connector, connector_with, directory_id, inline, log::Logged, tenant, with,
};

/// The setting of a connector for tenants without their own.
const DEFAULT_CONNECTOR: (&str, &str) = ("DEFAULT_FROM_EMAIL_ADDRESS", "stack@example.com");

fn mailed(invitee: &str, payload: Value) -> Value {
    with(body(invitee), json!({ "messagePayload": payload }))
}

/// The keys of the connector's row of the tenant `default`.
fn keys() -> Value {
    json!({ "pk": "TENANT#default", "sk": "CONNECTOR#Email" })
}

/// Writes the connector's row of the tenant `default`, as an application might.
async fn put_row(app: &TestApp, attributes: Value) {
    app.put_rows([items::from_json(with(attributes, keys()))]).await;
}

#[tokio::test]
async fn an_unusable_connector_is_an_error_and_the_stacks_connector_does_not_replace_it() {
    let mut app = TestApp::start_with(&[DEFAULT_CONNECTOR]).await;
    let logged = Logged::by(&mut app);
    let id = app.invite(&body("pending@example.com")).await;
    let sender = json!({ "fromEmailAddress": "a@acme.example", "defaultLocale": "en" });
    for (row, cause, reason) in [
        (json!({ "defaultLocale": "en" }), "connector: fromEmailAddress is missing", "no sender"),
        (json!({ "fromEmailAddress": "a@acme.example" }), "connector: defaultLocale is missing", "no default locale"),
        (json!({}), "connector: fromEmailAddress is missing", "no attributes"),
        (
            with(sender.clone(), json!({ "allowedLinkHosts": "app.example.com" })),
            "connector: allowedLinkHosts has a wrong type",
            "a text where a list should be",
        ),
        (
            with(sender.clone(), json!({ "templates": { "en": { "kind": "other" } } })),
            "connector: templates.en: kind is neither inline nor stored",
            "an unknown kind",
        ),
        (
            with(sender.clone(), json!({ "templates": { "fr": { "kind": "inline", "subject": "s", "html": "h" } } })),
            "connector: templates.fr: text is missing",
            "in another locale than the requested one",
        ),
    ] {
        put_row(&app, row).await;
        let before = app.rows().await;
        for answer in [
            app.create_at(NOW, &mailed("someone@example.com", json!({}))).await,
            app.call(Call::message(&id, &json!({}))).await,
        ] {
            answer.assert_error(400, "connector.invalid_config");
            assert_eq!(answer.json()["message"], "The tenant's email connector is invalid.", "{reason}");
            assert_eq!(logged.last()["cause"], cause, "{reason}");
        }
        assert_eq!(app.rows().await, before, "{reason}");
    }
    assert!(app.mails().is_empty());
    put_row(&app, with(sender, json!({ "note": 1, "replyTo": null }))).await;
    assert_eq!(app.create_at(NOW, &mailed("someone@example.com", json!({}))).await.status, 201, "unknown attributes");
    assert_eq!(app.mails()[0].from, "a@acme.example");
}

#[tokio::test]
async fn an_unusable_connector_is_reported_in_the_same_order_as_a_missing_one() {
    let app = TestApp::start_with(&[DEFAULT_CONNECTOR, ("MESSAGE_RATE_LIMIT", "1")]).await;
    app.add_organization("other").await;
    assert_eq!(app.create_at(NOW, &mailed("busy@example.com", json!({}))).await.status, 201);
    put_row(&app, json!({ "defaultLocale": "en" })).await;
    let elsewhere = |organization: &str, invitee: &str, payload: Value| {
        with(mailed(invitee, payload), json!({ "organizationId": organization }))
    };
    for (body, status, code, reason) in [
        (elsewhere("acme", "busy@example.com", json!({})), 422, "entity.unique_integrity_violation", "before it"),
        (elsewhere("none", "a@example.com", json!({})), 422, "entity.relation_foreign_key_not_found", "before it"),
        (elsewhere("other", "busy@example.com", json!({})), 400, "connector.invalid_config", "before the rate limit"),
        (
            elsewhere("other", "a@example.com", json!({ "link": "javascript:x" })),
            400,
            "connector.invalid_config",
            "before the link",
        ),
    ] {
        let answer = app.create_at(NOW, &body).await;
        assert_eq!((answer.status, answer.code().as_str()), (status, code), "{reason}");
    }
    assert_eq!(app.create_at(NOW, &body("without-mail@example.com")).await.status, 201, "nothing is mailed");
}

#[tokio::test]
async fn mail_is_sent_with_the_connectors_configuration_set_or_else_the_stacks() {
    const STACKS: (&str, &str) = ("DEFAULT_CONFIGURATION_SET_NAME", "stacks");
    for (settings, own, expected, reason) in [
        (&[STACKS][..], None, Some("stacks"), "the tenant has a connector, the stack has none"),
        (&[STACKS, DEFAULT_CONNECTOR], None, Some("stacks"), "both have a connector"),
        (&[STACKS], Some("own"), Some("own"), "the tenant's connector names another configuration set"),
        (&[STACKS], Some(""), None, "the tenant's connector asks for no configuration set"),
        (&[], None, None, "no configuration set is configured"),
        (&[], Some("own"), Some("own"), "the connector's alone"),
    ] {
        let app = TestApp::start_with(settings).await;
        app.set_connector(&EmailConnector { configuration_set_name: own.map(str::to_owned), ..connector() }).await;
        let answer = app.create_at(NOW, &mailed("someone@example.com", json!({}))).await;
        assert_eq!(answer.status, 201, "{reason}: {answer:?}");
        let headers = app.mails().remove(0).headers;
        assert_eq!(headers.get("X-SES-CONFIGURATION-SET").map(String::as_str), expected, "{reason}");
    }
    let app = TestApp::start_with(&[STACKS, DEFAULT_CONNECTOR]).await;
    let answer =
        app.create_as("no-mail", &with(mailed("a@example.com", json!({})), json!({ "inviterId": null }))).await;
    assert_eq!(answer.status, 201, "{answer:?}");
    assert_eq!(app.mails()[0].headers["X-SES-CONFIGURATION-SET"], "stacks", "the stack's connector");
}

#[tokio::test]
async fn a_link_and_a_code_are_checked_against_the_allowed_link_hosts() {
    let hosts = |hosts: &[&str]| EmailConnector {
        allowed_link_hosts: hosts.iter().map(|host| (*host).to_owned()).collect(),
        ..connector()
    };
    let fenced = hosts(&["app.example.com"]);
    let app = TestApp::start().await;
    for (connector, payload, is_sent, reason) in [
        (&fenced, json!({ "link": "https://app.example.com/", "code": "482 915" }), true, "an allowed link and a code"),
        (&fenced, json!({ "code": "evil.example.org/x" }), false, "a URL as the code"),
        (&fenced, json!({ "code": "one\ntwo" }), false, "a line break in the code"),
        (&fenced, json!({ "code": "1".repeat(65) }), false, "a code over the maximum length"),
        (&fenced, json!({ "link": "https://evil.example.org/" }), false, "a link to another host"),
        (&hosts(&[]), json!({ "code": "evil.example.org/x" }), true, "no fence"),
        (&hosts(&[]), json!({ "link": "acme-app://join" }), true, "an application's own scheme"),
        (&hosts(&[]), json!({ "link": " Java\tScript:alert(1)" }), false, "a scheme that runs code"),
        (&hosts(&[]), json!({ "link": "data:text/html,x" }), false, "a scheme that embeds its content"),
    ] {
        app.set_connector(connector).await;
        let before = app.rows().await;
        let answer = app.create_at(NOW, &mailed("someone@example.com", payload)).await;
        if is_sent {
            assert_eq!(answer.status, 201, "{reason}: {answer:?}");
            let id = answer.json()["id"].as_str().unwrap().to_owned();
            assert_eq!(app.call(Call::delete(&id)).await.status, 204);
        } else {
            answer.assert_error(400, "connector.invalid_request_parameters");
            assert_eq!(app.rows().await, before, "{reason}");
        }
    }
}

#[tokio::test]
async fn the_stacks_connector_has_its_own_allowed_link_hosts() {
    let app = TestApp::start_with(&[DEFAULT_CONNECTOR, ("DEFAULT_ALLOWED_LINK_HOSTS", "app.example.com")]).await;
    let to = |invitee: &str, link: &str| {
        with(mailed(invitee, json!({ "link": link })), json!({ "inviterId": null, "organizationId": "acme" }))
    };
    let elsewhere = app.create_as("no-mail", &to("a@example.com", "https://evil.example.org/")).await;
    elsewhere.assert_error(400, "connector.invalid_request_parameters");
    assert_eq!(app.create_as("no-mail", &to("a@example.com", "https://app.example.com/")).await.status, 201);
    app.set_connector(&connector()).await;
    let own = app.create_as("default", &to("a@example.com", "https://anywhere.example.org/")).await;
    assert_eq!(own.status, 201, "a tenant's own connector has its own list");
}

#[tokio::test]
async fn the_error_distinguishes_missing_variables_of_the_payload_and_of_the_directory() {
    let app = TestApp::start().await;
    let nameless = User { id: directory_id("nn"), name: None, primary_email: None, avatar: None };
    app.app.store.put_user(&tenant("default"), &nameless).await.unwrap();
    for (template, missing, message) in [
        ("{{link}}", json!(["link"]), "The message payload lacks variables that the template needs."),
        (
            "{{inviter.name}} {{organization.branding.colour}}",
            json!(["inviter.name", "organization.branding.colour"]),
            "The directory lacks variables that the template needs, which a message payload cannot supply.",
        ),
        (
            "{{link}} {{inviter.name}}",
            json!(["link", "inviter.name"]),
            "The message payload lacks variables that the template needs, and so does the directory, for which a message payload cannot stand in.",
        ),
    ] {
        app.set_connector(&connector_with(inline("s", "h", template))).await;
        let payload = json!({ "inviter": { "name": "forged" } });
        let body = with(mailed("a@example.com", payload), json!({ "inviterId": "nn" }));
        let answer = app.create_at(NOW, &body).await;
        answer.assert_error(400, "connector.insufficient_request_parameters");
        assert_eq!(answer.json()["message"], message);
        assert_eq!(answer.json()["data"]["missing"], missing);
    }
}

#[tokio::test]
async fn an_attribute_of_a_type_that_json_lacks_is_of_a_wrong_type_and_not_absent() {
    let mut app = TestApp::start().await;
    let logged = Logged::by(&mut app);
    let sender = json!({ "fromEmailAddress": "a@acme.example", "defaultLocale": "en" });
    let binary = || Blob::new("app.example.com");
    for (name, value, reason) in [
        ("allowedLinkHosts", AttributeValue::B(binary()), "a binary instead of a list"),
        ("allowedLinkHosts", AttributeValue::Bs(vec![binary()]), "a set of binaries"),
        ("allowedLinkHosts", AttributeValue::Ns(vec!["1".to_owned()]), "a set of numbers"),
        ("replyTo", AttributeValue::B(binary()), "a header"),
        ("configurationSetName", AttributeValue::B(binary()), "a text"),
        ("templates", AttributeValue::B(binary()), "a map"),
    ] {
        let mut row = items::from_json(with(sender.clone(), keys()));
        row.insert(name.to_owned(), value);
        app.put_rows([row]).await;
        let answer =
            app.create_at(NOW, &mailed("someone@example.com", json!({ "link": "https://elsewhere.example" }))).await;
        answer.assert_error(400, "connector.invalid_config");
        assert_eq!(logged.last()["cause"], format!("connector: {name} has a wrong type"), "{reason}");
    }
    assert!(app.mails().is_empty());
}

#[tokio::test]
async fn a_subject_is_one_line_of_limited_length_for_every_name() {
    let app = TestApp::start().await;
    let name = format!("Ada\r\nBcc: x@example.com {}", "\u{e9}".repeat(2_000));
    let user = User { id: directory_id("long"), name: Some(name), primary_email: None, avatar: None };
    app.app.store.put_user(&tenant("default"), &user).await.unwrap();
    app.set_connector(&connector()).await;
    let body = with(mailed("a@example.com", json!({})), json!({ "inviterId": "long" }));
    assert_eq!(app.create_at(NOW, &body).await.status, 201);
    let subject = app.mails().remove(0).subject;
    assert_eq!(subject.chars().count(), 998);
    assert!(subject.starts_with("Ada  Bcc: ") && subject.ends_with("\u{e9}\u{2026}"), "{subject}");
}

#[tokio::test]
async fn a_template_over_its_limits_is_an_error_when_it_is_read_and_is_named_in_the_log() {
    let mut app = TestApp::start().await;
    let logged = Logged::by(&mut app);
    let too_large = "x".repeat(MAX_TEMPLATE_BYTES + 1);
    let too_many = "{{link}}".repeat(MAX_TAGS + 1);
    for (template, cause) in [
        (inline("s", &too_large, "t"), "templates.en: html: a part of a template can have at most 102,400 bytes"),
        (inline("s", "h", &too_many), "templates.en: text: a part of a template can have at most 500 tags"),
        (inline("{{#if ada@example.com}}", "h", "t"), "templates.en: subject: the syntax is invalid (line 1, column"),
    ] {
        app.set_connector(&connector_with(template)).await;
        let answer = app.create_at(NOW, &mailed("someone@example.com", json!({ "link": "x" }))).await;
        answer.assert_error(400, "connector.invalid_config");
        let line = logged.last();
        assert!(line["cause"].as_str().is_some_and(|text| text.starts_with(cause) && !text.contains('@')), "{line}");
    }
    assert!(app.mails().is_empty());
}

#[tokio::test]
async fn a_template_loop_over_a_callers_list_is_limited() {
    let app = TestApp::start().await;
    let zeros = vec![0; 200_000];
    for (template, payload, reason) in [
        ("{{#each i}}{{#each ../i}}{{/each}}{{/each}}.", json!({ "i": zeros }), "a loop in a loop"),
        ("{{#each i}}{{/each}}.", json!({ "i": zeros }), "a loop without output"),
        (
            "{{#each i}}{{#each ../o}}{{/each}}{{/each}}.",
            json!({ "i": zeros, "o": { "k".repeat(300_000): 1 } }),
            "a loop over a key that takes long to copy",
        ),
    ] {
        app.set_connector(&connector_with(inline("s", "h", template))).await;
        let start = Instant::now();
        let answer = app.create_at(NOW, &mailed("someone@example.com", payload)).await;
        answer.assert_error(400, "connector.invalid_request_parameters");
        assert!(start.elapsed() < Duration::from_secs(10), "{reason}: {:?}", start.elapsed());
    }
    app.set_connector(&connector_with(inline("s", "{{#each i}}{{this}}{{/each}}", "t"))).await;
    let payload = json!({ "i": vec![0; 10_000] });
    assert_eq!(app.create_at(NOW, &mailed("someone@example.com", payload)).await.status, 201, "a long list is fine");
}

#[test]
fn a_template_of_hundreds_of_kilobytes_of_tags_fails_fast() {
    for tag in ["{{ a }}", "{{a}}", "{{{a}}}", "{{", "{{#if a}}"] {
        let template = tag.repeat(378_000 / tag.len());
        let start = Instant::now();
        assert!(render("s", "h", &template, &json!({ "a": "x" })).is_err(), "{tag}");
        assert!(start.elapsed() < Duration::from_secs(1), "{tag}: {:?}", start.elapsed());
    }
}

//! Mail: its text, language, recipient and senders, and the errors that prevent it.

use std::collections::BTreeMap;

use organization_invitations::domain::directory::{EmailConnector, EmailTemplate};
use serde_json::{Value, json};

use crate::helpers::{Answer, Call, NOW, TestApp, body, connector, connector_with, inline, with};

fn mailed(invitee: &str, payload: Value) -> Value {
    with(body(invitee), json!({ "messagePayload": payload }))
}

/// A connector with every optional attribute for sending.
fn full_connector() -> EmailConnector {
    EmailConnector {
        reply_to: vec!["help@acme.example".to_owned()],
        feedback_forwarding_email_address: Some("bounces@acme.example".to_owned()),
        configuration_set_name: Some("tests".to_owned()),
        ..connector()
    }
}

fn stored(name: &str, variables: &[&str], escape_html: bool) -> EmailTemplate {
    let variables = variables.iter().map(|name| (*name).to_owned()).collect();
    EmailTemplate::Stored { name: name.to_owned(), variables, escape_html }
}

/// The text with the response's identifier replaced by `[id]`, for a snapshot.
fn without_id(text: &str, answer: &Answer) -> String {
    text.replace(answer.json()["id"].as_str().unwrap(), "[id]")
}

#[tokio::test]
async fn the_built_in_mail_of_every_language_has_inviter_organization_and_expiry() {
    let app = TestApp::start_with(&[("MESSAGE_RATE_LIMIT", "100")]).await;
    app.set_connector(&connector()).await;
    for locale in ["ar", "de", "en", "es", "fr", "it", "ja", "pt"] {
        let payload =
            json!({ "locale": locale, "link": "https://app.example.com/join/{invitationId}", "code": "482 915" });
        let answer = app.create_at(NOW, &mailed(&format!("{locale}@example.com"), payload)).await;
        assert_eq!(answer.status, 201, "{answer:?}");
        let mail = app.mails().remove(0);
        let shown = format!("{}\n\n{}", mail.subject, mail.text);
        insta::assert_snapshot!(format!("built_in_{locale}"), without_id(&shown, &answer));
        for part in ["Acme Corporation", "Ada Lovelace", "Member", "482 915", "00:00 UTC"] {
            assert!(mail.html.contains(part) && mail.text.contains(part), "{locale} lacks {part}");
        }
        assert!(!mail.html.contains("<img") && !mail.html.contains("src="), "{locale} loads something");
    }
}

#[tokio::test]
async fn the_built_in_html_is_as_it_was_designed() {
    let app = TestApp::start().await;
    app.set_connector(&connector()).await;
    let payload = json!({ "link": "https://app.example.com/join/{invitationId}?a=1&b=2" });
    let answer = app.create_at(NOW, &mailed("someone@example.com", payload)).await;
    insta::assert_snapshot!(without_id(&app.mails()[0].html, &answer));
}

#[tokio::test]
async fn the_built_in_mail_looks_as_the_organization_says_and_never_as_the_payload_says() {
    let app = TestApp::start_with(&[("MESSAGE_RATE_LIMIT", "100")]).await;
    app.set_connector(&connector()).await;
    let logo = "https://cdn.acme.example/logo.png";
    for (n, (branding, has, lacks, reason)) in [
        (json!({ "primaryColor": "#fd0", "logoUrl": logo }), &["#ffdd00", logo][..], &["#14573f"][..], "both"),
        (json!({ "primaryColor": "#fd0" }), &["#ffdd00"], &["#14573f", "<img", "src="], "no logo"),
        (json!({ "logoUrl": logo }), &["#14573f", logo, "alt=\"acme\""], &[], "no colour"),
        (
            json!({ "primaryColor": "red;x:y", "logoUrl": "http://a.example" }),
            &["#14573f"],
            &["red;", "<img"],
            "invalid",
        ),
        (json!({ "primaryColor": 7, "logoUrl": { "a": 1 } }), &["#14573f"], &["<img"], "other types"),
        (json!({}), &["#14573f"], &["<img", "src="], "none"),
    ]
    .into_iter()
    .enumerate()
    {
        app.brand_organization("acme", branding).await;
        let forged = json!({ "primaryColor": "#010203", "logoUrl": "https://evil.example/l.png" });
        let payload = with(
            forged.clone(),
            json!({ "link": "https://app.example.com/", "organization": { "branding": forged }, "branding": forged }),
        );
        assert_eq!(app.create_at(NOW, &mailed(&format!("p{n}@example.com"), payload)).await.status, 201);
        let html = app.mails().remove(0).html;
        assert!(has.iter().all(|part| html.contains(part)), "{reason}: {html}");
        assert!(!lacks.iter().any(|part| html.contains(part)), "{reason}: {html}");
        assert!(!html.contains("#010203") && !html.contains("evil.example"), "{reason}: {html}");
    }
}

#[tokio::test]
async fn a_mail_without_inviter_link_and_code_still_makes_sense() {
    let app = TestApp::start().await;
    app.set_connector(&connector()).await;
    let anonymous =
        with(mailed("someone@example.com", json!({})), json!({ "inviterId": null, "organizationRoleIds": [] }));
    assert_eq!(app.create_at(NOW, &anonymous).await.status, 201);
    let mail = app.mails().remove(0);
    insta::assert_snapshot!(format!("{}\n\n{}", mail.subject, mail.text));
}

#[tokio::test]
async fn a_mail_has_the_senders_of_its_connector_and_tags_without_personal_data() {
    let app = TestApp::start().await;
    app.set_connector(&full_connector()).await;
    let answer = app.create_at(NOW, &mailed("Someone@Example.com", json!({}))).await;
    let mail = app.mails().remove(0);
    assert_eq!(mail.to, "Someone@Example.com", "the case is kept, because some mail servers are case-sensitive");
    assert_eq!(mail.from, "Tests <tests@acme.example>");
    assert_eq!(mail.headers["Reply-To"], "help@acme.example");
    assert_eq!(mail.tags, tags(&answer, &[("ttl", KEPT_UNTIL)]));
}

/// The time to live of the tests' invitations: 30 days after their expiry, in seconds.
const KEPT_UNTIL: &str = "4105036800";

fn tags(answer: &Answer, others: &[(&str, &str)]) -> BTreeMap<String, String> {
    let id = answer.json()["id"].as_str().unwrap().to_owned();
    let own = [("invitation", id.as_str()), ("tenant", "default")];
    own.iter().chain(others).map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

#[tokio::test]
async fn a_mail_names_its_stack_and_the_end_of_its_invitations_row() {
    let app = TestApp::start_with(&[("STACK_NAME", "stack-1"), ("RETENTION_DAYS", "0")]).await;
    let answer = app.create_at(NOW, &mailed("someone@example.com", json!({}))).await;
    let id = answer.json()["id"].as_str().unwrap().to_owned();
    assert_eq!(app.call(Call::message(&id, &json!({}))).await.status, 204);
    let mails = app.mails();
    assert_eq!(mails.len(), 2);
    for mail in mails {
        assert_eq!(mail.tags, tags(&answer, &[("stack", "stack-1"), ("ttl", "4102444800")]));
    }
    let row = app.row("default", &format!("INVITATION#{id}")).await.unwrap();
    assert_eq!(row["ttl"], 4_102_444_800_i64);
}

#[tokio::test]
async fn the_template_follows_the_locale_then_its_language_then_the_default() {
    let app = TestApp::start().await;
    app.set_connector(&EmailConnector { default_locale: "fr".to_owned(), ..connector() }).await;
    for (n, (locale, word)) in
        [("de-AT", "Rollen"), ("xx", "Rôles"), ("ja", "ロール"), ("", "Rôles")].iter().enumerate()
    {
        let payload = json!({ "locale": locale });
        assert_eq!(app.create_at(NOW, &mailed(&format!("p{n}@example.com"), payload)).await.status, 201);
        let text = app.mails().remove(0).text;
        assert!(text.contains(word), "{locale}: {text}");
    }
}

#[tokio::test]
async fn a_connector_may_have_its_own_template_in_one_language_and_the_built_in_one_in_another() {
    let app = TestApp::start().await;
    let templates = [
        ("en".to_owned(), inline("Own", "Own", "Own")),
        ("de-AT".to_owned(), EmailTemplate::BuiltIn),
        ("xx".to_owned(), EmailTemplate::BuiltIn),
    ];
    app.set_connector(&EmailConnector { templates: templates.into(), ..connector() }).await;
    for (n, (locale, subject)) in
        [("de-AT", "Ada Lovelace hat Sie zu Acme Corporation eingeladen"), ("de", "Own"), ("en", "Own")]
            .iter()
            .enumerate()
    {
        let payload = json!({ "locale": locale });
        assert_eq!(app.create_at(NOW, &mailed(&format!("p{n}@example.com"), payload)).await.status, 201);
        assert_eq!(&app.mails().remove(0).subject, subject, "{locale}");
    }
    let answer = app.create_at(NOW, &mailed("someone@example.com", json!({ "locale": "xx" }))).await;
    answer.assert_error(400, "connector.invalid_config");
}

#[tokio::test]
async fn values_are_escaped_in_html_and_cannot_add_headers_or_templates() {
    let app = TestApp::start().await;
    let parts = "{{name}}|{{organization.id}}|{{inviter.name}}|{{invitation.invitee}}";
    app.set_connector(&connector_with(inline(parts, parts, parts))).await;
    let payload = json!({
        "name": "<b>&\r\nBcc: victim@example.com\u{0} {{organization.name}}",
        "organization": { "id": "forged" },
        "inviter": "forged",
        "invitation": null,
    });
    assert_eq!(app.create_at(NOW, &mailed("someone@example.com", payload)).await.status, 201);
    let mail = app.mails().remove(0);
    let trusted = "|acme|Ada Lovelace|someone@example.com";
    let name = "<b>&  Bcc: victim@example.com  {{organization.name}}";
    assert_eq!(mail.subject, format!("{name}{trusted}"));
    assert_eq!(mail.text, format!("<b>&\r\nBcc: victim@example.com  {{{{organization.name}}}}{trusted}"));
    assert!(mail.html.starts_with("&lt;b&gt;&amp;\r\nBcc:"), "{}", mail.html);
    assert_eq!(mail.headers["To"], "someone@example.com");
    assert!(!mail.headers.contains_key("Bcc"));
}

#[tokio::test]
async fn a_stored_template_is_rendered_by_ses_with_escaped_values() {
    let app = TestApp::start().await;
    for (escape_html, name) in [(true, "&lt;i&gt; &amp; co"), (false, "<i> & co")] {
        app.put_template("t", "For {{name}}", "<p>{{name}}</p>", "{{name}} {{link}}").await;
        app.set_connector(&connector_with(stored("t", &["name", "link"], escape_html))).await;
        let payload = json!({ "name": "<i> & co", "link": "https://e.co/{invitationId}" });
        let answer = app.create_at(NOW, &mailed(&format!("a{escape_html}@example.com"), payload)).await;
        let mail = app.mails().remove(0);
        assert_eq!(mail.html, format!("<p>{name}</p>"));
        assert_eq!(without_id(&mail.text, &answer), format!("{name} https://e.co/[id]"));
    }
}

#[tokio::test]
async fn missing_variables_of_a_template_are_an_error_before_anything_is_written() {
    let app = TestApp::start().await;
    app.put_template("t", "", "", "{{link}}{{a.b}}").await;
    for (template, missing) in [
        (stored("t", &["link", "a.b", "organization.name"], true), json!(["link", "a.b"])),
        (inline("{{a.b}}", "{{link}}", "{{link}}{{organization.name}}"), json!(["a.b", "link"])),
    ] {
        app.set_connector(&connector_with(template)).await;
        let before = app.rows().await;
        for payload in [json!({ "a": {} }), json!({ "a": { "b": null } }), json!({ "a": "b" })] {
            let answer = app.create_at(NOW, &mailed("someone@example.com", payload.clone())).await;
            answer.assert_error(400, "connector.insufficient_request_parameters");
            assert_eq!(answer.json()["data"], json!({ "missing": missing }), "{payload}");
        }
        assert_eq!(app.rows().await, before);
        assert_eq!(app.stack.ses.calls(), 0);
    }
}

#[tokio::test]
async fn an_unusable_connector_is_an_error_before_anything_is_written() {
    let app = TestApp::start().await;
    let hosts = EmailConnector { allowed_link_hosts: vec!["app.example.com".to_owned()], ..connector() };
    let no_default = EmailConnector { default_locale: "fr".to_owned(), ..connector_with(inline("s", "h", "t")) };
    for (connector, status, code) in [
        (hosts, 400, "connector.invalid_request_parameters"),
        (no_default, 400, "connector.template_not_found"),
        (connector_with(inline("{{#if a}}", "h", "t")), 400, "connector.invalid_config"),
    ] {
        app.set_connector(&connector).await;
        let before = app.rows().await;
        let payload = json!({ "link": "https://elsewhere.example.org/", "locale": "it" });
        app.create_at(NOW, &mailed("someone@example.com", payload)).await.assert_error(status, code);
        assert_eq!(app.rows().await, before, "{code}");
    }
}

#[tokio::test]
async fn a_stored_template_that_ses_does_not_have_is_an_error_and_the_invitation_is_rolled_back() {
    let app = TestApp::start().await;
    app.set_connector(&connector_with(stored("gone", &[], true))).await;
    let answer = app.create_at(NOW, &mailed("someone@example.com", json!({}))).await;
    answer.assert_error(400, "connector.invalid_response");
    assert!(app.row("default", "ORG#acme#INVITEE#someone@example.com").await.is_none());
}

#[tokio::test]
async fn a_tenant_without_a_connector_uses_the_stacks_where_there_is_one() {
    let settings = [("DEFAULT_FROM_EMAIL_ADDRESS", "stack@example.com"), ("DEFAULT_LOCALE", "de")];
    let app = TestApp::start_with(&settings).await;
    let body = with(mailed("someone@example.com", json!({})), json!({ "inviterId": null }));
    assert_eq!(app.create_as("no-mail", &body).await.status, 201);
    let mail = app.mails().remove(0);
    assert_eq!(mail.from, "stack@example.com");
    assert!(mail.text.contains("Rollen"), "{}", mail.text);
}

#[tokio::test]
async fn the_recipient_rate_limit_counts_in_a_sliding_window() {
    let app = TestApp::start_with(&[("MESSAGE_RATE_LIMIT", "2"), ("MESSAGE_RATE_WINDOW_SECONDS", "60")]).await;
    for organization in ["a", "b", "c", "d"] {
        app.add_organization(organization).await;
    }
    let to = |organization: &str, payload: Value| {
        with(mailed("Busy@Example.com", payload), json!({ "organizationId": organization }))
    };
    assert_eq!(app.create_at(NOW, &to("a", json!({}))).await.status, 201);
    assert_eq!(app.create_at(NOW + 20_000, &to("b", json!({}))).await.status, 201);
    let lower_case = with(to("c", json!({})), json!({ "invitee": "busy@example.com" }));
    let limited = app.create_at(NOW + 30_000, &lower_case).await;
    limited.assert_error(429, "request.message_rate_limited");
    assert_eq!(limited.headers["retry-after"], "30", "until the first send leaves the window");
    assert!(app.row("default", "ORG#c#INVITEE#busy@example.com").await.is_none(), "nothing is written");
    assert_eq!(app.create_at(NOW + 30_000, &to("d", json!(false))).await.status, 201, "without mail there is no limit");
    assert_eq!(
        app.create_at(NOW + 60_000, &to("c", json!({}))).await.status,
        201,
        "the first send has left the window"
    );
    assert_eq!(app.mails().len(), 3);
}

#[tokio::test]
async fn the_recipient_rate_limit_counts_each_tenant_separately() {
    let app =
        TestApp::start_with(&[("MESSAGE_RATE_LIMIT", "1"), ("DEFAULT_FROM_EMAIL_ADDRESS", "s@example.com")]).await;
    let body = with(mailed("someone@example.com", json!({})), json!({ "inviterId": null }));
    assert_eq!(app.create_as("default", &body).await.status, 201);
    assert_eq!(app.create_as("no-mail", &body).await.status, 201);
}

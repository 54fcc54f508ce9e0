//! Injection: texts with a special meaning in some format, in every text field. None of them changes a subject, a
//! header, another field, or the structure of the log.

use std::collections::BTreeMap;

use organization_invitations::domain::directory::{
    EmailConnector, EmailTemplate, Organization, OrganizationRole, User,
};
use serde_json::{Map, Value, json};

use crate::helpers::{
    Call, FAR_FUTURE, NOW, TestApp, body, body_with_mail, connector_with, directory_id, inline,
    log::{Log, lines},
    tenant, with,
};

/// Hostile texts, each with its aim.
const HOSTILE: [(&str, &str); 14] = [
    ("begin a header", "\r\nBcc: victim@example.com\r\n\r\nbody"),
    ("begin a header with half a line end", "\rBcc: victim@example.com\nCc: victim@example.com"),
    ("insert a template variable", "{{organization.id}}{{{invitation.id}}}{{&link}}"),
    ("open a template block", "{{#each invitation.organizationRoles}}{{> x}}{{else}}{{!--"),
    ("close a template block", "{{/if}}{{/each}}--}}"),
    ("insert a placeholder", "{invitationId}[[subject]]${jndi:ldap://x}%s%n"),
    ("insert HTML", "</p><script>alert(1)</script><img src=x onerror=alert(1)>"),
    ("break out of an HTML attribute", "\" onclick=\"alert(1)\" ' onclick='alert(1)' ` =x"),
    ("insert control characters", "\u{0}\u{1}\u{7}\u{8}\u{1b}[2J\u{7f}\u{85}\u{9b}1m"),
    ("override the text direction", "\u{202e}gpj.exe\u{202d}\u{202a}\u{202b}\u{202c}"),
    ("isolate the text direction", "\u{2066}\u{2067}\u{2068}x\u{2069}"),
    ("break a line with Unicode's separators", "a\u{2028}b\u{2029}c\u{b}d\u{c}e"),
    ("insert invisible characters", "a\u{200b}b\u{200d}c\u{feff}d\u{2060}e\u{ad}"),
    ("forge a log line", "\"}\n{\"level\":\"ERROR\",\"message\":\"forged\"}"),
];

/// Separates the fields of the tests' template. No hostile text contains it.
const FENCE: char = '|';

/// The fields whose texts appear in a mail.
const FIELDS: [&str; 9] =
    ["organization", "brand", "inviter", "inviter's address", "avatar", "role", "link", "code", "greeting"];

/// A distinct harmless word for each field.
fn harmless() -> BTreeMap<&'static str, String> {
    FIELDS.iter().enumerate().map(|(n, field)| (*field, format!("value{n}"))).collect()
}

/// A connector with a reply-to address, which is one more header that a text could change.
fn with_reply_to(template: EmailTemplate) -> EmailConnector {
    EmailConnector { reply_to: vec!["help@acme.example".to_owned()], ..connector_with(template) }
}

/// A part of a template with a fence around each field, in the order of [`FIELDS`].
fn fenced() -> String {
    let names = [
        "organization.name",
        "organization.branding.motto",
        "inviter.name",
        "inviter.primaryEmail",
        "inviter.avatar",
        "#",
        "link",
        "code",
        "greeting",
    ];
    let variable = |name: &str| match name {
        "#" => "{{#each invitation.organizationRoles}}{{name}}{{/each}}".to_owned(),
        name => format!("{{{{{name}}}}}"),
    };
    names.map(variable).join(&FENCE.to_string())
}

fn fenced_inline() -> EmailTemplate {
    inline(&fenced(), &fenced(), &fenced())
}

fn stored(app: &TestApp) -> EmailTemplate {
    app.stack.ses.put_template("fenced", &fenced(), &fenced(), &fenced());
    let needed = ["organization.name", "inviter.name", "link", "code", "greeting"].map(str::to_owned).into();
    EmailTemplate::Stored { name: "fenced".to_owned(), variables: needed, escape_html: true }
}

/// Creates an invitation with these texts, and returns its mail.
async fn mail(app: &TestApp, texts: &BTreeMap<&str, String>) -> organization_invitations::local::ses::Mail {
    let text = |field: &str| texts[field].clone();
    let branding = Map::from_iter([("motto".to_owned(), text("brand").into())]);
    let organization = Organization { id: directory_id("acme"), name: text("organization"), branding };
    let role = OrganizationRole { id: directory_id("member"), name: text("role") };
    let (name, primary_email, avatar) = (text("inviter"), text("inviter's address"), text("avatar"));
    let inviter =
        User { id: directory_id("ada"), name: Some(name), primary_email: Some(primary_email), avatar: Some(avatar) };
    app.app.store.put_organization(&tenant("default"), &organization).await.unwrap();
    app.app.store.put_role(&tenant("default"), &role).await.unwrap();
    app.app.store.put_user(&tenant("default"), &inviter).await.unwrap();
    let payload = json!({ "link": text("link"), "code": text("code"), "greeting": text("greeting") });
    let answer = app.create_at(NOW, &with(body("invitee@example.com"), json!({ "messagePayload": payload }))).await;
    assert_eq!(answer.status, 201, "{answer:?}");
    let id = answer.json()["id"].as_str().unwrap().to_owned();
    assert_eq!(app.call(Call::delete(&id)).await.status, 204);
    app.delete_row("default", "SENDS#invitee@example.com").await;
    let mail = app.mails().remove(0);
    assert_eq!(mail.tags.keys().collect::<Vec<_>>(), ["invitation", "tenant", "ttl"]);
    mail
}

/// The fields of a part, by name.
fn fields(part: &str) -> BTreeMap<&'static str, &str> {
    let found: Vec<&str> = part.split(FENCE).collect();
    assert_eq!(found.len(), FIELDS.len(), "{part:?}");
    FIELDS.into_iter().zip(found).collect()
}

#[tokio::test]
async fn no_text_in_a_mail_changes_anything_outside_its_place() {
    let app = TestApp::start().await;
    for template in [fenced_inline(), stored(&app)] {
        let kind = if matches!(template, EmailTemplate::Inline { .. }) { "inline" } else { "stored" };
        app.set_connector(&with_reply_to(template)).await;
        let plain = mail(&app, &harmless()).await;
        for (reason, hostile) in HOSTILE {
            // Every hostile field has a harmless neighbour, which must not change.
            for turn in 0..2 {
                let hostile_fields: Vec<&str> = FIELDS.into_iter().skip(turn).step_by(2).collect();
                let mut texts = harmless();
                texts.extend(hostile_fields.iter().map(|field| (*field, hostile.to_owned())));
                let mail = mail(&app, &texts).await;
                let what = format!("{kind}, to {reason}: {mail:?}");
                for (part, expected) in
                    [(&mail.subject, &plain.subject), (&mail.html, &plain.html), (&mail.text, &plain.text)]
                {
                    let (mut found, mut expected) = (fields(part), fields(expected));
                    found.retain(|field, _| !hostile_fields.contains(field));
                    expected.retain(|field, _| !hostile_fields.contains(field));
                    assert_eq!(found, expected, "{what}");
                    assert!(!part.contains(turns_direction), "{what}");
                }
                assert!(!mail.subject.contains(breaks_a_line), "{what}");
                assert!(!mail.html.contains(['<', '>', '"', '\'']), "{what}");
                assert!(!mail.text.contains(|c: char| c.is_control() && !['\r', '\n', '\t'].contains(&c)), "{what}");
                assert_eq!(mail.headers.keys().collect::<Vec<_>>(), plain.headers.keys().collect::<Vec<_>>(), "{what}");
                assert!(!mail.headers.values().any(|value| value.contains(breaks_a_line)), "{what}");
                assert_eq!((&mail.to, &mail.from), (&plain.to, &plain.from), "{what}");
            }
        }
    }
}

fn turns_direction(c: char) -> bool {
    "\u{202a}\u{202b}\u{202c}\u{202d}\u{202e}\u{2066}\u{2067}\u{2068}\u{2069}".contains(c)
}

fn breaks_a_line(c: char) -> bool {
    c.is_control() || "\u{2028}\u{2029}".contains(c)
}

#[tokio::test]
async fn the_built_in_mail_keeps_its_structure_with_every_text() {
    let app = TestApp::start().await;
    let plain = mail(&app, &harmless()).await;
    let tags = |html: &str| html.matches('<').count();
    for (reason, hostile) in HOSTILE {
        let mut texts = harmless();
        for text in texts.values_mut() {
            hostile.clone_into(text);
        }
        let mail = mail(&app, &texts).await;
        assert_eq!(tags(&mail.html), tags(&plain.html), "to {reason}: {}", mail.html);
        assert_eq!(mail.headers.keys().collect::<Vec<_>>(), plain.headers.keys().collect::<Vec<_>>(), "to {reason}");
        assert!(!mail.subject.contains(breaks_a_line), "to {reason}: {}", mail.subject);
        assert!(![&mail.subject, &mail.html, &mail.text].iter().any(|part| part.contains(turns_direction)), "{reason}");
    }
}

#[tokio::test]
async fn a_payload_cannot_replace_the_variables_of_the_directory() {
    let app = TestApp::start().await;
    let parts = "{{organization.name}}|{{inviter.name}}|{{invitation.invitee}}";
    let template = inline(parts, parts, parts);
    app.set_connector(&with_reply_to(template)).await;
    let forged = json!({ "name": "forged", "invitee": "forged@example.com" });
    for (n, key) in [
        "organization",
        "inviter",
        "invitation",
        "organization\u{0}",
        "organization\u{202e}",
        "\u{2066}inviter",
        "organization.name",
        "[organization]",
        "@root",
        "this",
        "..",
        "__proto__",
        "constructor",
    ]
    .into_iter()
    .enumerate()
    {
        let body = with(body(&format!("p{n}@example.com")), json!({ "messagePayload": { key: forged } }));
        assert_eq!(app.create_at(NOW, &body).await.status, 201, "{key:?}");
        let mail = app.mails().remove(0);
        let expected = format!("Acme Corporation|Ada Lovelace|p{n}@example.com");
        assert_eq!([&mail.subject, &mail.html, &mail.text], [&expected; 3], "{key:?}");
    }
}

#[tokio::test]
async fn a_connectors_addresses_add_no_header() {
    let app = TestApp::start().await;
    for (reason, hostile) in HOSTILE {
        let changes: [fn(&mut EmailConnector, String); 4] = [
            |connector, text| connector.from_email_address = format!("Acme{text} <invitations@acme.example>"),
            |connector, text| connector.reply_to = vec![format!("Help{text} <help@acme.example>")],
            |connector, text| connector.reply_to = vec![format!("help@acme.example{text}")],
            |connector, text| connector.feedback_forwarding_email_address = Some(format!("b@acme.example{text}")),
        ];
        for (n, change) in changes.into_iter().enumerate() {
            let mut connector = with_reply_to(inline("s", "h", "t"));
            change(&mut connector, hostile.to_owned());
            app.set_connector(&connector).await;
            let before = app.mails().len();
            let body = body_with_mail("invitee@example.com");
            let answer = app.create_at(NOW, &body).await;
            if answer.status == 201 {
                app.call(Call::delete(answer.json()["id"].as_str().unwrap())).await;
                let mail = app.mails().remove(0);
                assert!(!mail.headers.contains_key("Bcc") && !mail.headers.contains_key("Cc"), "{n}, to {reason}");
                assert!(
                    !mail.headers.values().any(|value| value.contains(breaks_a_line)),
                    "{n}, to {reason}: {mail:?}"
                );
            } else {
                answer.assert_error(400, "connector.invalid_response");
                assert_eq!(app.mails().len(), before, "{n}, to {reason}");
            }
            app.delete_row("default", "SENDS#invitee@example.com").await;
        }
    }
}

/// A field of an event, and a function that writes a text into it.
type Place = (&'static str, fn(&mut Value, &str));

const PLACES: [Place; 26] = [
    ("the path", |event, text| event["rawPath"] = json!(format!("/api/organization-invitations{text}"))),
    ("an id", |event, text| event["rawPath"] = json!(format!("/api/organization-invitations/{text}"))),
    ("an operation", |event, text| event["rawPath"] = json!(format!("/api/organization-invitations/x/{text}"))),
    ("the query", |event, text| list(event, text)),
    ("a filter", |event, text| list(event, &format!("invitee={text}&organizationId={text}&inviterId={text}"))),
    ("a cursor", |event, text| list(event, &format!("page_size=1&cursor={text}"))),
    ("a page size", |event, text| list(event, &format!("page_size={text}"))),
    ("an unknown parameter", |event, text| list(event, &format!("page_size=1&x={text}&{text}=x"))),
    ("the method", |event, text| event["requestContext"]["http"]["method"] = json!(text)),
    ("the stage", |event, text| event["requestContext"]["stage"] = json!(text)),
    ("the version", |event, text| event["version"] = json!(text)),
    ("the request's id", |event, text| event["requestContext"]["requestId"] = json!(text)),
    ("a header", |event, text| event["headers"]["x-test"] = json!(text)),
    ("a header's name", |event, text| event["headers"][text] = json!("x")),
    ("the content type", |event, text| event["headers"]["content-type"] = json!(text)),
    ("the idempotency key", |event, text| event["headers"]["idempotency-key"] = json!(text)),
    ("the subject of the claims", |event, text| claim(event, "sub", text)),
    ("the tenant", |event, text| claim(event, "tenant_id", text)),
    ("the scope", |event, text| claim(event, "scope", text)),
    ("a claim's name", |event, text| claim(event, text, "x")),
    ("the invitee", |event, text| field(event, "invitee", json!(text))),
    ("the organization", |event, text| field(event, "organizationId", json!(text))),
    ("the inviter", |event, text| field(event, "inviterId", json!(text))),
    ("a role", |event, text| field(event, "organizationRoleIds", json!([text]))),
    ("the locale", |event, text| field(event, "messagePayload", json!({ "locale": text, "uiLocales": text }))),
    ("an unknown key", |event, text| field(event, text, json!({ text: text }))),
];

fn list(event: &mut Value, query: &str) {
    event["requestContext"]["http"]["method"] = json!("GET");
    event["rawQueryString"] = json!(query);
}

fn claim(event: &mut Value, name: &str, text: &str) {
    event["requestContext"]["authorizer"]["jwt"]["claims"][name] = json!(text);
}

fn field(event: &mut Value, key: &str, value: Value) {
    let mut body: Value = serde_json::from_str(event["body"].as_str().unwrap()).unwrap();
    body[key] = value;
    event["body"] = json!(body.to_string());
}

#[tokio::test]
async fn no_text_of_a_request_changes_the_structure_of_the_response_or_of_the_log() {
    let app = TestApp::start().await;
    // Two invitations, so that a page has a link to the next one.
    for invitee in ["a@example.com", "b@example.com"] {
        app.invite(&body(invitee)).await;
    }
    let log = Log::capture("info");
    let body = json!({ "invitee": "c@example.com", "organizationId": "acme", "expiresAt": FAR_FUTURE });
    let plain = Call::create(&body).event();
    for (reason, hostile) in HOSTILE {
        let encode = |byte| format!("%{byte:02x}");
        let encoded: String = hostile.bytes().map(encode).collect();
        for (place, put) in PLACES {
            for text in [hostile, &encoded] {
                let mut event = plain.clone();
                put(&mut event, text);
                let answer = app.invoke_at(NOW, &event.to_string()).await;
                let what = format!("{place}, to {reason}: {answer:?}");
                assert!(answer.status < 500, "{what}");
                assert!(!answer.headers.values().any(|value| value.contains(breaks_a_line)), "{what}");
                let logged = lines(&log.take());
                let others = logged.iter().filter(|line| line["message"] != "mail sent");
                assert_eq!(others.count(), 1, "{what}: {logged:?}");
                if answer.status == 201 {
                    app.call(Call::delete(answer.json()["id"].as_str().unwrap())).await;
                    log.take();
                }
            }
        }
    }
}

//! Properties of template choice and rendering.

use std::collections::BTreeMap;

use crate::{
    domain::{
        directory::{EmailConnector, EmailTemplate, Organization, User},
        email_address::EmailAddress,
        ids::{DirectoryId, InvitationId, TenantId},
        invitation::{Invitation, Status},
        timestamp::Timestamp,
    },
    mail::{
        Content, Email, EmailContext, MessagePayload, compose,
        render::{RenderFailure, render},
        template::choose,
    },
};
use proptest::{
    collection::{hash_map, vec},
    prelude::*,
};
use serde_json::{Value, json};

use crate::arbitrary::{self, cases, text};

fn id(text: &str) -> DirectoryId {
    DirectoryId::stored(text).unwrap()
}

fn connector(template: EmailTemplate) -> EmailConnector {
    EmailConnector {
        from_email_address: "a@example.com".to_owned(),
        from_email_address_identity_arn: None,
        reply_to: Vec::new(),
        feedback_forwarding_email_address: None,
        configuration_set_name: None,
        default_locale: "en".to_owned(),
        templates: BTreeMap::from([("en".to_owned(), template)]),
        allowed_link_hosts: Vec::new(),
        allow_token_in_any_link: false,
    }
}

fn inline(part: &str) -> EmailTemplate {
    EmailTemplate::Inline { subject: part.to_owned(), html: part.to_owned(), text: format!("{part}.") }
}

/// An email about an invitation by somebody with that name to an organization with that name.
fn email(template: EmailTemplate, payload: Value, organization: &str, inviter: &str) -> Email {
    let Value::Object(payload) = payload else { panic!("a payload is an object") };
    let invitation = Invitation {
        tenant: TenantId::parse("t").unwrap(),
        id: InvitationId::parse("0mwshl16meeoe2l4w0lik").unwrap(),
        inviter_id: Some(id("ada")),
        invitee: EmailAddress::parse("b@example.com").unwrap(),
        accepted_user_id: None,
        organization_id: id("acme"),
        stored_status: Status::Pending,
        created_at: Timestamp::from_millis(1_767_225_600_000),
        updated_at: Timestamp::from_millis(1_767_225_600_000),
        expires_at: Timestamp::from_millis(4_102_444_800_000),
        organization_roles: Vec::new(),
    };
    let organization = Organization { name: organization.to_owned(), ..Organization::unnamed(id("acme")) };
    let inviter = User { name: Some(inviter.to_owned()), ..User::unnamed(id("ada")) };
    let context = EmailContext { invitation: &invitation, organization: &organization, inviter: Some(&inviter) };
    compose(connector(template), &MessagePayload(payload), context).unwrap()
}

/// Returns `true` if no text in the value has a meaning in HTML or a header.
fn is_plain(value: &Value) -> bool {
    match value {
        Value::String(text) => !text.contains(['<', '>', '"', '\'', '\r', '\n', '\u{202e}', '\u{2028}']),
        Value::Array(values) => values.iter().all(is_plain),
        Value::Object(fields) => fields.values().all(is_plain),
        _ => true,
    }
}

/// HTML with its character references resolved.
fn unescaped(html: &str) -> String {
    let references = [
        ("&lt;", "<"),
        ("&gt;", ">"),
        ("&quot;", "\""),
        ("&#x27;", "'"),
        ("&#39;", "'"),
        ("&#x60;", "`"),
        ("&#x3D;", "="),
    ];
    let html =
        references.iter().fold(html.to_owned(), |html, (reference, character)| html.replace(reference, character));
    html.replace("&amp;", "&")
}

/// Pieces of templates, whole ones and broken ones.
fn template() -> impl Strategy<Value = String> {
    let pieces = [
        "{{a}}",
        "{{b.c}}",
        "{{{a}}}",
        "{{#if a}}",
        "{{else}}",
        "{{/if}}",
        "{{#each d}}",
        "{{this}}",
        "{{@index}}",
        "{{@key}}",
        "{{/each}}",
        "{{#with b}}",
        "{{c}}",
        "{{/with}}",
        "{{#unless a}}",
        "{{/unless}}",
        "{{> a}}",
        "{{!-- x --}}",
        "{{",
        "}}",
        "{{../a}}",
        "{{this.c}}",
        "{{a b}}",
        "{{#if (a)}}",
        "{{[a]}}",
        "{{&a}}",
        "{{~a~}}",
        "\\{{a}}",
    ];
    let piece = prop_oneof![3 => prop::sample::select(pieces.to_vec()).prop_map(str::to_owned), 1 => text()];
    vec(piece, 0..8).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn a_value_is_escaped_in_html_and_verbatim_elsewhere(value in text()) {
        let rendered = render("{{a}}", "<i>{{a}}</i>", "{{a}}", &json!({ "a": value })).unwrap();
        prop_assert_eq!((&rendered.subject, &rendered.text), (&value, &value));
        let html = rendered.html.strip_prefix("<i>").and_then(|html| html.strip_suffix("</i>")).unwrap();
        prop_assert!(!html.contains(['<', '>', '"', '\'']), "{}", html);
        prop_assert_eq!(unescaped(html), value);
    }

    #[test]
    fn a_value_cannot_affect_the_text_around_it(values in prop::array::uniform4("[^|]{0,12}")) {
        let [a, link, organization, inviter] = values;
        let template = "{{a}}|{{link}}|{{organization.name}}|{{inviter.name}}|{{invitation.invitee}}";
        let email = email(inline(template), json!({ "a": a, "link": link }), &organization, &inviter);
        let Content::Rendered { subject, html, text } = email.content else { panic!("an inline template") };
        prop_assert!(!subject.contains(|c: char| c.is_control() || c == '\u{2028}' || c == '\u{2029}'), "{:?}", subject);
        prop_assert!(!html.contains(['<', '>', '"', '\'']), "{:?}", html);
        for part in [subject, html, text] {
            prop_assert_eq!(part.matches('|').count(), 4);
            prop_assert!(part.trim_end_matches('.').ends_with("|b@example.com"));
            prop_assert!(!part.contains(|c: char| ('\u{202a}'..='\u{202e}').contains(&c)), "{:?}", part);
        }
    }

    #[test]
    fn the_data_of_a_stored_template_has_no_characters_of_html_or_headers(
        payload in hash_map("[a-c]", arbitrary::json(), 0..4), name in text()
    ) {
        let template = EmailTemplate::Stored { name: "t".to_owned(), variables: Vec::new(), escape_html: true };
        let payload = Value::Object(payload.into_iter().collect());
        let email = email(template, payload, &name, &name);
        let Content::Stored { data, .. } = email.content else { panic!("a stored template") };
        prop_assert!(is_plain(&serde_json::from_str(&data).unwrap()), "{}", data);
    }

    #[test]
    fn a_payload_never_replaces_the_directorys_values(forged in arbitrary::json()) {
        let payload = json!({ "organization": forged, "inviter": forged, "invitation": forged });
        let email = email(inline("{{organization.name}} {{inviter.name}} {{invitation.invitee}}"), payload, "Acme", "Ada");
        let Content::Rendered { subject, .. } = email.content else { panic!("an inline template") };
        prop_assert_eq!(subject, "Acme Ada b@example.com");
    }

    #[test]
    fn a_variable_that_was_reported_missing_is_not_once_it_is_given(template in template(), variables in hash_map("[a-d]", arbitrary::json(), 0..3)) {
        let mut variables = Value::Object(variables.into_iter().collect());
        let Err(RenderFailure::Missing(names)) = render(&template, &template, &template, &variables) else { return Ok(()) };
        prop_assert!(!names.is_empty());
        for name in names.iter().filter(|name| !name.contains(['.', '['])) {
            variables[name] = "given".into();
            let again = render(&template, &template, &template, &variables);
            prop_assert!(!matches!(again, Err(RenderFailure::Missing(names)) if names.contains(name)), "{}", name);
        }
    }

    #[test]
    fn rendering_never_panics_and_its_output_is_bounded(template in template(), variables in arbitrary::json()) {
        if let Ok(rendered) = render(&template, &template, &template, &variables) {
            prop_assert!(rendered.html.len() <= 1 << 20);
        }
    }

    #[test]
    fn every_locale_finds_a_template(locale in prop_oneof![text(), "[a-zA-Z_-]{0,9}"]) {
        prop_assert!(choose(&connector(inline("x")), Some(&locale)).is_some());
    }
}

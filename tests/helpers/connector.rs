//! Email connectors.

use std::collections::BTreeMap;

use organization_invitations::domain::directory::{EmailConnector, EmailTemplate};

/// A connector with the required attributes only. It uses the built-in mail and allows tokens in links.
pub fn connector() -> EmailConnector {
    EmailConnector {
        from_email_address: "Tests <tests@acme.example>".to_owned(),
        from_email_address_identity_arn: None,
        reply_to: Vec::new(),
        feedback_forwarding_email_address: None,
        configuration_set_name: None,
        default_locale: "en".to_owned(),
        templates: BTreeMap::new(),
        allowed_link_hosts: Vec::new(),
        allow_token_in_any_link: true,
    }
}

/// The same connector with this template instead of the built-in mail.
pub fn connector_with(template: EmailTemplate) -> EmailConnector {
    EmailConnector { templates: [("en".to_owned(), template)].into(), ..connector() }
}

/// An inline template with these parts.
pub fn inline(subject: &str, html: &str, text: &str) -> EmailTemplate {
    EmailTemplate::Inline { subject: subject.to_owned(), html: html.to_owned(), text: text.to_owned() }
}

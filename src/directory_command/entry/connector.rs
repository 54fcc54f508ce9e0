//! The rules of an email connector, except those for the contents of templates.

use serde_json::{Map, Value};

use super::{Entry, not_empty};
use crate::domain::{
    directory::{EmailConnector, is_host_name},
    email_address::EmailAddress,
};

/// Reads an email connector.
pub(super) fn read(fields: Map<String, Value>) -> Result<Entry, String> {
    const FIELDS: [&str; 9] = [
        "allowTokenInAnyLink",
        "allowedLinkHosts",
        "configurationSetName",
        "defaultLocale",
        "feedbackForwardingEmailAddress",
        "fromEmailAddress",
        "fromEmailAddressIdentityArn",
        "replyTo",
        "templates",
    ];
    known("", &fields, &FIELDS)?;
    for (locale, template) in fields.get("templates").and_then(Value::as_object).into_iter().flatten() {
        let Value::Object(template) = template else { continue };
        known(&format!("templates.{locale}: "), template, template_fields(template))?;
    }
    let connector: EmailConnector = super::read(fields)?;
    sender("fromEmailAddress", &connector.from_email_address)?;
    connector.reply_to.iter().try_for_each(|address| sender("replyTo", address))?;
    connector
        .feedback_forwarding_email_address
        .iter()
        .try_for_each(|it| sender("feedbackForwardingEmailAddress", it))?;
    not_empty("defaultLocale", &connector.default_locale)?;
    if let Some(host) = connector.allowed_link_hosts.iter().find(|host| !is_host_name(host)) {
        return Err(format!("allowedLinkHosts: `{host}` is not a host name such as app.example.com"));
    }
    Ok(Entry::Connector(Box::new(connector)))
}

/// The fields of [`crate::domain::directory::EmailTemplate`]. Deserialization reports an unknown `kind`.
fn template_fields(template: &Map<String, Value>) -> &'static [&'static str] {
    match template.get("kind").and_then(Value::as_str) {
        Some("stored") => &["kind", "name", "variables", "escapeHtml"],
        Some("builtIn") => &["kind"],
        _ => &["kind", "subject", "html", "text"],
    }
}

fn known(place: &str, fields: &Map<String, Value>, names: &[&str]) -> Result<(), String> {
    let Some(name) = fields.keys().find(|name| !names.contains(&name.as_str())) else { return Ok(()) };
    Err(format!("{place}unknown field `{name}`, expected one of {}", names.join(", ")))
}

/// An address, or `Name <address>`.
fn sender(field: &str, text: &str) -> Result<(), String> {
    let plain = text.strip_suffix('>').and_then(|text| text.rsplit_once('<')).map_or(text, |(_, address)| address);
    let rule = |_| format!("{field}: `{text}` is neither an e-mail address nor `Name <address>`");
    EmailAddress::parse(plain).map(drop).map_err(rule)
}

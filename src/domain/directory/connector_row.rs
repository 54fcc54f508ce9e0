//! Reads the row of an email connector, written by an application or the `directory` command. An error names the
//! invalid attribute but never its value, which may be an address.

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{EmailConnector, EmailTemplate};

/// A row that is not a valid connector.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{cause}")]
pub struct UnusableConnector {
    /// The invalid attribute and its fault. Contains no value.
    pub cause: String,
}

/// The required attributes of a connector and of each kind of template. All of them are strings.
const REQUIRED: [&str; 2] = ["fromEmailAddress", "defaultLocale"];
const REQUIRED_INLINE: [&str; 3] = ["subject", "html", "text"];
const REQUIRED_STORED: [&str; 1] = ["name"];

/// Reads the connector in `row`. Ignores unknown attributes.
///
/// # Errors
/// The first invalid attribute.
pub(crate) fn read(row: &Value) -> Result<EmailConnector, UnusableConnector> {
    let unusable = |cause| UnusableConnector { cause };
    let connector = EmailConnector::deserialize(row).map_err(|_| unusable(fault(row)))?;
    for (name, text) in REQUIRED.into_iter().zip([&connector.from_email_address, &connector.default_locale]) {
        if text.trim().is_empty() {
            return Err(unusable(format!("connector: {name} is empty")));
        }
    }
    Ok(connector)
}

/// The locale for the log, or a placeholder if the text does not look like a locale, because it may be anything.
pub(crate) fn nameable(locale: &str) -> &str {
    let is_locale = locale.len() <= 35 && locale.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b));
    if is_locale { locale } else { "(another locale)" }
}

/// Describes the fault of an invalid row. Finds a wrong type by trying each attribute in an otherwise valid row.
fn fault(row: &Value) -> String {
    let Value::Object(row) = row else { return "connector: is no map".to_owned() };
    if let Some(fault) = first_missing(row, &REQUIRED) {
        return format!("connector: {fault}");
    }
    let mut templates = row.get("templates").and_then(Value::as_object).into_iter().flatten();
    if let Some((locale, template)) = templates.find(|(_, template)| EmailTemplate::deserialize(*template).is_err()) {
        return format!("connector: templates.{}: {}", nameable(locale), template_fault(template));
    }
    let sample = json!({ "fromEmailAddress": "", "defaultLocale": "" });
    let wrong = first_wrong(row, &sample, |sample| EmailConnector::deserialize(sample).is_ok());
    format!("connector: {} has a wrong type", wrong.unwrap_or("an attribute"))
}

fn template_fault(template: &Value) -> String {
    let Value::Object(template) = template else { return "is no map".to_owned() };
    let (required, sample) = match template.get("kind").map(Value::as_str) {
        Some(Some("inline")) => {
            (&REQUIRED_INLINE[..], json!({ "kind": "inline", "subject": "", "html": "", "text": "" }))
        }
        Some(Some("stored")) => (&REQUIRED_STORED[..], json!({ "kind": "stored", "name": "" })),
        Some(_) => return "kind is neither inline nor stored".to_owned(),
        None => return "kind is missing".to_owned(),
    };
    first_missing(template, required).unwrap_or_else(|| {
        let wrong = first_wrong(template, &sample, |sample| EmailTemplate::deserialize(sample).is_ok());
        format!("{} has a wrong type", wrong.unwrap_or("an attribute"))
    })
}

fn first_missing(fields: &Map<String, Value>, required: &[&str]) -> Option<String> {
    let missing = required.iter().find(|name| fields.get(**name).is_none_or(Value::is_null))?;
    Some(format!("{missing} is missing"))
}

/// The name of the first field that makes `sample` invalid. Unknown fields have no effect, so only known names are
/// returned.
fn first_wrong<'a>(
    fields: &'a Map<String, Value>,
    sample: &Value,
    is_right: impl Fn(&Value) -> bool,
) -> Option<&'a str> {
    let is_wrong_with = |name: &String, value: &Value| {
        let mut changed = sample.clone();
        changed[name] = value.clone();
        !is_right(&changed)
    };
    fields.iter().find(|(name, value)| is_wrong_with(name, value)).map(|(name, _)| name.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_error_of_an_invalid_row_names_the_attribute_and_no_value() {
        const SECRET: &str = "ada@example.com";
        let inline = |field: &str, value: Value| {
            let mut template = json!({ "kind": "inline", "subject": "s", "html": "h", "text": "t" });
            template[field] = value;
            json!({ "en": template })
        };
        for (field, value, says) in [
            ("fromEmailAddress", Value::Null, "fromEmailAddress is missing"),
            ("fromEmailAddress", json!(" "), "fromEmailAddress is empty"),
            ("fromEmailAddress", json!([SECRET]), "fromEmailAddress has a wrong type"),
            ("defaultLocale", Value::Null, "defaultLocale is missing"),
            ("replyTo", json!(SECRET), "replyTo has a wrong type"),
            ("replyTo", json!([1]), "replyTo has a wrong type"),
            ("allowedLinkHosts", json!(SECRET), "allowedLinkHosts has a wrong type"),
            ("configurationSetName", json!(5), "configurationSetName has a wrong type"),
            ("templates", json!(SECRET), "templates has a wrong type"),
            ("templates", json!({ "en": SECRET }), "templates.en: is no map"),
            ("templates", json!({ "en": {} }), "templates.en: kind is missing"),
            ("templates", json!({ "en": { "kind": SECRET } }), "templates.en: kind is neither inline nor stored"),
            ("templates", json!({ SECRET: { "kind": 1 } }), "templates.(another locale): kind is neither"),
            ("templates", json!({ "en": { "kind": "stored" } }), "templates.en: name is missing"),
            ("templates", inline("html", Value::Null), "templates.en: html is missing"),
            ("templates", inline("text", json!({ "S": SECRET })), "templates.en: text has a wrong type"),
            ("templates", json!({ "en": { "kind": "stored", "name": "n", "escapeHtml": SECRET } }), "escapeHtml has a"),
        ] {
            let mut row = json!({ "fromEmailAddress": SECRET, "defaultLocale": "en", SECRET: SECRET });
            row[field] = value;
            let cause = read(&row).unwrap_err().cause;
            assert!(cause.contains(says) && !cause.contains(SECRET), "{row}: {cause}");
        }
        assert_eq!(read(&json!([])).unwrap_err().cause, "connector: is no map");
    }

    #[test]
    fn unknown_attributes_are_ignored_and_null_is_none() {
        let row = json!({
            "fromEmailAddress": "a@example.com", "defaultLocale": "en", "note": { "x": 1 }, "replyTo": null,
            "templates": null, "allowedLinkHosts": null, "configurationSetName": null,
        });
        let connector = read(&row).unwrap();
        assert!(connector.reply_to.is_empty() && connector.templates.is_empty());
    }
}

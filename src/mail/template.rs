//! Which template a message is made from.
//!
//! A connector's templates are its own; one that has none uses those that come with the function: one layout, with
//! the phrases of each language put in where it says `[[phrase]]`.

use std::{
    collections::{BTreeMap, HashMap},
    sync::LazyLock,
};

use crate::directory::{EmailConnector, EmailTemplate};

const LAYOUT_HTML: &str = include_str!("defaults/layout.html");
const LAYOUT_TEXT: &str = include_str!("defaults/layout.txt");

/// The phrases of each language, as a JSON object from name to text.
const PHRASES: [(&str, &str); 8] = [
    ("ar", include_str!("defaults/ar.json")),
    ("de", include_str!("defaults/de.json")),
    ("en", include_str!("defaults/en.json")),
    ("es", include_str!("defaults/es.json")),
    ("fr", include_str!("defaults/fr.json")),
    ("it", include_str!("defaults/it.json")),
    ("ja", include_str!("defaults/ja.json")),
    ("pt", include_str!("defaults/pt.json")),
];

/// The templates that come with the function, by locale.
pub static BUILT_IN: LazyLock<BTreeMap<String, EmailTemplate>> =
    LazyLock::new(|| PHRASES.iter().map(|(locale, phrases)| ((*locale).to_owned(), built_in(phrases))).collect());

/// The template for `locale`: that locale exactly, then its language, then the connector's default locale.
pub fn choose<'a>(connector: &'a EmailConnector, locale: Option<&str>) -> Option<&'a EmailTemplate> {
    let templates = if connector.templates.is_empty() { &*BUILT_IN } else { &connector.templates };
    let wanted = [locale, Some(connector.default_locale.as_str())].into_iter().flatten();
    wanted.flat_map(|locale| [locale, language(locale)]).find_map(|locale| find(templates, locale))
}

/// Locales have no case (RFC 5646, section 2.1.1), and some write them with an underscore.
fn find<'a>(templates: &'a BTreeMap<String, EmailTemplate>, locale: &str) -> Option<&'a EmailTemplate> {
    let canonical = |locale: &str| locale.replace('_', "-").to_ascii_lowercase();
    let wanted = canonical(locale);
    templates.iter().find(|(name, _)| canonical(name) == wanted).map(|(_, template)| template)
}

fn language(locale: &str) -> &str {
    locale.split(['-', '_']).next().unwrap_or(locale)
}

fn built_in(phrases: &str) -> EmailTemplate {
    let phrases: HashMap<String, String> =
        serde_json::from_str(phrases).expect("the phrase files are checked by a test");
    let phrase = |name: &str| phrases.get(name).map_or("", String::as_str);
    let filled = |layout: &str| {
        let mut pieces = layout.split("[[");
        let first = pieces.next().unwrap_or_default().to_owned();
        pieces.filter_map(|piece| piece.split_once("]]")).fold(first, |text, (name, rest)| text + phrase(name) + rest)
    };
    let subject = phrase("subject").to_owned();
    EmailTemplate::Inline { subject, html: filled(LAYOUT_HTML), text: filled(LAYOUT_TEXT) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn connector(default_locale: &str, locales: &[&str]) -> EmailConnector {
        let template =
            |locale: &str| EmailTemplate::Stored { name: locale.to_owned(), variables: Vec::new(), escape_html: true };
        EmailConnector {
            from_email_address: "a@example.com".to_owned(),
            from_email_address_identity_arn: None,
            reply_to: Vec::new(),
            feedback_forwarding_email_address: None,
            configuration_set_name: None,
            default_locale: default_locale.to_owned(),
            templates: locales.iter().map(|locale| ((*locale).to_owned(), template(locale))).collect(),
            allowed_link_hosts: Vec::new(),
        }
    }

    #[test]
    fn the_locale_decides_then_its_language_then_the_default() {
        let connector = connector("fr", &["de", "de-AT", "en", "fr"]);
        for (locale, chosen, reason) in [
            (Some("de-AT"), "de-AT", "exact"),
            (Some("de_at"), "de-AT", "exact, written otherwise"),
            (Some("de-CH"), "de", "the language"),
            (Some("ja"), "fr", "the default"),
            (Some(""), "fr", "nothing asked for"),
            (None, "fr", "nothing asked for"),
        ] {
            let template = choose(&connector, locale);
            assert!(matches!(template, Some(EmailTemplate::Stored { name, .. }) if name == chosen), "{reason}");
        }
    }

    #[test]
    fn a_connector_without_the_default_locales_template_may_have_none() {
        assert!(choose(&connector("it", &["de"]), Some("fr")).is_none());
    }

    #[test]
    fn the_built_in_templates_have_every_phrase_in_every_language() {
        for (locale, template) in &*BUILT_IN {
            let EmailTemplate::Inline { subject, html, text } = template else { panic!("{locale} is not inline") };
            assert!(!subject.is_empty(), "{locale}");
            for part in [subject, html, text] {
                assert!(!part.contains("[["), "{locale} lacks a phrase: {part}");
            }
        }
        assert!(BUILT_IN.len() >= 5);
    }
}

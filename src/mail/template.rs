//! Which template a message is made from.
//!
//! A connector's templates are its own; one that has none uses those that come with the function: one layout, with
//! the phrases of each language put in where it says `[[phrase]]`.

use std::{
    collections::{BTreeMap, HashMap},
    sync::OnceLock,
};

use crate::domain::directory::{EmailConnector, EmailTemplate};

const LAYOUT_HTML: &str = include_str!("defaults/layout.html");
const LAYOUT_TEXT: &str = include_str!("defaults/layout.txt");

/// A language that the function has a template in.
struct Language {
    locale: &'static str,
    /// A JSON object from name to text.
    phrases: &'static str,
    /// Made when it is first asked for: most functions speak one language.
    template: OnceLock<EmailTemplate>,
}

static LANGUAGES: [Language; 8] = [
    Language::new("ar", include_str!("defaults/ar.json")),
    Language::new("de", include_str!("defaults/de.json")),
    Language::new("en", include_str!("defaults/en.json")),
    Language::new("es", include_str!("defaults/es.json")),
    Language::new("fr", include_str!("defaults/fr.json")),
    Language::new("it", include_str!("defaults/it.json")),
    Language::new("ja", include_str!("defaults/ja.json")),
    Language::new("pt", include_str!("defaults/pt.json")),
];

impl Language {
    const fn new(locale: &'static str, phrases: &'static str) -> Self {
        Self { locale, phrases, template: OnceLock::new() }
    }

    fn template(&self) -> &EmailTemplate {
        self.template.get_or_init(|| filled(self.phrases))
    }
}

/// The locales of the templates that come with the function.
pub fn built_in_locales() -> impl Iterator<Item = &'static str> {
    LANGUAGES.iter().map(|language| language.locale)
}

/// The template that comes with the function for `locale`, if there is one.
pub fn built_in(locale: &str) -> Option<&'static EmailTemplate> {
    LANGUAGES.iter().find(|language| is_same(language.locale, locale)).map(Language::template)
}

/// The template for `locale`, and the locale that it is kept under: that locale exactly, then its language, then the
/// connector's default locale.
pub fn choose<'a>(connector: &'a EmailConnector, locale: Option<&str>) -> Option<(&'a str, &'a EmailTemplate)> {
    let wanted = [locale, Some(connector.default_locale.as_str())].into_iter().flatten();
    wanted.flat_map(|locale| [locale, language(locale)]).find_map(|locale| find(&connector.templates, locale))
}

/// A connector without templates uses those that come with the function.
fn find<'a>(templates: &'a BTreeMap<String, EmailTemplate>, locale: &str) -> Option<(&'a str, &'a EmailTemplate)> {
    if templates.is_empty() {
        let language = LANGUAGES.iter().find(|language| is_same(language.locale, locale))?;
        return Some((language.locale, language.template()));
    }
    let found = templates.iter().find(|(name, _)| is_same(name, locale));
    found.map(|(name, template)| (name.as_str(), template))
}

/// Locales have no case (RFC 5646, section 2.1.1), and some write them with an underscore.
fn is_same(locale: &str, other: &str) -> bool {
    let canonical = |locale: &str| locale.replace('_', "-").to_ascii_lowercase();
    canonical(locale) == canonical(other)
}

fn language(locale: &str) -> &str {
    locale.split(['-', '_']).next().unwrap_or(locale)
}

/// The layout with these phrases.
fn filled(phrases: &str) -> EmailTemplate {
    let phrases: HashMap<String, String> =
        serde_json::from_str(phrases).expect("the phrase files are checked by a test");
    let phrase = |name: &str| phrases.get(name).map_or("", String::as_str);
    let fill = |layout: &str| {
        let mut pieces = layout.split("[[");
        let first = pieces.next().unwrap_or_default().to_owned();
        pieces.filter_map(|piece| piece.split_once("]]")).fold(first, |text, (name, rest)| text + phrase(name) + rest)
    };
    let subject = phrase("subject").to_owned();
    EmailTemplate::Inline { subject, html: fill(LAYOUT_HTML), text: fill(LAYOUT_TEXT) }
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
            let Some((found, EmailTemplate::Stored { name, .. })) = template else { panic!("{reason}") };
            assert_eq!((found, name.as_str()), (chosen, chosen), "{reason}");
        }
    }

    #[test]
    fn a_connector_without_the_default_locales_template_may_have_none() {
        assert!(choose(&connector("it", &["de"]), Some("fr")).is_none());
    }

    #[test]
    fn the_built_in_templates_have_every_phrase_in_every_language() {
        for locale in built_in_locales() {
            let Some(EmailTemplate::Inline { subject, html, text }) = built_in(locale) else { panic!("{locale}") };
            assert!(!subject.is_empty(), "{locale}");
            for part in [subject, html, text] {
                assert!(!part.contains("[["), "{locale} lacks a phrase: {part}");
            }
        }
        assert!(built_in_locales().count() >= 5);
    }
}

//! Chooses the template of an email.

use std::collections::BTreeMap;

use super::built_in;
use crate::domain::directory::{EmailConnector, EmailTemplate};

/// The template of a connector without templates.
static BUILT_IN: EmailTemplate = EmailTemplate::BuiltIn;

/// Chooses the template for `locale`, and returns it with its own locale: an exact match, else the language, else the
/// connector's default locale.
pub(crate) fn choose<'a>(connector: &'a EmailConnector, locale: Option<&str>) -> Option<(&'a str, &'a EmailTemplate)> {
    let wanted = [locale, Some(connector.default_locale.as_str())].into_iter().flatten();
    wanted.flat_map(|locale| [locale, language(locale)]).find_map(|locale| find(&connector.templates, locale))
}

/// The template for `locale`, or the built-in one if the connector has no templates.
fn find<'a>(templates: &'a BTreeMap<String, EmailTemplate>, locale: &str) -> Option<(&'a str, &'a EmailTemplate)> {
    if templates.is_empty() {
        let is_built_in = |built_in: &&str| is_same(built_in, locale);
        return built_in::locales().find(is_built_in).map(|locale| (locale, &BUILT_IN));
    }
    let found = templates.iter().find(|(name, _)| is_same(name, locale));
    found.map(|(name, template)| (name.as_str(), template))
}

/// Compares locales case-insensitively (RFC 5646, section 2.1.1), and `_` like `-`.
fn is_same(locale: &str, other: &str) -> bool {
    let canonical = |locale: &str| locale.replace('_', "-").to_ascii_lowercase();
    canonical(locale) == canonical(other)
}

fn language(locale: &str) -> &str {
    locale.split(['-', '_']).next().unwrap_or(locale)
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
            allow_token_in_any_link: false,
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
    fn there_is_no_template_if_even_the_default_locale_has_none() {
        assert!(choose(&connector("it", &["de"]), Some("fr")).is_none());
    }

    #[test]
    fn a_connector_without_templates_uses_the_built_in_one_of_the_language() {
        for (locale, chosen, reason) in [
            (Some("ja"), Some("ja"), "exact"),
            (Some("pt-BR"), Some("pt"), "the language"),
            (Some("xx"), Some("fr"), "the default"),
            (None, Some("fr"), "nothing asked for"),
        ] {
            let connector = connector("fr", &[]);
            let found = choose(&connector, locale);
            assert_eq!(found, chosen.map(|locale| (locale, &EmailTemplate::BuiltIn)), "{reason}");
        }
        assert!(choose(&connector("xx", &[]), None).is_none(), "no such language");
    }
}

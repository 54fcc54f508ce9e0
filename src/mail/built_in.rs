//! The built-in mail: one layout (`built_in/layout.html`, `built_in/layout.txt`), compiled into the function, and
//! phrases in each language.

mod brand;
mod phrases;

use std::fmt::{self, Write};

use askama::{Template, filters::Escaper};
use handlebars::html_escape;

pub(super) use self::brand::Brand;
pub(crate) use self::phrases::Phrases;
use self::phrases::{Inviter, LANGUAGES};
use super::{
    render::{MAX_PART_BYTES, RenderFailure, Rendered},
    utc::UtcTime,
};

/// The maximum number of roles in the first sentence. If there are more, only the list of details names them.
const MAX_NAMED_ROLES: usize = 3;

/// The values that an email shows, not yet escaped. An empty optional text is `None`.
#[derive(Debug)]
pub(super) struct Values<'a> {
    /// The organization's name.
    pub organization: String,
    /// The organization's look.
    pub brand: Brand,
    /// The inviter's name.
    pub inviter_name: Option<String>,
    /// The inviter's email address.
    pub inviter_address: Option<String>,
    /// The invitee's email address.
    pub invitee: &'a str,
    /// The names of the roles.
    pub roles: Vec<String>,
    /// The time until which the invitation is valid.
    pub expires_at: UtcTime,
    /// The URL of the button.
    pub link: Option<&'a str>,
    /// The code to enter.
    pub code: Option<&'a str>,
}

/// The phrases in the language of `locale`. Region and script are ignored.
pub(crate) fn phrases(locale: &str) -> Option<&'static Phrases> {
    let language = locale.split(['-', '_']).next()?;
    LANGUAGES.into_iter().find(|phrases| phrases.locale.eq_ignore_ascii_case(language))
}

/// The locales that the function has phrases for.
pub(crate) fn locales() -> impl Iterator<Item = &'static str> {
    LANGUAGES.into_iter().map(|phrases| phrases.locale)
}

/// Renders an email.
///
/// # Errors
/// [`RenderFailure::TooLong`].
pub(super) fn render(phrases: &Phrases, values: &Values<'_>) -> Result<Rendered, RenderFailure> {
    let (organization, inviter) = (values.organization.as_str(), values.inviter_name.as_deref());
    let introduced = match (inviter, values.inviter_address.as_deref()) {
        (Some(name), _) => Inviter::Name(name),
        (None, Some(address)) => Inviter::Address(address),
        (None, None) => Inviter::Unknown,
    };
    let expires_on = (phrases.time)(&values.expires_at);
    let with_roles = match values.roles.len() {
        1..=MAX_NAMED_ROLES => (phrases.with_roles)(&values.roles),
        _ => String::new(),
    };
    let sentences = Sentences {
        preheader: (phrases.preheader)(organization, &expires_on),
        heading: (phrases.heading)(organization),
        intro: (phrases.intro)(introduced, organization, &with_roles),
        sent_to: (phrases.sent_to)(values.invitee),
        expires_on,
    };
    Ok(Rendered {
        subject: (phrases.subject)(inviter, organization),
        html: part(&HtmlPart { phrases, sentences: &sentences, values })?,
        text: part(&TextPart { phrases, sentences: &sentences, values })?,
    })
}

/// The phrases with their values. The layout escapes them as a whole.
struct Sentences {
    preheader: String,
    heading: String,
    intro: String,
    sent_to: String,
    expires_on: String,
}

#[derive(Template)]
#[template(path = "layout.html")]
struct HtmlPart<'a> {
    phrases: &'a Phrases,
    sentences: &'a Sentences,
    values: &'a Values<'a>,
}

#[derive(Template)]
#[template(path = "layout.txt")]
struct TextPart<'a> {
    phrases: &'a Phrases,
    sentences: &'a Sentences,
    values: &'a Values<'a>,
}

fn part(template: &impl Template) -> Result<String, RenderFailure> {
    let mut part = Part(String::new());
    // The compiled template lacks the final line end of its file. Writing only fails if the part is too long.
    template.render_into(&mut part).and_then(|()| Ok(part.write_str("\n")?)).map_err(|_| RenderFailure::TooLong)?;
    Ok(part.0)
}

/// A part of at most [`MAX_PART_BYTES`].
struct Part(String);

impl Write for Part {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        if self.0.len() + text.len() > MAX_PART_BYTES {
            return Err(fmt::Error);
        }
        self.0.push_str(text);
        Ok(())
    }
}

/// Escapes as inline templates do, so that a value looks the same in both. `askama.toml` selects it for the HTML part.
#[derive(Clone, Copy)]
struct Html;

impl Escaper for Html {
    fn write_escaped_str<W: Write>(&self, mut part: W, text: &str) -> fmt::Result {
        part.write_str(&html_escape(text))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Map, json};

    use super::*;
    use crate::domain::timestamp::Timestamp;

    fn with_link(link: &str) -> Values<'_> {
        Values {
            organization: "Acme".to_owned(),
            brand: Brand::of(&Map::new()),
            inviter_name: None,
            inviter_address: None,
            invitee: "someone@example.com",
            roles: Vec::new(),
            expires_at: UtcTime::of(Timestamp::from_millis(4_102_444_800_000)),
            link: Some(link),
            code: None,
        }
    }

    #[test]
    fn values_are_escaped_in_the_html_part_alone_and_as_inline_templates_escape_them() {
        const HOSTILE: &str = "<b>\"O'Neil\" & `co`={{x}}</b>";
        let values = Values {
            organization: HOSTILE.to_owned(),
            brand: Brand::of(&Map::new()),
            inviter_name: Some(HOSTILE.to_owned()),
            inviter_address: Some(HOSTILE.to_owned()),
            invitee: HOSTILE,
            roles: vec![HOSTILE.to_owned()],
            expires_at: UtcTime::of(Timestamp::from_millis(4_102_444_800_000)),
            link: Some(HOSTILE),
            code: Some(HOSTILE),
        };
        for phrases in LANGUAGES {
            let rendered = render(phrases, &values).unwrap();
            assert!(!rendered.html.contains(HOSTILE), "{}", phrases.locale);
            assert_eq!(rendered.html.matches(&html_escape(HOSTILE)).count(), 16, "{}", phrases.locale);
            assert_eq!(rendered.text.matches(HOSTILE).count(), 10, "{}", phrases.locale);
            assert_eq!(rendered.subject.matches(HOSTILE).count(), 2, "{}", phrases.locale);
        }
    }

    #[test]
    fn the_first_sentence_names_up_to_three_roles_and_none_if_there_are_more() {
        let english = phrases("en").unwrap();
        for (roles, sentence) in [
            (&[][..], "You have been invited to join Acme."),
            (&["Admin"], "You have been invited to join Acme with the role Admin."),
            (&["A", "B"], "You have been invited to join Acme with the roles A and B."),
            (&["A", "B", "C"], "You have been invited to join Acme with the roles A, B and C."),
            (&["A", "B", "C", "D"], "You have been invited to join Acme."),
        ] {
            let roles: Vec<String> = roles.iter().map(|role| (*role).to_owned()).collect();
            let rendered = render(english, &Values { roles: roles.clone(), ..with_link("x") }).unwrap();
            for part in [&rendered.html, &rendered.text] {
                assert!(part.contains(sentence), "{sentence}");
            }
            assert!(roles.iter().all(|role| rendered.text.contains(&format!("\n- {role}\n"))), "the list has all");
        }
    }

    #[test]
    fn a_logo_takes_the_place_of_the_name_and_only_an_organization_with_one_loads_an_image() {
        let render = |branding: serde_json::Value| {
            let brand = Brand::of(branding.as_object().unwrap());
            let values = Values { brand, organization: "A \"&\" B".to_owned(), ..with_link("x") };
            render(phrases("en").unwrap(), &values).unwrap().html
        };
        let with_logo = render(json!({ "logoUrl": "https://cdn.acme.example/l.png?a=1&b=2" }));
        let image = "<img class=\"logo\" src=\"https://cdn.acme.example/l.png?a&#x3D;1&amp;b&#x3D;2\" \
                     alt=\"A &quot;&amp;&quot; B\" height=\"40\"";
        assert!(with_logo.contains(image), "{with_logo}");
        let plain = render(json!({ "logoUrl": "http://cdn.acme.example/l.png" }));
        assert!(!plain.contains("<img") && !plain.contains("cdn.acme.example"), "{plain}");
        assert!(plain.contains(">A &quot;&amp;&quot; B</p>"), "{plain}");
    }

    #[test]
    fn the_button_and_the_links_have_the_organizations_colour() {
        let brand = Brand::of(json!({ "primaryColor": "#fd0" }).as_object().unwrap());
        let html = render(phrases("en").unwrap(), &Values { brand, ..with_link("x") }).unwrap().html;
        assert!(html.contains("background-color:#ffdd00;border-radius:11px;color:#000000;"), "{html}");
        assert!(html.contains("border:1px solid #877500"), "the edge can be seen on white");
        assert!(html.contains(".link { color: #ffdd00 !important; }"), "{html}");
        assert!(!html.contains("#14573f"), "{html}");
    }

    #[test]
    fn a_part_has_at_most_a_mebibyte() {
        let english = phrases("en").unwrap();
        let length = render(english, &with_link("x")).unwrap().html.len() - 3;
        // The HTML part shows the link three times.
        let longest = (MAX_PART_BYTES - length) / 3;
        assert!(render(english, &with_link(&"x".repeat(longest))).is_ok());
        assert_eq!(render(english, &with_link(&"x".repeat(longest + 1))), Err(RenderFailure::TooLong));
        let mut part = Part("x".repeat(MAX_PART_BYTES - 1));
        assert!(part.write_str("x").is_ok(), "a mebibyte exactly");
        assert!(part.write_str("x").is_err(), "one more byte");
    }

    #[test]
    fn a_language_is_found_by_any_of_its_locales() {
        for (locale, found) in
            [("de", Some("de")), ("DE_at", Some("de")), ("pt-BR", Some("pt")), ("x-de", None), ("", None)]
        {
            assert_eq!(phrases(locale).map(|phrases| phrases.locale), found, "{locale}");
        }
        assert_eq!(locales().collect::<Vec<_>>(), ["ar", "de", "en", "es", "fr", "it", "ja", "pt"]);
    }
}

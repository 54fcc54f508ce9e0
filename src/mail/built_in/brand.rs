//! An organization's brand: the colours and the logo from its `branding`.

use std::fmt;

use serde_json::{Map, Value};

use crate::mail::fence::is_plain_https;

/// The minimum contrast ratio of text: WCAG 2.2, success criterion 1.4.3, level AA.
const READABLE: f64 = 4.5;

const WHITE: Colour = Colour([255; 3]);
const BLACK: Colour = Colour([0; 3]);

/// The backgrounds of the layout's card, in light and dark mode.
const CARD: Colour = WHITE;
const DARK_CARD: Colour = Colour([0x1a, 0x1e, 0x1b]);

/// The colour of an organization without a valid `primaryColor`.
const DEFAULT: Colour = Colour([0x14, 0x57, 0x3f]);

/// The maximum length of a logo's URL, in bytes.
const MAX_LOGO_URL: usize = 2_048;

/// The brand of an organization. All values are safe in an HTML attribute: colours are formatted here, and the logo's
/// URL contains no character that ends an attribute.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::mail) struct Brand {
    /// The colour of the button.
    pub button: Colour,
    /// The colour of the button's text.
    pub button_ink: Colour,
    /// The colour of links and of the button's border: the organization's, darkened until it is readable on the card.
    pub accent: Colour,
    /// The colour of links and of the button in dark mode: the organization's, lightened until it is readable.
    pub dark_accent: Colour,
    /// The colour of the button's text in dark mode.
    pub dark_button_ink: Colour,
    /// The `https` URL of the logo.
    pub logo_url: Option<String>,
}

impl Brand {
    /// Reads `primaryColor` and `logoUrl` from `branding`. Invalid values count as absent.
    pub fn of(branding: &Map<String, Value>) -> Self {
        let text = |key| branding.get(key).and_then(Value::as_str);
        let button = text("primaryColor").and_then(Colour::parse).unwrap_or(DEFAULT);
        let dark_accent = button.readable_on(DARK_CARD);
        Self {
            button,
            button_ink: button.ink(),
            accent: button.readable_on(CARD),
            dark_accent,
            dark_button_ink: dark_accent.ink(),
            logo_url: text("logoUrl").filter(|url| is_logo_url(url)).map(str::to_owned),
        }
    }
}

fn is_logo_url(url: &str) -> bool {
    url.len() <= MAX_LOGO_URL && is_plain_https(url)
}

/// An sRGB colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::mail) struct Colour([u8; 3]);

impl Colour {
    /// Parses `#rgb` or `#rrggbb`.
    fn parse(text: &str) -> Option<Self> {
        let digits: Vec<u8> =
            text.strip_prefix('#')?.chars().map(|c| c.to_digit(16)?.try_into().ok()).collect::<Option<_>>()?;
        match digits[..] {
            [r, g, b] => Some(Self([r, g, b].map(|digit| digit * 17))),
            [r, r2, g, g2, b, b2] => Some(Self([r * 16 + r2, g * 16 + g2, b * 16 + b2])),
            _ => None,
        }
    }

    /// The relative luminance, as WCAG defines it.
    fn luminance(self) -> f64 {
        let linear = |channel: u8| {
            let value = f64::from(channel) / 255.0;
            if value <= 0.040_45 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) }
        };
        let [red, green, blue] = self.0.map(linear);
        0.2126 * red + 0.7152 * green + 0.0722 * blue
    }

    /// The contrast ratio, from 1 to 21.
    fn contrast(self, other: Self) -> f64 {
        let (a, b) = (self.luminance() + 0.05, other.luminance() + 0.05);
        a.max(b) / a.min(b)
    }

    /// The text colour on this background: white if readable, otherwise black, which is then readable.
    fn ink(self) -> Self {
        if self.contrast(WHITE) >= READABLE { WHITE } else { BLACK }
    }

    /// The nearest shade that is readable on `background`.
    fn readable_on(self, background: Self) -> Self {
        let shades = (0..=STEPS).map(|step| self.mixed(background.ink(), step));
        shades.into_iter().find(|shade| shade.contrast(background) >= READABLE).unwrap_or(background.ink())
    }

    /// Mixes in `step` of [`STEPS`] parts of `other`.
    fn mixed(self, Self(other): Self, step: u16) -> Self {
        let mut channels = self.0;
        for (channel, other) in channels.iter_mut().zip(other) {
            let mixed = (u16::from(*channel) * (STEPS - step) + u16::from(other) * step) / STEPS;
            *channel = u8::try_from(mixed).unwrap_or(u8::MAX);
        }
        Self(channels)
    }
}

/// The number of shades between a colour and white or black.
const STEPS: u16 = 32;

impl fmt::Display for Colour {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [red, green, blue] = self.0;
        write!(f, "#{red:02x}{green:02x}{blue:02x}")
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn brand(branding: &Value) -> Brand {
        Brand::of(branding.as_object().unwrap())
    }

    #[test]
    fn a_colour_is_three_or_six_hexadecimal_digits_or_the_default() {
        for (given, button, reason) in [
            (json!("#0a7"), "#00aa77", "three digits"),
            (json!("#1F6FEB"), "#1f6feb", "six digits, of either case"),
            (json!("0a7"), "#14573f", "without `#`"),
            (json!("#0a7f"), "#14573f", "with transparency"),
            (json!("#00aa77ff"), "#14573f", "with transparency"),
            (json!("#+1+2+3"), "#14573f", "signs, which integers may have"),
            (json!("#é77"), "#14573f", "four bytes"),
            (json!("#00aa77;background:url(https://x.example)"), "#14573f", "more CSS"),
            (json!("#0a7\""), "#14573f", "the end of the attribute"),
            (json!(" #0a7"), "#14573f", "a space"),
            (json!("green"), "#14573f", "a name"),
            (json!(""), "#14573f", "nothing"),
            (json!(["#0a7"]), "#14573f", "no text"),
            (json!(null), "#14573f", "null"),
        ] {
            assert_eq!(brand(&json!({ "primaryColor": given })).button.to_string(), button, "{reason}: {given}");
        }
        assert_eq!(brand(&json!({})).button, DEFAULT);
    }

    #[test]
    fn contrast_is_that_of_wcag() {
        for (one, other, ratio) in
            [("#fff", "#000", 21.0), ("#fff", "#fff", 1.0), ("#767676", "#fff", 4.54), ("#777777", "#fff", 4.48)]
        {
            let contrast = Colour::parse(one).unwrap().contrast(Colour::parse(other).unwrap());
            assert!((contrast - ratio).abs() < 0.005, "{one} on {other}: {contrast}");
        }
    }

    #[test]
    fn every_text_is_readable_whatever_the_colour() {
        for channels in 0..16_u16.pow(3) {
            let brand = brand(&json!({ "primaryColor": format!("#{channels:03x}") }));
            for (ink, background, reason) in [
                (brand.button_ink, brand.button, "the button"),
                (brand.accent, CARD, "a link"),
                (brand.dark_button_ink, brand.dark_accent, "the button in dark mode"),
                (brand.dark_accent, DARK_CARD, "a link in dark mode"),
            ] {
                let contrast = ink.contrast(background);
                assert!(contrast >= READABLE, "{reason} of {}: {ink} on {background}: {contrast}", brand.button);
            }
        }
    }

    #[test]
    fn a_readable_colour_does_not_change() {
        let accents = |colour| {
            let brand = brand(&json!({ "primaryColor": colour }));
            [brand.accent, brand.dark_accent].map(|accent| accent.to_string())
        };
        assert_eq!(accents("#14573f")[0], "#14573f");
        assert_eq!(accents("#ffd400")[1], "#ffd400");
        assert_eq!(accents("#000"), ["#000000", "#878787"]);
        assert_eq!(accents("#fff"), ["#6f6f6f", "#ffffff"]);
    }

    #[test]
    fn a_logo_is_a_plain_https_address() {
        for (url, accepted, reason) in [
            ("https://cdn.acme.example/logo.png", true, "the usual"),
            ("https://cdn.acme.example:8443/a/b.png?v=2&s=40#x", true, "port, query and fragment"),
            ("https://xn--bcher-kva.example/l.png", true, "an internationalized host"),
            ("http://cdn.acme.example/logo.png", false, "not encrypted"),
            ("HTTPS://cdn.acme.example/logo.png", false, "capitals, which nobody writes"),
            ("//cdn.acme.example/logo.png", false, "no scheme"),
            ("data:image/png;base64,AAAA", false, "data"),
            ("javascript:alert(1)", false, "code"),
            ("cid:logo", false, "an attachment"),
            ("https://", false, "no host"),
            ("https:///logo.png", false, "no host"),
            ("https://user@acme.example/logo.png", false, "a user name"),
            ("https://acme.example/a b.png", false, "a space"),
            ("https://acme.example/\"onerror=\"x", false, "the end of the attribute"),
            ("https://acme.example/<x>", false, "a tag"),
            ("https://acme.example/a\\b", false, "a backslash"),
            ("https://acme.example/é.png", false, "not ASCII"),
            ("https://acme.example/a\nb", false, "a line end"),
            (" https://acme.example/a", false, "a space before it"),
        ] {
            assert_eq!(brand(&json!({ "logoUrl": url })).logo_url.is_some(), accepted, "{reason}: {url}");
        }
        let of_length = |length: usize| format!("https://acme.example/{}", "x".repeat(length - 21));
        assert!(is_logo_url(&of_length(MAX_LOGO_URL)));
        assert!(!is_logo_url(&of_length(MAX_LOGO_URL + 1)));
        assert_eq!(brand(&json!({ "logoUrl": { "url": "https://acme.example/l.png" } })).logo_url, None);
    }
}

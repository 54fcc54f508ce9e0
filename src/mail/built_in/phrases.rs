//! The phrases of the built-in mail: plain text in each language, which the layout escapes.

mod ar;
mod de;
mod en;
mod es;
mod fr;
mod it;
mod ja;
mod pt;

/// Every language, in the order of its locale.
pub(super) static LANGUAGES: [&Phrases; 8] =
    [&ar::PHRASES, &de::PHRASES, &en::PHRASES, &es::PHRASES, &fr::PHRASES, &it::PHRASES, &ja::PHRASES, &pt::PHRASES];

/// The phrases of one language.
#[derive(Debug)]
pub(crate) struct Phrases {
    /// The language, as a BCP 47 tag.
    pub locale: &'static str,
    pub(super) direction: Direction,
    /// The subject, from the inviter's name and the organization's.
    pub(super) subject: fn(Option<&str>, &str) -> String,
    /// The line that mail programs show beside the subject, from the organization's name and the time of expiry.
    pub(super) preheader: fn(&str, &str) -> String,
    /// The heading, from the organization's name.
    pub(super) heading: fn(&str) -> String,
    /// The first sentence, from the inviter and the organization's name.
    pub(super) intro: fn(Inviter<'_>, &str) -> String,
    pub(super) button: &'static str,
    pub(super) code_label: &'static str,
    pub(super) code_hint: &'static str,
    pub(super) inviter_label: &'static str,
    pub(super) roles_label: &'static str,
    pub(super) expires_label: &'static str,
    pub(super) link_hint: &'static str,
    /// The line that names the invitee's address.
    pub(super) sent_to: fn(&str) -> String,
    pub(super) ignore: &'static str,
}

/// The direction of a language's script.
#[derive(Clone, Copy, Debug)]
pub(super) enum Direction {
    LeftToRight,
    RightToLeft,
}

impl Direction {
    /// The values of the HTML attributes `dir` and `align`.
    pub(super) fn dir_and_align(self) -> (&'static str, &'static str) {
        match self {
            Self::LeftToRight => ("ltr", "left"),
            Self::RightToLeft => ("rtl", "right"),
        }
    }
}

/// The inviter, by the best that is known.
#[derive(Clone, Copy, Debug)]
pub(super) enum Inviter<'a> {
    Name(&'a str),
    Address(&'a str),
    Unknown,
}

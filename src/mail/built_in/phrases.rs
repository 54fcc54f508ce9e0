//! The phrases of the built-in mail: plain text in each language, which the layout escapes.

mod ar;
mod de;
mod en;
mod es;
mod fr;
mod it;
mod ja;
mod pt;

use crate::mail::utc::UtcTime;

/// All languages, sorted by locale.
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
    /// The preview line that mail programs show after the subject, from the organization's name and the expiry.
    pub(super) preheader: fn(&str, &str) -> String,
    /// The heading, from the organization's name.
    pub(super) heading: fn(&str) -> String,
    /// The first sentence, from the inviter, the organization's name, and the output of [`Phrases::with_roles`].
    pub(super) intro: fn(Inviter<'_>, &str, &str) -> String,
    /// The part of the first sentence that names the roles, at least one. It includes its surrounding spaces.
    pub(super) with_roles: fn(&[String]) -> String,
    /// Formats a time to the minute.
    pub(super) time: fn(&UtcTime) -> String,
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

/// The best known name of the inviter.
#[derive(Clone, Copy, Debug)]
pub(super) enum Inviter<'a> {
    Name(&'a str),
    Address(&'a str),
    Unknown,
}

/// Joins names with `comma`, and `and` before the last.
fn list(names: &[String], comma: &str, and: &str) -> String {
    match names {
        [] => String::new(),
        [name] => name.clone(),
        [names @ .., last] => format!("{}{and}{last}", names.join(comma)),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::domain::timestamp::Timestamp;

    #[test]
    fn every_language_writes_a_time_as_its_readers_do() {
        // 2026-11-26T14:30:00Z, 2028-03-01T00:05:59Z
        for (locale, late, early) in [
            ("ar", "26 نوفمبر 2026، \u{2066}14:30 UTC\u{2069}", "1 مارس 2028، \u{2066}00:05 UTC\u{2069}"),
            ("de", "26. November 2026, 14:30 UTC", "1. März 2028, 00:05 UTC"),
            ("en", "26 November 2026, 14:30 UTC", "1 March 2028, 00:05 UTC"),
            ("es", "26 de noviembre de 2026, 14:30 UTC", "1 de marzo de 2028, 00:05 UTC"),
            ("fr", "26 novembre 2026, 14:30 UTC", "1er mars 2028, 00:05 UTC"),
            ("it", "26 novembre 2026, 14:30 UTC", "1 marzo 2028, 00:05 UTC"),
            ("ja", "2026年11月26日 14:30 UTC", "2028年3月1日 00:05 UTC"),
            ("pt", "26 de novembro de 2026, 14:30 UTC", "1º de março de 2028, 00:05 UTC"),
        ] {
            let phrases = LANGUAGES.into_iter().find(|phrases| phrases.locale == locale).unwrap();
            let time = |millis| (phrases.time)(&UtcTime::of(Timestamp::from_millis(millis)));
            assert_eq!([time(1_795_703_400_000), time(1_835_481_959_000)], [late, early], "{locale}");
        }
    }

    #[test]
    fn every_language_has_twelve_months() {
        let days = [14_i64, 45, 73, 104, 134, 165, 195, 226, 257, 287, 318, 348];
        for phrases in LANGUAGES {
            let on = |day| (phrases.time)(&UtcTime::of(Timestamp::from_millis(day * 86_400_000)));
            let times = BTreeSet::from(days.map(on));
            assert_eq!(times.len(), 12, "{}: {times:?}", phrases.locale);
            assert!(times.iter().all(|time| time.contains("15") && !time.contains("  ")), "{times:?}");
        }
    }

    #[test]
    fn every_language_names_one_role_two_and_three() {
        for (locale, one, two, three) in [
            (
                "ar",
                " بدور \u{2068}A\u{2069}",
                " بالدورين \u{2068}A\u{2069} و\u{2068}B\u{2069}",
                " بالأدوار \u{2068}A\u{2069} و\u{2068}B\u{2069} و\u{2068}C\u{2069}",
            ),
            ("de", " mit der Rolle A", " mit den Rollen A und B", " mit den Rollen A, B und C"),
            ("en", " with the role A", " with the roles A and B", " with the roles A, B and C"),
            ("es", " con el rol A", " con los roles A y B", " con los roles A, B y C"),
            ("fr", " avec le rôle A", " avec les rôles A et B", " avec les rôles A, B et C"),
            ("it", " con il ruolo A", " con i ruoli A e B", " con i ruoli A, B e C"),
            ("ja", "「A」のロールで", "「A」「B」のロールで", "「A」「B」「C」のロールで"),
            ("pt", " com a função A", " com as funções A e B", " com as funções A, B e C"),
        ] {
            let phrases = LANGUAGES.into_iter().find(|phrases| phrases.locale == locale).unwrap();
            let roles = ["A", "B", "C"].map(str::to_owned);
            let named = [1, 2, 3].map(|count| (phrases.with_roles)(&roles[..count]));
            assert_eq!(named, [one, two, three], "{locale}");
        }
    }

    #[test]
    fn spanish_says_e_before_the_sound_i() {
        for (last, and) in [
            ("Invitado", "e"),
            ("Ítaca", "e"),
            ("Historiador", "e"),
            ("HISTORIADOR", "e"),
            ("Hielo", "y"),
            ("Hiato", "y"),
            ("Miembro", "y"),
            ("H", "y"),
            ("", "y"),
        ] {
            let roles = ["Lector".to_owned(), last.to_owned()];
            assert_eq!((es::PHRASES.with_roles)(&roles), format!(" con los roles Lector {and} {last}"));
        }
    }
}

//! Properties of the parser of email addresses.

use crate::domain::email_address::{EmailAddress, EmailAddressError, MAX_LENGTH};
use proptest::prelude::*;

use crate::arbitrary::{self, cases};

/// The contract's rule for addresses, character by character, except for the length.
fn fits(text: &str) -> bool {
    let characters: Vec<char> = text.chars().collect();
    let Some(at) = characters.iter().position(|c| *c == '@') else { return false };
    let (local, domain) = (&characters[..at], &characters[at + 1..]);
    let follows_a_dot = |n: usize| n == 0 || local[n - 1] == '.';
    let local_fits = local.iter().enumerate().all(|(n, c)| match c {
        'A'..='Z' | 'a'..='z' | '0'..='9' | '_' | '+' | '-' => true,
        '\'' => n + 1 < local.len(),
        '.' => n + 1 < local.len() && !follows_a_dot(n),
        _ => false,
    });
    let labels: Vec<String> = domain.split(|c| *c == '.').map(|label| label.iter().collect()).collect();
    let label_fits = |label: &String| {
        let hyphens = label.starts_with('-') || label.ends_with('-');
        !label.is_empty() && !hyphens && label.chars().all(|c| matches!(c, 'A'..='Z' | 'a'..='z' | '0'..='9' | '-'))
    };
    let top = labels.last().cloned().unwrap_or_default();
    let is_word = top.len() > 1 && top.chars().all(|c| c.is_ascii_alphabetic());
    let is_encoded = top.len() > 4 && top.to_lowercase().starts_with("xn--");
    !local.is_empty() && local_fits && labels.len() > 1 && labels.iter().all(label_fits) && (is_word || is_encoded)
}

/// Addresses and near misses.
fn nearly() -> impl Strategy<Value = String> {
    prop_oneof![
        2 => "[A-Za-z0-9_'+.-]{0,8}@([A-Za-z0-9-]{0,4}\\.){0,3}([A-Za-z]{0,3}|[Xx][Nn]--[a-z0-9-]{0,3})",
        1 => "[a@. '\"<>()é\\\\\\r\\n\u{202e}_+-]{0,12}",
        1 => "[a-z]{1,4}@[a-z]{1,4}\\.[a-z]{2,3}.{0,2}",
        1 => "[a-z.]{200,300}@[a-z.]{1,20}\\.com",
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2 * cases().cases, ..cases() })]

    #[test]
    fn an_address_is_accepted_exactly_when_it_matches_the_rule(text in nearly()) {
        let expected = match fits(&text) {
            false => Some(EmailAddressError::Malformed),
            true if text.len() > MAX_LENGTH => Some(EmailAddressError::TooLong),
            true => None,
        };
        prop_assert_eq!(EmailAddress::parse(&text).err(), expected);
    }

    #[test]
    fn an_address_is_kept_as_typed_and_compared_normalized(text in nearly()) {
        let Ok(address) = EmailAddress::parse(&text) else { return Ok(()) };
        prop_assert_eq!(address.as_str(), &text);
        let normalized = address.normalized();
        for other in [normalized.as_str().to_owned(), text.to_ascii_uppercase(), text.to_uppercase()] {
            prop_assert_eq!(&EmailAddress::parse(&other).unwrap().normalized(), &normalized);
        }
        prop_assert!(!normalized.as_str().contains('#'), "a part of a key");
    }

    #[test]
    fn other_texts_are_an_error_without_a_panic(text in arbitrary::text()) {
        prop_assert_eq!(EmailAddress::parse(&text).is_ok(), fits(&text));
    }
}

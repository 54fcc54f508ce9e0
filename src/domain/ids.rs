//! Identifiers: of tenants, of invitations, and of the rows of a tenant's directory.

use std::fmt;

use serde::{Deserialize, Serialize, de::Error as _};

use crate::domain::timestamp::Timestamp;

/// A tenant from the caller's verified claims: `[A-Za-z0-9_-]{1,64}`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct TenantId(String);

impl TenantId {
    /// Parses a tenant; `None` if invalid.
    pub fn parse(text: &str) -> Option<Self> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
        ((1..=64).contains(&text.len()) && text.bytes().all(allowed)).then(|| Self(text.to_owned()))
    }

    /// The tenant's name.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for TenantId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The identifier of an organization, a role or a user. The tenant's application chooses it: not empty, and without `#`
/// (the separator in keys) and control characters.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct DirectoryId(String);

impl DirectoryId {
    /// Parses an identifier; `None` if it is invalid or longer than `max_length` UTF-16 units (the setting
    /// `ID_MAX_LENGTH`).
    pub fn parse(text: &str, max_length: usize) -> Option<Self> {
        Self::stored(text).filter(|_| utf16_length(text) <= max_length)
    }

    /// Reads an identifier that was stored, perhaps while the setting allowed longer ones; `None` if it is invalid.
    pub fn stored(text: &str) -> Option<Self> {
        let is_valid = !text.is_empty() && !text.contains(|c: char| c == '#' || c.is_control());
        is_valid.then(|| Self(text.to_owned()))
    }

    /// The identifier's text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for DirectoryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for DirectoryId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::stored(&text).ok_or_else(|| D::Error::custom("an invalid identifier"))
    }
}

/// The length in UTF-16 units, as JavaScript clients count it.
pub(crate) fn utf16_length(text: &str) -> usize {
    text.encode_utf16().count()
}

/// An invitation's identifier: 21 characters of `[0-9a-z]`. The first nine are the creation time in milliseconds, in
/// base 36, so that identifiers sort by time; the other twelve are random (62 bits).
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct InvitationId(String);

impl InvitationId {
    const DIGITS: &[u8; 36] = b"0123456789abcdefghijklmnopqrstuvwxyz";
    const TIME_DIGITS: usize = 9;
    const LENGTH: usize = 21;

    /// Generates an identifier with randomness from the operating system.
    ///
    /// # Errors
    /// The operating system provides no randomness.
    pub fn generate(now: Timestamp) -> Result<Self, getrandom::Error> {
        let mut id = Self::time_prefix(now);
        while id.len() < Self::LENGTH {
            let mut bytes = [0; 16];
            getrandom::fill(&mut bytes)?;
            // 252 is the largest multiple of 36 in a byte. Rejecting larger bytes makes every digit equally likely.
            let digits = bytes.iter().filter(|byte| **byte < 252).map(|byte| Self::DIGITS[usize::from(byte % 36)]);
            id.extend(digits.take(Self::LENGTH - id.len()).map(char::from));
        }
        Ok(Self(id))
    }

    /// Parses an identifier; `None` if invalid.
    pub fn parse(text: &str) -> Option<Self> {
        let allowed = |byte: u8| byte.is_ascii_digit() || byte.is_ascii_lowercase();
        (text.len() == Self::LENGTH && text.bytes().all(allowed)).then(|| Self(text.to_owned()))
    }

    /// The identifier's text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn time_prefix(now: Timestamp) -> String {
        let mut rest = now.as_millis().unsigned_abs();
        let mut digits = [b'0'; Self::TIME_DIGITS];
        for digit in digits.iter_mut().rev() {
            *digit = Self::DIGITS[(rest % 36) as usize];
            rest /= 36;
        }
        digits.map(char::from).iter().collect()
    }
}

impl fmt::Display for InvitationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn identifiers_are_unique_well_formed_and_sort_by_time() {
        let mut seen = HashSet::new();
        let mut previous = String::new();
        for millis in (1_700_000_000_000..1_700_000_100_000).step_by(100) {
            let id = InvitationId::generate(Timestamp::from_millis(millis)).unwrap();
            assert_eq!(InvitationId::parse(id.as_str()).as_ref(), Some(&id));
            assert!(id.as_str() > previous.as_str(), "{id} comes after {previous}");
            previous = id.as_str().to_owned();
            assert!(seen.insert(id));
        }
    }

    #[test]
    fn every_random_digit_is_equally_likely() {
        let now = Timestamp::from_millis(1_700_000_000_000);
        let mut counts = [0_u32; 36];
        for _ in 0..40_000 {
            let id = InvitationId::generate(now).unwrap();
            for digit in id.as_str()[InvitationId::TIME_DIGITS..].bytes() {
                counts[InvitationId::DIGITS.iter().position(|it| *it == digit).unwrap()] += 1;
            }
        }
        let digits = f64::from(counts.iter().sum::<u32>());
        let (mean, variance) = (digits / 36.0, digits * 35.0 / (36.0 * 36.0));
        // Seven standard deviations: chance exceeds them once in 10 billion runs.
        let most = 7.0 * variance.sqrt();
        assert!(counts.iter().all(|count| (f64::from(*count) - mean).abs() < most), "{mean} ± {most}: {counts:?}");
    }

    #[test]
    fn an_identifier_that_would_break_a_key_is_invalid() {
        for (id, is_valid, reason) in [
            ("acme", true, "plain"),
            ("", false, "empty"),
            ("a#b", false, "the separator of keys"),
            ("a\0b", false, "NUL"),
            ("a\u{85}b", false, "a control character beyond ASCII"),
            ("123456789012345678901", true, "21 characters"),
            ("1234567890123456789012", false, "22 characters"),
            ("😀😀😀😀😀😀😀😀😀😀", true, "20 UTF-16 units"),
            ("😀😀😀😀😀😀😀😀😀😀😀", false, "22 UTF-16 units"),
        ] {
            assert_eq!(DirectoryId::parse(id, 21).is_some(), is_valid, "{reason}");
        }
    }

    #[test]
    fn tenants_are_named_with_key_safe_characters_only() {
        for (text, valid) in [
            ("default", true),
            ("A-b_9", true),
            ("", false),
            ("a#b", false),
            ("a b", false),
            ("ä", false),
            (&"x".repeat(64), true),
            (&"x".repeat(65), false),
        ] {
            assert_eq!(TenantId::parse(text).is_some(), valid, "{text:?}");
        }
    }
}

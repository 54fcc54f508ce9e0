//! The email address of an invitee: validation and comparison.

use std::fmt;

/// The maximum length of an address, in characters (Logto's column width).
pub(crate) const MAX_LENGTH: usize = 256;

/// A valid email address. It keeps its case; its [`NormalizedAddress`] is compared.
///
/// `Debug` masks it, so that no address reaches a log by accident.
#[derive(Clone, PartialEq, Eq)]
pub struct EmailAddress(String);

/// The reason why a text is not a valid address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EmailAddressError {
    /// The text does not have the accepted form.
    Malformed,
    /// The text has the accepted form but is longer than [`MAX_LENGTH`].
    TooLong,
}

impl EmailAddress {
    /// Parses an ASCII address: a local part of `[A-Za-z0-9_'+\-.]` with no leading dot, no `..` and not ending in `.`
    /// or `'`; a dotted domain of letter-digit-hyphen labels; a top-level domain of two letters or more, or an `xn--`
    /// one.
    pub fn parse(text: &str) -> Result<Self, EmailAddressError> {
        let (local, domain) = text.rsplit_once('@').ok_or(EmailAddressError::Malformed)?;
        if !is_local_part(local) || !is_domain(domain) {
            return Err(EmailAddressError::Malformed);
        }
        if text.len() > MAX_LENGTH {
            return Err(EmailAddressError::TooLong);
        }
        Ok(Self(text.to_owned()))
    }

    /// The address as the caller sent it.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The form for comparisons and keys.
    pub fn normalized(&self) -> NormalizedAddress {
        NormalizedAddress::of(&self.0)
    }
}

/// An address in lower case, for comparisons and keys. Valid addresses are ASCII, so lowercasing is unambiguous.
///
/// `Debug` masks it.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct NormalizedAddress(String);

impl NormalizedAddress {
    /// Normalizes a text. If it is not a valid address, it equals no invitee's.
    pub fn of(text: &str) -> Self {
        Self(text.to_ascii_lowercase())
    }

    /// The normalized text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for NormalizedAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NormalizedAddress(***)")
    }
}

impl fmt::Debug for EmailAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EmailAddress(***)")
    }
}

fn is_local_part(local: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"_'+-.".contains(&byte);
    !local.is_empty()
        && local.bytes().all(allowed)
        && !local.starts_with('.')
        && !local.ends_with(['.', '\''])
        && !local.contains("..")
}

fn is_domain(domain: &str) -> bool {
    domain.rsplit_once('.').is_some_and(|(labels, top)| labels.split('.').all(is_label) && is_top_level(top))
}

fn is_label(label: &str) -> bool {
    !label.is_empty()
        && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        && !label.starts_with('-')
        && !label.ends_with('-')
}

fn is_top_level(label: &str) -> bool {
    let is_word = label.len() >= 2 && label.bytes().all(|byte| byte.is_ascii_alphabetic());
    let is_punycode =
        label.get(..4).is_some_and(|prefix| prefix.eq_ignore_ascii_case("xn--")) && label.len() > 4 && is_label(label);
    is_word || is_punycode
}

#[cfg(test)]
mod properties;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comparisons_ignore_case_and_the_text_is_unchanged() {
        let typed = EmailAddress::parse("Ada.Lovelace+X@Example.COM").unwrap();
        assert_eq!(typed.as_str(), "Ada.Lovelace+X@Example.COM");
        assert_eq!(typed.normalized().as_str(), "ada.lovelace+x@example.com");
    }

    #[test]
    fn the_form_is_checked_before_the_length() {
        let long = format!("{}@example.com", "a".repeat(260));
        assert_eq!(EmailAddress::parse(&long), Err(EmailAddressError::TooLong));
        assert_eq!(EmailAddress::parse(&format!(".{long}")), Err(EmailAddressError::Malformed));
        let longest = format!("{}@example.com", "a".repeat(MAX_LENGTH - "@example.com".len()));
        assert!(EmailAddress::parse(&longest).is_ok());
    }

    #[test]
    fn debug_output_masks_an_address() {
        let address = EmailAddress::parse("ada@example.com").unwrap();
        assert!(!format!("{address:?} {:?}", address.normalized()).contains("ada"));
    }
}

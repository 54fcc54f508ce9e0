//! The token in the link of a message: a secret that proves access to the invitee's mailbox.
//!
//! Each message gets a new token, which replaces that of the previous message. The table stores only the hash.

use std::fmt;

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// The number of wrong tokens presented since a message was sent, after which its token is no longer valid.
pub(crate) const MAX_FAILURES: u32 = 10;

/// A token. Only its message contains it. `Debug` omits it.
pub(crate) struct InvitationToken(String);

impl InvitationToken {
    /// The length of the randomness, in bytes.
    const LENGTH: usize = 32;

    /// Generates a token from 32 bytes of the operating system's randomness, as 43 characters of base64url without
    /// padding.
    ///
    /// # Errors
    /// The operating system provides no randomness.
    pub(crate) fn generate() -> Result<Self, getrandom::Error> {
        let mut bytes = [0; Self::LENGTH];
        getrandom::fill(&mut bytes)?;
        Ok(Self(BASE64_URL_SAFE_NO_PAD.encode(bytes)))
    }

    /// The token's text, as in the message.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// The hash that the table stores.
    pub(crate) fn hash(&self) -> TokenHash {
        TokenHash::of(&self.0)
    }
}

impl fmt::Debug for InvitationToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("InvitationToken(***)")
    }
}

/// The SHA-256 of a token's text. Comparison takes constant time. `Debug` omits it.
#[derive(Clone, Copy)]
pub struct TokenHash([u8; 32]);

impl TokenHash {
    /// Hashes a text that a caller presents, which need not be a well-formed token.
    pub(crate) fn of(text: &str) -> Self {
        Self(Sha256::digest(text).into())
    }

    /// Parses a hash as [`TokenHash::to_text`] writes it.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        BASE64_URL_SAFE_NO_PAD.decode(text).ok()?.try_into().ok().map(Self)
    }

    /// The hash in base64url, as the table stores it.
    pub(crate) fn to_text(self) -> String {
        BASE64_URL_SAFE_NO_PAD.encode(self.0)
    }
}

impl PartialEq for TokenHash {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Eq for TokenHash {}

impl fmt::Debug for TokenHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenHash(***)")
    }
}

/// The stored token of an invitation's latest message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoredToken {
    /// Its hash.
    pub hash: TokenHash,
    /// The number of wrong tokens presented since the message was sent.
    pub failures: u32,
    /// The hash of the previous message's token.
    pub former: Option<TokenHash>,
}

impl StoredToken {
    /// Returns `true` if the presented token is valid: this one, with fewer than [`MAX_FAILURES`] wrong ones before.
    pub(crate) fn accepts(&self, presented: TokenHash) -> bool {
        self.failures < MAX_FAILURES && self.hash == presented
    }

    /// Returns `true` if the presented token counts as a guess: it is wrong, and the limit is not reached. The previous
    /// message's token is not a guess, because people and mail scanners still open its link.
    pub(crate) fn counts_as_guess(&self, presented: TokenHash) -> bool {
        self.failures < MAX_FAILURES && self.hash != presented && self.former != Some(presented)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn a_token_is_43_characters_of_base64url_and_never_the_same_twice() {
        let tokens: Vec<_> = (0..1000).map(|_| InvitationToken::generate().unwrap()).collect();
        for token in &tokens {
            let is_base64url = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
            assert!(token.as_str().len() == 43 && token.as_str().bytes().all(is_base64url), "{}", token.as_str());
        }
        assert_eq!(tokens.iter().map(InvitationToken::as_str).collect::<HashSet<_>>().len(), tokens.len());
    }

    #[test]
    fn a_hash_survives_a_round_trip_and_differs_between_texts() {
        let token = InvitationToken::generate().unwrap();
        let hash = token.hash();
        assert_eq!(TokenHash::parse(&hash.to_text()), Some(hash));
        assert_eq!(TokenHash::of(token.as_str()), hash);
        for other in ["", &token.as_str()[1..], &format!("{}=", token.as_str()), &hash.to_text()] {
            assert_ne!(TokenHash::of(other), hash, "{other}");
        }
        // SHA-256 of the empty text (FIPS 180-4 test vector).
        assert_eq!(TokenHash::of("").to_text(), "47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU");
        for text in ["", "47DEQpj8", "47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU=", "*"] {
            assert_eq!(TokenHash::parse(text), None, "{text}");
        }
    }

    #[test]
    fn after_ten_wrong_tokens_even_the_right_one_is_invalid_and_no_more_guesses_count() {
        let [right, wrong, former] = ["right", "wrong", "former"].map(TokenHash::of);
        for (failures, is_open) in [(0, true), (9, true), (10, false), (11, false)] {
            let stored = StoredToken { hash: right, failures, former: Some(former) };
            assert_eq!([right, wrong, former].map(|hash| stored.accepts(hash)), [is_open, false, false], "{failures}");
            assert_eq!(
                [right, wrong, former].map(|hash| stored.counts_as_guess(hash)),
                [false, is_open, false],
                "{failures}"
            );
        }
    }

    #[test]
    fn debug_output_omits_the_token_and_its_hash() {
        let token = InvitationToken::generate().unwrap();
        let stored = StoredToken { hash: token.hash(), failures: 0, former: Some(token.hash()) };
        let shown = format!("{token:?} {:?} {stored:?}", token.hash());
        assert!(!shown.contains(token.as_str()) && !shown.contains(&token.hash().to_text()), "{shown}");
        assert_eq!(shown.matches("TokenHash(***)").count(), 3, "{shown}");
    }
}

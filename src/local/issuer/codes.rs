//! The authorization codes: in memory, each for one use within a minute.

use std::{
    collections::VecDeque,
    sync::{Mutex, PoisonError},
};

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};

use super::{Person, challenge_of};
use crate::domain::{ids::TenantId, timestamp::Timestamp};

/// The lifetime of a code.
const LIFETIME_MILLISECONDS: i64 = 60_000;
/// The number of codes that are kept; the oldest are dropped first.
const MAX_CODES: usize = 1_000;

/// The authorization of a person for one client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Authorized {
    pub(super) client_id: String,
    pub(super) redirect_uri: String,
    /// The `code_challenge`, of the method S256.
    pub(super) challenge: String,
    pub(super) tenant: TenantId,
    pub(super) person: Person,
}

/// The request that redeems a code.
#[derive(Clone, Copy, Debug)]
pub(super) struct Redemption<'a> {
    pub(super) code: &'a str,
    pub(super) client_id: &'a str,
    pub(super) redirect_uri: &'a str,
    pub(super) verifier: &'a str,
}

/// The codes that nobody has redeemed, oldest first.
#[derive(Debug, Default)]
pub(super) struct Codes(Mutex<VecDeque<Issued>>);

#[derive(Debug)]
struct Issued {
    code: String,
    expires_at: Timestamp,
    authorized: Authorized,
}

impl Codes {
    /// A new code; `None` without randomness.
    pub(super) fn issue(&self, authorized: Authorized, now: Timestamp) -> Option<String> {
        let mut bytes = [0; 32];
        getrandom::fill(&mut bytes).ok()?;
        let code = BASE64_URL_SAFE_NO_PAD.encode(bytes);
        let issued = Issued { code: code.clone(), expires_at: now.plus_millis(LIFETIME_MILLISECONDS), authorized };
        let mut codes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        codes.retain(|issued| issued.expires_at > now);
        if codes.len() == MAX_CODES {
            codes.pop_front();
        }
        codes.push_back(issued);
        Some(code)
    }

    /// Redeems a code for its authorization. A request that does not match invalidates the code too, because the code
    /// is then in the wrong hands.
    pub(super) fn redeem(&self, request: Redemption<'_>, now: Timestamp) -> Option<Authorized> {
        let mut codes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let position = codes.iter().position(|issued| issued.code == request.code)?;
        let Issued { expires_at, authorized, .. } = codes.remove(position)?;
        drop(codes);
        let fits = expires_at > now
            && authorized.client_id == request.client_id
            && authorized.redirect_uri == request.redirect_uri
            && authorized.challenge == challenge_of(request.verifier);
        fits.then_some(authorized)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::email_address::EmailAddress;

    const NOW: Timestamp = Timestamp::from_millis(1_000_000_500);
    const REDIRECT: &str = "http://localhost:5173/callback";
    // Of RFC 7636, appendix B.
    const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
    const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

    fn authorized() -> Authorized {
        Authorized {
            client_id: "app".to_owned(),
            redirect_uri: REDIRECT.to_owned(),
            challenge: CHALLENGE.to_owned(),
            tenant: TenantId::parse("t1").unwrap(),
            person: Person::new(EmailAddress::parse("grace@example.com").unwrap(), None),
        }
    }

    fn redemption(code: &str) -> Redemption<'_> {
        Redemption { code, client_id: "app", redirect_uri: REDIRECT, verifier: VERIFIER }
    }

    #[test]
    fn a_code_is_redeemed_once_and_within_a_minute() {
        let codes = Codes::default();
        let code = codes.issue(authorized(), NOW).unwrap();
        assert_eq!(codes.redeem(redemption(&code), NOW.plus_millis(59_999)), Some(authorized()));
        assert_eq!(codes.redeem(redemption(&code), NOW), None, "a second time");
        let late = codes.issue(authorized(), NOW).unwrap();
        assert_eq!(codes.redeem(redemption(&late), NOW.plus_millis(60_000)), None, "after a minute");
    }

    #[test]
    fn a_code_is_bound_to_its_client_address_and_challenge_and_a_wrong_request_ends_it() {
        let codes = Codes::default();
        let right = redemption("");
        let other = VERIFIER.replace('d', "e");
        for (wrong, reason) in [
            (Redemption { client_id: "another", ..right }, "another client"),
            (Redemption { redirect_uri: "http://localhost:5173/", ..right }, "another address"),
            (Redemption { verifier: &other, ..right }, "another verifier"),
        ] {
            let code = codes.issue(authorized(), NOW).unwrap();
            assert_eq!(codes.redeem(Redemption { code: &code, ..wrong }, NOW), None, "{reason}");
            assert_eq!(codes.redeem(redemption(&code), NOW), None, "{reason}, then the right request");
        }
        let code = codes.issue(authorized(), NOW).unwrap();
        assert_eq!(codes.redeem(redemption("unknown"), NOW), None);
        assert!(codes.redeem(redemption(&code), NOW).is_some(), "an unknown code ends no other");
    }

    #[test]
    fn the_number_of_codes_is_bounded() {
        let codes = Codes::default();
        let oldest = codes.issue(authorized(), NOW).unwrap();
        let second = codes.issue(authorized(), NOW).unwrap();
        for _ in 1..MAX_CODES {
            codes.issue(authorized(), NOW).unwrap();
        }
        assert_eq!(codes.0.lock().unwrap().len(), MAX_CODES);
        assert!(codes.redeem(redemption(&oldest), NOW).is_none());
        assert!(codes.redeem(redemption(&second), NOW).is_some());
        codes.issue(authorized(), NOW.plus_millis(60_000)).unwrap();
        assert_eq!(codes.0.lock().unwrap().len(), 1, "expired codes go");
    }
}

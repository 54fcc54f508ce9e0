//! The opaque cursor of a paged list: the last invitation of a page and a seal, by which a modified cursor, or one of
//! another list, is detected.

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::{
    domain::ids::{InvitationId, TenantId},
    store::read::Filters,
};

/// The length of the truncated seal, in bytes: 128 bits cannot be guessed.
const SEAL_BYTES: usize = 16;

/// Seals and opens the cursors of one list, which is a tenant with filters.
#[derive(Debug)]
pub struct Cursors {
    mac: Hmac<Sha256>,
}

impl Cursors {
    /// The cursors of the list of `tenant` with `filters`, sealed with `key`.
    ///
    /// # Panics
    /// Never: HMAC takes a key of any length.
    pub fn new(key: &str, tenant: &TenantId, filters: &Filters) -> Self {
        let mut mac = Hmac::<Sha256>::new_from_slice(key.as_bytes()).expect("HMAC takes any key");
        let Filters { organization_id, inviter_id, invitee } = filters;
        let parts = [Some(tenant.as_str()), organization_id.as_deref(), inviter_id.as_deref(), invitee.as_deref()];
        for part in parts {
            // The length is a prefix, so that different lists have different seals.
            mac.update(&part.map_or(u64::MAX, |part| part.len() as u64).to_be_bytes());
            mac.update(part.unwrap_or_default().as_bytes());
        }
        Self { mac }
    }

    /// The cursor of the page after `last`.
    pub fn seal(&self, last: &InvitationId) -> String {
        let seal = self.mac.clone().chain_update(last.as_str()).finalize().into_bytes();
        BASE64_URL_SAFE_NO_PAD.encode([last.as_str().as_bytes(), &seal[..SEAL_BYTES]].concat())
    }

    /// The invitation before the cursor's page; `None` for a cursor that is not one of this list.
    pub fn open(&self, cursor: &str) -> Option<InvitationId> {
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(cursor).ok()?;
        let (last, seal) = bytes.split_at_checked(bytes.len().checked_sub(SEAL_BYTES)?)?;
        self.mac.clone().chain_update(last).verify_truncated_left(seal).ok()?;
        InvitationId::parse(str::from_utf8(last).ok()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_unchanged_cursor_of_the_same_list_opens() {
        let tenant = |name| TenantId::parse(name).unwrap();
        let by = |organization: &str, inviter: Option<&str>| Filters {
            organization_id: Some(organization.to_owned()),
            inviter_id: inviter.map(str::to_owned),
            invitee: None,
        };
        let last = InvitationId::parse("0mwshl16meeoe2l4w0lik").unwrap();
        let cursors = Cursors::new("key", &tenant("t"), &by("o", Some("i")));
        let cursor = cursors.seal(&last);
        assert_eq!(cursors.open(&cursor), Some(last));
        for (others, reason) in [
            (Cursors::new("kex", &tenant("t"), &by("o", Some("i"))), "another key"),
            (Cursors::new("key", &tenant("u"), &by("o", Some("i"))), "another tenant"),
            (Cursors::new("key", &tenant("t"), &by("oi", Some(""))), "other filters of the same text"),
            (Cursors::new("key", &tenant("t"), &by("oi", None)), "fewer filters"),
        ] {
            assert_eq!(others.open(&cursor), None, "{reason}");
        }
        for index in 0..cursor.len() {
            let mut changed = cursor.clone().into_bytes();
            changed[index] = if changed[index] == b'A' { b'B' } else { b'A' };
            assert_eq!(cursors.open(str::from_utf8(&changed).unwrap()), None, "changed at {index}");
        }
        for text in ["", "A", "=", "ä", "0mwshl16meeoe2l4w0lik"] {
            assert_eq!(cursors.open(text), None, "{text:?}");
        }
    }
}

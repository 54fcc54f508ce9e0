//! The opaque cursor of a paged list: the id of the invitation that was read last, and a checksum over the id and the
//! list, which detects a changed cursor and one of another list. The checksum needs no secret, because a cursor is only
//! a position within the caller's own tenant.

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use sha2::{Digest, Sha256};

use crate::{
    domain::ids::{InvitationId, TenantId},
    store::list::Filters,
};

/// The bytes of the checksum.
const CHECKSUM_BYTES: usize = 16;

/// Writes and reads the cursors of one list.
#[derive(Clone, Debug)]
pub(crate) struct Cursors {
    list: Sha256,
}

impl Cursors {
    /// The cursors of the list of `tenant` narrowed to `filters`.
    pub(crate) fn new(tenant: &TenantId, filters: &Filters) -> Self {
        let mut list = Sha256::new();
        // A list of pending invitations is never paged.
        let Filters { organization_id, inviter_id, invitee, pending_at: _ } = filters;
        let parts = [Some(tenant.as_str()), organization_id.as_deref(), inviter_id.as_deref(), invitee.as_deref()];
        for part in parts {
            // The length goes first, so that different lists never hash the same bytes.
            list.update(part.map_or(u64::MAX, |part| part.len() as u64).to_be_bytes());
            list.update(part.unwrap_or_default());
        }
        Self { list }
    }

    /// The cursor of the page after `last`.
    pub(crate) fn write(&self, last: &InvitationId) -> String {
        let last = last.as_str().as_bytes();
        BASE64_URL_SAFE_NO_PAD.encode([last, &self.checksum(last)].concat())
    }

    /// The invitation before the cursor's page; `None` if `cursor` is not a cursor of this list.
    pub(crate) fn read(&self, cursor: &str) -> Option<InvitationId> {
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(cursor).ok()?;
        let (last, checksum) = bytes.split_at_checked(bytes.len().checked_sub(CHECKSUM_BYTES)?)?;
        InvitationId::parse(str::from_utf8(last).ok()?).filter(|_| checksum == self.checksum(last))
    }

    fn checksum(&self, last: &[u8]) -> [u8; CHECKSUM_BYTES] {
        let digest = self.list.clone().chain_update(last).finalize();
        std::array::from_fn(|position| digest[position])
    }
}

#[cfg(test)]
mod properties;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_unchanged_cursor_of_the_same_list_is_valid() {
        let tenant = |name| TenantId::parse(name).unwrap();
        let by = |organization: &str, inviter: Option<&str>| Filters {
            organization_id: Some(organization.to_owned()),
            inviter_id: inviter.map(str::to_owned),
            ..Filters::default()
        };
        let last = InvitationId::parse("0mwshl16meeoe2l4w0lik").unwrap();
        let cursors = Cursors::new(&tenant("t"), &by("o", Some("i")));
        let cursor = cursors.write(&last);
        assert_eq!(cursors.read(&cursor), Some(last));
        for (others, reason) in [
            (Cursors::new(&tenant("u"), &by("o", Some("i"))), "another tenant"),
            (Cursors::new(&tenant("t"), &by("oi", Some(""))), "other filters of the same text"),
            (Cursors::new(&tenant("t"), &by("oi", None)), "fewer filters"),
        ] {
            assert_eq!(others.read(&cursor), None, "{reason}");
        }
        for index in 0..cursor.len() {
            let mut changed = cursor.clone().into_bytes();
            changed[index] = if changed[index] == b'A' { b'B' } else { b'A' };
            assert_eq!(cursors.read(str::from_utf8(&changed).unwrap()), None, "changed at {index}");
        }
        for text in ["", "A", "=", "ä", "0mwshl16meeoe2l4w0lik"] {
            assert_eq!(cursors.read(text), None, "{text:?}");
        }
    }
}

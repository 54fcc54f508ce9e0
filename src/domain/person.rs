//! A person who acts on invitations to their own address, with their own access token.

use std::fmt;

use crate::domain::{
    email_address::NormalizedAddress,
    ids::{DirectoryId, TenantId},
    invitation::Invitation,
};

/// A person, from the verified claims of their access token. `Debug` omits the address.
#[derive(Clone, PartialEq, Eq)]
pub struct Person {
    /// Their tenant.
    pub tenant: TenantId,
    /// Their identifier, which becomes the member's when they accept.
    pub user_id: DirectoryId,
    /// Their address, which the issuer has verified.
    pub address: NormalizedAddress,
}

impl Person {
    /// Returns `true` if the invitation is to their address, in their tenant.
    pub(crate) fn is_invitee_of(&self, invitation: &Invitation) -> bool {
        invitation.tenant == self.tenant && invitation.invitee.normalized() == self.address
    }
}

impl fmt::Debug for Person {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Person").field("tenant", &self.tenant).field("user_id", &self.user_id).finish_non_exhaustive()
    }
}

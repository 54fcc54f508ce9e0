//! The use cases: what can be done with invitations. They take domain values and give domain values or an
//! [`Error`]; they know neither HTTP nor wire JSON.
//!
//! | module | owns |
//! |---|---|
//! | [`mod@create`] | creating an invitation, mailing it, completing or rolling it back |
//! | [`bulk`] | creating many invitations in one call |
//! | `replay` | a create that is retried with its idempotency key |
//! | [`mod@resend`] | mailing a pending invitation again |
//! | [`mod@change`] | changing the expiry and the roles of a pending invitation |
//! | [`end`] | accepting, revoking, deleting |
//! | [`find`] | reading one |
//! | `roles` | the roles that an invitation grants, from the directory |
//! | `email` | the email of an invitation, from the directory as it is by now |

pub mod bulk;
pub mod change;
pub mod create;
mod email;
pub mod end;
pub mod find;
mod replay;
pub mod resend;
mod roles;

pub use change::change;
pub use create::{CreateOutcome, create};
pub use resend::resend;

use crate::domain::{error::Error, ids::InvitationId, ids::TenantId};

/// The name of an invitation within its tenant.
#[derive(Clone, Copy, Debug)]
pub struct InvitationKey<'a> {
    /// The tenant of the caller.
    pub tenant: &'a TenantId,
    /// The invitation's identifier.
    pub id: &'a InvitationId,
}

impl<'a> InvitationKey<'a> {
    /// The key of an identifier as a caller gave it; `None` is one that no invitation could have.
    ///
    /// # Errors
    /// [`Error::UnknownInvitation`] where no invitation could have it.
    pub fn new(tenant: &'a TenantId, id: Option<&'a InvitationId>) -> Result<Self, Error> {
        Ok(Self { tenant, id: id.ok_or(Error::UnknownInvitation)? })
    }
}

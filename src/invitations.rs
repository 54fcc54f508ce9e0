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
//! | [`token`] | the token in the link of its message |
//! | [`own`] | a person's own invitations |
//! | [`delivery`] | the delivery of its message: recording what SES reports, reading it |
//! | `roles` | the roles that an invitation grants, from the directory |
//! | `email` | the email of an invitation, from the directory as it is by now |

pub(crate) mod bulk;
pub(crate) mod change;
pub(crate) mod create;
pub(crate) mod delivery;
mod email;
pub(crate) mod end;
pub(crate) mod find;
pub(crate) mod own;
mod replay;
pub(crate) mod resend;
mod roles;
pub(crate) mod token;

pub(crate) use change::change;
pub(crate) use create::{CreateOutcome, create};
pub(crate) use resend::resend;

use crate::domain::{error::Error, ids::InvitationId, ids::TenantId};

/// The name of an invitation within its tenant.
#[derive(Clone, Copy, Debug)]
pub(crate) struct InvitationKey<'a> {
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
    pub(crate) fn new(tenant: &'a TenantId, id: Option<&'a InvitationId>) -> Result<Self, Error> {
        Ok(Self { tenant, id: id.ok_or(Error::UnknownInvitation)? })
    }
}

//! The use cases of invitations. They take and return domain values or an [`Error`], and know neither HTTP nor wire
//! JSON.
//!
//! | module | owns |
//! |---|---|
//! | [`mod@create`] | creating an invitation, sending its email, completing or rolling back |
//! | [`bulk`] | creating many invitations in one call |
//! | `replay` | the replay of a create by its idempotency key |
//! | [`mod@resend`] | sending the email of a pending invitation again |
//! | [`mod@change`] | changing the expiry and the roles of a pending invitation |
//! | [`end`] | accepting, revoking, deleting |
//! | [`find`] | reading one invitation, or a list |
//! | [`token`] | verifying the token of the latest message |
//! | [`own`] | a person's own invitations |
//! | [`delivery`] | the delivery of the latest message: recording SES's reports, reading it |
//! | `roles` | the roles that an invitation grants, from the directory |
//! | `email` | the email of an existing invitation, from the current directory |

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

/// The key of an invitation: its tenant and identifier.
#[derive(Clone, Copy, Debug)]
pub(crate) struct InvitationKey<'a> {
    /// The tenant of the caller.
    pub tenant: &'a TenantId,
    /// The invitation's identifier.
    pub id: &'a InvitationId,
}

impl<'a> InvitationKey<'a> {
    /// The key of the identifier that a caller sent; `None` if it is malformed, so that no invitation can have it.
    ///
    /// # Errors
    /// [`Error::UnknownInvitation`] for `None`.
    pub(crate) fn new(tenant: &'a TenantId, id: Option<&'a InvitationId>) -> Result<Self, Error> {
        Ok(Self { tenant, id: id.ok_or(Error::UnknownInvitation)? })
    }
}

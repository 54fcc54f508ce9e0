//! The invitation: its status, its end, and its representation for callers.

use serde::Serialize;

use crate::domain::{
    directory::{Organization, OrganizationRole, User},
    email_address::EmailAddress,
    error::Error,
    ids::{DirectoryId, InvitationId, TenantId},
    timestamp::Timestamp,
};

/// The status of an invitation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Status {
    /// Waiting for the invitee.
    Pending,
    /// The invitee has joined.
    Accepted,
    /// `expiresAt` passed without an acceptance. Never stored, but computed on every read.
    Expired,
    /// The invitation was withdrawn.
    Revoked,
}

impl Status {
    /// The name of the status, in the API and in the table.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "Pending",
            Self::Accepted => "Accepted",
            Self::Expired => "Expired",
            Self::Revoked => "Revoked",
        }
    }

    /// Parses a stored status, which is never [`Status::Expired`].
    pub(crate) fn parse_stored(name: &str) -> Option<Self> {
        [Self::Pending, Self::Accepted, Self::Revoked].into_iter().find(|status| status.as_str() == name)
    }
}

/// The invitation cannot change any more: it is accepted, expired or revoked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ended;

/// An invitation of an e-mail address to an organization.
#[derive(Clone, Debug, PartialEq)]
pub struct Invitation {
    /// Its tenant.
    pub tenant: TenantId,
    /// Its identifier.
    pub id: InvitationId,
    /// The user who invited, if any.
    pub inviter_id: Option<DirectoryId>,
    /// The invited address.
    pub invitee: EmailAddress,
    /// The user who accepted, if any.
    pub accepted_user_id: Option<DirectoryId>,
    /// The organization.
    pub organization_id: DirectoryId,
    /// The status in the table: never [`Status::Expired`].
    pub stored_status: Status,
    /// The time of its creation.
    pub created_at: Timestamp,
    /// The time of its last change. Each change of a pending invitation increases it, so that it serves as the row's
    /// version.
    pub updated_at: Timestamp,
    /// The time from which it can no longer be accepted.
    pub expires_at: Timestamp,
    /// The roles that an acceptance grants, sorted by name, with the names that they had when they were assigned.
    pub organization_roles: Vec<OrganizationRole>,
}

/// The valid fields of a caller's request for an invitation.
#[derive(Clone, Debug)]
pub(crate) struct NewInvitation {
    /// The caller's tenant.
    pub tenant: TenantId,
    /// The user who invites, if any.
    pub inviter_id: Option<String>,
    /// The invitee's address as the caller sent it, in the accepted form.
    pub invitee: String,
    /// The organization.
    pub organization_id: String,
    /// The time from which the invitation can no longer be accepted.
    pub expires_at: Timestamp,
    /// The roles that an acceptance grants: distinct, sorted.
    pub organization_role_ids: Vec<String>,
}

/// The directory rows that a new invitation refers to.
#[derive(Debug)]
pub(crate) struct ResolvedReferences {
    /// The organization.
    pub organization: Organization,
    /// The inviter, if there is one.
    pub inviter: Option<User>,
    /// The roles, each once.
    pub roles: Vec<OrganizationRole>,
}

impl NewInvitation {
    /// Checks the expiry and the length of the address, and returns the invitee.
    ///
    /// # Errors
    /// [`Error::ExpiresInPast`], then [`Error::AddressTooLong`].
    pub(crate) fn checked_invitee(&self, now: Timestamp) -> Result<EmailAddress, Error> {
        check_expiry(self.expires_at, now)?;
        // The form was validated before, so only the length can be wrong.
        EmailAddress::parse(&self.invitee).map_err(|_| Error::AddressTooLong)
    }
}

/// The valid fields of a caller's request to change a pending invitation. An absent field does not change.
#[derive(Clone, Debug)]
pub struct InvitationChange {
    /// The new time from which the invitation can no longer be accepted.
    pub expires_at: Option<Timestamp>,
    /// The new roles that an acceptance grants: distinct, sorted.
    pub organization_role_ids: Option<Vec<String>>,
}

impl InvitationChange {
    /// Checks that the new expiry is in the future.
    ///
    /// # Errors
    /// [`Error::ExpiresInPast`].
    pub fn checked(self, now: Timestamp) -> Result<Self, Error> {
        self.expires_at.map(|expires_at| check_expiry(expires_at, now)).transpose()?;
        Ok(self)
    }
}

fn check_expiry(expires_at: Timestamp, now: Timestamp) -> Result<(), Error> {
    if expires_at > now {
        return Ok(());
    }
    Err(Error::ExpiresInPast { looks_like_seconds: expires_at.looks_like_seconds(now) })
}

impl Invitation {
    /// The pending invitation that `new` asks for, created at `now`, with its roles sorted by name.
    pub(crate) fn pending(
        new: &NewInvitation,
        invitee: EmailAddress,
        references: &ResolvedReferences,
        now: Timestamp,
    ) -> Result<Self, getrandom::Error> {
        Ok(Self {
            tenant: new.tenant.clone(),
            id: InvitationId::generate(now)?,
            inviter_id: references.inviter.as_ref().map(|inviter| inviter.id.clone()),
            invitee,
            accepted_user_id: None,
            organization_id: references.organization.id.clone(),
            stored_status: Status::Pending,
            created_at: now,
            updated_at: now,
            expires_at: new.expires_at,
            organization_roles: sorted_by_name(references.roles.clone()),
        })
    }

    /// The status at `now`: a pending invitation is expired from the millisecond `expires_at` on.
    pub(crate) fn status(&self, now: Timestamp) -> Status {
        match self.stored_status {
            Status::Pending if self.expires_at <= now => Status::Expired,
            stored => stored,
        }
    }

    /// The invitation after `user_id` accepted it at `now`.
    ///
    /// # Errors
    /// The invitation has ended.
    pub(crate) fn accepted(&self, user_id: &DirectoryId, now: Timestamp) -> Result<Self, Ended> {
        let accepted_user_id = Some(user_id.clone());
        Ok(Self { accepted_user_id, ..self.with_status(Status::Accepted, now)? })
    }

    /// The invitation after it was revoked at `now`.
    ///
    /// # Errors
    /// The invitation has ended.
    pub(crate) fn revoked(&self, now: Timestamp) -> Result<Self, Ended> {
        self.with_status(Status::Revoked, now)
    }

    /// The invitation after a change of its expiry, its roles, or both at `now`. `updated_at` always increases, even
    /// for two changes in one millisecond or on machines whose clocks differ.
    ///
    /// # Errors
    /// The invitation has ended.
    pub(crate) fn changed(
        &self,
        expires_at: Option<Timestamp>,
        roles: Option<Vec<OrganizationRole>>,
        now: Timestamp,
    ) -> Result<Self, Ended> {
        let pending = self.with_status(Status::Pending, now)?;
        let organization_roles = roles.map_or_else(|| pending.organization_roles.clone(), sorted_by_name);
        let updated_at = now.max(self.updated_at.plus_millis(1));
        Ok(Self { expires_at: expires_at.unwrap_or(self.expires_at), organization_roles, updated_at, ..pending })
    }

    /// Changes the status of a pending invitation.
    fn with_status(&self, stored_status: Status, now: Timestamp) -> Result<Self, Ended> {
        let updated_at = now.max(self.updated_at);
        match self.status(now) {
            Status::Pending => Ok(Self { stored_status, updated_at, ..self.clone() }),
            Status::Accepted | Status::Expired | Status::Revoked => Err(Ended),
        }
    }

    /// The representation for callers, as of `now`.
    pub fn entity(&self, now: Timestamp) -> Entity<'_> {
        Entity {
            tenant_id: self.tenant.as_str(),
            id: self.id.as_str(),
            inviter_id: self.inviter_id.as_ref().map(DirectoryId::as_str),
            invitee: self.invitee.as_str(),
            accepted_user_id: self.accepted_user_id.as_ref().map(DirectoryId::as_str),
            organization_id: self.organization_id.as_str(),
            status: self.status(now),
            created_at: self.created_at,
            updated_at: self.updated_at,
            expires_at: self.expires_at,
            organization_roles: &self.organization_roles,
        }
    }
}

/// The JSON of an invitation. The order of the fields is part of the contract.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Entity<'a> {
    tenant_id: &'a str,
    id: &'a str,
    inviter_id: Option<&'a str>,
    invitee: &'a str,
    accepted_user_id: Option<&'a str>,
    organization_id: &'a str,
    status: Status,
    created_at: Timestamp,
    updated_at: Timestamp,
    expires_at: Timestamp,
    organization_roles: &'a [OrganizationRole],
}

fn sorted_by_name(mut roles: Vec<OrganizationRole>) -> Vec<OrganizationRole> {
    roles.sort_by(|a, b| (&a.name, &a.id).cmp(&(&b.name, &b.id)));
    roles
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(text: &str) -> DirectoryId {
        DirectoryId::stored(text).unwrap()
    }

    fn pending() -> Invitation {
        let (created, expires) = (Timestamp::from_millis(1_000), Timestamp::from_millis(2_000));
        Invitation {
            tenant: TenantId::parse("t").unwrap(),
            id: InvitationId::parse("0mwshl16meeoe2l4w0lik").unwrap(),
            inviter_id: None,
            invitee: EmailAddress::parse("a@example.com").unwrap(),
            accepted_user_id: None,
            organization_id: id("o"),
            stored_status: Status::Pending,
            created_at: created,
            updated_at: created,
            expires_at: expires,
            organization_roles: Vec::new(),
        }
    }

    #[test]
    fn only_a_pending_invitation_ends_and_only_once() {
        let (pending, expires) = (pending(), Timestamp::from_millis(2_000));
        let in_time = Timestamp::from_millis(1_999);
        let accepted = pending.accepted(&id("u"), in_time).unwrap();
        let revoked = pending.revoked(in_time).unwrap();
        assert_eq!((accepted.status(expires), accepted.updated_at), (Status::Accepted, in_time));
        assert_eq!(accepted.accepted_user_id, Some(id("u")));
        assert_eq!((revoked.status(expires), revoked.accepted_user_id.clone()), (Status::Revoked, None));
        for ended in [&accepted, &revoked] {
            assert_eq!(ended.accepted(&id("v"), in_time), Err(Ended));
            assert_eq!(ended.revoked(in_time), Err(Ended));
        }
        assert_eq!(pending.status(expires), Status::Expired, "from the millisecond of `expiresAt` on");
        assert_eq!(pending.accepted(&id("u"), expires), Err(Ended));
        assert_eq!(pending.revoked(expires), Err(Ended));
    }

    #[test]
    fn a_change_keeps_absent_fields_and_increases_updated_at_even_if_the_clock_is_behind() {
        let role = |role_id: &str, name: &str| OrganizationRole { id: id(role_id), name: name.to_owned() };
        let created = pending();
        let in_time = Timestamp::from_millis(1_999);
        let longer = created.changed(Some(Timestamp::from_millis(9_000)), None, in_time).unwrap();
        assert_eq!(longer, Invitation { expires_at: Timestamp::from_millis(9_000), updated_at: in_time, ..pending() });
        let roles = vec![role("2", "B"), role("1", "B"), role("3", "A")];
        let sorted = vec![role("3", "A"), role("1", "B"), role("2", "B")];
        let changed = longer.changed(None, Some(roles), Timestamp::from_millis(1_500)).unwrap();
        let updated_at = Timestamp::from_millis(2_000);
        assert_eq!(changed, Invitation { organization_roles: sorted, updated_at, ..longer.clone() }, "a clock behind");
        assert_eq!(changed.accepted(&id("u"), in_time).unwrap().updated_at, updated_at, "updated_at never decreases");
        assert_eq!(longer.revoked(in_time).unwrap().changed(None, None, in_time), Err(Ended));
        assert_eq!(created.changed(Some(Timestamp::MAX), None, created.expires_at), Err(Ended), "expired");
    }
}

//! The invitation itself: its identity, its states, and the entity that callers see. No AWS, no HTTP.

use std::fmt;

use serde::Serialize;

use crate::{directory::OrganizationRole, email_address::EmailAddress, timestamp::Timestamp};

/// A tenant, as the caller's verified claims name it: `[A-Za-z0-9_-]{1,64}`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct TenantId(String);

impl TenantId {
    /// The tenant of that name, or `None` where no tenant could be called so.
    pub fn parse(text: &str) -> Option<Self> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
        ((1..=64).contains(&text.len()) && text.bytes().all(allowed)).then(|| Self(text.to_owned()))
    }

    /// The tenant's name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for TenantId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// An invitation's identifier: 21 characters of `[0-9a-z]`, of which the first nine are the millisecond of its
/// creation in base 36, so that identifiers sort by time, and the other twelve are random (62 bits).
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct InvitationId(String);

impl InvitationId {
    const DIGITS: &[u8; 36] = b"0123456789abcdefghijklmnopqrstuvwxyz";
    const TIME_DIGITS: usize = 9;
    const LENGTH: usize = 21;

    /// A new identifier, with randomness from the operating system.
    ///
    /// # Errors
    /// When the operating system has no randomness to give.
    pub fn generate(now: Timestamp) -> Result<Self, getrandom::Error> {
        let mut id = Self::time_prefix(now);
        while id.len() < Self::LENGTH {
            let mut bytes = [0; 16];
            getrandom::fill(&mut bytes)?;
            // 252 is the largest multiple of 36 in a byte: dropping the rest keeps every digit equally likely.
            let digits = bytes.iter().filter(|byte| **byte < 252).map(|byte| Self::DIGITS[usize::from(byte % 36)]);
            id.extend(digits.take(Self::LENGTH - id.len()).map(char::from));
        }
        Ok(Self(id))
    }

    /// The identifier that `text` is, or `None` when no invitation could have it.
    pub fn parse(text: &str) -> Option<Self> {
        let allowed = |byte: u8| byte.is_ascii_digit() || byte.is_ascii_lowercase();
        (text.len() == Self::LENGTH && text.bytes().all(allowed)).then(|| Self(text.to_owned()))
    }

    /// The identifier's text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn time_prefix(now: Timestamp) -> String {
        let mut rest = now.as_millis().unsigned_abs();
        let mut digits = [b'0'; Self::TIME_DIGITS];
        for digit in digits.iter_mut().rev() {
            *digit = Self::DIGITS[(rest % 36) as usize];
            rest /= 36;
        }
        digits.map(char::from).iter().collect()
    }
}

impl fmt::Display for InvitationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What has become of an invitation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Status {
    /// Waiting for the invitee.
    Pending,
    /// The invitee has joined.
    Accepted,
    /// Nobody answered before `expiresAt`. Never stored: computed on every read.
    Expired,
    /// Taken back.
    Revoked,
}

impl Status {
    /// The name of the status, in the API and in the table.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "Pending",
            Self::Accepted => "Accepted",
            Self::Expired => "Expired",
            Self::Revoked => "Revoked",
        }
    }

    /// The status of that name that a table can hold: any but [`Status::Expired`].
    pub fn parse_stored(name: &str) -> Option<Self> {
        [Self::Pending, Self::Accepted, Self::Revoked].into_iter().find(|status| status.as_str() == name)
    }
}

/// Refuses a change of an invitation that has ended: accepted, expired or revoked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ended;

/// An invitation of an e-mail address to an organization.
#[derive(Clone, Debug, PartialEq)]
pub struct Invitation {
    /// The tenant that it belongs to.
    pub tenant: TenantId,
    /// Its identifier.
    pub id: InvitationId,
    /// Who invited, where a person did.
    pub inviter_id: Option<String>,
    /// Who is invited.
    pub invitee: EmailAddress,
    /// Who accepted.
    pub accepted_user_id: Option<String>,
    /// What they are invited to.
    pub organization_id: String,
    /// What the last status change left: never [`Status::Expired`].
    pub stored_status: Status,
    /// When it was created.
    pub created_at: Timestamp,
    /// When its status last changed.
    pub updated_at: Timestamp,
    /// When it ceases to be acceptable.
    pub expires_at: Timestamp,
    /// The roles that accepting gives, sorted by name, with the names that they had at creation.
    pub organization_roles: Vec<OrganizationRole>,
}

impl Invitation {
    /// The status at `now`: a pending invitation is expired from the very millisecond of `expires_at` on.
    pub fn status(&self, now: Timestamp) -> Status {
        match self.stored_status {
            Status::Pending if self.expires_at <= now => Status::Expired,
            stored => stored,
        }
    }

    /// The invitation after `user_id` accepted it at `now`.
    ///
    /// # Errors
    /// When it has ended.
    pub fn accepted(&self, user_id: &str, now: Timestamp) -> Result<Self, Ended> {
        let accepted_user_id = Some(user_id.to_owned());
        Ok(Self { accepted_user_id, ..self.with_status(Status::Accepted, now)? })
    }

    /// The invitation after it was taken back at `now`.
    ///
    /// # Errors
    /// When it has ended.
    pub fn revoked(&self, now: Timestamp) -> Result<Self, Ended> {
        self.with_status(Status::Revoked, now)
    }

    /// Only a pending invitation can change.
    fn with_status(&self, stored_status: Status, now: Timestamp) -> Result<Self, Ended> {
        match self.status(now) {
            Status::Pending => Ok(Self { stored_status, updated_at: now, ..self.clone() }),
            Status::Accepted | Status::Expired | Status::Revoked => Err(Ended),
        }
    }

    /// The entity that callers get, as of `now`.
    pub fn entity(&self, now: Timestamp) -> Entity<'_> {
        Entity {
            tenant_id: self.tenant.as_str(),
            id: self.id.as_str(),
            inviter_id: self.inviter_id.as_deref(),
            invitee: self.invitee.as_str(),
            accepted_user_id: self.accepted_user_id.as_deref(),
            organization_id: &self.organization_id,
            status: self.status(now),
            created_at: self.created_at,
            updated_at: self.updated_at,
            expires_at: self.expires_at,
            organization_roles: &self.organization_roles,
        }
    }
}

/// The JSON of an invitation. The order of the fields is the order of the keys, and part of the contract.
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

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn identifiers_are_unique_well_formed_and_sort_by_time() {
        let mut seen = HashSet::new();
        let mut previous = String::new();
        for millis in (1_700_000_000_000..1_700_000_100_000).step_by(100) {
            let id = InvitationId::generate(Timestamp::from_millis(millis)).unwrap();
            assert_eq!(InvitationId::parse(id.as_str()).as_ref(), Some(&id));
            assert!(id.as_str() > previous.as_str(), "{id} comes after {previous}");
            previous = id.as_str().to_owned();
            assert!(seen.insert(id));
        }
    }

    #[test]
    fn only_a_pending_invitation_changes_and_for_good() {
        let (created, expires) = (Timestamp::from_millis(1_000), Timestamp::from_millis(2_000));
        let pending = Invitation {
            tenant: TenantId::parse("t").unwrap(),
            id: InvitationId::generate(created).unwrap(),
            inviter_id: None,
            invitee: EmailAddress::parse("a@example.com").unwrap(),
            accepted_user_id: None,
            organization_id: "o".to_owned(),
            stored_status: Status::Pending,
            created_at: created,
            updated_at: created,
            expires_at: expires,
            organization_roles: Vec::new(),
        };
        let in_time = Timestamp::from_millis(1_999);
        let accepted = pending.accepted("u", in_time).unwrap();
        let revoked = pending.revoked(in_time).unwrap();
        assert_eq!((accepted.status(expires), accepted.updated_at), (Status::Accepted, in_time));
        assert_eq!(accepted.accepted_user_id.as_deref(), Some("u"));
        assert_eq!((revoked.status(expires), revoked.accepted_user_id.as_deref()), (Status::Revoked, None));
        for ended in [&accepted, &revoked] {
            assert_eq!(ended.accepted("v", in_time), Err(Ended));
            assert_eq!(ended.revoked(in_time), Err(Ended));
        }
        assert_eq!(pending.status(expires), Status::Expired, "from the very millisecond on");
        assert_eq!(pending.accepted("u", expires), Err(Ended));
        assert_eq!(pending.revoked(expires), Err(Ended));
    }

    #[test]
    fn tenants_are_named_with_key_safe_characters_only() {
        for (text, valid) in [
            ("default", true),
            ("A-b_9", true),
            ("", false),
            ("a#b", false),
            ("a b", false),
            ("ä", false),
            (&"x".repeat(64), true),
            (&"x".repeat(65), false),
        ] {
            assert_eq!(TenantId::parse(text).is_some(), valid, "{text:?}");
        }
    }
}

//! An event: its type, the invitation or the known part of it, and its JSON.

use serde::{Serialize, Serializer};

use crate::{
    domain::{
        delivery::Delivery,
        ids::{InvitationId, TenantId},
        invitation::{Invitation, Status},
        timestamp::Timestamp,
    },
    store::{keys, stream::TableChange},
};

/// The type of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(super) enum EventType {
    #[serde(rename = "OrganizationInvitation.Created")]
    Created,
    #[serde(rename = "OrganizationInvitation.Accepted")]
    Accepted,
    #[serde(rename = "OrganizationInvitation.Revoked")]
    Revoked,
    #[serde(rename = "OrganizationInvitation.Expired")]
    Expired,
    #[serde(rename = "OrganizationInvitation.Deleted")]
    Deleted,
    #[serde(rename = "OrganizationInvitation.Updated")]
    Updated,
    #[serde(rename = "OrganizationInvitation.DeliveryUpdated")]
    DeliveryUpdated,
    /// A row that cannot be read, because a program other than the function wrote it.
    #[serde(rename = "OrganizationInvitation.Unreadable")]
    Unreadable,
}

/// An event before its record's identifier and position are added.
#[derive(Debug)]
pub(super) struct Event {
    pub(super) kind: EventType,
    /// The time of the event; `None` for the stream's time, which is in whole seconds.
    pub(super) at: Option<Timestamp>,
    pub(super) data: Data,
    pub(super) previous_status: Option<Status>,
    pub(super) delivery: Option<Delivery>,
}

/// The invitation.
#[derive(Debug)]
pub(super) enum Data {
    /// The whole invitation from its own row, as of a time.
    Invitation(Box<Invitation>, Timestamp),
    /// The part that another row holds.
    Part(InvitationPart),
}

/// The fields of an invitation that another row holds, in the entity's order. Unknown fields are absent, not null.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct InvitationPart {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) tenant_id: Option<TenantId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) id: Option<InvitationId>,
    /// The address in lower case.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) invitee: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) organization_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) status: Option<Status>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) expires_at: Option<Timestamp>,
}

/// The JSON of an event. The order of the fields is part of the contract.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct EventJson<'a> {
    pub(super) id: &'a str,
    #[serde(rename = "type")]
    pub(super) kind: EventType,
    pub(super) timestamp: Option<Timestamp>,
    pub(super) sequence: &'a str,
    pub(super) tenant_id: Option<&'a TenantId>,
    pub(super) data: &'a Data,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) previous_status: Option<Status>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) delivery: Option<&'a Delivery>,
}

impl Event {
    /// An event with the whole invitation, as of the event.
    pub(super) fn of_invitation(
        kind: EventType,
        at: Timestamp,
        invitation: Invitation,
        previous_status: Option<Status>,
    ) -> Self {
        let data = Data::Invitation(Box::new(invitation), at);
        Self { kind, at: Some(at), data, previous_status, delivery: None }
    }

    pub(super) fn of_part(kind: EventType, part: InvitationPart) -> Self {
        Self { kind, at: None, data: Data::Part(part), previous_status: None, delivery: None }
    }
}

impl Serialize for Data {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Invitation(invitation, now) => invitation.entity(*now).serialize(serializer),
            Self::Part(part) => part.serialize(serializer),
        }
    }
}

impl InvitationPart {
    /// The part that the key of the changed row names.
    pub(super) fn of_key(change: &TableChange, tenant: Option<&TenantId>) -> Self {
        let (organization_id, invitee) = keys::standing_parts(&change.sk).unzip();
        Self {
            tenant_id: tenant.cloned(),
            id: keys::invitation_id(&change.sk),
            invitee: invitee.map(str::to_owned),
            organization_id: organization_id.map(str::to_owned),
            ..Self::default()
        }
    }
}

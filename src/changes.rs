//! Changes of the table → events about invitations.
//!
//! Pure: no call, no clock, no state. The same records always give the same bytes, so that a record that is delivered
//! twice gives the same event twice. Each record is judged by itself and gives at most one event:
//!
//! | row | change | event |
//! |---|---|---|
//! | invitation | new | `Created` |
//! | | its status: accepted, revoked | `Accepted`, `Revoked` |
//! | | anything else that callers see, while it is pending | `Updated` |
//! | | deleted, also by a roll-back | `Deleted` |
//! | | deleted by time to live, after the retention | none: it ended before |
//! | pending standing | deleted by time to live | `Expired` |
//! | | replaced by that of another invitation, which only an expired one can be | `Expired` |
//! | | deleted or changed otherwise | none: the invitation's own row tells |
//! | delivery | new, or another outcome | `DeliveryUpdated` |
//! | any of these | cannot be read, where it would give an event | `Unreadable` |

use serde::{Serialize, Serializer};
use serde_json::value::{RawValue, to_raw_value};

use crate::{
    domain::{
        ids::{InvitationId, TenantId},
        invitation::{Invitation, Status},
        timestamp::Timestamp,
    },
    store::{
        Item,
        items::{self, text, time},
        keys,
        standing::{PendingInvitation, Standing},
        stream::TableChange,
    },
};

/// An event, as the JSON of its `detail`.
pub type Detail = Box<RawValue>;

/// What has happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
enum EventType {
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
    /// A row that a program other than the function wrote.
    #[serde(rename = "OrganizationInvitation.Unreadable")]
    Unreadable,
}

/// An event before its record's identifier and position are added.
#[derive(Debug)]
struct Event {
    kind: EventType,
    /// The time of it, if it is another than the stream's, which is in whole seconds.
    at: Option<Timestamp>,
    data: Data,
    previous_status: Option<Status>,
    delivery: Option<Delivery>,
}

/// The invitation.
#[derive(Debug)]
enum Data {
    /// From its own row, as of a time.
    Invitation(Box<Invitation>, Timestamp),
    /// From another row, which knows a part of it.
    Part(InvitationPart),
}

/// The keys of an invitation that another row knows, in the order of the invitation's own. The others are absent, which
/// is something else than null.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct InvitationPart {
    #[serde(skip_serializing_if = "Option::is_none")]
    tenant_id: Option<TenantId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<InvitationId>,
    /// The address in lower case.
    #[serde(skip_serializing_if = "Option::is_none")]
    invitee: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    organization_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<Status>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<Timestamp>,
}

/// The outcome of the latest message, as a delivery row has it.
#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
struct Delivery {
    status: String,
    permanent: bool,
    reason: Option<String>,
    smtp_status: Option<String>,
    message_id: Option<String>,
    sent_at: Option<Timestamp>,
    updated_at: Option<Timestamp>,
}

/// The JSON of an event. The order of the fields is part of the contract.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct EventJson<'a> {
    id: &'a str,
    #[serde(rename = "type")]
    kind: EventType,
    timestamp: Option<Timestamp>,
    sequence: &'a str,
    tenant_id: Option<&'a TenantId>,
    data: &'a Data,
    #[serde(skip_serializing_if = "Option::is_none")]
    previous_status: Option<Status>,
    #[serde(skip_serializing_if = "Option::is_none")]
    delivery: Option<&'a Delivery>,
}

/// A row that cannot be read.
#[derive(Debug)]
struct Unreadable;

/// The events of a batch of records, in their order.
pub fn events(records: &[&RawValue]) -> Vec<Detail> {
    records.iter().filter_map(|record| detail(&TableChange::read(record))).collect()
}

fn detail(change: &TableChange) -> Option<Detail> {
    let tenant = keys::tenant_of(&change.pk);
    let event = match &tenant {
        Some(tenant) => of_row(change, tenant),
        None if has_events(&change.sk) => Err(Unreadable),
        None => Ok(None),
    };
    let event = event.unwrap_or_else(|Unreadable| Some(unreadable(change, tenant.as_ref())))?;
    let json = EventJson {
        id: &change.id,
        kind: event.kind,
        timestamp: event.at.or(change.at),
        sequence: &change.sequence,
        tenant_id: tenant.as_ref(),
        data: &event.data,
        previous_status: event.previous_status,
        delivery: event.delivery.as_ref(),
    };
    to_raw_value(&json).ok()
}

/// Tells that changes of the row with that sort key may be events. A record without one is none of DynamoDB's.
fn has_events(sk: &str) -> bool {
    sk.is_empty() || [keys::INVITATIONS, keys::DELIVERIES, keys::STANDINGS].iter().any(|prefix| sk.starts_with(prefix))
}

fn of_row(change: &TableChange, tenant: &TenantId) -> Result<Option<Event>, Unreadable> {
    match change.sk.as_str() {
        "" => Err(Unreadable),
        sk if sk.starts_with(keys::INVITATIONS) => of_invitation(change, tenant),
        sk if sk.starts_with(keys::DELIVERIES) => of_delivery(change, tenant),
        sk if sk.starts_with(keys::STANDINGS) => of_standing(change, tenant),
        _ => Ok(None),
    }
}

fn of_invitation(change: &TableChange, tenant: &TenantId) -> Result<Option<Event>, Unreadable> {
    let read = |row: &Item| items::read_invitation(tenant, row).ok_or(Unreadable);
    match (&change.old, &change.new) {
        (_, None) if change.is_by_time_to_live => Ok(None),
        (None, Some(new)) => {
            let new = read(new)?;
            let at = new.created_at;
            Ok(Some(Event::of_invitation(EventType::Created, Some(at), new, at, None)))
        }
        (Some(old), Some(new)) => Ok(changed(&read(old)?, read(new)?)),
        (Some(old), None) => {
            let old = read(old)?;
            let at = change.at.unwrap_or(old.updated_at);
            let status = old.status(at);
            Ok(Some(Event::of_invitation(EventType::Deleted, Some(at), old, at, Some(status))))
        }
        (None, None) => Err(Unreadable),
    }
}

fn changed(old: &Invitation, new: Invitation) -> Option<Event> {
    let previous = (old.stored_status != new.stored_status).then_some(old.stored_status);
    let kind = match (previous, new.stored_status) {
        (Some(_), Status::Accepted) => EventType::Accepted,
        (Some(_), Status::Revoked) => EventType::Revoked,
        (_, Status::Pending) if *old != new => EventType::Updated,
        _ => return None,
    };
    let at = new.updated_at;
    Some(Event::of_invitation(kind, Some(at), new, at, previous))
}

fn of_standing(change: &TableChange, tenant: &TenantId) -> Result<Option<Event>, Unreadable> {
    let Some(old) = change.old.as_ref().filter(|old| Standing::is_pending(old)) else { return Ok(None) };
    let may_have_expired = change.new.as_ref().map_or(change.is_by_time_to_live, Standing::is_pending);
    if !may_have_expired {
        return Ok(None);
    }
    let Ok(Standing::Pending(expired)) = Standing::read(old) else { return Err(Unreadable) };
    if change.new.as_ref().is_some_and(|new| Standing::names_pending(new, &expired.id)) {
        return Ok(None);
    }
    let PendingInvitation { id, expires_at } = expired;
    let data = InvitationPart {
        id: Some(id),
        status: Some(Status::Expired),
        expires_at: Some(expires_at),
        ..InvitationPart::of_key(change, Some(tenant))
    };
    let (at, previous_status) = (change.at.or(Some(expires_at)), Some(Status::Pending));
    Ok(Some(Event { at, previous_status, ..Event::of_part(EventType::Expired, data) }))
}

fn of_delivery(change: &TableChange, tenant: &TenantId) -> Result<Option<Event>, Unreadable> {
    let Some(new) = &change.new else { return Ok(None) };
    let delivery = Delivery::read(new).ok_or(Unreadable)?;
    if change.old.as_ref().and_then(Delivery::read).as_ref() == Some(&delivery) {
        return Ok(None);
    }
    let event = Event::of_part(EventType::DeliveryUpdated, InvitationPart::of_key(change, Some(tenant)));
    Ok(Some(Event { at: delivery.updated_at, delivery: Some(delivery), ..event }))
}

fn unreadable(change: &TableChange, tenant: Option<&TenantId>) -> Event {
    let data = InvitationPart::of_key(change, tenant);
    let (tenant, invitation_id) = (tenant.map(TenantId::as_str), data.id.as_ref().map(InvitationId::as_str));
    tracing::error!(tenant, invitation_id, event_id = change.id, "unreadable row in the table's stream");
    Event::of_part(EventType::Unreadable, data)
}

impl Event {
    /// An event with the whole invitation, as of `now`.
    fn of_invitation(
        kind: EventType,
        at: Option<Timestamp>,
        invitation: Invitation,
        now: Timestamp,
        previous_status: Option<Status>,
    ) -> Self {
        Self { kind, at, data: Data::Invitation(Box::new(invitation), now), previous_status, delivery: None }
    }

    fn of_part(kind: EventType, part: InvitationPart) -> Self {
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
    /// What the key of a changed row tells of its invitation.
    fn of_key(change: &TableChange, tenant: Option<&TenantId>) -> Self {
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

impl Delivery {
    /// Reads a delivery row; `None` if it has no status.
    fn read(row: &Item) -> Option<Self> {
        let owned = |name| text(row, name).map(str::to_owned);
        Some(Self {
            status: owned("status")?,
            permanent: row.get("permanent").and_then(|value| value.as_bool().ok()).copied().unwrap_or_default(),
            reason: owned("reason"),
            smtp_status: owned("smtpStatus"),
            message_id: owned("messageId"),
            sent_at: time(row, "sentAt"),
            updated_at: time(row, "updatedAt"),
        })
    }
}

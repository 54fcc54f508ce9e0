//! Changes of the table → events about invitations.
//!
//! Pure: no call, no clock, no state. The same record always gives the same bytes, so that a record that is delivered
//! twice gives the same event twice. Each record gives at most one event, independently of the others:
//!
//! | row | change | event |
//! |---|---|---|
//! | invitation | new | `Created` |
//! | | accepted, revoked | `Accepted`, `Revoked` |
//! | | another visible change while it is pending | `Updated` |
//! | | deleted, also by a roll-back | `Deleted` |
//! | | deleted by time to live, after the retention | none: it has already ended |
//! | pending standing | deleted by time to live | `Expired` |
//! | | replaced by another invitation's, which is possible only after the expiry | `Expired` |
//! | | deleted or changed otherwise | none: the invitation's own row gives the event |
//! | delivery | new or changed | `DeliveryUpdated` |
//! | any of these | unreadable, in a change that would give an event | `Unreadable` |

mod event;

use serde_json::value::{RawValue, to_raw_value};

use self::event::{Event, EventJson, EventType, InvitationPart};
use crate::{
    domain::{
        ids::{InvitationId, TenantId},
        invitation::{Invitation, Status},
    },
    store::{
        Item, delivery, items, keys,
        standing::{PendingInvitation, Standing},
        stream::TableChange,
    },
};

/// An event, as the JSON of its `detail`.
pub type Detail = Box<RawValue>;

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

/// `true` if changes of the row may give events. A record without a sort key does not come from DynamoDB, and becomes
/// `Unreadable`.
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
            Ok(Some(Event::of_invitation(EventType::Created, at, new, None)))
        }
        (Some(old), Some(new)) => Ok(changed(&read(old)?, read(new)?)),
        (Some(old), None) => {
            let old = read(old)?;
            let at = change.at.unwrap_or(old.updated_at);
            let status = old.status(at);
            Ok(Some(Event::of_invitation(EventType::Deleted, at, old, Some(status))))
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
    Some(Event::of_invitation(kind, at, new, previous))
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
    let delivery = delivery::read(new).ok_or(Unreadable)?;
    if change.old.as_ref().and_then(delivery::read).as_ref() == Some(&delivery) {
        return Ok(None);
    }
    let event = Event::of_part(EventType::DeliveryUpdated, InvitationPart::of_key(change, Some(tenant)));
    Ok(Some(Event { at: Some(delivery.updated_at), delivery: Some(delivery), ..event }))
}

fn unreadable(change: &TableChange, tenant: Option<&TenantId>) -> Event {
    let data = InvitationPart::of_key(change, tenant);
    let (tenant, invitation_id) = (tenant.map(TenantId::as_str), data.id.as_ref().map(InvitationId::as_str));
    tracing::error!(tenant, invitation_id, event_id = change.id, "unreadable row in the table's stream");
    Event::of_part(EventType::Unreadable, data)
}

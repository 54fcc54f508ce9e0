//! The delivery of an invitation's message: SES's reports are recorded, and read with the invitation when asked.
//!
//! A report is not checked against the invitation, which would cost a read. One of an invitation that was deleted leaves a
//! row that nothing reads; its time to live removes it. Deleting an invitation leaves its delivery for the same reason: a
//! report may come afterwards, and the identifier is never used again.

use std::collections::HashMap;

use crate::{
    app::App,
    clock::RequestClock,
    domain::{
        delivery::{Delivery, DeliveryReport},
        error::Error,
        ids::{InvitationId, TenantId},
    },
};

/// Records what SES reports of a message. Returns `false` if it changes nothing: what is recorded comes after it.
///
/// # Errors
/// Those of the table.
pub async fn record(app: &App, report: &DeliveryReport, clock: RequestClock) -> Result<bool, Error> {
    Ok(app.store.record_delivery(report, clock.deadline).await?)
}

/// The deliveries that are known of these invitations.
///
/// # Errors
/// Those of the table.
pub async fn of(
    app: &App,
    tenant: &TenantId,
    ids: impl Iterator<Item = &InvitationId>,
    clock: RequestClock,
) -> Result<HashMap<InvitationId, Delivery>, Error> {
    Ok(app.store.deliveries(tenant, ids, clock.deadline).await?)
}

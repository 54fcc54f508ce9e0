//! Records SES's reports about the delivery of an invitation's message, and reads deliveries.
//!
//! A report is written without checking that the invitation exists, which would cost a read. A report about a deleted
//! invitation leaves a row that nothing reads and that its TTL removes. Deleting an invitation keeps its delivery,
//! because a report may arrive afterwards anyway, and the identifier is never reused.

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

/// Records a report. Returns `false` if it changes nothing, because a later report is recorded already.
///
/// # Errors
/// Those of the table.
pub async fn record(app: &App, report: &DeliveryReport, clock: RequestClock) -> Result<bool, Error> {
    Ok(app.store.record_delivery(report, clock.deadline).await?)
}

/// Reads the known deliveries of these invitations.
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

//! The delivery of an invitation's latest message. It is a separate row in no index, so that an SES report costs one
//! write unit and never conflicts with a request that changes the invitation.

use std::collections::HashMap;

use aws_sdk_dynamodb::{error::SdkError, types::AttributeValue};

use super::{
    Item, Store, StoreError,
    call::call,
    items::{self, number, string, text, time},
    keys,
};
use crate::{
    clock::Deadline,
    domain::{
        delivery::{Delivery, DeliveryReport, DeliveryStatus},
        ids::{InvitationId, TenantId},
    },
    telemetry::statistics,
};

/// The update of the attributes that a delivery always has. Names are aliased, because some are reserved in DynamoDB's
/// expressions, such as `order`.
const SET: &str = "SET #status = :status, #permanent = :permanent, #messageId = :messageId, #sentAt = :sentAt, \
                   #updatedAt = :updatedAt, #order = :order, #ttl = :ttl";

impl Store {
    /// Writes the reported delivery, in one conditional update without a read. Returns `false` if the row already has
    /// this or a later delivery.
    pub async fn record_delivery(&self, report: &DeliveryReport, deadline: Deadline) -> Result<bool, StoreError> {
        let DeliveryReport { tenant, invitation_id, delivery, ttl } = report;
        let (expression, values) = expression_and_values(delivery);
        let update = self
            .client
            .update_item()
            .table_name(&self.table)
            .set_key(Some(Item::from(keys::primary(tenant, keys::delivery(invitation_id)))))
            .update_expression(expression)
            .condition_expression("attribute_not_exists(#order) OR #order < :order")
            .set_expression_attribute_names(Some(names()))
            .set_expression_attribute_values(Some(values))
            .expression_attribute_values(":ttl", number(*ttl));
        let attempt = async || match update.clone().send().await {
            Err(SdkError::ServiceError(error)) if error.err().is_conditional_check_failed_exception() => Ok(false),
            result => result.map(|_| true),
        };
        call(deadline, attempt).await
    }

    /// Reads the existing deliveries of these invitations. An unreadable row is skipped, logged and counted.
    pub async fn deliveries(
        &self,
        tenant: &TenantId,
        ids: impl Iterator<Item = &InvitationId>,
        deadline: Deadline,
    ) -> Result<HashMap<InvitationId, Delivery>, StoreError> {
        let rows = self.batch_get(tenant, ids.map(keys::delivery).collect(), deadline).await?;
        let read = |row: &Item| {
            let id = text(row, keys::SK)?.strip_prefix(keys::DELIVERIES).and_then(InvitationId::parse)?;
            let delivery = read(row);
            if delivery.is_none() {
                statistics::unreadable_row();
                tracing::error!(%tenant, invitation_id = %id, "a delivery's row cannot be read");
            }
            Some((id, delivery?))
        };
        Ok(rows.iter().filter_map(read).collect())
    }
}

/// The update expression of a row, and its values except for the TTL.
fn expression_and_values(delivery: &Delivery) -> (String, HashMap<String, AttributeValue>) {
    let mut values: HashMap<_, _> = items::named([
        (":status", string(delivery.status.as_str())),
        (":permanent", AttributeValue::Bool(delivery.permanent)),
        (":messageId", string(&delivery.message_id)),
        (":sentAt", number(delivery.sent_at.as_millis())),
        (":updatedAt", number(delivery.updated_at.as_millis())),
        (":order", string(&delivery.order())),
    ])
    .into();
    let (mut set, mut remove) = (vec![SET.to_owned()], Vec::new());
    for (name, value) in [("reason", &delivery.reason), ("smtpStatus", &delivery.smtp_status)] {
        match value {
            Some(value) => {
                set.push(format!("#{name} = :{name}"));
                values.insert(format!(":{name}"), string(value));
            }
            None => remove.push(format!("#{name}")),
        }
    }
    let remove = if remove.is_empty() { String::new() } else { format!(" REMOVE {}", remove.join(", ")) };
    (set.join(", ") + &remove, values)
}

fn names() -> HashMap<String, String> {
    let names =
        ["status", "permanent", "reason", "smtpStatus", "messageId", "sentAt", "updatedAt", "order", items::TTL];
    names.into_iter().map(|name| (format!("#{name}"), name.to_owned())).collect()
}

/// Reads a row; `None` if it is unreadable.
pub(crate) fn read(row: &Item) -> Option<Delivery> {
    let owned = |name| text(row, name).map(str::to_owned);
    Some(Delivery {
        status: DeliveryStatus::parse(text(row, "status")?)?,
        permanent: *row.get("permanent")?.as_bool().ok()?,
        reason: owned("reason"),
        smtp_status: owned("smtpStatus"),
        message_id: owned("messageId")?,
        sent_at: time(row, "sentAt")?,
        updated_at: time(row, "updatedAt")?,
    })
}

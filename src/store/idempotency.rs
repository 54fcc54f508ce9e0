//! What is remembered of a create that may be repeated: which request it was, what it made, and the answer.
//!
//! The record is written in the create's own transaction. Where no mail is wanted the create is done with that. Where
//! mail is wanted it has only started: the record says until when the run that made it can be alive, and once the mail
//! is out, that it is done. A repetition that meets a start whose run cannot be alive takes it over.

use aws_sdk_dynamodb::{
    error::SdkError,
    types::{AttributeValue, TransactWriteItem},
};

use super::{
    Item, Store, StoreError,
    call::call,
    create::TIME_AFTER_WRITING,
    end::gone_or_ended,
    items::{TTL, key_of, named, number, string, text, time, ttl},
    keys,
    transaction::{Transacted, delete_part, put_part},
};
use crate::{
    clock::RequestClock,
    domain::{
        idempotency::{IdempotentRequest, KEPT_MILLIS},
        ids::{InvitationId, TenantId},
        invitation::Invitation,
        timestamp::Timestamp,
    },
};

const STARTED: &str = "started";
const DONE: &str = "done";

/// What is remembered of a create.
#[derive(Clone, Debug)]
pub struct Record {
    key: Item,
    request_hash: String,
    /// The invitation that was made.
    pub invitation_id: InvitationId,
    /// The entity as it was when it was made, as JSON: the body of every response.
    pub answer: String,
    /// Until when the run that has to mail it can be alive; `None` once there is nothing left to do. A lease that cannot
    /// be read has run out long ago.
    pub runs_until: Option<Timestamp>,
    /// The lease as the row has it, readable or not.
    stored_lease: Option<AttributeValue>,
    kept_until: Timestamp,
}

/// What became of taking a started create over.
#[derive(Debug)]
pub enum TakenOver {
    /// It is ours to finish.
    Ours(Record),
    /// Another run took it over, finished it or took it back in the meantime.
    Others,
    /// There is nobody left to mail: the invitation was ended or deleted in the meantime.
    Ended,
}

impl Record {
    /// The record of `request`, which makes `invitation`.
    pub fn new(request: &IdempotentRequest, invitation: &Invitation, is_mailed: bool, clock: RequestClock) -> Self {
        Self {
            key: key(&invitation.tenant, request),
            request_hash: request.request_hash.clone(),
            invitation_id: invitation.id.clone(),
            answer: entity_json(invitation),
            runs_until: is_mailed.then(|| clock.end()),
            stored_lease: None,
            kept_until: clock.now.plus_millis(KEPT_MILLIS),
        }
    }

    /// Whether it is the record of `request`, and not of another one with the same key.
    pub fn is_of(&self, request: &IdempotentRequest) -> bool {
        self.request_hash == request.request_hash
    }

    /// The record in a row; `None` where it is not to be remembered any more at `now`: DynamoDB deletes late.
    ///
    /// # Errors
    /// A permanent one for a row that cannot be read: it does not tell that the request is new.
    pub(super) fn read(row: &Item, now: Timestamp) -> Result<Option<Self>, StoreError> {
        let unreadable = |attribute| move || StoreError::unreadable("idempotency", attribute);
        let owned = |name| text(row, name).map(str::to_owned).ok_or_else(unreadable(name));
        let kept_until = time(row, "keptUntil").ok_or_else(unreadable("keptUntil"))?;
        if kept_until <= now {
            return Ok(None);
        }
        let runs_until = match text(row, "state") {
            Some(DONE) => None,
            // Whoever comes again takes it over.
            Some(STARTED) => Some(time(row, "runsUntil").unwrap_or(Timestamp::from_millis(0))),
            _ => return Err(unreadable("state")()),
        };
        let invitation_id = text(row, "invitationId").and_then(InvitationId::parse);
        Ok(Some(Self {
            key: key_of(row),
            request_hash: owned("requestHash")?,
            invitation_id: invitation_id.ok_or_else(unreadable("invitationId"))?,
            answer: owned("answer")?,
            runs_until,
            stored_lease: row.get("runsUntil").cloned(),
            kept_until,
        }))
    }

    fn row(&self) -> Item {
        let mut row = self.key.clone();
        let state = if self.runs_until.is_some() { STARTED } else { DONE };
        let attributes = [
            ("requestHash", string(&self.request_hash)),
            ("invitationId", string(self.invitation_id.as_str())),
            ("state", string(state)),
            ("answer", string(&self.answer)),
            ("keptUntil", number(self.kept_until.as_millis())),
            (TTL, ttl(self.kept_until, 0)),
        ];
        row.extend(named(attributes));
        row.extend(self.runs_until.map(|until| ("runsUntil".to_owned(), number(until.as_millis()))));
        row
    }
}

/// The JSON of an invitation that was just made.
fn entity_json(invitation: &Invitation) -> String {
    serde_json::to_string(&invitation.entity(invitation.created_at)).expect("an entity has texts for keys")
}

fn key(tenant: &TenantId, request: &IdempotentRequest) -> Item {
    Item::from(keys::primary(tenant, keys::idempotency(request)))
}

impl Store {
    /// What is remembered of `request`.
    pub async fn record(
        &self,
        tenant: &TenantId,
        request: &IdempotentRequest,
        clock: RequestClock,
    ) -> Result<Option<Record>, StoreError> {
        let rows = self.batch_get(tenant, vec![keys::idempotency(request)], clock.deadline).await?;
        Ok(rows.first().map(|row| Record::read(row, clock.now)).transpose()?.flatten())
    }

    /// Takes over the create of `record`, whose run cannot be alive any more, to mail `invitation`, if that still is
    /// pending.
    pub async fn take_over(
        &self,
        record: Record,
        invitation: &Invitation,
        clock: RequestClock,
    ) -> Result<TakenOver, StoreError> {
        let ours = Record { runs_until: Some(clock.end()), stored_lease: None, ..record.clone() };
        let condition = match record.stored_lease {
            Some(_) => "invitationId = :id AND #state = :started AND runsUntil = :until",
            None => "invitationId = :id AND #state = :started AND attribute_not_exists(runsUntil)",
        };
        let put = self
            .put(ours.row())
            .condition_expression(condition)
            .expression_attribute_names("#state", "state")
            .expression_attribute_values(":id", string(record.invitation_id.as_str()))
            .expression_attribute_values(":started", string(STARTED));
        let put =
            record.stored_lease.iter().fold(put, |put, lease| put.expression_attribute_values(":until", lease.clone()));
        let parts = [put_part(put), self.check_pending(invitation)];
        Ok(match self.transact(&parts, clock.leaving(TIME_AFTER_WRITING)).await? {
            Transacted::Committed => TakenOver::Ours(ours),
            Transacted::Refused(failed) if failed.at(0).is_some() => TakenOver::Others,
            Transacted::Refused(failed) => {
                gone_or_ended(&invitation.tenant, failed.at(1).unwrap_or(&Item::new()))?;
                TakenOver::Ended
            }
        })
    }

    /// Completes `record`: nothing is left to do for it. Changes nothing where another attempt has taken its lease over.
    pub async fn complete(&self, record: &Record, clock: RequestClock) -> Result<(), StoreError> {
        let Some(until) = record.runs_until else { return Ok(()) };
        let update = self
            .client
            .update_item()
            .table_name(&self.table)
            .set_key(Some(record.key.clone()))
            .update_expression("SET #state = :done REMOVE runsUntil")
            .condition_expression("invitationId = :id AND runsUntil = :until")
            .expression_attribute_names("#state", "state")
            .expression_attribute_values(":done", string(DONE))
            .expression_attribute_values(":id", string(record.invitation_id.as_str()))
            .expression_attribute_values(":until", number(until.as_millis()));
        let attempt = async || match update.clone().send().await {
            // Another run's, or an attempt before this one succeeded, and its answer was lost.
            Err(SdkError::ServiceError(error)) if error.err().is_conditional_check_failed_exception() => Ok(()),
            result => result.map(drop),
        };
        call(clock.deadline, attempt).await
    }

    /// The part that writes `record`, if nothing is remembered of a request with its key.
    pub(super) fn put_record(&self, record: &Record, now: Timestamp) -> TransactWriteItem {
        let put = self
            .put(record.row())
            .condition_expression("attribute_not_exists(pk) OR keptUntil <= :now")
            .expression_attribute_values(":now", number(now.as_millis()));
        put_part(put)
    }

    /// The part that forgets the start that `record` is, which has to be as it was written where it is still there.
    pub(super) fn delete_record(&self, record: &Record) -> TransactWriteItem {
        let delete = self
            .delete(record.key.clone())
            .condition_expression("attribute_not_exists(pk) OR (invitationId = :id AND runsUntil = :until)")
            .expression_attribute_values(":id", string(record.invitation_id.as_str()))
            .expression_attribute_values(":until", number(record.runs_until.map_or(0, Timestamp::as_millis)));
        delete_part(delete)
    }
}

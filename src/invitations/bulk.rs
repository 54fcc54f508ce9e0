//! Creates many invitations in one call: concurrently, each by the use case of a single create, with one read of the
//! directory and one send rate.

use std::{collections::HashSet, sync::Arc};

use tokio::{
    sync::{OnceCell, Semaphore, SemaphorePermit},
    time::Instant,
};

use super::create::{CreateOutcome, CreateRequest, create};
use crate::{
    app::App,
    clock::{RequestClock, budgets::TIME_AFTER_WRITING},
    domain::{
        error::Error,
        idempotency::IdempotentRequest,
        invitation::{Invitation, NewInvitation},
    },
    json::escaped_length,
    mail::{ConnectionProof, ConnectionProofs, MessagePayload, Pace, SendError},
    side_by_side::side_by_side,
    store::{
        StoreError,
        directory::{DirectoryLookup, DirectorySnapshot},
    },
};

/// The maximum number of concurrent creates. Each makes one AWS call at a time, and so uses one connection.
const MAX_CONCURRENT_CREATES: usize = 16;

/// One invitation of the call.
#[derive(Debug)]
pub(crate) struct BulkItem {
    /// The invitation.
    pub new: NewInvitation,
    /// The variables of its email, if one is requested.
    pub payload: Option<MessagePayload>,
    /// The idempotency key and fingerprint of this item, if the caller sent a key.
    pub idempotent: Option<IdempotentRequest>,
}

/// The state that the creates of one bulk call share.
#[derive(Debug)]
pub(crate) struct BulkContext {
    /// The directory rows that any of the invitations refers to.
    pub(super) directory: Result<DirectorySnapshot, StoreError>,
    /// The proofs of connections to SES, started at the beginning of the call.
    proofs: Result<ConnectionProofs, SendError>,
    /// The pace of the emails, or the error if no connection was proved alive. The first create with an email waits for
    /// the proofs.
    pace: OnceCell<Result<Arc<Pace>, SendError>>,
    /// The maximum number of messages per second.
    rate: u32,
    /// The latest time at which a create may begin to write.
    begin_by: Instant,
    /// One permit for each byte left for invitations in the response.
    bytes_left: Semaphore,
}

/// The maximum size of the invitations in a response, in bytes of JSON escaped within the function's response. Lambda
/// limits the whole response to 6 MB, of which the failures take at most 2 MB.
const MAX_RESPONSE_BYTES: usize = 4 << 20;

impl BulkContext {
    /// As [`Self::reserve`], for the entity of an invitation.
    pub(super) fn reserve_for(&self, invitation: &Invitation) -> Result<SemaphorePermit<'_>, Error> {
        self.reserve(&serde_json::to_string(&invitation.entity(invitation.created_at)).unwrap_or_default())
    }

    /// Reserves the bytes of an entity in the response. Dropping the permit releases them.
    pub(super) fn reserve(&self, entity: &str) -> Result<SemaphorePermit<'_>, Error> {
        let bytes = u32::try_from(escaped_length(entity)).unwrap_or(u32::MAX);
        let too_long = |_| Error::StoreUnavailable { cause: "no room left in the response".to_owned() };
        self.bytes_left.try_acquire_many(bytes).map_err(too_long)
    }

    /// Waits until a create may begin to write: at once, or in the turn of its email if it `is_mailed`. After an error
    /// nothing was written.
    pub(super) async fn begin(&self, is_mailed: bool) -> Result<Option<ConnectionProof>, Error> {
        if !is_mailed {
            let has_time = Instant::now() <= self.begin_by;
            return if has_time { Ok(None) } else { Err(no_time()) };
        }
        let pace = self.pace.get_or_init(|| self.new_pace()).await.as_ref().map_err(Clone::clone)?;
        let turn = pace.turn(self.begin_by).await.ok_or_else(SendError::no_time)?;
        Ok(Some(ConnectionProof::InTurn(turn)))
    }

    /// Returns `true` after no connection to SES could be proved alive.
    pub(super) fn is_ses_unreachable(&self) -> bool {
        self.pace.get().is_some_and(Result::is_err)
    }

    /// Creates the pace for the connections that were proved alive. Waits at most half of the time in which creates may
    /// begin, so that creates without email have the other half.
    async fn new_pace(&self) -> Result<Arc<Pace>, SendError> {
        let now = Instant::now();
        let until = now + self.begin_by.saturating_duration_since(now) / 2;
        let proved = self.proofs.as_ref().map_err(Clone::clone)?.proved(until).await?;
        Ok(Pace::new(self.rate, proved))
    }
}

fn no_time() -> Error {
    Error::StoreUnavailable { cause: "DynamoDB: no time left".to_owned() }
}

/// Creates the invitations of a call, all of one tenant. An item with the organization and address of an earlier item
/// is a duplicate, even if the earlier one fails. Items that the request has no time for fail before anything is
/// written for them.
pub(crate) async fn create_all(
    app: &App,
    items: &[BulkItem],
    clock: RequestClock,
) -> Vec<Result<CreateOutcome, Error>> {
    let is_duplicate_at = duplicates(items, clock);
    let begin_by = clock.leaving(TIME_AFTER_WRITING).begin_by;
    let distinct = items.iter().zip(&is_duplicate_at).filter(|(_, is_duplicate)| !**is_duplicate);
    let distinct: Vec<&BulkItem> = distinct.map(|(item, _)| item).collect();
    let mailed = distinct.iter().filter(|item| item.payload.is_some()).count();
    let rate = app.config.mail_rate_per_second;
    let proofs = app.mailer.prove_connections(Pace::connections(rate).min(mailed), clock);
    let directory = read_directory(app, distinct, clock).await;
    let (pace, bytes_left) = (OnceCell::new(), Semaphore::new(MAX_RESPONSE_BYTES));
    let bulk = BulkContext { directory, proofs, pace, rate, begin_by, bytes_left };
    let job = async |position: usize| {
        if is_duplicate_at[position] {
            return Err(Error::AlreadyInvited { invitation_id: None });
        }
        create_one(app, &items[position], &bulk, clock).await
    };
    side_by_side(MAX_CONCURRENT_CREATES, (0..items.len()).map(job)).await
}

async fn create_one(
    app: &App,
    item: &BulkItem,
    bulk: &BulkContext,
    clock: RequestClock,
) -> Result<CreateOutcome, Error> {
    // Checked before composing the email, whose CPU time the running creates need.
    if Instant::now() > bulk.begin_by {
        return Err(if item.payload.is_some() { SendError::no_time().into() } else { no_time() });
    }
    let BulkItem { new, payload, idempotent } = item;
    let (payload, idempotent) = (payload.as_ref(), idempotent.as_ref());
    // Boxed, because the SDK's futures are too deeply nested for the compiler to lay out as one.
    Box::pin(create(app, CreateRequest { new: new.clone(), payload, idempotent, clock, bulk: Some(bulk) })).await
}

/// For each item, returns `true` if an earlier item has the same organization and address. An item with an invalid
/// invitee or expiry neither is a duplicate nor has duplicates.
fn duplicates(items: &[BulkItem], clock: RequestClock) -> Vec<bool> {
    let mut seen = HashSet::new();
    let key = |new: &NewInvitation| {
        let invitee = new.checked_invitee(clock.now).ok()?;
        Some((new.organization_id.clone(), invitee.normalized()))
    };
    items.iter().map(|item| key(&item.new).is_some_and(|key| !seen.insert(key))).collect()
}

async fn read_directory(
    app: &App,
    mut items: Vec<&BulkItem>,
    clock: RequestClock,
) -> Result<DirectorySnapshot, StoreError> {
    items.retain(|item| item.new.checked_invitee(clock.now).is_ok());
    let Some(tenant) = items.first().map(|item| &item.new.tenant) else { return Ok(app.store.no_directory()) };
    let lookups: Vec<_> = items.iter().map(|item| DirectoryLookup::of_new(&item.new, item.payload.is_some())).collect();
    app.store.directory_of_all(tenant, &lookups, clock).await
}

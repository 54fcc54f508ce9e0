//! Creating many invitations in one call: each by the same use case as a single one, side by side, with one read of the
//! directory and one pace for the mail.

use std::{
    collections::HashSet,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use tokio::{sync::OnceCell, time::Instant};

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

/// The most creates at the same time. Each has at most one call of AWS under way, and so one connection.
const MOST_AT_ONCE: usize = 16;

/// One invitation of the call.
#[derive(Debug)]
pub(crate) struct BulkItem {
    /// The invitation.
    pub new: NewInvitation,
    /// The variables of its email, where one is wanted.
    pub payload: Option<MessagePayload>,
    /// The idempotency key and fingerprint of this item, where the caller gave a key.
    pub idempotent: Option<IdempotentRequest>,
}

/// The part that the creates of one call share.
#[derive(Debug)]
pub(crate) struct Shared {
    /// The rows that any of them refers to.
    pub(super) directory: Result<DirectorySnapshot, StoreError>,
    /// The proofs that SES can be reached, which began with the call.
    proofs: Result<ConnectionProofs, SendError>,
    /// The pace of their mail, or the failure of all proofs. Only the first that is mailed waits for them.
    mail: OnceCell<Result<Arc<Pace>, SendError>>,
    /// The messages a second.
    rate: u32,
    /// The latest time at which one begins to write.
    begin_by: Instant,
    /// The bytes that are left for invitations in the response.
    room: AtomicUsize,
}

/// The most bytes of the invitations in a response, as JSON within the JSON that the function answers. Lambda's limit is
/// 6 MB for the whole response, in which the failures take at most 2 MB.
const MOST_BYTES: usize = 4 << 20;

impl Shared {
    /// Keeps room for an invitation in the response.
    pub(super) fn reserve_room(&self, invitation: &Invitation) -> Result<(), Error> {
        self.reserve(&entity(invitation))
    }

    /// Gives back the room for an invitation that is not in the response.
    pub(super) fn give_back(&self, invitation: &Invitation) {
        self.room.fetch_add(escaped_length(&entity(invitation)), Ordering::Relaxed);
    }

    /// Keeps room for an entity in the response.
    pub(super) fn reserve(&self, entity: &str) -> Result<(), Error> {
        let bytes = escaped_length(entity);
        let left = self.room.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |room| room.checked_sub(bytes));
        let no_room = |_| Error::StoreUnavailable { cause: "no room left in the response".to_owned() };
        left.map(drop).map_err(no_room)
    }

    /// Begins to write one of the creates, once it is its turn to be mailed if it `is_mailed`. Nothing has been written for
    /// one that cannot begin.
    pub(super) async fn begin(&self, is_mailed: bool) -> Result<Option<ConnectionProof>, Error> {
        if !is_mailed {
            let has_time = Instant::now() <= self.begin_by;
            return if has_time { Ok(None) } else { Err(no_time()) };
        }
        let pace = self.mail.get_or_init(|| self.pace()).await.as_ref().map_err(Clone::clone)?;
        let turn = pace.turn(self.begin_by).await.ok_or_else(SendError::no_time)?;
        Ok(Some(ConnectionProof::in_turn(turn)))
    }

    /// Returns `true` after all proofs failed.
    pub(super) fn has_no_mail_service(&self) -> bool {
        self.mail.get().is_some_and(Result::is_err)
    }

    /// The pace over the connections that were proved. The proofs have half of the time in which creates begin, so that
    /// those without mail keep the other half.
    async fn pace(&self) -> Result<Arc<Pace>, SendError> {
        let now = Instant::now();
        let until = now + self.begin_by.saturating_duration_since(now) / 2;
        let proved = self.proofs.as_ref().map_err(Clone::clone)?.proved(until).await?;
        Ok(Pace::new(self.rate, proved))
    }
}

fn no_time() -> Error {
    Error::StoreUnavailable { cause: "DynamoDB: no time left".to_owned() }
}

/// The invitation as JSON.
fn entity(invitation: &Invitation) -> String {
    serde_json::to_string(&invitation.entity(invitation.created_at)).unwrap_or_default()
}

/// Creates the invitations of a call, all of one tenant. An invitation for the organization and address of an earlier one
/// is a duplicate, whatever becomes of that. Those that the time of the request cannot hold fail before anything of them is
/// written.
pub(crate) async fn create_all(
    app: &App,
    items: &[BulkItem],
    clock: RequestClock,
) -> Vec<Result<CreateOutcome, Error>> {
    let are_duplicates = duplicates(items, clock);
    let begin_by = clock.leaving(TIME_AFTER_WRITING).begin_by;
    let worked_on = items.iter().zip(&are_duplicates).filter(|(_, is_duplicate)| !**is_duplicate);
    let worked_on: Vec<&BulkItem> = worked_on.map(|(item, _)| item).collect();
    let mailed = worked_on.iter().filter(|item| item.payload.is_some()).count();
    let rate = app.config.mail_rate_per_second;
    let proofs = app.mailer.prove_connections(Pace::connections(rate).min(mailed), clock);
    let directory = read_directory(app, worked_on, clock).await;
    let (mail, room) = (OnceCell::new(), AtomicUsize::new(MOST_BYTES));
    let shared = Shared { directory, proofs, mail, rate, begin_by, room };
    let job = async |position: usize| {
        if are_duplicates[position] {
            return Err(Error::AlreadyInvited { invitation_id: None });
        }
        create_one(app, &items[position], &shared, clock).await
    };
    side_by_side(MOST_AT_ONCE, (0..items.len()).map(job)).await
}

async fn create_one(app: &App, item: &BulkItem, shared: &Shared, clock: RequestClock) -> Result<CreateOutcome, Error> {
    // Composing a mail takes time too, which what is under way needs.
    if Instant::now() > shared.begin_by {
        return Err(if item.payload.is_some() { SendError::no_time().into() } else { no_time() });
    }
    let BulkItem { new, payload, idempotent } = item;
    let (payload, idempotent) = (payload.as_ref(), idempotent.as_ref());
    // Boxed, because the SDK's futures are too deeply nested for the compiler to lay out as one.
    Box::pin(create(app, CreateRequest { new: new.clone(), payload, idempotent, clock, shared: Some(shared) })).await
}

/// Tells which items are for the organization and the address of an earlier one. One that fails by itself is no duplicate,
/// and none is its duplicate.
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

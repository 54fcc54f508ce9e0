//! Creates an invitation, and sends its email if requested.
//!
//! All checks that need no write run before the single transaction. If a check fails, the table is read for errors that
//! take precedence in the contract, such as an existing membership.

use super::{bulk::BulkContext, email, replay, roles};
use crate::{
    app::App,
    clock::RequestClock,
    domain::{
        email_address::EmailAddress,
        error::{Error, UnknownReferences},
        idempotency::IdempotentRequest,
        ids::DirectoryId,
        invitation::{Invitation, NewInvitation, ResolvedReferences},
    },
    mail::{ConnectionProof, Email, EmailContext, MessagePayload, Sent, compose},
    store::{
        create::{Conflict, CreatedInvitation, InviteeKey, Mailing, WriteOutcome},
        directory::{DirectoryLookup, DirectorySnapshot},
        idempotency::IdempotencyRecord,
        items,
        token::MessageToken,
    },
    telemetry::statistics,
};

/// The outcome of a successful create.
#[derive(Debug)]
pub(crate) enum CreateOutcome {
    /// The invitation was created, and its email sent if requested.
    Created(Invitation),
    /// An earlier request with the same idempotency key created the invitation. Holds the JSON entity of the first
    /// response, which a replay returns byte for byte.
    Replayed(String),
}

/// The request of a create.
#[derive(Debug)]
pub(crate) struct CreateRequest<'a> {
    /// The invitation.
    pub new: NewInvitation,
    /// The variables of its email, if one is requested.
    pub payload: Option<&'a MessagePayload>,
    /// The idempotency key and fingerprint, if the caller sent a key.
    pub idempotent: Option<&'a IdempotentRequest>,
    /// The time.
    pub clock: RequestClock,
    /// The state shared with the other creates of a bulk call; `None` for a single create.
    pub bulk: Option<&'a BulkContext>,
}

/// Creates an invitation. A retry with the same idempotency key returns the first outcome, even if the request would
/// fail now. The transaction detects the retry, so the first request needs no extra read.
///
/// # Errors
/// In the order of the contract's "Outcomes".
pub(crate) async fn create(app: &App, request: CreateRequest<'_>) -> Result<CreateOutcome, Error> {
    match attempt(app, &request).await? {
        Attempt::Created(invitation) => Ok(CreateOutcome::Created(invitation)),
        Attempt::Retried(record) if !request.idempotent.is_some_and(|idempotent| record.is_of(idempotent)) => {
            Err(Error::IdempotencyKeyReused)
        }
        Attempt::Retried(record) => {
            let entity = replay::replay(app, &request, record).await?;
            if let Some(bulk) = request.bulk {
                bulk.reserve(&entity)?.forget();
            }
            Ok(CreateOutcome::Replayed(entity))
        }
    }
}

enum Attempt {
    Created(Invitation),
    /// An earlier request used the same idempotency key.
    Retried(IdempotencyRecord),
}

async fn attempt(app: &App, request: &CreateRequest<'_>) -> Result<Attempt, Error> {
    let clock = request.clock;
    let (invitation, email) = match prepare(app, request).await {
        Ok(prepared) => prepared,
        Err(error) if error.is_fault_of_service() => return Err(error),
        Err(error) => return earlier_record(app, request).await?.map(Attempt::Retried).ok_or(error),
    };
    // Released when this attempt ends, unless the invitation is created.
    let reserved = request.bulk.map(|bulk| bulk.reserve_for(&invitation)).transpose()?;
    let is_mailed = email.is_some();
    let record = request.idempotent.map(|request| IdempotencyRecord::new(request, &invitation, is_mailed, clock));
    let mailing = email.as_ref().map(|email| Mailing { rate: app.config.message_rate, token: email.token });
    let proof = match begin(app, request, is_mailed).await {
        Ok(proof) => proof,
        // A single create meets an earlier request's record and a conflict in its transaction, which runs while the
        // connection is proved.
        Err(error) if is_mailed && request.bulk.is_some_and(BulkContext::is_ses_unreachable) => {
            return match earlier_record(app, request).await? {
                Some(record) => Ok(Attempt::Retried(record)),
                None => Err(first_error(app, request, &invitation.invitee, error).await?),
            };
        }
        Err(error) => return Err(error),
    };
    let created = match app.store.create(&invitation, mailing, record.as_ref(), clock).await? {
        WriteOutcome::Created(created) => created,
        WriteOutcome::Conflict(conflict) => return Err(conflict.into()),
        WriteOutcome::Replay(record) => return Ok(Attempt::Retried(record)),
    };
    statistics::invitation(&invitation.id);
    if let Some((email, proof)) = email.zip(proof) {
        Unmailed { app, created, clock, taken_over: None }.mail(&email, proof).await?;
    }
    if let Some(reserved) = reserved {
        reserved.forget();
    }
    Ok(Attempt::Created(invitation))
}

/// Reads the record of an earlier request with the same idempotency key.
async fn earlier_record(app: &App, request: &CreateRequest<'_>) -> Result<Option<IdempotencyRecord>, Error> {
    let Some(idempotent) = request.idempotent else { return Ok(None) };
    Ok(app.store.record(&request.new.tenant, idempotent, request.clock).await?)
}

/// Begins a create's write: starts the proof of the connection for its email, or waits for its turn in a bulk call.
pub(super) async fn begin(
    app: &App,
    request: &CreateRequest<'_>,
    is_mailed: bool,
) -> Result<Option<ConnectionProof>, Error> {
    match request.bulk {
        Some(bulk) => bulk.begin(is_mailed).await,
        None => Ok(is_mailed.then(|| app.mailer.prove_connection(request.clock)).transpose()?),
    }
}

/// An invitation that is written but whose email is not sent yet, with all rows to complete or roll back.
pub(super) struct Unmailed<'a> {
    pub(super) app: &'a App,
    pub(super) created: CreatedInvitation<'a>,
    pub(super) clock: RequestClock,
    /// The message, if it replaces that of an attempt that died, whose email may be on the way.
    pub(super) taken_over: Option<MessageToken<'a>>,
}

impl Unmailed<'_> {
    /// Sends the email. If SES certainly did not take it, rolls everything back, so that the caller can retry. If SES
    /// may have taken it, the invitation stays, because its email may be on the way. So does an invitation whose lease
    /// was taken over, if a retry may succeed: the email of the attempt that died may be on the way.
    pub(super) async fn mail(self, email: &Email, proof: ConnectionProof) -> Result<(), Error> {
        let is_one_of_many = matches!(proof, ConnectionProof::InTurn(_));
        match self.app.mailer.send(email, proof, self.clock).await {
            Ok(sent) => {
                if let (Sent::Unknown { cause }, true) = (&sent, is_one_of_many) {
                    // The request's log line does not name the invitation.
                    tracing::warn!(invitation_id = %self.created.invitation.id, %cause, "mail_unknown in a bulk create");
                }
                sent.note();
                self.complete().await;
                Ok(())
            }
            Err(failure) => {
                match self.taken_over.filter(|_| failure.is_transient()) {
                    Some(message) => self.release_lease(message).await,
                    None => self.roll_back().await,
                }
                Err(failure.into())
            }
        }
    }

    async fn release_lease(self, message: MessageToken<'_>) {
        let CreatedInvitation { invitation, record, .. } = self.created;
        let Some(record) = record else { return };
        if let Err(error) = self.app.store.release_lease(record, message, self.clock).await {
            // A retry has to wait until the lease expires.
            tracing::error!(%error, invitation_id = %invitation.id, "lease not released");
        }
    }

    async fn complete(self) {
        let CreatedInvitation { invitation, record, .. } = self.created;
        let Some(record) = record else { return };
        if let Err(error) = self.app.store.complete(record, self.clock).await {
            // The response is still correct. Only a retry of this request could send the email again.
            tracing::error!(%error, invitation_id = %invitation.id, "idempotency record not completed");
        }
    }

    pub(super) async fn roll_back(self) {
        let Self { app, created, clock, .. } = self;
        let invitation_id = &created.invitation.id;
        if let Err(error) = app.store.roll_back(created, clock).await {
            tracing::error!(%error, %invitation_id, "invitation without mail not rolled back");
        }
    }
}

/// Prepares the requested invitation, and its email if one is requested. Writes nothing.
async fn prepare(app: &App, request: &CreateRequest<'_>) -> Result<(Invitation, Option<Email>), Error> {
    let invitee = request.new.checked_invitee(request.clock.now)?;
    let read;
    let directory = if let Some(bulk) = request.bulk {
        bulk.directory.as_ref().map_err(Clone::clone)?
    } else {
        let lookup = DirectoryLookup::of_new(&request.new, request.payload.is_some());
        read = app.store.directory(&request.new.tenant, lookup, request.clock).await?;
        &read
    };
    match resolve(app, request, &invitee, directory) {
        Ok(resolved) => Ok(resolved),
        Err(error) => Err(first_error(app, request, &invitee, error).await?),
    }
}

/// The invitation with its roles, and its email if one is requested.
fn resolve(
    app: &App,
    request: &CreateRequest<'_>,
    invitee: &EmailAddress,
    directory: &DirectorySnapshot,
) -> Result<(Invitation, Option<Email>), Error> {
    let references = ResolvedReferences::find(&request.new, directory)?;
    let now = request.clock.now;
    let invitation = Invitation::pending(&request.new, invitee.clone(), &references, now)?;
    if !items::fit_roles(&invitation.organization_roles) {
        return Err(Error::RolesTooLong);
    }
    let Some(payload) = request.payload else { return Ok((invitation, None)) };
    let connector = email::connector(directory, &app.config)?;
    let context = EmailContext {
        invitation: &invitation,
        organization: &references.organization,
        inviter: references.inviter.as_ref(),
    };
    let email = compose(connector, payload, context)?;
    Ok((invitation, Some(email)))
}

impl ResolvedReferences {
    fn find(new: &NewInvitation, directory: &DirectorySnapshot) -> Result<Self, Error> {
        let organization = directory.organization(&new.organization_id)?;
        let inviter = new.inviter_id.as_deref().map(|id| directory.user(id)).transpose()?.flatten();
        let (roles, unknown_roles) = roles::find(directory, &new.organization_role_ids)?;
        let unknown = UnknownReferences {
            organization_id: organization.is_none().then(|| new.organization_id.clone()),
            inviter_id: new.inviter_id.clone().filter(|_| inviter.is_none()),
            organization_role_ids: unknown_roles,
        };
        match organization {
            Some(organization) if unknown.is_empty() => Ok(Self { organization, inviter, roles }),
            _ => Err(Error::UnknownReferences(unknown)),
        }
    }
}

/// The error to report for a create that failed with `error`: a conflict in the table that takes precedence, otherwise
/// `error`.
async fn first_error(
    app: &App,
    request: &CreateRequest<'_>,
    invitee: &EmailAddress,
    error: Error,
) -> Result<Error, Error> {
    let Some(organization_id) = DirectoryId::parse(&request.new.organization_id, app.config.id_max_length) else {
        return Ok(error);
    };
    let rate = (!error.precedes_rate_limit()).then_some(app.config.message_rate);
    let (tenant, invitee) = (&request.new.tenant, invitee.normalized());
    let key = InviteeKey { tenant, organization_id: &organization_id, invitee: &invitee };
    let conflict = app.store.conflict(key, rate, request.clock).await?;
    Ok(conflict.map_or(error, Error::from))
}

impl From<Conflict> for Error {
    fn from(conflict: Conflict) -> Self {
        match conflict {
            Conflict::AlreadyMember => Self::AlreadyMember,
            Conflict::AlreadyInvited(invitation_id) => Self::AlreadyInvited { invitation_id },
            Conflict::MessageRateLimited { retry_after } => Self::MessageRateLimited { retry_after },
        }
    }
}

//! Creating an invitation, and mailing it when asked.
//!
//! All checks that need no write run before the one transaction. If one of them fails, a reason in the table that the
//! contract decides earlier, such as an existing membership, is reported instead.

use super::{bulk::Shared, email, replay, roles};
use crate::{
    app::App,
    clock::RequestClock,
    domain::{
        directory::{Organization, OrganizationRole, User, could_exist},
        email_address::EmailAddress,
        error::{Error, UnknownReferences},
        idempotency::IdempotentRequest,
        invitation::{Invitation, NewInvitation},
    },
    mail::{ConnectionProof, Email, EmailContext, MessagePayload, Sent, compose},
    store::{
        create::{Conflict, CreatedInvitation, Mailing, WriteOutcome},
        directory::{DirectoryLookup, DirectorySnapshot},
        idempotency::IdempotencyRecord,
        items,
        token::MessageToken,
    },
    telemetry::statistics,
};

/// The outcome of a create that did not fail.
#[derive(Debug)]
pub(crate) enum CreateOutcome {
    /// The invitation exists, and its email was sent where one was asked for.
    Created(Invitation),
    /// The request was made before with the same idempotency key. Holds the invitation's entity as it was then, as JSON:
    /// a replay gives it byte for byte.
    Replayed(String),
}

/// The request of a create.
#[derive(Debug)]
pub(crate) struct CreateRequest<'a> {
    /// The invitation.
    pub new: NewInvitation,
    /// The variables of its email, where one is wanted.
    pub payload: Option<&'a MessagePayload>,
    /// The idempotency key and fingerprint, where the caller gave a key.
    pub idempotent: Option<&'a IdempotentRequest>,
    /// The time.
    pub clock: RequestClock,
    /// The part that it shares with the other creates of its call; `None` for a call that creates one.
    pub shared: Option<&'a Shared>,
}

/// Creates an invitation. A retry with the same idempotency key gets the first outcome again, even if the request would
/// fail now. The transaction detects a retry, so that the first request needs no read for it.
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
            request.shared.map_or(Ok(()), |shared| shared.reserve(&entity))?;
            Ok(CreateOutcome::Replayed(entity))
        }
    }
}

enum Attempt {
    Created(Invitation),
    /// A request with the same idempotency key came before.
    Retried(IdempotencyRecord),
}

async fn attempt(app: &App, request: &CreateRequest<'_>) -> Result<Attempt, Error> {
    let clock = request.clock;
    let (invitation, email) = match prepare(app, request).await {
        Ok(prepared) => prepared,
        Err(error) => {
            let Some(idempotent) = request.idempotent.filter(|_| !error.is_fault_of_service()) else {
                return Err(error);
            };
            let record = app.store.record(&request.new.tenant, idempotent, clock).await?;
            return record.map(Attempt::Retried).ok_or(error);
        }
    };
    if let Some(shared) = request.shared {
        shared.reserve_room(&invitation)?;
    }
    let is_mailed = email.is_some();
    let record = request.idempotent.map(|request| IdempotencyRecord::new(request, &invitation, is_mailed, clock));
    let mailing = email.as_ref().map(|email| Mailing { rate: app.config.message_rate, token: email.token });
    let proof = match begin(app, request, is_mailed).await {
        Ok(proof) => proof,
        Err(error) if request.shared.is_some_and(Shared::has_no_mail_service) => {
            return unmailable(app, request, &invitation.invitee, error).await;
        }
        Err(error) => return Err(error),
    };
    let created = match app.store.create(&invitation, mailing, record.as_ref(), clock).await? {
        WriteOutcome::Created(created) => created,
        WriteOutcome::Conflict(conflict) => return Err(conflict.into()),
        WriteOutcome::Replay(record) => {
            request.shared.inspect(|shared| shared.give_back(&invitation));
            return Ok(Attempt::Retried(record));
        }
    };
    statistics::invitation(&invitation.id);
    if let Some((email, proof)) = email.zip(proof) {
        Unmailed { app, created, clock, taken_over: None }.mail(&email, proof).await?;
    }
    Ok(Attempt::Created(invitation))
}

/// The outcome of one of many creates while SES cannot be reached: that of an earlier request with the same key, or an
/// error that the contract decides earlier, or else `error`. A single create finds these in its transaction, while the
/// connection is proved.
async fn unmailable(
    app: &App,
    request: &CreateRequest<'_>,
    invitee: &EmailAddress,
    error: Error,
) -> Result<Attempt, Error> {
    if let Some(idempotent) = request.idempotent {
        let record = app.store.record(&request.new.tenant, idempotent, request.clock).await?;
        if let Some(record) = record {
            return Ok(Attempt::Retried(record));
        }
    }
    Err(first_error(app, request, invitee, error).await?)
}

/// Begins to write a create, and to prove the connection that its email goes out on.
pub(super) async fn begin(
    app: &App,
    request: &CreateRequest<'_>,
    is_mailed: bool,
) -> Result<Option<ConnectionProof>, Error> {
    match request.shared {
        Some(shared) => shared.begin(is_mailed).await,
        None => Ok(is_mailed.then(|| app.mailer.prove_connection(request.clock)).transpose()?),
    }
}

/// An invitation that is written but not mailed yet, with everything that is then completed or rolled back.
pub(super) struct Unmailed<'a> {
    pub(super) app: &'a App,
    pub(super) created: CreatedInvitation<'a>,
    pub(super) clock: RequestClock,
    /// The message in the place of that of an attempt that died, whose own message may be on the way.
    pub(super) taken_over: Option<MessageToken<'a>>,
}

impl Unmailed<'_> {
    /// Sends the email. If SES certainly does not take it, everything is rolled back, so that the same call can be made
    /// again. If SES may have taken it the invitation stands, because its mail may be on the way; and so may that of an
    /// attempt that died, as long as SES may take this one later.
    pub(super) async fn mail(self, email: &Email, proof: ConnectionProof) -> Result<(), Error> {
        let is_one_of_many = proof.is_in_turn();
        match self.app.mailer.send(email, proof, self.clock).await {
            Ok(sent) => {
                if let (Sent::Unknown { cause }, true) = (&sent, is_one_of_many) {
                    // The line of the request names no invitation.
                    tracing::warn!(invitation_id = %self.created.invitation.id, %cause, "mail_unknown in a bulk create");
                }
                sent.note();
                self.complete().await;
                Ok(())
            }
            Err(failure) => {
                match self.taken_over.filter(|_| failure.is_passing()) {
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
            // Only a retry of a request that has been answered could send the mail again.
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
    let directory = if let Some(shared) = request.shared {
        shared.directory.as_ref().map_err(Clone::clone)?
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
    let invitation = Invitation::pending(&request.new, invitee.clone(), references.roles, now)?;
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

/// The rows of the directory that a new invitation refers to.
#[derive(Debug)]
struct ResolvedReferences {
    organization: Organization,
    inviter: Option<User>,
    roles: Vec<OrganizationRole>,
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

/// The error of a create that failed with `error`: a reason in the table that the contract decides earlier, otherwise
/// `error`.
async fn first_error(
    app: &App,
    request: &CreateRequest<'_>,
    invitee: &EmailAddress,
    error: Error,
) -> Result<Error, Error> {
    if !could_exist(&request.new.organization_id, app.config.id_max_length) {
        return Ok(error);
    }
    let rate = (!error.precedes_rate_limit()).then_some(app.config.message_rate);
    let conflict = app.store.conflict(&request.new, invitee, rate, request.clock).await?;
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

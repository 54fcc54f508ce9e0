//! `POST /api/organization-invitations`: create an invitation, and mail it when asked.

mod body;
mod finish;

use lambda_http::{
    Body,
    http::{HeaderMap, Response, StatusCode},
};

use self::{
    body::CreateBody,
    finish::{Unmailed, repeat},
};
use crate::{app::{App}, http::{body::{Number, fields, validate}, operations::{Request, connector, json_text_response, to_json}}, config::{Config}, domain::{directory::{Organization, OrganizationRole, User, could_exist}, email_address::{EmailAddress}, error::{Error, UnknownReferences}, idempotency::{self, IdempotencyKey, Repeatable}, invitation::{Invitation, Status}, ids::{InvitationId}}, telemetry::{notes}, mail::{Invited, Letter, MessagePayload, compose}, store::{create::{Creation, Refusal}, directory::{Directory, References}, idempotency::{Record}, items}, clock::{RequestClock}};

/// Creates an invitation. All that can be decided without writing is decided before the one transaction; but what
/// stands against the invitation in the table is told first, because the contract decides it first.
///
/// A request that was made before, with the same idempotency key, is answered as it was then, whatever would be said to
/// it now. That it was made before shows in the transaction, so that the usual request needs no read for it.
pub async fn create(app: &App, request: &Request<'_>) -> Result<Response<Body>, Error> {
    let key = idempotency_key(&request.event.headers)?;
    let fields = fields(request.event)?;
    let repeatable = key.map(|key| Repeatable::new(&request.caller, &key, &fields));
    let mut body = validate(CreateBody::read(&fields)?, &app.config, &CreateBody::KEYS)?.into_inner();
    let payload = body.message_payload.take();
    match attempt(app, request, body, payload.as_ref(), repeatable.as_ref()).await? {
        Attempt::Created(response) => Ok(response),
        Attempt::Repeated(record) if !repeatable.is_some_and(|request| record.is_of(&request)) => {
            Err(Error::IdempotencyKeyReused)
        }
        Attempt::Repeated(record) => repeat(app, request, record, payload.as_ref()).await,
    }
}

/// What became of an attempt to create.
enum Attempt {
    Created(Response<Body>),
    /// A request with the same idempotency key came before.
    Repeated(Record),
}

async fn attempt(
    app: &App,
    request: &Request<'_>,
    body: CreateBody,
    payload: Option<&MessagePayload>,
    repeatable: Option<&Repeatable>,
) -> Result<Attempt, Error> {
    let moment = request.moment;
    let (invitation, letter) = match prepare(app, request, body, payload).await {
        Ok(prepared) => prepared,
        Err(error) => {
            let Some(repeatable) = repeatable.filter(|_| !error.is_fault_of_service()) else {
                return Err(error);
            };
            let record = app.store.record(&request.caller.tenant, repeatable, moment).await?;
            return record.map(Attempt::Repeated).ok_or(error);
        }
    };
    let answer = to_json(&invitation.entity(moment.now));
    let is_mailed = letter.is_some();
    let record = repeatable.map(|request| Record::new(request, &invitation, answer.clone(), is_mailed, moment));
    let rate = is_mailed.then_some(app.config.message_rate);
    let proof = is_mailed.then(|| app.mailer.prove_connection(moment)).transpose()?;
    let reservation = match app.store.create(&invitation, rate, record.as_ref(), moment).await? {
        Creation::Created(reservation) => reservation,
        Creation::Refused(refusal) => return Err(refusal.into()),
        Creation::Repeated(record) => return Ok(Attempt::Repeated(record)),
    };
    notes::invitation(&invitation.id);
    if let Some((letter, proof)) = letter.zip(proof) {
        let unmailed = Unmailed { app, invitation: &invitation, reservation, record: record.as_ref(), moment };
        unmailed.mail(&letter, proof).await?;
    }
    Ok(Attempt::Created(json_text_response(StatusCode::CREATED, answer)))
}

/// The invitation that a valid body asks for, and its message where one is wanted. Nothing is written.
async fn prepare(
    app: &App,
    request: &Request<'_>,
    body: CreateBody,
    payload: Option<&MessagePayload>,
) -> Result<(Invitation, Option<Letter>), Error> {
    let draft = Draft::new(body, payload, request)?;
    let directory = draft.read_directory(app, request.moment).await?;
    match draft.resolve(&app.config, &directory) {
        Ok(resolved) => Ok(resolved),
        Err(error) => Err(draft.first_refusal(app, error, request.moment).await?),
    }
}

/// The key that a request brings along.
fn idempotency_key(headers: &HeaderMap) -> Result<Option<IdempotencyKey>, Error> {
    let value = headers.get(idempotency::HEADER);
    value.map(|value| IdempotencyKey::parse(value.as_bytes()).ok_or(Error::InvalidIdempotencyKey)).transpose()
}

/// A valid body, made into an invitation that does not exist yet.
#[derive(Debug)]
struct Draft<'a> {
    /// Without its roles, whose names the directory knows.
    invitation: Invitation,
    /// Distinct, sorted.
    role_ids: Vec<String>,
    payload: Option<&'a MessagePayload>,
}

/// Those whom an invitation refers to.
#[derive(Debug)]
struct Parties {
    organization: Organization,
    inviter: Option<User>,
    roles: Vec<OrganizationRole>,
}

impl<'a> Draft<'a> {
    fn new(body: CreateBody, payload: Option<&'a MessagePayload>, request: &Request<'_>) -> Result<Self, Error> {
        let now = request.moment.now;
        let expires_at = body.expires_at.into_value().map(Number::to_timestamp);
        let invitation = Invitation {
            tenant: request.caller.tenant.clone(),
            id: InvitationId::generate(now)?,
            inviter_id: body.inviter_id.into_value().filter(|id| !id.is_empty()),
            expires_at: expires_at.filter(|moment| *moment > now).ok_or(Error::ExpiresInPast)?,
            // The form was judged with the rest of the body, so only the length can be wrong here.
            invitee: EmailAddress::parse(&body.invitee.into_value().unwrap_or_default())
                .map_err(|_| Error::AddressTooLong)?,
            accepted_user_id: None,
            organization_id: body.organization_id.into_value().unwrap_or_default(),
            stored_status: Status::Pending,
            created_at: now,
            updated_at: now,
            organization_roles: Vec::new(),
        };
        Ok(Self { invitation, role_ids: body.organization_role_ids.into_distinct(), payload })
    }

    async fn read_directory(&self, app: &App, moment: Moment) -> Result<Directory, Error> {
        let references = References {
            organization_id: Some(&self.invitation.organization_id),
            user_id: self.invitation.inviter_id.as_deref(),
            role_ids: &self.role_ids,
            connector: self.payload.is_some(),
        };
        Ok(app.store.directory(&self.invitation.tenant, references, moment).await?)
    }

    /// The invitation with its roles, and its message where one is wanted.
    fn resolve(&self, config: &Config, directory: &Directory) -> Result<(Invitation, Option<Letter>), Error> {
        let parties = self.find_parties(directory)?;
        let mut organization_roles = parties.roles;
        organization_roles.sort_by(|a, b| (&a.name, &a.id).cmp(&(&b.name, &b.id)));
        let invitation = Invitation { organization_roles, ..self.invitation.clone() };
        if !items::fit_roles(&invitation.organization_roles) {
            return Err(Error::RolesTooLong);
        }
        let Some(payload) = self.payload else { return Ok((invitation, None)) };
        let connector = connector(directory, config)?;
        let (organization, inviter) = (&parties.organization, parties.inviter.as_ref());
        let letter = compose(connector, payload, Invited { invitation: &invitation, organization, inviter })?;
        Ok((invitation, Some(letter)))
    }

    fn find_parties(&self, directory: &Directory) -> Result<Parties, Error> {
        let Invitation { organization_id, inviter_id, .. } = &self.invitation;
        let organization = directory.organization(organization_id)?;
        let inviter = inviter_id.as_deref().map(|id| directory.user(id)).transpose()?.flatten();
        let (mut roles, mut unknown_roles) = (Vec::new(), Vec::new());
        for id in &self.role_ids {
            match directory.role(id)? {
                Some(role) => roles.push(role),
                None => unknown_roles.push(id.clone()),
            }
        }
        let missing = UnknownReferences {
            organization_id: organization.is_none().then(|| organization_id.clone()),
            inviter_id: inviter_id.clone().filter(|_| inviter.is_none()),
            organization_role_ids: unknown_roles,
        };
        match organization {
            Some(organization) if missing.is_empty() => Ok(Parties { organization, inviter, roles }),
            _ => Err(Error::UnknownReferences(missing)),
        }
    }

    /// What to tell of an invitation that cannot be made because of `error`: that, unless something that is decided
    /// earlier stands against it in the table.
    async fn first_refusal(&self, app: &App, error: Error, moment: Moment) -> Result<Error, Error> {
        if !could_exist(&self.invitation.organization_id, app.config.id_max_length) {
            return Ok(error);
        }
        let precedes_rate_limit = error.precedes_rate_limit();
        let rate = (!precedes_rate_limit).then_some(app.config.message_rate);
        let refusal = app.store.refusal(&self.invitation, rate, moment).await?;
        Ok(refusal.map_or(error, Error::from))
    }
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::AlreadyMember => Self::AlreadyMember,
            Refusal::AlreadyInvited(invitation_id) => Self::AlreadyInvited { invitation_id },
            Refusal::MessageRateLimited { retry_after } => Self::MessageRateLimited { retry_after },
        }
    }
}

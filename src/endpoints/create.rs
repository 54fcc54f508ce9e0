//! `POST /api/organization-invitations`: create an invitation, and mail it when asked.

mod body;

use lambda_http::{
    Body,
    http::{Response, StatusCode},
};

use self::body::CreateBody;
use crate::{
    app::App,
    body::{Number, fields, validate},
    config::Config,
    directory::{Organization, OrganizationRole, User, could_exist},
    email_address::EmailAddress,
    endpoints::{Request, connector, json_response},
    error::{Error, UnknownReferences},
    invitation::{Invitation, InvitationId, Status},
    log::notes,
    mail::{Invited, Letter, MessagePayload, compose},
    store::{
        create::{Creation, Refusal},
        directory::{Directory, References},
        send_window::SendWindow,
    },
    timestamp::Moment,
};

/// Creates an invitation. All that can be decided without writing is decided before the one transaction; but what
/// stands against the invitation in the table is told first, because the contract decides it first.
pub async fn create(app: &App, request: &Request<'_>) -> Result<Response<Body>, Error> {
    let moment = request.moment;
    let body = validate(CreateBody::read(&fields(request.event)?)?, &app.config, &CreateBody::KEYS)?;
    let draft = Draft::new(body.into_inner(), request)?;
    let directory = draft.read_directory(app, moment).await?;
    let (invitation, letter) = match draft.resolve(&app.config, &directory) {
        Ok(resolved) => resolved,
        Err(error) => return Err(draft.first_refusal(app, error, moment).await?),
    };
    let rate = letter.is_some().then_some(app.config.message_rate);
    let window = match app.store.create(&invitation, rate, moment).await? {
        Creation::Created(window) => window,
        Creation::Refused(refusal) => return Err(refusal.into()),
    };
    notes::invitation(&invitation.id);
    if let Some(letter) = letter {
        send_or_take_back(app, &invitation, &letter, window, moment).await?;
    }
    Ok(json_response(StatusCode::CREATED, &invitation.entity(moment.now)))
}

/// A valid body, made into an invitation that does not exist yet.
#[derive(Debug)]
struct Draft {
    /// Without its roles, whose names the directory knows.
    invitation: Invitation,
    /// Distinct, sorted.
    role_ids: Vec<String>,
    payload: Option<MessagePayload>,
}

/// Those whom an invitation refers to.
#[derive(Debug)]
struct Parties {
    organization: Organization,
    inviter: Option<User>,
    roles: Vec<OrganizationRole>,
}

impl Draft {
    fn new(body: CreateBody, request: &Request<'_>) -> Result<Self, Error> {
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
        let role_ids = body.organization_role_ids.into_distinct();
        Ok(Self { invitation, role_ids, payload: body.message_payload.into_payload() })
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
        let parties = self.find_parties(directory).map_err(Error::UnknownReferences)?;
        let mut organization_roles = parties.roles;
        organization_roles.sort_by(|a, b| (&a.name, &a.id).cmp(&(&b.name, &b.id)));
        let invitation = Invitation { organization_roles, ..self.invitation.clone() };
        let Some(payload) = &self.payload else { return Ok((invitation, None)) };
        let connector = connector(directory, config)?;
        let (organization, inviter) = (&parties.organization, parties.inviter.as_ref());
        let letter = compose(connector, payload, Invited { invitation: &invitation, organization, inviter })?;
        Ok((invitation, Some(letter)))
    }

    fn find_parties(&self, directory: &Directory) -> Result<Parties, UnknownReferences> {
        let Invitation { organization_id, inviter_id, .. } = &self.invitation;
        let organization = directory.organization(organization_id);
        let inviter = inviter_id.as_deref().and_then(|id| directory.user(id));
        let (known, unknown): (Vec<_>, Vec<_>) =
            self.role_ids.iter().map(|id| directory.role(id).ok_or(id)).partition(Result::is_ok);
        let missing = UnknownReferences {
            organization_id: organization.is_none().then(|| organization_id.clone()),
            inviter_id: inviter_id.clone().filter(|_| inviter.is_none()),
            organization_role_ids: unknown.into_iter().filter_map(Result::err).cloned().collect(),
        };
        match organization {
            Some(organization) if missing.is_empty() => {
                Ok(Parties { organization, inviter, roles: known.into_iter().filter_map(Result::ok).collect() })
            }
            _ => Err(missing),
        }
    }

    /// What to tell of an invitation that cannot be made because of `error`: that, unless something that is decided
    /// earlier stands against it in the table.
    async fn first_refusal(&self, app: &App, error: Error, moment: Moment) -> Result<Error, Error> {
        if !could_exist(&self.invitation.organization_id, app.config.id_max_length) {
            return Ok(error);
        }
        let precedes_rate_limit = matches!(error, Error::UnknownReferences(_) | Error::NoConnector);
        let rate = (!precedes_rate_limit).then_some(app.config.message_rate);
        let refusal = app.store.refusal(&self.invitation, rate, moment).await?;
        Ok(refusal.map_or(error, Error::from))
    }
}

/// Sends the message of a new invitation. If SES does not take it, the invitation is taken back, so that the same
/// call can be made again.
async fn send_or_take_back(
    app: &App,
    invitation: &Invitation,
    letter: &Letter,
    window: Option<SendWindow>,
    moment: Moment,
) -> Result<(), Error> {
    let Err(failure) = app.mailer.send(letter, moment.deadline).await else {
        return Ok(());
    };
    if let Err(error) = app.store.take_back(invitation, window, moment).await {
        tracing::error!(%error, invitation_id = %invitation.id, "an invitation without mail could not be taken back");
    }
    Err(failure.into())
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

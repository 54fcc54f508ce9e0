//! The operations of the API, one file for each, and what they have in common.

pub mod create;
pub mod delete;
pub mod get;
pub mod list;
pub mod message;
pub mod status;

use lambda_http::{
    Body,
    http::{HeaderValue, Response, StatusCode, header::CONTENT_TYPE},
};
use serde::Serialize;

use crate::{app::{App}, http::{caller::{Caller}, event::{Event}}, config::{Config}, domain::{directory::{EmailConnector, Organization, User, connector_row::{UnusableConnector}}, error::{Error}, invitation::{Invitation}, ids::{InvitationId}}, mail::{Invited, Letter, MessagePayload, compose}, store::{StoreError, directory::{Directory, References}}, clock::{RequestClock}};

/// A request that has been let in.
#[derive(Debug)]
pub struct Request<'a> {
    /// Who is asking.
    pub caller: Caller,
    /// What API Gateway handed over.
    pub event: &'a Event,
    /// When.
    pub moment: Moment,
}

/// A JSON response.
///
/// # Panics
/// Never: what is answered has texts for keys, and nothing in it fails to serialize.
pub fn json_response(status: StatusCode, body: &impl Serialize) -> Response<Body> {
    json_text_response(status, to_json(body))
}

/// The JSON of an answer.
///
/// # Panics
/// As [`json_response`].
fn to_json(body: &impl Serialize) -> String {
    serde_json::to_string(body).expect("answers have texts for keys")
}

/// A response of what is JSON already.
fn json_text_response(status: StatusCode, json: String) -> Response<Body> {
    let mut response = Response::new(Body::Text(json));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json; charset=utf-8"));
    response
}

/// The response of what has nothing to say.
fn no_content() -> Response<Body> {
    let mut response = Response::new(Body::Empty);
    *response.status_mut() = StatusCode::NO_CONTENT;
    response
}

/// The invitation with that identifier, in the caller's tenant. `None` is an identifier that no invitation could have.
async fn find(app: &App, request: &Request<'_>, id: Option<&InvitationId>) -> Result<Invitation, Error> {
    let id = id.ok_or(Error::UnknownInvitation)?;
    app.store.get(&request.caller.tenant, id, request.moment.deadline).await?.ok_or(Error::UnknownInvitation)
}

/// The message of an invitation that exists, as the directory is by now.
async fn letter(
    app: &App,
    request: &Request<'_>,
    invitation: &Invitation,
    payload: &MessagePayload,
) -> Result<Letter, Error> {
    let references = References {
        organization_id: Some(&invitation.organization_id),
        user_id: invitation.inviter_id.as_deref(),
        connector: true,
        ..References::default()
    };
    let directory = app.store.directory(&invitation.tenant, references, request.moment).await?;
    let connector = connector(&directory, &app.config)?;
    // What has left the directory since the invitation was made is known by its identifier alone.
    let organization = directory.organization(&invitation.organization_id)?;
    let organization = organization.unwrap_or_else(|| Organization::unnamed(&invitation.organization_id));
    let inviter = invitation.inviter_id.as_deref();
    let inviter = inviter.map(|id| Ok(directory.user(id)?.unwrap_or_else(|| User::unnamed(id)))).transpose();
    let inviter = inviter.map_err(|error: StoreError| Error::from(error))?;
    compose(connector, payload, Invited { invitation, organization: &organization, inviter: inviter.as_ref() })
}

/// The tenant's email connector, or else the stack's, with the configuration set that it is used with. A connector of
/// the tenant that cannot be used is an error: the stack's would send without the tenant's own rules.
fn connector(directory: &Directory, config: &Config) -> Result<EmailConnector, Error> {
    let own = directory.connector().map_err(|UnusableConnector { cause }| Error::InvalidConnector { cause })?;
    let connector = own.or_else(|| config.default_connector.clone()).ok_or(Error::NoConnector)?;
    let named = connector.configuration_set_name.or_else(|| config.default_configuration_set_name.clone());
    // An empty name stands for none at all.
    Ok(EmailConnector { configuration_set_name: named.filter(|name| !name.is_empty()), ..connector })
}

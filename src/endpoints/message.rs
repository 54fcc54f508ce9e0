//! `POST /api/organization-invitations/{id}/message`: mail an invitation again.

use lambda_http::{Body, http::Response};

use super::{Request, connector, find, no_content};
use crate::{
    app::App,
    body::{fields, object, validate},
    directory::{Organization, User},
    error::Error,
    invitation::{Invitation, InvitationId, Status},
    mail::{Invited, Letter, MessagePayload, compose, payload::TEXT_KEYS},
    store::{directory::References, send_window::SendWindow},
};

/// Mails the invitation with that identifier, if it is pending. Nothing of the invitation changes.
pub async fn message(app: &App, request: &Request<'_>, id: Option<&InvitationId>) -> Result<Response<Body>, Error> {
    let moment = request.moment;
    let payload = MessagePayload(object(&fields(request.event)?)?);
    let payload = validate(payload, &(), &TEXT_KEYS)?.into_inner();
    let invitation = find(app, request, id).await?;
    if invitation.status(moment.now) != Status::Pending {
        return Err(Error::InvitationEnded);
    }
    let window = SendWindow::unseen(&invitation.tenant, &invitation.invitee.folded(), app.config.message_rate);
    let letter = match letter(app, request, &invitation, &payload).await {
        Ok(letter) => letter,
        Err(error @ (Error::NoConnector | Error::StoreUnavailable { .. })) => return Err(error),
        // That the recipient has had enough is told first, being decided first.
        Err(error) => {
            let retry_after = app.store.seconds_until_free(&window, moment).await?;
            return Err(retry_after.map_or(error, |retry_after| Error::MessageRateLimited { retry_after }));
        }
    };
    // Any identifier that is new will do for a version.
    let version = InvitationId::generate(moment.now)?;
    let counted = app.store.count_send(window, version.as_str(), moment).await?;
    let window = counted.map_err(|retry_after| Error::MessageRateLimited { retry_after })?;
    if let Err(failure) = app.mailer.send(&letter, moment.deadline).await {
        if let Err(error) = app.store.give_back_send(window, moment).await {
            tracing::error!(%error, "a message that was not sent stays counted");
        }
        return Err(failure.into());
    }
    Ok(no_content())
}

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
    let organization = directory.organization(&invitation.organization_id);
    let organization = organization.unwrap_or_else(|| Organization::unnamed(&invitation.organization_id));
    let inviter = invitation.inviter_id.as_deref();
    let inviter = inviter.map(|id| directory.user(id).unwrap_or_else(|| User::unnamed(id)));
    compose(connector, payload, Invited { invitation, organization: &organization, inviter: inviter.as_ref() })
}

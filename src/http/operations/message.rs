//! `POST /api/organization-invitations/{id}/message`: mail an invitation again.

use lambda_http::{Body, http::Response};

use super::{Request, find, letter, no_content};
use crate::{app::{App}, http::{body::{fields, object, validate}}, domain::{error::{Error}, ids::{InvitationId}, invitation::{Status}}, mail::{MessagePayload, payload::{TEXT_KEYS}}, store::{send_window::{Counted, SendWindow}}};

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
        Err(error) if error.is_fault_of_service() || error.precedes_rate_limit() => return Err(error),
        // That the recipient has had enough is told first, being decided first.
        Err(error) => {
            let retry_after = app.store.seconds_until_free(&window, moment).await?;
            return Err(retry_after.map_or(error, |retry_after| Error::MessageRateLimited { retry_after }));
        }
    };
    // Any identifier that is new will do for a version.
    let version = InvitationId::generate(moment.now)?;
    let proof = app.mailer.prove_connection(moment)?;
    let window = match app.store.count_send(&invitation, window, version.as_str(), moment).await? {
        Counted::Within(window) => window,
        Counted::Full { retry_after } => return Err(Error::MessageRateLimited { retry_after }),
        Counted::Ended => return Err(Error::InvitationEnded),
        Counted::Deleted => return Err(Error::UnknownInvitation),
    };
    match app.mailer.send(&letter, proof, moment).await {
        Ok(sent) => sent.note(),
        Err(failure) => {
            if let Err(error) = app.store.give_back_send(window, moment.now, moment).await {
                tracing::error!(%error, invitation_id = %invitation.id, "send of a message that was not sent not released");
            }
            return Err(failure.into());
        }
    }
    Ok(no_content())
}

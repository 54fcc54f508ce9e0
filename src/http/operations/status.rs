//! `PUT /api/organization-invitations/{id}/status`: accept or revoke an invitation.

use garde::Validate;
use lambda_http::{
    Body,
    http::{Response, StatusCode},
};

use super::{Request, find, json_response};
use crate::{app::{App}, http::{body::{Field, check_length, field, fields, validate, violation}}, config::{Config}, domain::{directory::{ReferenceChecks, User}, error::{Error, IssueCode}, invitation::{Invitation}, ids::{InvitationId}}, json::{RawFields}, store::{directory::{References}}};

/// Accepts or revokes the invitation with that identifier. Of several at once, exactly one succeeds.
pub async fn set_status(app: &App, request: &Request<'_>, id: Option<&InvitationId>) -> Result<Response<Body>, Error> {
    let body = validate(StatusBody::read(&fields(request.event)?)?, &app.config, &StatusBody::KEYS)?.into_inner();
    let now = request.moment.now;
    let changed = if body.accepts() {
        let user_id = body.accepted_user_id.into_value().filter(|id| !id.is_empty()).ok_or(Error::NoAcceptingUser)?;
        let invitation = find(app, request, id).await?;
        let accepted = invitation.accepted(&user_id, now).map_err(|_| Error::InvitationEnded)?;
        check_user(app, request, &invitation, &user_id).await?;
        app.store.accept(&accepted, &user_id, request.moment).await?.then_some(accepted)
    } else {
        let revoked = find(app, request, id).await?.revoked(now).map_err(|_| Error::InvitationEnded)?;
        app.store.revoke(&revoked, request.moment).await?.then_some(revoked)
    };
    match changed {
        Some(changed) => Ok(json_response(StatusCode::OK, &changed.entity(now))),
        // Somebody else was quicker. They have ended it, or deleted it.
        None => Err(find(app, request, id).await.map_or_else(|error| error, |_| Error::InvitationEnded)),
    }
}

/// The body, as far as its fields could be read.
#[derive(Debug, Validate)]
#[garde(context(Config))]
struct StatusBody {
    #[garde(custom(is_settable))]
    status: Field<String>,
    #[garde(custom(is_user_where_needed(&self.status)))]
    accepted_user_id: Field<String>,
}

impl StatusBody {
    const KEYS: [&str; 2] = ["status", "acceptedUserId"];

    fn read(fields: &RawFields<'_>) -> Result<Self, Error> {
        Ok(Self {
            status: field(fields, "status", "string")?,
            accepted_user_id: field(fields, "acceptedUserId", "string")?,
        })
    }

    fn accepts(&self) -> bool {
        matches!(&self.status, Field::Present(status) if status == "Accepted")
    }
}

fn is_settable(status: &Field<String>, _: &Config) -> garde::Result {
    match status.required("string")?.as_str() {
        "Accepted" | "Revoked" => Ok(()),
        _ => Err(violation(IssueCode::InvalidEnumValue, "Expected 'Accepted' or 'Revoked'")),
    }
}

/// Revoking ignores the user, of whatever type.
fn is_user_where_needed(status: &Field<String>) -> impl FnOnce(&Field<String>, &Config) -> garde::Result {
    let revokes = matches!(status, Field::Present(status) if status == "Revoked");
    move |user_id, config| match user_id {
        Field::Absent | Field::Mistyped("null") => Ok(()),
        _ if revokes => Ok(()),
        given => check_length(given.required("string")?, config.id_max_length),
    }
}

/// The user has to exist, and the invitation has to be theirs. Where references are trusted, so is that.
async fn check_user(app: &App, request: &Request<'_>, invitation: &Invitation, user_id: &str) -> Result<(), Error> {
    let references = References { user_id: Some(user_id), ..References::default() };
    let directory = app.store.directory(&invitation.tenant, references, request.moment).await?;
    let user = directory.user(user_id)?.ok_or(Error::UnknownUser)?;
    let is_trusted = app.config.reference_checks == ReferenceChecks::Trust;
    if is_trusted || has_address(&user, invitation) { Ok(()) } else { Err(Error::AnotherInvitee) }
}

fn has_address(user: &User, invitation: &Invitation) -> bool {
    user.primary_email.as_ref().is_some_and(|email| email.eq_ignore_ascii_case(invitation.invitee.as_str()))
}

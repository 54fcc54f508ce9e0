//! `PUT /api/organization-invitations/{id}/status`: accept or revoke an invitation.

use garde::Validate;
use lambda_http::{
    Body,
    http::{Response, StatusCode},
};

use super::Request;
use crate::{
    app::App,
    config::Config,
    domain::ids::InvitationId,
    http::{
        body::{Field, check_length, field, fields, validate, violation},
        error::{IssueCode, RequestError},
        response::json_response,
    },
    invitations::{InvitationKey, end},
    json::RawFields,
};

/// Accepts or revokes the invitation with that identifier.
pub async fn set_status(
    app: &App,
    request: &Request<'_>,
    id: Option<&InvitationId>,
) -> Result<Response<Body>, RequestError> {
    let body = validate(StatusBody::read(&fields(request.event)?)?, &app.config, &StatusBody::KEYS)?.into_inner();
    let (tenant, clock) = (&request.caller.tenant, request.clock);
    let changed = if body.accepts() {
        let user_id = body.accepted_user_id.into_value().filter(|id| !id.is_empty());
        let user_id = user_id.ok_or(RequestError::NoAcceptingUser)?;
        end::accept(app, InvitationKey::new(tenant, id)?, &user_id, clock).await?
    } else {
        end::revoke(app, InvitationKey::new(tenant, id)?, clock).await?
    };
    Ok(json_response(StatusCode::OK, &changed.entity(clock.now)))
}

/// The body with its fields, valid or not.
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

    fn read(fields: &RawFields<'_>) -> Result<Self, RequestError> {
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

/// Validates the user of an acceptance. A revocation ignores the field, whatever its type.
fn is_user_where_needed(status: &Field<String>) -> impl FnOnce(&Field<String>, &Config) -> garde::Result {
    let revokes = matches!(status, Field::Present(status) if status == "Revoked");
    move |user_id, config| match user_id {
        Field::Absent | Field::Mistyped("null") => Ok(()),
        _ if revokes => Ok(()),
        given => check_length(given.required("string")?, config.id_max_length),
    }
}

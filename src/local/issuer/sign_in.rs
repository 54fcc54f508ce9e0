//! The sign-in page: asks for an address, does not verify it, and redirects the browser with a code.

use std::sync::Arc;

use axum::{
    Form,
    extract::{Query, State},
    http::StatusCode,
    response::{IntoResponse, Redirect, Response},
};

use super::{
    Issuer, Person,
    authorization::{AuthorizationRequest, Fault, field},
    codes::Authorized,
    page, tenant_of,
};
use crate::{
    domain::{email_address::EmailAddress, timestamp::Timestamp},
    local::pages::response_with_form_for,
};

type AllFields = Vec<(String, String)>;

/// `GET /oidc/auth`: the form.
pub(super) async fn show(Query(fields): Query<AllFields>) -> Response {
    match AuthorizationRequest::parse(&fields) {
        Ok(request) => form(&request, request.login_hint.as_deref().unwrap_or_default(), false),
        Err(fault) => fault.into_response(),
    }
}

/// `POST /oidc/auth`: the form with an address.
pub(super) async fn submit(State(issuer): State<Arc<Issuer>>, Form(fields): Form<AllFields>) -> Response {
    let request = match AuthorizationRequest::parse(&fields) {
        Ok(request) => request,
        Err(fault) => return fault.into_response(),
    };
    let address = field(&fields, "email").unwrap_or_default().trim();
    let Ok(email) = EmailAddress::parse(address) else {
        return (StatusCode::BAD_REQUEST, form(&request, address, true)).into_response();
    };
    let AuthorizationRequest { client_id, redirect, challenge, resource, .. } = request;
    let redirect_uri = redirect.uri.clone();
    let (tenant, person) = (tenant_of(resource.as_deref()), Person::new(email, None));
    let authorized = Authorized { client_id, redirect_uri, challenge, tenant, person };
    match issuer.codes.issue(authorized, Timestamp::now()) {
        Some(code) => Redirect::to(&redirect.with(&[("code", &code)])).into_response(),
        None => Fault::Returned(redirect, "server_error", "there is no randomness").into_response(),
    }
}

fn form(request: &AuthorizationRequest, address: &str, is_invalid: bool) -> Response {
    response_with_form_for(page::form(request, address, is_invalid), request.redirect.origin())
}

impl IntoResponse for Fault {
    fn into_response(self) -> Response {
        match self {
            Self::Shown(message) => {
                (StatusCode::BAD_REQUEST, crate::local::pages::response(page::fault(message))).into_response()
            }
            Self::Returned(redirect, error, description) => {
                Redirect::to(&redirect.with(&[("error", error), ("error_description", description)])).into_response()
            }
        }
    }
}

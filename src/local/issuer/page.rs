//! The markup of the sign-in page. `maud` escapes all values.

use maud::{Markup, html};

use super::{AUTHORIZATION_PATH, authorization::AuthorizationRequest, tenant_of};
use crate::local::pages::{ELSEWHERE, frame};

/// The form that asks for an address, with `address` in it.
pub(super) fn form(request: &AuthorizationRequest, address: &str, is_invalid: bool) -> Markup {
    let described_by = if is_invalid { "fault about" } else { "about" };
    let body = html! {
        header.bar { h1 { "Sign in" } }
        form.sign-in method="post" action=(AUTHORIZATION_PATH) {
            @for (name, value) in request.fields() { input type="hidden" name=(name) value=(value); }
            label for="email" { "Email address" }
            @if is_invalid { p #fault.fault role="alert" { "This is not an email address." } }
            input #email type="email" name="email" value=(address) required autofocus autocomplete="email"
                aria-describedby=(described_by) aria-invalid=[is_invalid.then_some("true")];
            p #about { "For development: no password is asked for, and any address counts as verified." }
            button { "Sign in" }
        }
        p.asks {
            bdi { (request.client_id) } " at " code { (request.redirect.origin()) }
            " then gets a token of the tenant " code { (tenant_of(request.resource.as_deref())) } "."
        }
    };
    frame("Sign in", ELSEWHERE, &body)
}

/// The page for a request with an invalid client or address.
pub(super) fn fault(message: &str) -> Markup {
    let body = html! { div.empty { h1 { "This sign-in cannot go on" } p { (message) } } };
    frame("No sign-in", ELSEWHERE, &body)
}

//! The common parts of the pages of `cargo dev`: frame, stylesheet, script, and formats of times.

use aws_sdk_dynamodb::primitives::{DateTime, DateTimeFormat};
use axum::{
    Router,
    http::{HeaderValue, header},
    response::{Html, IntoResponse, Redirect, Response},
    routing::get,
};
use maud::{DOCTYPE, Markup, html};

use crate::domain::timestamp::Timestamp;

/// The content security policy. A mail is shown in a frame without scripts and may load its own styles and pictures.
/// All other resources come from this server.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; connect-src 'self'; style-src 'self' 'unsafe-inline'; \
     img-src * data:; font-src *; form-action 'self'; frame-ancestors 'none'",
);

/// The product's name, in the navigation and in the titles.
const PRODUCT: &str = "Organization invitations";

/// The navigation: path and name of each page.
const PAGES: [(&str, &str); 4] =
    [("/invitations", "Invitations"), ("/inbox", "Inbox"), ("/events", "Events"), ("/docs", "API reference")];

/// The `place` of a page that is not in the navigation, such as a mail.
pub(super) const ELSEWHERE: &str = "";

/// The redirect to the first page, and the assets of all pages.
pub(super) fn router() -> Router {
    Router::new()
        .route("/", get(async || Redirect::to("/inbox")))
        .route("/pages.css", get(async || asset("text/css; charset=utf-8", include_str!("pages/pages.css"))))
        .route("/pages.js", get(async || asset("text/javascript; charset=utf-8", include_str!("pages/pages.js"))))
}

/// The response with a page.
pub(super) fn response(page: Markup) -> Response {
    response_with_policy(page, POLICY)
}

/// The response with a page whose form redirects to `origin`: browsers apply the policy to the redirect too.
pub(super) fn response_with_form_for(page: Markup, origin: &str) -> Response {
    let form_action = format!("form-action 'self' {origin}");
    let policy = POLICY.to_str().unwrap_or_default().replace("form-action 'self'", &form_action);
    response_with_policy(page, HeaderValue::try_from(policy).unwrap_or(POLICY))
}

fn response_with_policy(page: Markup, policy: HeaderValue) -> Response {
    let headers = [
        (header::CONTENT_SECURITY_POLICY, policy),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
        // No referrer for other sites. `no-referrer` would send `Origin: null` with forms, which the guard rejects.
        (header::REFERRER_POLICY, HeaderValue::from_static("same-origin")),
    ];
    (headers, Html(page.into_string())).into_response()
}

/// A page with `body` below the navigation. `place` is its path in [`PAGES`], or [`ELSEWHERE`].
pub(super) fn frame(title: &str, place: &str, body: &Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) " · " (PRODUCT) }
                link rel="icon" href="data:,";
                link rel="stylesheet" href="/pages.css";
                script src="/pages.js" defer {}
            }
            body {
                a.skip href="#main" { "Skip to the content" }
                header.pages {
                    a.product href="/" { (PRODUCT) }
                    nav aria-label="Pages" { @for (path, name) in PAGES { (entry(path, name, path == place)) } }
                }
                main #main tabindex="-1" { (body) }
            }
        }
    }
}

/// A command for a terminal, with a button that copies it. `label` says what the command does.
pub(super) fn command(label: &str, text: &str) -> Markup {
    html! {
        div.command {
            pre tabindex="0" role="group" aria-label=(label) { code { (text) } }
            // The script shows the button.
            button.copy type="button" hidden { "Copy" }
        }
    }
}

/// A link of a navigation.
pub(super) fn entry(href: &str, text: &str, is_current: bool) -> Markup {
    html! { a href=(href) aria-current=[is_current.then_some("page")] { (text) } }
}

/// An exact time in UTC, which the script converts to the reader's time zone.
pub(super) fn time(at: Timestamp) -> Markup {
    let Ok(machine) = DateTime::from_millis(at.as_millis()).fmt(DateTimeFormat::DateTime) else {
        return html! { span.time { "after the year 9999" } };
    };
    let human = machine.get(..19).unwrap_or(&machine).replace('T', " ");
    html! { time datetime=(machine) { (human) " UTC" } }
}

/// The distance of `at` from `now` in words, rounded.
pub(super) fn relative(at: Timestamp, now: Timestamp) -> String {
    const UNITS: [(u64, &str); 5] =
        [(365 * 86_400, "year"), (30 * 86_400, "month"), (86_400, "day"), (3_600, "hour"), (60, "minute")];
    let seconds = at.as_millis().abs_diff(now.as_millis()) / 1000;
    let found = UNITS.into_iter().find(|(length, _)| seconds >= *length);
    let found = found.map(|(length, unit)| ((seconds + length / 2) / length, unit));
    let is_past = at <= now;
    match found {
        None if is_past => "just now".to_owned(),
        None => "in less than a minute".to_owned(),
        Some((count, unit)) => {
            let plural = if count == 1 { "" } else { "s" };
            if is_past { format!("{count} {unit}{plural} ago") } else { format!("in {count} {unit}{plural}") }
        }
    }
}

/// A number with a noun in singular or plural: `1 mail`, `2 mails`.
pub(super) fn count(number: usize, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

fn asset(content_type: &'static str, text: &'static str) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, content_type), (header::CACHE_CONTROL, "no-cache")], text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_relative_time_has_its_largest_unit() {
        let now = Timestamp::from_millis(1_767_225_600_000);
        for (seconds, expected) in [
            (0, "just now"),
            (-59, "just now"),
            (59, "in less than a minute"),
            (-60, "1 minute ago"),
            (7_199, "in 2 hours"),
            (-7_200, "2 hours ago"),
            (7 * 86_400 - 1, "in 7 days"),
            (-40 * 86_400, "1 month ago"),
            (74 * 365 * 86_400, "in 74 years"),
        ] {
            assert_eq!(relative(now.plus_millis(seconds * 1000), now), expected, "{seconds} s");
        }
    }

    #[test]
    fn a_form_may_redirect_to_one_other_origin() {
        let policy =
            |response: Response| response.headers()[header::CONTENT_SECURITY_POLICY].to_str().unwrap().to_owned();
        let (usual, other) = (response(html! {}), response_with_form_for(html! {}, "http://localhost:5173"));
        let (usual, other) = (policy(usual), policy(other));
        assert_eq!(other, usual.replace("form-action 'self';", "form-action 'self' http://localhost:5173;"));
        assert_ne!(other, usual);
    }

    #[test]
    fn a_time_beyond_the_calendar_is_written_in_words() {
        assert!(time(Timestamp::MAX).into_string().contains("after the year 9999"));
        assert!(time(Timestamp::from_millis(0)).into_string().contains("1970-01-01 00:00:00 UTC"));
    }
}

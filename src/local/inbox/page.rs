//! The markup of the inbox. `maud` escapes all values.

use std::collections::BTreeMap;

use maud::{Markup, html};

use crate::{
    domain::ids::{InvitationId, TenantId},
    local::{
        pages::{Place, count, frame, time},
        ses::{Mail, RenderingFailure},
    },
};

/// The list of all mail, newest first, and of rendering failures. An empty list shows the command `example`.
pub(super) fn list(mails: &[Mail], failures: &[RenderingFailure], example: &str) -> Markup {
    let body = html! {
        header.bar { h1 { "Inbox" } p.count role="status" { (summary(mails.len(), failures.len())) } }
        // The script replaces this element after a change.
        div #news {
            @if !failures.is_empty() { (failed(failures)) }
            @if mails.is_empty() && failures.is_empty() { (empty(example)) }
            (rows(mails))
        }
    };
    frame("Inbox", Place::Inbox, &body)
}

/// The mail of one invitation, newest first.
pub(super) fn about(id: &InvitationId, mails: &[Mail]) -> Markup {
    let body = html! {
        header.bar { h1 { "Inbox" } p.count role="status" { (summary(mails.len(), 0)) } }
        p.note { "Only mail of the invitation " code { (id) } ". " a href="/inbox" { "All mail" } }
        div #news {
            @if mails.is_empty() {
                div.empty { h2 { "No mail of this invitation" } p { "Mail is kept until the server stops." } }
            }
            (rows(mails))
        }
    };
    frame("Inbox", Place::Inbox, &body)
}

/// The page of one mail: HTML part, text part and headers.
pub(super) fn mail(mail: &Mail) -> Markup {
    let body = html! {
        article {
            h1 { bdi { (subject(&mail.subject)) } }
            dl.envelope {
                dt { "From" } dd { (mail.from) }
                dt { "To" } dd { (mail.to) }
                dt { "Sent" } dd { (time(mail.at)) }
                @if let Some((tenant, id)) = invitation(mail) {
                    dt { "About" }
                    dd { a href={ "/invitations?tenant=" (tenant) "#invitation-" (id) } { "Invitation " (id) } }
                }
            }
            fieldset.tabs {
                legend.unseen { "Show" }
                (tab("html", "HTML", true)) (tab("text", "Text", false)) (tab("headers", "Headers", false))
                section.html aria-label="HTML part" { (html_part(mail)) }
                section.text aria-label="Text part" { (text_part(mail)) }
                section.headers aria-label="Headers" { (headers(mail)) }
            }
        }
    };
    frame(subject(&mail.subject), Place::Elsewhere, &body)
}

/// The page for an unknown mail.
pub(super) fn missing() -> Markup {
    let body = html! {
        div.empty {
            h1 { "This mail is gone" }
            p { "Mail is kept until the server stops. " a href="/inbox" { "Back to the inbox" } }
        }
    };
    frame("No such mail", Place::Elsewhere, &body)
}

fn rows(mails: &[Mail]) -> Markup {
    html! { @if !mails.is_empty() { ol.sheet role="list" { @for mail in mails { li { (row(mail)) } } } } }
}

fn row(mail: &Mail) -> Markup {
    html! {
        a.row id={ "mail-" (mail.id) } href={ "/inbox/" (mail.id) } {
            span.to { (mail.to) }
            span.subject { bdi { (subject(&mail.subject)) } }
            (time(mail.at))
            @if !mail.tags.is_empty() { (tags(&mail.tags)) }
        }
    }
}

fn failed(failures: &[RenderingFailure]) -> Markup {
    html! {
        section.failures aria-label="Mail that was never delivered" {
            @for failure in failures {
                div.failure role="note" {
                    p.what {
                        strong { "Accepted, but never delivered" }
                        " to " (failure.to) " " (time(failure.at))
                    }
                    p {
                        @if failure.template.is_empty() { "Its template" }
                        @else { "The template " code { (failure.template) } }
                        " could not be rendered. SES tells the sender so only by an event. "
                        code { (failure.reason) }
                    }
                }
            }
        }
    }
}

fn empty(example: &str) -> Markup {
    html! {
        div.empty {
            h2 { "No mail yet" }
            p { "Paste this into a terminal. The invitation’s mail appears here by itself." }
            pre tabindex="0" aria-label="Command that sends an invitation" { code { (example) } }
        }
    }
}

fn tab(name: &str, label: &str, checked: bool) -> Markup {
    html! {
        input type="radio" name="part" id={ "show-" (name) } checked[checked];
        label for={ "show-" (name) } { (label) }
    }
}

fn html_part(mail: &Mail) -> Markup {
    html! {
        @if mail.html.is_empty() { p.none { "This mail has no HTML part." } }
        @else {
            // Without `allow-scripts` the mail cannot run scripts; `allow-same-origin` lets the page measure it.
            iframe title={ "HTML part of: " (mail.subject) } srcdoc=(in_new_tabs(&mail.html))
                sandbox="allow-same-origin allow-popups allow-popups-to-escape-sandbox" {}
        }
    }
}

fn text_part(mail: &Mail) -> Markup {
    html! {
        @if mail.text.is_empty() { p.none { "This mail has no text part." } }
        @else { pre tabindex="0" dir="auto" { (mail.text) } }
    }
}

fn headers(mail: &Mail) -> Markup {
    html! {
        dl.fields {
            @for (name, value) in &mail.headers { dt { (name) } dd { (value) } }
            dt { "SES message id" } dd { (mail.id) }
        }
        h2 { "Message tags" }
        @if mail.tags.is_empty() { p.none { "None." } }
        @else { dl.fields { @for (name, value) in &mail.tags { dt { (name) } dd { (value) } } } }
    }
}

fn tags(tags: &BTreeMap<String, String>) -> Markup {
    html! { span.tags { @for (name, value) in tags { span.tag { (name) "=" (value) } } } }
}

/// Makes the links of a mail open in new tabs instead of the frame.
fn in_new_tabs(html: &str) -> String {
    const BASE: &str = r#"<base target="_blank">"#;
    match html.to_ascii_lowercase().find("<head>") {
        Some(start) => {
            let (before, after) = html.split_at(start + "<head>".len());
            format!("{before}{BASE}{after}")
        }
        None if html.trim_start().starts_with("<!") => html.to_owned(),
        None => format!("<!doctype html>{BASE}{html}"),
    }
}

fn subject(text: &str) -> &str {
    if text.is_empty() { "(no subject)" } else { text }
}

/// The tenant and the invitation in the message tags of a mail.
fn invitation(mail: &Mail) -> Option<(TenantId, InvitationId)> {
    let tag = |name| mail.tags.get(name);
    Some((TenantId::parse(tag("tenant")?)?, InvitationId::parse(tag("invitation")?)?))
}

fn summary(mails: usize, failures: usize) -> String {
    match (mails, failures) {
        (0, 0) => String::new(),
        (mails, 0) => count(mails, "mail"),
        (mails, failures) => format!("{}, {failures} never delivered", count(mails, "mail")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::timestamp::Timestamp;

    fn hostile() -> Mail {
        let evil = "<script>alert(1)</script>\"'&";
        let map = BTreeMap::from([(evil.to_owned(), evil.to_owned())]);
        Mail {
            id: "1".to_owned(),
            at: Timestamp::from_millis(0),
            to: evil.to_owned(),
            from: evil.to_owned(),
            subject: evil.to_owned(),
            html: format!("<head></head>{evil}"),
            text: evil.to_owned(),
            headers: map.clone(),
            tags: map,
        }
    }

    #[test]
    fn nothing_in_a_mail_becomes_markup_of_the_page() {
        let failure = RenderingFailure {
            id: "2".to_owned(),
            at: Timestamp::from_millis(0),
            to: "<script>".to_owned(),
            template: "<script>".to_owned(),
            reason: "<script>".to_owned(),
        };
        let pages = [mail(&hostile()), list(&[hostile()], &[failure], "<script>"), list(&[], &[], "<script>")];
        for page in pages.map(Markup::into_string) {
            assert_eq!(page.matches("<script").count(), 1, "only the page's own: {page}");
        }
    }

    #[test]
    fn links_of_any_html_open_in_new_tabs() {
        for (html, expected) in [
            ("<html><HEAD><title>", "<html><HEAD><base target=\"_blank\"><title>"),
            ("<p>Hi", "<!doctype html><base target=\"_blank\"><p>Hi"),
            ("<!doctype html><p>İ", "<!doctype html><p>İ"),
        ] {
            assert_eq!(in_new_tabs(html), expected);
        }
    }
}

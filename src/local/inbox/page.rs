//! The markup of the inbox. `maud` escapes all values.

use std::collections::{BTreeMap, BTreeSet};

use maud::{Markup, html};

use super::source::source;

use crate::{
    domain::ids::{InvitationId, TenantId},
    local::{
        pages::{ELSEWHERE, command, count, frame, time},
        ses::{Mail, RenderingFailure},
    },
};

/// The mails of a list, newest first.
pub(super) struct Listed {
    pub(super) mails: Vec<Mail>,
    pub(super) failures: Vec<RenderingFailure>,
    /// The ids of the mails that have been read.
    pub(super) read: BTreeSet<String>,
    /// The number of unread mails, in the list or not.
    pub(super) unread: usize,
}

/// The list of the mails that contain the text `search`, and of rendering failures. An empty list shows the command
/// `example`.
pub(super) fn list(listed: &Listed, search: &str, example: &str) -> Markup {
    let Listed { mails, failures, .. } = listed;
    let is_empty = mails.is_empty() && failures.is_empty() && search.is_empty();
    let body = html! {
        header.bar { h1 { "Inbox" } p.count role="status" { (summary(mails.len(), failures.len())) } }
        div.tools hidden[is_empty] {
            form role="search" action="/inbox" {
                label.unseen for="search" { "Search the mail" }
                input #search type="search" name="search" value=(search) placeholder="Search" autocomplete="off";
            }
            form method="post" action="/inbox/clear" { button { "Clear" span.unseen { " the inbox" } } }
        }
        // The script replaces this element after a change.
        div #news data-in-background {
            @if !failures.is_empty() { (failed(failures)) }
            @if is_empty { (empty(example)) }
            @if mails.is_empty() && !search.is_empty() {
                div.empty { h2 { "No mail contains “" bdi { (search) } "”" } p { a href="/inbox" { "All mail" } } }
            }
            (rows(listed))
        }
    };
    frame(&title(listed.unread), "/inbox", &body)
}

/// The mail of one invitation.
pub(super) fn about(id: &InvitationId, listed: &Listed) -> Markup {
    let mails = &listed.mails;
    let body = html! {
        header.bar { h1 { "Inbox" } p.count role="status" { (summary(mails.len(), 0)) } }
        p.note { "Only mail of the invitation " code { (id) } ". " a href="/inbox" { "All mail" } }
        div #news data-in-background {
            @if mails.is_empty() {
                div.empty { h2 { "No mail of this invitation" } p { "Mail is kept until the server stops." } }
            }
            (rows(listed))
        }
    };
    frame(&title(listed.unread), "/inbox", &body)
}

/// The title of the inbox, with the number of unread mails, such as `(2) Inbox`.
fn title(unread: usize) -> String {
    if unread == 0 { "Inbox".to_owned() } else { format!("({unread}) Inbox") }
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
                (choice("show", "html", "HTML", true)) (choice("show", "text", "Text", false))
                (choice("show", "headers", "Headers", false)) (choice("show", "source", "Source", false))
                section.html aria-label="HTML part" { (html_part(mail)) }
                section.text aria-label="Text part" { (text_part(mail)) }
                section.headers aria-label="Headers" { (headers(mail)) }
                section.source aria-label="Source" { (source_part(mail)) }
            }
        }
    };
    frame(subject(&mail.subject), ELSEWHERE, &body)
}

/// The page for an unknown mail.
pub(super) fn missing() -> Markup {
    let body = html! {
        div.empty {
            h1 { "This mail is gone" }
            p { "Mail is kept until the server stops. " a href="/inbox" { "Back to the inbox" } }
        }
    };
    frame("No such mail", ELSEWHERE, &body)
}

fn rows(Listed { mails, read, .. }: &Listed) -> Markup {
    html! {
        @if !mails.is_empty() {
            ol.sheet role="list" { @for mail in mails { li { (row(mail, read.contains(&mail.id))) } } }
        }
    }
}

fn row(mail: &Mail, is_read: bool) -> Markup {
    html! {
        a.row.unread[!is_read] id={ "mail-" (mail.id) } href={ "/inbox/" (mail.id) } {
            span.to { @if !is_read { span.unseen { "Unread: " } } (mail.to) }
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
            (command("Command that sends an invitation", example))
        }
    }
}

/// A radio button of the group `group` that looks like a tab.
fn choice(group: &str, name: &str, label: &str, checked: bool) -> Markup {
    html! {
        input type="radio" name=(group) id={ (group) "-" (name) } checked[checked];
        label for={ (group) "-" (name) } { (label) }
    }
}

fn html_part(mail: &Mail) -> Markup {
    html! {
        @if mail.html.is_empty() { p.none { "This mail has no HTML part." } }
        @else {
            fieldset.widths {
                legend { "Width" }
                (choice("width", "desktop", "Desktop", true)) (choice("width", "phone", "Phone", false))
            }
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

fn source_part(mail: &Mail) -> Markup {
    html! {
        p.note {
            "The message as SES would send it, without the headers that servers add. "
            a href={ "/inbox/" (mail.id) "/source" } download={ (mail.id) ".eml" } { "Save as a file" }
        }
        pre tabindex="0" dir="auto" { (source(mail)) }
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
        let listed = |mails, failures| Listed { mails, failures, read: BTreeSet::new(), unread: 1 };
        let (full, none) = (listed(vec![hostile()], vec![failure]), listed(vec![], vec![]));
        let pages =
            [mail(&hostile()), list(&full, "", "<script>"), list(&none, "", "<script>"), list(&none, "<script>", "")];
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

//! The markup of the overview. `maud` escapes all values.

use std::collections::BTreeMap;

use maud::{Markup, html};

use super::Latest;
use crate::{
    domain::{
        delivery::Delivery,
        ids::TenantId,
        invitation::{Invitation, Status},
        timestamp::Timestamp,
    },
    local::{
        demo,
        pages::{ELSEWHERE, command, count, entry, frame, relative, time},
        ses::Mail,
    },
    store::StoreError,
};

/// The number of mails by the identifier of the invitation.
pub(super) type MailCounts = BTreeMap<String, usize>;

/// Counts mails by the invitation in their message tags.
pub(super) fn mails_by_invitation(mails: &[Mail]) -> MailCounts {
    let ids = mails.iter().filter_map(|mail| mail.tags.get("invitation"));
    ids.fold(MailCounts::new(), |mut counts, id| {
        *counts.entry(id.clone()).or_default() += 1;
        counts
    })
}

/// The list of the tenant's invitations. An empty list shows the command `example`, if there is one for the tenant.
pub(super) fn list(tenant: &TenantId, found: &Latest, example: Option<&str>, now: Timestamp) -> Markup {
    let Latest { invitations, has_more, mails, deliveries } = found;
    let body = html! {
        header.bar { h1 { "Invitations" } p.count role="status" { (summary(invitations, *has_more, now)) } }
        (tenants(tenant))
        // The script replaces this element after a change.
        div #news {
            @if invitations.is_empty() { (empty(tenant, example)) }
            @else {
                ol.sheet role="list" {
                    @for invitation in invitations {
                        @let mails = mails.get(invitation.id.as_str()).copied().unwrap_or_default();
                        (row(invitation, mails, deliveries.get(&invitation.id), now))
                    }
                }
            }
            @if *has_more { p.note { "These are the latest " (invitations.len()) ". The API lists the others." } }
        }
    };
    frame("Invitations", "/invitations", &body)
}

/// The page for an invalid tenant name.
pub(super) fn invalid_tenant(name: &str) -> Markup {
    let body = html! {
        div.empty {
            h1 { "No tenant could be called “" bdi { (name) } "”" }
            p { "A tenant’s name has up to 64 letters, digits, underscores and hyphens. "
                a href="/invitations" { "Back to the tenant " (demo::TENANT) } }
        }
    };
    frame("No such tenant", ELSEWHERE, &body)
}

/// The page for a failed read of DynamoDB.
pub(super) fn failed(tenant: &TenantId, error: &StoreError) -> Markup {
    let body = html! {
        header.bar { h1 { "Invitations" } p.count role="status" {} }
        (tenants(tenant))
        div #news { div.empty { h2 { "The invitations cannot be read" } p { (error) } } }
    };
    frame("Invitations", "/invitations", &body)
}

/// The navigation to other tenants: the demo tenants, and any by its name.
fn tenants(current: &TenantId) -> Markup {
    let known = [demo::TENANT, demo::TENANT_WITHOUT_MAIL];
    let others = Some(current.as_str()).filter(|name| !known.contains(name));
    html! {
        div.tenants {
            nav aria-label="Tenants" {
                @for name in known.into_iter().chain(others) {
                    (entry(&format!("/invitations?tenant={name}"), name, name == current.as_str()))
                }
            }
            form action="/invitations" {
                label for="tenant" { "Another tenant" }
                input #tenant name="tenant" required pattern="[A-Za-z0-9_\\-]{1,64}" autocomplete="off"
                    autocapitalize="off" spellcheck="false" title="Up to 64 letters, digits, underscores and hyphens";
                button { "Show" }
            }
        }
    }
}

fn row(invitation: &Invitation, mails: usize, delivery: Option<&Delivery>, now: Timestamp) -> Markup {
    let id = invitation.id.as_str();
    let status = invitation.status(now);
    html! {
        li.invitation id={ "invitation-" (id) } {
            h2 { bdi { (invitation.invitee.as_str()) } }
            span.status.(status.as_str().to_ascii_lowercase()) { (status.as_str()) }
            dl {
                (fact("Organization", &html! { bdi { (invitation.organization_id) } }))
                (fact("Roles", &roles(invitation)))
                @if let Some(inviter) = &invitation.inviter_id { (fact("Inviter", &html! { bdi { (inviter) } })) }
                @if let Some(user) = &invitation.accepted_user_id { (fact("Accepted by", &html! { bdi { (user) } })) }
            }
            dl {
                (fact("Created", &relative_time(invitation.created_at, now)))
                (fact(if status == Status::Expired { "Expired" } else { "Expires" }, &relative_time(invitation.expires_at, now)))
                @if let Some(delivery) = delivery { (fact("Mail", &html! { (words(delivery)) })) }
            }
            p.foot {
                code { (id) }
                @if mails == 0 { span.none { "No mail" } }
                @else {
                    a id={ "mails-" (id) } href={ "/inbox?invitation=" (id) } {
                        (count(mails, "mail")) span.unseen { " to " (invitation.invitee.as_str()) }
                    }
                }
            }
        }
    }
}

fn fact(name: &str, value: &Markup) -> Markup {
    html! { div { dt { (name) } dd { (value) } } }
}

/// The status of a mail with its reason, such as `Bounced (General)`.
fn words(delivery: &Delivery) -> String {
    let reason = delivery.reason.as_ref().map(|reason| format!(" ({reason})")).unwrap_or_default();
    format!("{}{reason}", delivery.status.as_str())
}

fn roles(invitation: &Invitation) -> Markup {
    html! {
        @for (index, role) in invitation.organization_roles.iter().enumerate() {
            @if index > 0 { ", " }
            bdi { (role.name) }
        }
        @if invitation.organization_roles.is_empty() { span.none { "none" } }
    }
}

/// A time with its distance from now. The script does not replace a list if only `.ago` elements have changed.
fn relative_time(at: Timestamp, now: Timestamp) -> Markup {
    html! { span.ago { (relative(at, now)) } " " (time(at)) }
}

fn empty(tenant: &TenantId, example: Option<&str>) -> Markup {
    html! {
        div.empty {
            h2 { "No invitations yet" }
            @if let Some(example) = example {
                p { "Paste this into a terminal. The invitation appears here by itself." }
                (command("Command that creates an invitation", example))
            } @else {
                p { "This tenant has none. Its invitations appear here by themselves, when they are created with a token for it:" }
                (command("Command that prints a token", &format!("cargo dev token --tenant {tenant}")))
            }
        }
    }
}

/// The summary that screen readers announce, such as `3 invitations: 2 pending, 1 revoked`.
fn summary(invitations: &[Invitation], has_more: bool, now: Timestamp) -> String {
    let statuses = [Status::Pending, Status::Accepted, Status::Expired, Status::Revoked];
    let counted = statuses.map(|status| (status, invitations.iter().filter(|each| each.status(now) == status).count()));
    let parts = counted.iter().filter(|(_, number)| *number > 0);
    let parts: Vec<String> =
        parts.map(|(status, number)| format!("{number} {}", status.as_str().to_ascii_lowercase())).collect();
    match invitations.len() {
        0 => String::new(),
        number if has_more => format!("the latest {number}: {}", parts.join(", ")),
        number => format!("{}: {}", count(number, "invitation"), parts.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;
    use crate::domain::{
        delivery::DeliveryStatus,
        directory::OrganizationRole,
        email_address::EmailAddress,
        ids::{DirectoryId, InvitationId},
    };

    const NOW: Timestamp = Timestamp::from_millis(1_767_225_600_000);
    const EVIL: &str = "<script>alert(1)</script>\"'&";

    fn id(text: &str) -> DirectoryId {
        DirectoryId::stored(text).unwrap()
    }

    fn invitation(expires_at: Timestamp) -> Invitation {
        Invitation {
            tenant: TenantId::parse("t").unwrap(),
            id: InvitationId::generate(NOW).unwrap(),
            inviter_id: Some(id(EVIL)),
            invitee: EmailAddress::parse("a@example.com").unwrap(),
            accepted_user_id: Some(id(EVIL)),
            organization_id: id(EVIL),
            stored_status: Status::Pending,
            created_at: NOW,
            updated_at: NOW,
            expires_at,
            organization_roles: vec![OrganizationRole { id: id(EVIL), name: EVIL.to_owned() }],
        }
    }

    fn shown(invitations: Vec<Invitation>, has_more: bool) -> String {
        let tenant = TenantId::parse("t").unwrap();
        list(&tenant, &Latest { invitations, has_more, ..Latest::default() }, Some(EVIL), NOW).into_string()
    }

    #[test]
    fn nothing_in_an_invitation_becomes_markup_of_the_page() {
        let pages = [shown(vec![invitation(NOW)], false), shown(vec![], false), invalid_tenant(EVIL).into_string()];
        for page in pages {
            assert_eq!(page.matches("<script").count(), 1, "only the page's own: {page}");
        }
    }

    #[test]
    fn an_invitation_shows_how_its_mail_fared_where_that_is_known() {
        let (tenant, invited) = (TenantId::parse("t").unwrap(), invitation(NOW));
        let delivery = Delivery {
            status: DeliveryStatus::Bounced,
            permanent: true,
            reason: Some("NoEmail".to_owned()),
            smtp_status: None,
            message_id: "m".to_owned(),
            sent_at: NOW,
            updated_at: NOW,
        };
        for (id, shows) in [(invited.id.clone(), true), (InvitationId::generate(NOW).unwrap(), false)] {
            let deliveries = HashMap::from([(id, delivery.clone())]);
            let found = Latest { invitations: vec![invited.clone()], deliveries, ..Latest::default() };
            let page = list(&tenant, &found, None, NOW).into_string();
            assert_eq!(page.contains("Bounced (NoEmail)"), shows, "{page}");
        }
    }

    #[test]
    fn the_summary_counts_statuses_as_of_now() {
        let pending = invitation(NOW.plus_millis(1));
        let all = [pending.clone(), invitation(NOW), pending.revoked(NOW).unwrap(), pending];
        assert_eq!(summary(&all, false, NOW), "4 invitations: 2 pending, 1 expired, 1 revoked");
        assert_eq!(summary(&all[1..2], false, NOW), "1 invitation: 1 expired");
        assert_eq!(summary(&all[..1], true, NOW), "the latest 1: 1 pending");
        assert_eq!(summary(&[], false, NOW), "");
    }

    #[test]
    fn an_expiry_beyond_the_calendar_is_shown() {
        assert!(shown(vec![invitation(Timestamp::MAX)], false).contains("after the year 9999"));
    }
}

//! German.

use super::{Direction, Inviter, Phrases, list};

const MONTHS: &str = "Januar Februar März April Mai Juni Juli August September Oktober November Dezember";

pub(super) static PHRASES: Phrases = Phrases {
    locale: "de",
    direction: Direction::LeftToRight,
    subject: |inviter, organization| match inviter {
        Some(inviter) => format!("{inviter} hat Sie zu {organization} eingeladen"),
        None => format!("Sie wurden zu {organization} eingeladen"),
    },
    preheader: |organization, expires_on| format!("Ihre Einladung zu {organization} ist gültig bis zum {expires_on}."),
    heading: |organization| format!("Einladung zu {organization}"),
    intro: |inviter, organization, with_roles| match inviter {
        Inviter::Name(inviter) | Inviter::Address(inviter) => {
            format!("{inviter} hat Sie eingeladen, {organization}{with_roles} beizutreten.")
        }
        Inviter::Unknown => format!("Sie wurden eingeladen, {organization}{with_roles} beizutreten."),
    },
    with_roles: |roles| match roles {
        [role] => format!(" mit der Rolle {role}"),
        _ => format!(" mit den Rollen {}", list(roles, ", ", " und ")),
    },
    time: |it| format!("{}. {} {}, {} UTC", it.day(), it.month_name(MONTHS), it.year(), it.time()),
    button: "Einladung annehmen",
    code_label: "Ihr Einladungscode",
    code_hint: "Geben Sie diesen Code ein, wenn Sie danach gefragt werden. Bitte geben Sie ihn nicht weiter.",
    inviter_label: "Eingeladen von",
    roles_label: "Rollen",
    expires_label: "Gültig bis",
    link_hint: "Falls die Schaltfläche nicht funktioniert, kopieren Sie diese Adresse in Ihren Browser:",
    sent_to: |invitee| format!("Diese Nachricht wurde an {invitee} gesendet."),
    ignore: "Wenn Sie diese Einladung nicht erwartet haben, können Sie diese Nachricht einfach ignorieren.",
};

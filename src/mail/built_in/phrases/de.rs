//! German.

use super::{Direction, Inviter, Phrases};

pub(super) static PHRASES: Phrases = Phrases {
    locale: "de",
    direction: Direction::LeftToRight,
    subject: |inviter, organization| match inviter {
        Some(inviter) => format!("{inviter} hat Sie zu {organization} eingeladen"),
        None => format!("Sie wurden zu {organization} eingeladen"),
    },
    preheader: |organization, expires_on| format!("Ihre Einladung zu {organization} ist bis {expires_on} gültig."),
    heading: |organization| format!("Einladung zu {organization}"),
    intro: |inviter, organization| match inviter {
        Inviter::Name(inviter) | Inviter::Address(inviter) => {
            format!("{inviter} hat Sie eingeladen, {organization} als Mitglied beizutreten.")
        }
        Inviter::Unknown => format!("Sie wurden eingeladen, {organization} als Mitglied beizutreten."),
    },
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

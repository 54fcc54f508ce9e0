//! French.

use super::{Direction, Inviter, Phrases, list};

const MONTHS: &str = "janvier février mars avril mai juin juillet août septembre octobre novembre décembre";

pub(super) static PHRASES: Phrases = Phrases {
    locale: "fr",
    direction: Direction::LeftToRight,
    subject: |inviter, organization| match inviter {
        Some(inviter) => format!("{inviter} vous invite à rejoindre {organization}"),
        None => format!("Vous avez reçu une invitation à rejoindre {organization}"),
    },
    preheader: |organization, expires_on| {
        format!("Votre invitation à rejoindre {organization} est valable jusqu’au {expires_on}.")
    },
    heading: |organization| format!("Rejoignez {organization}"),
    intro: |inviter, organization, with_roles| match inviter {
        Inviter::Name(inviter) | Inviter::Address(inviter) => {
            format!("{inviter} vous invite à rejoindre {organization}{with_roles}.")
        }
        Inviter::Unknown => format!("Vous avez reçu une invitation à rejoindre {organization}{with_roles}."),
    },
    with_roles: |roles| match roles {
        [role] => format!(" avec le rôle {role}"),
        _ => format!(" avec les rôles {}", list(roles, ", ", " et ")),
    },
    time: |it| {
        let first = if it.day() == 1 { "er" } else { "" };
        format!("{}{first} {} {}, {} UTC", it.day(), it.month_name(MONTHS), it.year(), it.time())
    },
    button: "Accepter l’invitation",
    code_label: "Votre code d’invitation",
    code_hint: "Saisissez ce code lorsqu’il vous sera demandé. Merci de ne le communiquer à personne.",
    inviter_label: "Invitation de",
    roles_label: "Rôles",
    expires_label: "Valable jusqu’au",
    link_hint: "Si le bouton ne fonctionne pas, copiez cette adresse dans votre navigateur\u{a0}:",
    sent_to: |invitee| format!("Ce message a été envoyé à {invitee}."),
    ignore: "Si vous n’attendiez pas cette invitation, vous pouvez ignorer ce message en toute sécurité.",
};

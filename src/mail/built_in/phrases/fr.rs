//! French.

use super::{Direction, Inviter, Phrases};

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
    intro: |inviter, organization| match inviter {
        Inviter::Name(inviter) | Inviter::Address(inviter) => {
            format!("{inviter} vous invite à rejoindre {organization} en tant que membre.")
        }
        Inviter::Unknown => format!("Vous avez reçu une invitation à rejoindre {organization} en tant que membre."),
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

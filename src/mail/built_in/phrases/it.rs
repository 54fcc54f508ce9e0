//! Italian.

use super::{Direction, Inviter, Phrases, list};

const MONTHS: &str = "gennaio febbraio marzo aprile maggio giugno luglio agosto settembre ottobre novembre dicembre";

pub(super) static PHRASES: Phrases = Phrases {
    locale: "it",
    direction: Direction::LeftToRight,
    subject: |inviter, organization| match inviter {
        Some(inviter) => format!("{inviter} La invita a unirsi a {organization}"),
        None => format!("Ha ricevuto un invito a unirsi a {organization}"),
    },
    preheader: |organization, expires_on| format!("Scadenza dell’invito a unirsi a {organization}: {expires_on}."),
    heading: |organization| format!("Invito a unirsi a {organization}"),
    intro: |inviter, organization, with_roles| match inviter {
        Inviter::Name(inviter) | Inviter::Address(inviter) => {
            format!("{inviter} La invita a unirsi a {organization}{with_roles}.")
        }
        Inviter::Unknown => format!("Ha ricevuto un invito a unirsi a {organization}{with_roles}."),
    },
    with_roles: |roles| match roles {
        [role] => format!(" con il ruolo {role}"),
        _ => format!(" con i ruoli {}", list(roles, ", ", " e ")),
    },
    time: |it| format!("{} {} {}, {} UTC", it.day(), it.month_name(MONTHS), it.year(), it.time()),
    button: "Accetta l’invito",
    code_label: "Il Suo codice di invito",
    code_hint: "Inserisca questo codice quando Le viene richiesto. La preghiamo di non condividerlo con nessuno.",
    inviter_label: "Invito da",
    roles_label: "Ruoli",
    expires_label: "Scadenza",
    link_hint: "Se il pulsante non funziona, copi questo indirizzo nel Suo browser:",
    sent_to: |invitee| format!("Questo messaggio è stato inviato a {invitee}."),
    ignore: "Se non si aspettava questo invito, può tranquillamente ignorare questo messaggio.",
};

//! Italian.

use super::{Direction, Inviter, Phrases};

pub(super) static PHRASES: Phrases = Phrases {
    locale: "it",
    direction: Direction::LeftToRight,
    subject: |inviter, organization| match inviter {
        Some(inviter) => format!("{inviter} La invita a unirsi a {organization}"),
        None => format!("Ha ricevuto un invito a unirsi a {organization}"),
    },
    preheader: |organization, expires_on| {
        format!("Il Suo invito a unirsi a {organization} è valido fino al {expires_on}.")
    },
    heading: |organization| format!("Invito a unirsi a {organization}"),
    intro: |inviter, organization| match inviter {
        Inviter::Name(inviter) | Inviter::Address(inviter) => {
            format!("{inviter} La invita a unirsi a {organization} come membro.")
        }
        Inviter::Unknown => format!("Ha ricevuto un invito a unirsi a {organization} come membro."),
    },
    button: "Accetta l’invito",
    code_label: "Il Suo codice di invito",
    code_hint: "Inserisca questo codice quando Le viene richiesto. La preghiamo di non condividerlo con nessuno.",
    inviter_label: "Invito da",
    roles_label: "Ruoli",
    expires_label: "Valido fino al",
    link_hint: "Se il pulsante non funziona, copi questo indirizzo nel Suo browser:",
    sent_to: |invitee| format!("Questo messaggio è stato inviato a {invitee}."),
    ignore: "Se non si aspettava questo invito, può tranquillamente ignorare questo messaggio.",
};

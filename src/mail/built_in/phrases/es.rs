//! Spanish.

use super::{Direction, Inviter, Phrases};

pub(super) static PHRASES: Phrases = Phrases {
    locale: "es",
    direction: Direction::LeftToRight,
    subject: |inviter, organization| match inviter {
        Some(inviter) => format!("{inviter} le invita a unirse a {organization}"),
        None => format!("Ha recibido una invitación para unirse a {organization}"),
    },
    preheader: |organization, expires_on| {
        format!("Su invitación para unirse a {organization} es válida hasta {expires_on}.")
    },
    heading: |organization| format!("Únase a {organization}"),
    intro: |inviter, organization| match inviter {
        Inviter::Name(inviter) | Inviter::Address(inviter) => {
            format!("{inviter} le invita a unirse a {organization} como miembro.")
        }
        Inviter::Unknown => format!("Ha recibido una invitación para unirse a {organization} como miembro."),
    },
    button: "Aceptar la invitación",
    code_label: "Su código de invitación",
    code_hint: "Introduzca este código cuando se le solicite. Por favor, no lo comparta con nadie.",
    inviter_label: "Invitación de",
    roles_label: "Roles",
    expires_label: "Válida hasta",
    link_hint: "Si el botón no funciona, copie esta dirección en su navegador:",
    sent_to: |invitee| format!("Este mensaje se ha enviado a {invitee}."),
    ignore: "Si no esperaba esta invitación, puede ignorar este mensaje con total tranquilidad.",
};

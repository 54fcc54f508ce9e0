//! Spanish.

use super::{Direction, Inviter, Phrases, list};

const MONTHS: &str = "enero febrero marzo abril mayo junio julio agosto septiembre octubre noviembre diciembre";

pub(super) static PHRASES: Phrases = Phrases {
    locale: "es",
    direction: Direction::LeftToRight,
    subject: |inviter, organization| match inviter {
        Some(inviter) => format!("{inviter} le invita a unirse a {organization}"),
        None => format!("Ha recibido una invitación para unirse a {organization}"),
    },
    preheader: |organization, expires_on| {
        format!("Su invitación para unirse a {organization} es válida hasta el {expires_on}.")
    },
    heading: |organization| format!("Únase a {organization}"),
    intro: |inviter, organization, with_roles| match inviter {
        Inviter::Name(inviter) | Inviter::Address(inviter) => {
            format!("{inviter} le invita a unirse a {organization}{with_roles}.")
        }
        Inviter::Unknown => format!("Ha recibido una invitación para unirse a {organization}{with_roles}."),
    },
    with_roles: |roles| match roles {
        [role] => format!(" con el rol {role}"),
        _ => format!(" con los roles {}", list(roles, ", ", and(roles.last().map_or("", String::as_str)))),
    },
    time: |it| format!("{} de {} de {}, {} UTC", it.day(), it.month_name(MONTHS), it.year(), it.time()),
    button: "Aceptar la invitación",
    code_label: "Su código de invitación",
    code_hint: "Introduzca este código cuando se le solicite. Por favor, no lo comparta con nadie.",
    inviter_label: "Invitación de",
    roles_label: "Roles",
    expires_label: "Válida hasta el",
    link_hint: "Si el botón no funciona, copie esta dirección en su navegador:",
    sent_to: |invitee| format!("Este mensaje se ha enviado a {invitee}."),
    ignore: "Si no esperaba esta invitación, puede ignorar este mensaje con total tranquilidad.",
};

/// The word for "and", which is another before the sound of an `i`.
fn and(next: &str) -> &'static str {
    let next = next.to_lowercase();
    let mut sounds = next.strip_prefix('h').unwrap_or(&next).chars();
    let is_diphthong = next.starts_with('h') && next.chars().nth(2).is_some_and(|c| c == 'a' || c == 'e');
    if sounds.next().is_some_and(|c| c == 'i' || c == 'í') && !is_diphthong { " e " } else { " y " }
}

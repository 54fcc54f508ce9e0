//! Portuguese.

use super::{Direction, Inviter, Phrases, list};

const MONTHS: &str = "janeiro fevereiro março abril maio junho julho agosto setembro outubro novembro dezembro";

pub(super) static PHRASES: Phrases = Phrases {
    locale: "pt",
    direction: Direction::LeftToRight,
    subject: |inviter, organization| match inviter {
        Some(inviter) => format!("{inviter} convidou você para participar de {organization}"),
        None => format!("Você recebeu um convite para participar de {organization}"),
    },
    preheader: |organization, expires_on| {
        format!("Seu convite para participar de {organization} é válido até {expires_on}.")
    },
    heading: |organization| format!("Convite para participar de {organization}"),
    intro: |inviter, organization, with_roles| match inviter {
        Inviter::Name(inviter) | Inviter::Address(inviter) => {
            format!("{inviter} convidou você para participar de {organization}{with_roles}.")
        }
        Inviter::Unknown => format!("Você recebeu um convite para participar de {organization}{with_roles}."),
    },
    with_roles: |roles| match roles {
        [role] => format!(" com a função {role}"),
        _ => format!(" com as funções {}", list(roles, ", ", " e ")),
    },
    time: |it| {
        let first = if it.day() == 1 { "º" } else { "" };
        format!("{}{first} de {} de {}, {} UTC", it.day(), it.month_name(MONTHS), it.year(), it.time())
    },
    button: "Aceitar o convite",
    code_label: "Seu código de convite",
    code_hint: "Insira este código quando ele for solicitado. Por favor, não o compartilhe com ninguém.",
    inviter_label: "Convite de",
    roles_label: "Funções",
    expires_label: "Válido até",
    link_hint: "Se o botão não funcionar, copie este endereço para o seu navegador:",
    sent_to: |invitee| format!("Esta mensagem foi enviada para {invitee}."),
    ignore: "Se você não esperava este convite, pode ignorar esta mensagem com tranquilidade.",
};

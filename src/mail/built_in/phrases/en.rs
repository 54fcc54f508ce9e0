//! English.

use super::{Direction, Inviter, Phrases, list};

const MONTHS: &str = "January February March April May June July August September October November December";

pub(super) static PHRASES: Phrases = Phrases {
    locale: "en",
    direction: Direction::LeftToRight,
    subject: |inviter, organization| match inviter {
        Some(inviter) => format!("{inviter} invited you to join {organization}"),
        None => format!("You have been invited to join {organization}"),
    },
    preheader: |organization, expires_on| {
        format!("Your invitation to join {organization} is valid until {expires_on}.")
    },
    heading: |organization| format!("Join {organization}"),
    intro: |inviter, organization, with_roles| match inviter {
        Inviter::Name(inviter) | Inviter::Address(inviter) => {
            format!("{inviter} has invited you to join {organization}{with_roles}.")
        }
        Inviter::Unknown => format!("You have been invited to join {organization}{with_roles}."),
    },
    with_roles: |roles| match roles {
        [role] => format!(" with the role {role}"),
        _ => format!(" with the roles {}", list(roles, ", ", " and ")),
    },
    time: |it| format!("{} {} {}, {} UTC", it.day(), it.month_name(MONTHS), it.year(), it.time()),
    button: "Accept invitation",
    code_label: "Your invitation code",
    code_hint: "Enter this code when asked. Please do not share it with anyone.",
    inviter_label: "Invited by",
    roles_label: "Roles",
    expires_label: "Valid until",
    link_hint: "If the button does not work, copy this address into your browser:",
    sent_to: |invitee| format!("This message was sent to {invitee}."),
    ignore: "If you did not expect this invitation, you can safely ignore this message.",
};

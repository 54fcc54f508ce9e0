//! English.

use super::{Direction, Inviter, Phrases};

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
    intro: |inviter, organization| match inviter {
        Inviter::Name(inviter) | Inviter::Address(inviter) => {
            format!("{inviter} has invited you to join {organization} as a member.")
        }
        Inviter::Unknown => format!("You have been invited to join {organization} as a member."),
    },
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

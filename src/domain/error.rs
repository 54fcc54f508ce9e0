//! The errors of the use cases. They are independent of HTTP: `http::error` turns them into responses.
//!
//! The message is for the caller. `cause` is for the operator and is logged once, with the request.

use serde::Serialize;

use crate::domain::ids::InvitationId;

/// A failed use case.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The tenant has no such invitation.
    #[error("The invitation does not exist.")]
    UnknownInvitation,
    /// The invitation is accepted, expired or revoked.
    #[error("The invitation has already been accepted or revoked, or has expired.")]
    InvitationEnded,
    /// The tenant has no such user.
    #[error("The user does not exist.")]
    UnknownUser,
    /// The accepting user's address is not the invited one.
    #[error("The invitation is for another e-mail address than the user's.")]
    AnotherInvitee,
    /// The token is not that of the invitation's latest message, or too many wrong tokens were presented before.
    #[error("The token is not that of the invitation's latest message.")]
    WrongToken,
    /// The `Idempotency-Key` was used for another request before.
    #[error("The Idempotency-Key has been used for another request.")]
    IdempotencyKeyReused,
    /// An earlier attempt of the same request still holds the lease.
    #[error("The first request with this Idempotency-Key has not been answered yet.")]
    StillRunning {
        /// Seconds until the attempt's lease expires.
        retry_after: u64,
    },
    /// `expiresAt` is not in the future.
    #[error("The expiration date must be in the future.")]
    ExpiresInPast {
        /// `true` if the number, read as seconds, would be in the future.
        looks_like_seconds: bool,
    },
    /// The invitee's address is longer than 256 characters.
    #[error("The e-mail address is longer than 256 characters.")]
    AddressTooLong,
    /// With its role names, the invitation would exceed DynamoDB's maximum item size.
    #[error("The names of the roles are too long to be stored with an invitation.")]
    RolesTooLong,
    /// The invitee is a member already.
    #[error("The invitee is already a member of the organization.")]
    AlreadyMember,
    /// A pending invitation for the same invitee and organization exists.
    #[error("A pending invitation for this invitee and organization already exists.")]
    AlreadyInvited {
        /// The pending invitation; `None` in a bulk call that has an earlier item for the invitee.
        invitation_id: Option<InvitationId>,
    },
    /// The request refers to rows that do not exist in the tenant.
    #[error("The request refers to something that does not exist.")]
    UnknownReferences(UnknownReferences),
    /// Mail was requested and no email connector is configured.
    #[error("No email connector is configured for the tenant.")]
    NoConnector,
    /// The tenant's email connector is invalid.
    #[error("The tenant's email connector is invalid.")]
    InvalidConnector {
        /// The invalid attribute, for the operator. Contains no value.
        cause: String,
    },
    /// The connector has a template neither for the requested locale nor for its default locale.
    #[error("The email connector has no template for this message.")]
    NoTemplate,
    /// The connector's template cannot be rendered.
    #[error("The email connector's template is invalid.")]
    InvalidTemplate {
        /// The fault of the template, for the operator.
        cause: String,
    },
    /// The rate limit of the recipient is reached.
    #[error("Too many messages have been sent to this recipient.")]
    MessageRateLimited {
        /// Seconds until the next message may be sent.
        retry_after: u64,
    },
    /// The template needs variables that neither the payload nor the directory has.
    #[error("{}", missing_variables(names))]
    MissingVariables {
        /// The missing variables, as dotted paths.
        names: Vec<String>,
    },
    /// The link's host is not one that the connector allows.
    #[error("The link does not lead to a host that the email connector allows.")]
    LinkNotAllowed,
    /// The link's scheme runs code or reads local content.
    #[error("The link has a scheme that is not allowed in a message.")]
    LinkSchemeRefused,
    /// The link holds a token, and the connector neither limits the hosts of links nor allows tokens in any link.
    #[error("A link with {{invitationToken}} needs an email connector that lists the hosts of links.")]
    TokenLinkNotAllowed,
    /// The code could be shown as a link, although the connector restricts the hosts of links.
    #[error("The code has to be one line of at most 64 characters, without '/', ':' and '@'.")]
    CodeNotAllowed,
    /// Rendering the message exceeds the limit of steps.
    #[error("The message would take too many steps to render.")]
    MessageTooComplex,
    /// A part of the message exceeds 1 MiB.
    #[error("The message would be longer than 1 MiB.")]
    MessageTooLong,
    /// SES rejects the message, and would reject a retry.
    #[error("The email service refused the message.")]
    MailRefused {
        /// The error of SES, for the operator.
        cause: String,
    },
    /// SES throttles the account.
    #[error("The email service is accepting no more messages at the moment.")]
    MailThrottled {
        /// The error of SES, for the operator.
        cause: String,
    },
    /// SES fails or cannot be reached.
    #[error("The email service is not available.")]
    MailUnavailable {
        /// The failure, for the operator.
        cause: String,
    },
    /// DynamoDB throttles, fails or cannot be reached.
    #[error("The service is temporarily unavailable.")]
    StoreUnavailable {
        /// The failure, for the operator.
        cause: String,
    },
    /// A fault of the service that neither the caller nor a retry can resolve: an unreadable row, a request that
    /// DynamoDB rejects as invalid, or no randomness.
    #[error("The service has an internal fault.")]
    Internal {
        /// The fault, for the operator. Contains no personal data.
        cause: String,
    },
}

/// The missing references of a request. Serialized as the `data` of the response.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct UnknownReferences {
    /// The organization, if it does not exist.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub organization_id: Option<String>,
    /// The inviter, if they do not exist.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub inviter_id: Option<String>,
    /// The roles that do not exist.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub organization_role_ids: Vec<String>,
}

impl UnknownReferences {
    /// Returns `true` if every reference exists.
    pub(crate) fn is_empty(&self) -> bool {
        self == &Self::default()
    }
}

/// Seconds until a retry after a transient failure.
const RETRY_SOON: u64 = 1;

impl Error {
    /// The cause for the operator. Contains no personal data.
    pub(crate) fn cause(&self) -> Option<&str> {
        match self {
            Self::InvalidConnector { cause }
            | Self::InvalidTemplate { cause }
            | Self::MailRefused { cause }
            | Self::MailThrottled { cause }
            | Self::MailUnavailable { cause }
            | Self::StoreUnavailable { cause }
            | Self::Internal { cause } => Some(cause),
            _ => None,
        }
    }

    /// Returns `true` for a failure of the service, which says nothing about the request.
    pub(crate) const fn is_fault_of_service(&self) -> bool {
        matches!(self, Self::StoreUnavailable { .. } | Self::Internal { .. })
    }

    /// Returns `true` for errors that take precedence over the rate limit in the contract, although the rate limit may
    /// be known earlier.
    pub(crate) const fn precedes_rate_limit(&self) -> bool {
        matches!(
            self,
            Self::UnknownReferences(_) | Self::RolesTooLong | Self::NoConnector | Self::InvalidConnector { .. }
        )
    }

    /// Seconds after which the same request may succeed; `None` if a retry does not help.
    pub(crate) const fn retry_after(&self) -> Option<u64> {
        match self {
            Self::MessageRateLimited { retry_after } | Self::StillRunning { retry_after } => Some(*retry_after),
            Self::MailThrottled { .. } | Self::MailUnavailable { .. } | Self::StoreUnavailable { .. } => {
                Some(RETRY_SOON)
            }
            _ => None,
        }
    }
}

/// The message about missing variables. It distinguishes variables that the caller can supply from those of the
/// directory, which a payload cannot override.
fn missing_variables(names: &[String]) -> &'static str {
    let directory_count = names.iter().filter(|name| is_directory_variable(name)).count();
    if directory_count == 0 {
        "The message payload lacks variables that the template needs."
    } else if directory_count == names.len() {
        "The directory lacks variables that the template needs, which a message payload cannot supply."
    } else {
        "The message payload lacks variables that the template needs, and so does the directory, for which a message \
         payload cannot stand in."
    }
}

/// Returns `true` for paths into the directory's values, such as `organization.name` or `@root.organization.name`.
fn is_directory_variable(name: &str) -> bool {
    let mut steps = name.split(['.', '/']).filter(|step| !matches!(*step, "" | "this" | "@root"));
    steps.next().is_some_and(|first| ["organization", "inviter", "invitation"].contains(&first))
}

impl From<getrandom::Error> for Error {
    /// Generating an identifier or a token failed.
    fn from(error: getrandom::Error) -> Self {
        Self::Internal { cause: format!("randomness: {error}") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_message_distinguishes_variables_of_the_payload_and_of_the_directory() {
        const PAYLOAD: &str = "The message payload lacks";
        const DIRECTORY: &str = "The directory lacks";
        for (names, expected, reason) in [
            (vec!["link"], PAYLOAD, "the caller's"),
            (vec!["link", "inviterName"], PAYLOAD, "a name that only begins like one of the directory"),
            (vec!["inviter.name"], DIRECTORY, "an inviter without a name"),
            (vec!["organization.branding.colour"], DIRECTORY, "an organization without branding"),
            (
                vec!["this.inviter.name", "../organization.x", "@root.invitation.x"],
                DIRECTORY,
                "other notations of such paths",
            ),
            (vec!["link", "inviter.name"], "and so does the directory", "both"),
        ] {
            let names = names.into_iter().map(str::to_owned).collect();
            let error = Error::MissingVariables { names };
            assert!(error.to_string().contains(expected), "{reason}: {error}");
        }
    }
}

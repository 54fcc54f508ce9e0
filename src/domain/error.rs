//! Every way in which a use case can fail. Knows nothing of HTTP: `http::error` turns it into a response.
//!
//! A message is written for the caller; the operator's part travels in `cause` and is logged, once, at the edge.

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
    /// The user who accepts has another address than the one that was invited.
    #[error("The invitation is for another e-mail address than the user's.")]
    AnotherInvitee,
    /// The `Idempotency-Key` was given to another request before.
    #[error("The Idempotency-Key has been used for another request.")]
    IdempotencyKeyReused,
    /// The request is being answered already.
    #[error("The first request with this Idempotency-Key has not been answered yet.")]
    StillRunning {
        /// Seconds until it certainly has ended.
        retry_after: u64,
    },
    /// `expiresAt` is not in the future.
    #[error("The expiration date must be in the future.")]
    ExpiresInPast,
    /// The invitee's address is longer than can be stored.
    #[error("The e-mail address is longer than 256 characters.")]
    AddressTooLong,
    /// The invitation would be larger than what can be stored, because of its roles' names.
    #[error("The names of the roles are too long to be stored with an invitation.")]
    RolesTooLong,
    /// The invitee is a member already.
    #[error("The invitee is already a member of the organization.")]
    AlreadyMember,
    /// A pending invitation for the same invitee and organization exists.
    #[error("A pending invitation for this invitee and organization already exists.")]
    AlreadyInvited {
        /// That invitation, where the table tells.
        invitation_id: Option<InvitationId>,
    },
    /// Something that the request refers to does not exist in the tenant.
    #[error("The request refers to something that does not exist.")]
    UnknownReferences(UnknownReferences),
    /// Mail was asked for and nothing is configured to send it.
    #[error("No email connector is configured for the tenant.")]
    NoConnector,
    /// The tenant has an email connector that cannot be used.
    #[error("The tenant's email connector is invalid.")]
    InvalidConnector {
        /// The attribute that is at fault, for the operator. Holds no value.
        cause: String,
    },
    /// The connector has no template for the locale asked for, nor for its default locale.
    #[error("The email connector has no template for this message.")]
    NoTemplate,
    /// The connector's template cannot be rendered.
    #[error("The email connector's template is invalid.")]
    InvalidTemplate {
        /// What is wrong with it, for the operator.
        cause: String,
    },
    /// The recipient has had as much mail as one may get for now.
    #[error("Too many messages have been sent to this recipient.")]
    MessageRateLimited {
        /// Seconds until one more message may be sent.
        retry_after: u64,
    },
    /// The template needs variables that neither the payload nor the directory has.
    #[error("{}", missing_variables(names))]
    MissingVariables {
        /// Their names, as dotted paths.
        names: Vec<String>,
    },
    /// The link is not on one of the hosts that the connector allows.
    #[error("The link does not lead to a host that the email connector allows.")]
    LinkNotAllowed,
    /// The link's scheme runs code or reads local content.
    #[error("The link has a scheme that is not allowed in a message.")]
    LinkSchemeRefused,
    /// The code could be taken for an address, which the connector's list of link hosts is to prevent.
    #[error("The code has to be one line of at most 64 characters, without '/', ':' and '@'.")]
    CodeNotAllowed,
    /// Rendering the message would take more steps than one request may cost.
    #[error("The message would take too many steps to render.")]
    MessageTooComplex,
    /// A part of the message would be longer than 1 MiB.
    #[error("The message would be longer than 1 MiB.")]
    MessageTooLong,
    /// SES will not accept the message, however often it is sent.
    #[error("The email service refused the message.")]
    MailRefused {
        /// What SES said, for the operator.
        cause: String,
    },
    /// SES is accepting less mail than is being sent.
    #[error("The email service is accepting no more messages at the clock.")]
    MailThrottled {
        /// What SES said, for the operator.
        cause: String,
    },
    /// SES cannot be reached, or fails.
    #[error("The email service is not available.")]
    MailUnavailable {
        /// What happened, for the operator.
        cause: String,
    },
    /// DynamoDB throttles, fails or cannot be reached.
    #[error("The service is temporarily unavailable.")]
    StoreUnavailable {
        /// What happened, for the operator.
        cause: String,
    },
    /// A fault of the service that no caller can mend and no retry helps: a row that cannot be read, a request that
    /// DynamoDB rejects as invalid, no randomness.
    #[error("The service has an internal fault.")]
    Internal {
        /// The fault, for the operator. Names no person.
        cause: String,
    },
}

/// What a request refers to in vain. Serialized as the `data` of the answer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct UnknownReferences {
    /// The organization, when it does not exist.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub organization_id: Option<String>,
    /// The inviter, when they do not exist.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub inviter_id: Option<String>,
    /// The roles that do not exist.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub organization_role_ids: Vec<String>,
}

impl UnknownReferences {
    /// Whether everything exists.
    pub fn is_empty(&self) -> bool {
        self == &Self::default()
    }
}

/// Seconds that a caller should wait after a failure that may pass at any moment.
const RETRY_SOON: u64 = 1;

impl Error {
    /// The operator's part of the failure. Names no person.
    pub fn cause(&self) -> Option<&str> {
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

    /// Whether the request failed through no fault of its own, so that nothing was decided about it.
    pub const fn is_fault_of_service(&self) -> bool {
        matches!(self, Self::StoreUnavailable { .. } | Self::Internal { .. })
    }

    /// Whether the same request may succeed later, with nothing changed by anybody.
    pub const fn is_retryable(&self) -> bool {
        self.retry_after().is_some()
    }

    /// Whether the contract decides this before the rate limit, although it is known after it could be.
    pub const fn precedes_rate_limit(&self) -> bool {
        matches!(
            self,
            Self::UnknownReferences(_) | Self::RolesTooLong | Self::NoConnector | Self::InvalidConnector { .. }
        )
    }

    /// Seconds after which the same request may succeed; `None` where no retry helps.
    pub const fn retry_after(&self) -> Option<u64> {
        match self {
            Self::MessageRateLimited { retry_after } | Self::StillRunning { retry_after } => Some(*retry_after),
            Self::MailThrottled { .. } | Self::MailUnavailable { .. } | Self::StoreUnavailable { .. } => {
                Some(RETRY_SOON)
            }
            _ => None,
        }
    }
}

/// Tells apart what the caller can supply from what the directory would have to, since a payload cannot override it.
fn missing_variables(names: &[String]) -> &'static str {
    let of_the_directory = names.iter().filter(|name| belongs_to_the_directory(name)).count();
    if of_the_directory == 0 {
        "The message payload lacks variables that the template needs."
    } else if of_the_directory == names.len() {
        "The directory lacks variables that the template needs, which a message payload cannot supply."
    } else {
        "The message payload lacks variables that the template needs, and so does the directory, for which a message \
         payload cannot stand in."
    }
}

/// `organization.name` and the like, also where a template writes `@root.organization.name`.
fn belongs_to_the_directory(name: &str) -> bool {
    let mut steps = name.split(['.', '/']).filter(|step| !matches!(*step, "" | "this" | "@root"));
    steps.next().is_some_and(|first| ["organization", "inviter", "invitation"].contains(&first))
}

impl From<getrandom::Error> for Error {
    /// Without randomness nothing can be created.
    fn from(error: getrandom::Error) -> Self {
        Self::Internal { cause: format!("randomness: {error}") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_payload_lacks_is_told_apart_from_what_the_directory_lacks() {
        const PAYLOAD: &str = "The message payload lacks";
        const DIRECTORY: &str = "The directory lacks";
        for (names, expected, reason) in [
            (vec!["link"], PAYLOAD, "the caller's"),
            (vec!["link", "inviterName"], PAYLOAD, "a name that only begins alike"),
            (vec!["inviter.name"], DIRECTORY, "an inviter without a name"),
            (vec!["organization.branding.colour"], DIRECTORY, "an organization without branding"),
            (
                vec!["this.inviter.name", "../organization.x", "@root.invitation.x"],
                DIRECTORY,
                "other paths to the same",
            ),
            (vec!["link", "inviter.name"], "and so does the directory", "both"),
        ] {
            let names = names.into_iter().map(str::to_owned).collect();
            let error = Error::MissingVariables { names };
            assert!(error.to_string().contains(expected), "{reason}: {error}");
        }
    }
}

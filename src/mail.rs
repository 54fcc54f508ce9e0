//! Mail: the composition of an invitation's email, and its way to SES.
//!
//! | module | owns |
//! |---|---|
//! | [`template`] | the choice of a template: by locale, the connector's or the built-in one |
//! | [`mod@compose`] | the variables, the checks, the email |
//! | [`built_in`] | the mail that comes with the function |
//! | `fence` | the links and codes that a caller may put into an email |
//! | [`render`] | Handlebars, for tenants' inline templates |
//! | [`pace`] | the pace of a call that sends many messages |
//! | `utc` | times as an email writes them |
//! | [`ses`] | the call of SES, its retries and its errors |
//! | `stored`, `variables` (feature `cli`) | the parts of a stored template, and the variables that it needs |

pub(crate) mod built_in;
pub(crate) mod compose;
mod fence;
pub(crate) mod pace;
#[cfg(test)]
mod properties;
pub mod render;
pub(crate) mod ses;
#[cfg(feature = "cli")]
pub(crate) mod stored;
pub(crate) mod template;
mod utc;
#[cfg(feature = "cli")]
pub(crate) mod variables;

use std::fmt;

pub use crate::domain::message_payload::MessagePayload;
pub use compose::{EmailContext, compose};
pub(crate) use pace::Pace;
pub(crate) use ses::{ConnectionProof, ConnectionProofs, Mailer, SendError, Sent};

use crate::domain::{
    directory::EmailConnector,
    ids::{InvitationId, TenantId},
    timestamp::Timestamp,
    token::TokenHash,
};

/// An email to one recipient, ready to be sent. Its `Debug` form contains neither the recipient nor the content.
#[derive(Clone, PartialEq, Eq)]
pub struct Email {
    /// The connector that it is sent through.
    pub connector: EmailConnector,
    /// The recipient's address.
    pub to: String,
    /// The parts of the email.
    pub content: Content,
    /// The tenant that it is sent for, which becomes a tag.
    pub tenant: TenantId,
    /// The invitation that it is about, which becomes a tag.
    pub invitation_id: InvitationId,
    /// The time at which the invitation expires. With the retention, it becomes a tag.
    pub expires_at: Timestamp,
    /// The hash of the token that it holds, if it holds one.
    pub(crate) token: Option<TokenHash>,
}

impl fmt::Debug for Email {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { tenant, invitation_id, .. } = self;
        f.debug_struct("Email").field("tenant", tenant).field("invitation_id", invitation_id).finish_non_exhaustive()
    }
}

/// The content of an email.
#[derive(Clone, PartialEq, Eq)]
pub enum Content {
    /// Rendered by the function.
    Rendered {
        /// The subject line, without control characters.
        subject: String,
        /// The HTML part.
        html: String,
        /// The plain-text part.
        text: String,
    },
    /// Rendered by SES from a template that it stores.
    Stored {
        /// The template's name in SES.
        template: String,
        /// Its variables, as a JSON object.
        data: String,
    },
}

impl Content {
    /// Returns `true` if a part of it has that text.
    fn holds(&self, text: &str) -> bool {
        match self {
            Self::Rendered { subject, html, text: plain } => {
                [subject, html, plain].iter().any(|part| part.contains(text))
            }
            Self::Stored { data, .. } => data.contains(text),
        }
    }
}

impl fmt::Debug for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rendered { .. } => f.debug_struct("Rendered").finish_non_exhaustive(),
            Self::Stored { template, .. } => {
                f.debug_struct("Stored").field("template", template).finish_non_exhaustive()
            }
        }
    }
}

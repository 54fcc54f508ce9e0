//! Mail: composes an invitation's email, and sends it with SES.
//!
//! | module | owns |
//! |---|---|
//! | [`template`] | the choice of a template by locale, from the connector or built in |
//! | [`mod@compose`] | the variables, the checks, the email |
//! | [`built_in`] | the built-in template |
//! | `fence` | the checks of links and codes in an email |
//! | [`render`] | Handlebars, for tenants' inline templates |
//! | [`pace`] | the send rate of a bulk call |
//! | `utc` | formatting of times in UTC |
//! | [`ses`] | the SES call, its retries and its errors |
//! | `stored`, `variables` (feature `cli`) | reading a stored template, and the variables that a template needs |

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

/// An email to one recipient, ready to be sent. `Debug` omits the recipient and the content.
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
    /// The expiry of the invitation. With the retention added, it becomes a tag.
    pub expires_at: Timestamp,
    /// The hash of the token that the content contains, if any.
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
    /// To be rendered by SES from a stored template.
    Stored {
        /// The template's name in SES.
        template: String,
        /// Its variables, as a JSON object.
        data: String,
    },
}

impl Content {
    /// Returns `true` if a part contains `text`.
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

//! Mail: what an invitation's message says, and its way to SES.
//!
//! | module | owns |
//! |---|---|
//! | [`template`] | which template: by locale, the connector's or the built-in ones |
//! | [`mod@compose`] | the variables, the checks, the message |
//! | `fence` | which links and codes a caller may put into a mail |
//! | [`render`] | Handlebars |
//! | [`ses`] | the call of SES, its retries and its refusals |
//! | `stored`, `variables` (feature `cli`) | what a stored template says, and which variables it needs |

pub mod compose;
pub(crate) mod fence;
pub mod render;
pub mod ses;
#[cfg(feature = "cli")]
pub mod stored;
pub mod template;
#[cfg(feature = "cli")]
pub mod variables;

use std::fmt;

pub use crate::domain::message_payload::MessagePayload;
pub use compose::{Invited, compose};
pub use ses::{ConnectionProof, Mailer, SendError, Sent};

use crate::domain::{
    directory::EmailConnector,
    ids::{InvitationId, TenantId},
};

/// A message that is ready to be sent to its one recipient. Its `Debug` form tells neither whom nor what.
#[derive(Clone, PartialEq, Eq)]
pub struct Letter {
    /// What it is sent through.
    pub connector: EmailConnector,
    /// The recipient's address.
    pub to: String,
    /// What it says.
    pub content: Content,
    /// The tenant that it is sent for, and the invitation that it is about: its tags.
    pub about: (TenantId, InvitationId),
}

impl fmt::Debug for Letter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Letter").field("about", &self.about).finish_non_exhaustive()
    }
}

/// The words of a message.
#[derive(Clone, PartialEq, Eq)]
pub enum Content {
    /// Rendered here.
    Rendered {
        /// The subject line, without control characters.
        subject: String,
        /// The HTML part.
        html: String,
        /// The plain-text part.
        text: String,
    },
    /// To be rendered by SES.
    Stored {
        /// The template's name in SES.
        template: String,
        /// Its variables, as a JSON object.
        data: String,
    },
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

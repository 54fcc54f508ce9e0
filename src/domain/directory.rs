//! The tenant's directory as invitations need it: organizations, roles, users and the email connector.
//!
//! These rows belong to the tenant's application, which writes them; the function only reads them.

pub mod connector_row;

use std::{collections::BTreeMap, fmt};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::json;

/// An organization of the tenant.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Organization {
    /// Its identifier.
    pub id: String,
    /// The name that people know it by.
    pub name: String,
    /// Logo addresses and colours, in whatever form the tenant's templates want them.
    #[serde(default, deserialize_with = "json::object", skip_serializing_if = "Map::is_empty")]
    pub branding: Map<String, Value>,
}

impl Organization {
    /// An organization of which only the identifier is known.
    pub fn unnamed(id: &str) -> Self {
        Self { id: id.to_owned(), name: id.to_owned(), branding: Map::new() }
    }
}

/// A role that a member of an organization can have.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct OrganizationRole {
    /// Its identifier.
    pub id: String,
    /// The name that people know it by.
    pub name: String,
}

/// A user of the tenant: an inviter, or somebody who accepts. Its `Debug` form tells the identifier alone.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct User {
    /// Their identifier.
    pub id: String,
    /// Their display name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The address that an invitation to them has to carry.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub primary_email: Option<String>,
    /// The address of a picture.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub avatar: Option<String>,
}

impl fmt::Debug for User {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("User").field("id", &self.id).finish_non_exhaustive()
    }
}

impl User {
    /// A user of whom only the identifier is known.
    pub fn unnamed(id: &str) -> Self {
        Self { id: id.to_owned(), name: None, primary_email: None, avatar: None }
    }
}

/// How a tenant's mail is sent: who it is from, and what it says in which language.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EmailConnector {
    /// The `From` header: an address, or `Name <address>`, of an identity that SES has verified.
    pub from_email_address: String,
    /// The identity to send as, where it belongs to another account (SES sending authorization).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from_email_address_identity_arn: Option<String>,
    /// Where answers go.
    #[serde(default, deserialize_with = "json::null_is_default", skip_serializing_if = "Vec::is_empty")]
    pub reply_to: Vec<String>,
    /// Where bounces and complaints go.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub feedback_forwarding_email_address: Option<String>,
    /// The SES configuration set that records what becomes of the mail. None means the stack's, an empty name none
    /// at all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub configuration_set_name: Option<String>,
    /// The locale used when no template fits the one that was asked for.
    pub default_locale: String,
    /// Templates by locale. None at all means: the templates that come with the function.
    #[serde(default, deserialize_with = "json::null_is_default", skip_serializing_if = "BTreeMap::is_empty")]
    pub templates: BTreeMap<String, EmailTemplate>,
    /// The hosts that a `link` may have. Empty means any.
    #[serde(default, deserialize_with = "json::null_is_default", skip_serializing_if = "Vec::is_empty")]
    pub allowed_link_hosts: Vec<String>,
}

/// The words of an invitation's mail in one locale.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "camelCase")]
pub enum EmailTemplate {
    /// A template that SES keeps and renders.
    #[serde(rename_all = "camelCase")]
    Stored {
        /// The template's name in SES.
        name: String,
        /// The variables that it needs, as dotted paths. SES accepts a message that lacks one and then never
        /// delivers it, so they are checked before the call.
        #[serde(default)]
        variables: Vec<String>,
        /// Whether values are HTML-escaped before they are sent, which SES itself does not do.
        #[serde(default = "yes")]
        escape_html: bool,
    },
    /// A template that the function renders itself, in SES's Handlebars.
    Inline {
        /// The subject line.
        subject: String,
        /// The HTML part; values are escaped.
        html: String,
        /// The plain-text part; values are not escaped.
        text: String,
    },
    /// The template that comes with the function, in the language of the locale. It lets a connector have templates of
    /// its own in some locales only.
    BuiltIn,
}

fn yes() -> bool {
    true
}

/// Whether references into the directory are checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReferenceChecks {
    /// A missing organization, inviter or role is an error.
    Enforce,
    /// The caller's word is taken; a role's name is its id. For teams who keep their directory elsewhere.
    Trust,
}

/// Whether an identifier could name anything at all: not empty, at most `max_length` UTF-16 units, and free of `#`
/// (which separates the parts of a key) and control characters. One that could not is simply not found.
pub fn could_exist(id: &str, max_length: usize) -> bool {
    !id.is_empty() && utf16_length(id) <= max_length && !id.contains(|c: char| c == '#' || c.is_control())
}

/// A host that a link can lead to consists of ASCII letters, digits, dots and hyphens.
pub fn is_host_name(host: &str) -> bool {
    !host.is_empty() && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'.' || byte == b'-')
}

/// A length as JavaScript counts it, in UTF-16 units, so that limits mean the same here as in a client.
pub fn utf16_length(text: &str) -> usize {
    text.encode_utf16().count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_that_could_break_a_key_cannot_exist() {
        for (id, possible, reason) in [
            ("acme", true, "plain"),
            ("", false, "empty"),
            ("a#b", false, "the separator of keys"),
            ("a\0b", false, "NUL"),
            ("a\u{85}b", false, "a control character beyond ASCII"),
            ("123456789012345678901", true, "21 characters"),
            ("1234567890123456789012", false, "22 characters"),
            ("😀😀😀😀😀😀😀😀😀😀", true, "20 UTF-16 units"),
            ("😀😀😀😀😀😀😀😀😀😀😀", false, "22 UTF-16 units"),
        ] {
            assert_eq!(could_exist(id, 21), possible, "{reason}");
        }
    }
}

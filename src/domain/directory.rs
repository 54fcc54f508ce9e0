//! The part of the tenant's directory that invitations need: organizations, roles, users and the email connector.
//!
//! The tenant's application writes these rows; the function only reads them.

pub(crate) mod connector_row;

use std::{collections::BTreeMap, fmt};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{domain::ids::DirectoryId, json};

/// An organization of the tenant.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Organization {
    /// Its identifier.
    pub id: DirectoryId,
    /// Its display name.
    pub name: String,
    /// Logo URLs and colours, in the form that the tenant's templates expect.
    #[serde(default, deserialize_with = "json::object", skip_serializing_if = "Map::is_empty")]
    pub branding: Map<String, Value>,
}

impl OrganizationRole {
    /// A role of which only the identifier is known, which becomes its name.
    pub(crate) fn unnamed(id: DirectoryId) -> Self {
        Self { name: id.to_string(), id }
    }
}

impl Organization {
    /// An organization of which only the identifier is known, which becomes its name.
    pub(crate) fn unnamed(id: DirectoryId) -> Self {
        Self { name: id.to_string(), id, branding: Map::new() }
    }
}

/// A role that a member of an organization can have.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct OrganizationRole {
    /// Its identifier.
    pub id: DirectoryId,
    /// Its display name.
    pub name: String,
}

/// A user of the tenant: an inviter or a person who accepts. `Debug` shows the identifier only.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct User {
    /// Their identifier.
    pub id: DirectoryId,
    /// Their display name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The email address, which an accept without a token compares with the invitee's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub primary_email: Option<String>,
    /// The URL of a picture.
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
    pub(crate) fn unnamed(id: DirectoryId) -> Self {
        Self { id, name: None, primary_email: None, avatar: None }
    }
}

/// The settings of a tenant's mail: sender, headers and templates by locale.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EmailConnector {
    /// The `From` header: an address, or `Name <address>`, of an identity that SES has verified.
    pub from_email_address: String,
    /// The ARN of the sending identity, if it belongs to another account (SES sending authorization).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from_email_address_identity_arn: Option<String>,
    /// The addresses of the `Reply-To` header.
    #[serde(default, deserialize_with = "json::null_is_default", skip_serializing_if = "Vec::is_empty")]
    pub reply_to: Vec<String>,
    /// The address that receives bounces and complaints.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub feedback_forwarding_email_address: Option<String>,
    /// The SES configuration set, which publishes the events of a message. `None` means the stack's set, an empty name
    /// no set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub configuration_set_name: Option<String>,
    /// The locale that is used when there is no template for the requested one.
    pub default_locale: String,
    /// Templates by locale. If empty, the built-in templates are used.
    #[serde(default, deserialize_with = "json::null_is_default", skip_serializing_if = "BTreeMap::is_empty")]
    pub templates: BTreeMap<String, EmailTemplate>,
    /// The hosts that a `link` may have. Empty allows any.
    #[serde(default, deserialize_with = "json::null_is_default", skip_serializing_if = "Vec::is_empty")]
    pub allowed_link_hosts: Vec<String>,
    /// `true` allows a token in a payload's `link` even if no hosts are listed, for applications with a custom URL
    /// scheme.
    #[serde(default, deserialize_with = "json::null_is_default", skip_serializing_if = "is_false")]
    pub allow_token_in_any_link: bool,
}

/// The template of an invitation's email in one locale.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "camelCase")]
pub enum EmailTemplate {
    /// A template that SES stores and renders.
    #[serde(rename_all = "camelCase")]
    Stored {
        /// The template's name in SES.
        name: String,
        /// The required variables, as dotted paths. They are checked before the call, because SES accepts a message
        /// with a missing variable but never delivers it.
        #[serde(default)]
        variables: Vec<String>,
        /// `true` escapes values for HTML before the call, because SES does not.
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
    /// The function's built-in template in the locale's language, for a connector that has its own templates for some
    /// locales only.
    BuiltIn,
}

fn yes() -> bool {
    true
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_false(flag: &bool) -> bool {
    !flag
}

/// The policy for references into the directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReferenceChecks {
    /// A missing organization, inviter or role is an error.
    Enforce,
    /// References are not checked, and a role's name is its id. For teams that keep their directory elsewhere.
    Trust,
}

/// Returns `true` if `host` consists of ASCII letters, digits, dots and hyphens.
pub(crate) fn is_host_name(host: &str) -> bool {
    !host.is_empty() && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'.' || byte == b'-')
}

//! The demo tenants.
//!
//! - `default`: organization `acme`, roles `admin` and `member`, user `ada`, and an email connector with the built-in
//!   templates, one stored in SES (locale `x-stored`) and one of its own that needs a code (locale `x-strict`).
//! - `no-mail`: organization `acme`, role `member`, and no email connector.

use std::collections::BTreeMap;

use serde_json::Map;

use super::ses::SesStandIn;
use crate::{
    domain::{
        directory::{EmailConnector, EmailTemplate, Organization, OrganizationRole, User},
        ids::{DirectoryId, TenantId},
    },
    mail::built_in,
    store::{Store, StoreError},
};

/// The tenant with a directory and an email connector.
pub const TENANT: &str = "default";
/// The tenant without an email connector.
pub(crate) const TENANT_WITHOUT_MAIL: &str = "no-mail";

const STORED_TEMPLATE: &str = "acme-invitation";

/// Writes the demo tenants' directory and the stored template. Repeating it changes nothing.
pub(crate) async fn load(store: &Store, ses: &SesStandIn) -> Result<(), StoreError> {
    let tenant = tenant(TENANT);
    store.put_organization(&tenant, &acme()).await?;
    store.put_role(&tenant, &role("admin", "Administrator")).await?;
    store.put_role(&tenant, &role("member", "Member")).await?;
    store.put_user(&tenant, &ada()).await?;
    store.put_connector(&tenant, &connector()).await?;
    let without_mail = self::tenant(TENANT_WITHOUT_MAIL);
    store.put_organization(&without_mail, &acme()).await?;
    store.put_role(&without_mail, &role("member", "Member")).await?;
    ses.put_template(
        STORED_TEMPLATE,
        "Join {{organization.name}}",
        "<p>You are invited to join <strong>{{organization.name}}</strong>.</p>\n<p><a href=\"{{link}}\">Join</a></p>\n",
        "You are invited to join {{organization.name}}: {{link}}\n",
    );
    Ok(())
}

fn tenant(name: &str) -> TenantId {
    TenantId::parse(name).expect("the demo's tenants have valid names")
}

fn id(text: &str) -> DirectoryId {
    DirectoryId::stored(text).expect("the demo's identifiers are valid")
}

fn acme() -> Organization {
    let branding = Map::from_iter([("primaryColor".to_owned(), "#4338ca".into())]);
    Organization { id: id("acme"), name: "Acme Corporation".to_owned(), branding }
}

fn role(role_id: &str, name: &str) -> OrganizationRole {
    OrganizationRole { id: id(role_id), name: name.to_owned() }
}

fn ada() -> User {
    User {
        id: id("ada"),
        name: Some("Ada Lovelace".to_owned()),
        primary_email: Some("ada@example.com".to_owned()),
        avatar: None,
    }
}

fn connector() -> EmailConnector {
    EmailConnector {
        from_email_address: "Acme Invitations <invitations@acme.example>".to_owned(),
        from_email_address_identity_arn: None,
        reply_to: vec!["support@acme.example".to_owned()],
        feedback_forwarding_email_address: None,
        configuration_set_name: Some("organization-invitations".to_owned()),
        default_locale: "en".to_owned(),
        templates: templates(),
        allowed_link_hosts: Vec::new(),
        // The pages of the examples may listen on any port.
        allow_token_in_any_link: true,
    }
}

/// Lists the built-in templates too, because a connector with its own templates does not use unlisted ones.
fn templates() -> BTreeMap<String, EmailTemplate> {
    let built_in = built_in::locales().map(|locale| (locale, EmailTemplate::BuiltIn));
    let others = [("x-stored", stored()), ("x-strict", strict())];
    built_in.chain(others).map(|(locale, template)| (locale.to_owned(), template)).collect()
}

fn stored() -> EmailTemplate {
    EmailTemplate::Stored {
        name: STORED_TEMPLATE.to_owned(),
        variables: vec!["organization.name".to_owned(), "link".to_owned()],
        escape_html: true,
    }
}

fn strict() -> EmailTemplate {
    EmailTemplate::Inline {
        subject: "Your code for {{organization.name}}".to_owned(),
        html: "<p>Join {{organization.name}} at <a href=\"{{link}}\">{{link}}</a> with the code \
               <strong>{{code}}</strong>.</p>\n"
            .to_owned(),
        text: "Join {{organization.name}} at {{link}} with the code {{code}}.\n".to_owned(),
    }
}

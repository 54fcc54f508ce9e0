//! Checks and previews an email connector's templates before the connector is written. An invalid template would fail
//! only when a person is invited, and a template that SES stores would fail after SES accepted the email.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Map, Value};

use crate::{
    domain::{
        directory::{EmailConnector, EmailTemplate, Organization, OrganizationRole, User},
        email_address::EmailAddress,
        error::Error,
        ids::{DirectoryId, InvitationId, TenantId},
        invitation::{Invitation, Status},
        timestamp::Timestamp,
    },
    mail::{
        Content, EmailContext, Mailer, MessagePayload, compose,
        render::RenderFailure,
        stored::TemplateParts,
        template::choose,
        variables::{Need, needed},
    },
};

/// A fault of a connector.
#[derive(Debug, thiserror::Error)]
pub enum ConnectorError {
    /// A template is invalid.
    #[error("templates.{locale}: {reason}")]
    Template {
        /// The template's locale.
        locale: String,
        /// The fault.
        reason: String,
    },
    /// There is no template for the default locale, which is the fallback for languages without a template.
    #[error("defaultLocale: there is no template for `{0}`")]
    DefaultLocale(String),
}

/// A connector that passed the check.
#[derive(Debug)]
pub(crate) struct Checked {
    /// The connector, with the variables that its stored templates need.
    pub connector: EmailConnector,
    /// The previews of the templates, ordered by locale.
    pub previews: Vec<Preview>,
}

/// A template rendered with sample data.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Preview {
    /// The locale of the template.
    pub locale: String,
    /// The variables that it needs, as dotted paths.
    pub variables: Vec<String>,
    /// The subject line.
    pub subject: String,
    /// The HTML part.
    pub html: String,
    /// The plain-text part.
    pub text: String,
}

/// Reads, parses and renders each of the connector's own templates.
pub(crate) async fn check(mailer: &Mailer, mut connector: EmailConnector) -> Result<Checked, ConnectorError> {
    if choose(&connector, None).is_none() {
        return Err(ConnectorError::DefaultLocale(connector.default_locale));
    }
    let (mut templates, mut previews) = (std::mem::take(&mut connector.templates), Vec::new());
    for (locale, template) in &mut templates {
        let checked = check_template(mailer, &connector, locale, template).await;
        previews.push(checked.map_err(|reason| ConnectorError::Template { locale: locale.clone(), reason })?);
    }
    Ok(Checked { connector: EmailConnector { templates, ..connector }, previews })
}

async fn check_template(
    mailer: &Mailer,
    connector: &EmailConnector,
    locale: &str,
    template: &mut EmailTemplate,
) -> Result<Preview, String> {
    let parts = match template {
        EmailTemplate::Stored { name, .. } => mailer.stored_template(name).await?,
        EmailTemplate::Inline { subject, html, text } => {
            TemplateParts { subject: subject.clone(), html: html.clone(), text: text.clone() }
        }
        EmailTemplate::BuiltIn => {
            return preview(connector, (locale, EmailTemplate::BuiltIn), Vec::new(), samples(connector, locale, []));
        }
    };
    let needs = needs(&parts)?;
    let names: Vec<String> = needs.keys().cloned().collect();
    if let EmailTemplate::Stored { variables, .. } = template {
        variables.clone_from(&names);
    }
    let samples = samples(connector, locale, needs.iter().map(|(name, need)| (name.as_str(), *need)));
    // A stored template is rendered as if it were inline.
    let TemplateParts { subject, html, text } = parts;
    preview(connector, (locale, EmailTemplate::Inline { subject, html, text }), names, samples)
}

/// The variables that the parts need together.
fn needs(parts: &TemplateParts) -> Result<BTreeMap<String, Need>, String> {
    let mut needs = BTreeMap::new();
    for (part, template) in [("subject", &parts.subject), ("html", &parts.html), ("text", &parts.text)] {
        let found = needed([template.as_str()]).map_err(|failure| match failure {
            RenderFailure::Invalid(reason) => format!("{part}: {reason}"),
            RenderFailure::Missing(names) => format!("{part}: {}", names.join(", ")),
            RenderFailure::TooLong | RenderFailure::TooManySteps => format!("{part}: it is too long"),
        })?;
        for (name, need) in found {
            needs.entry(name).or_insert(need);
        }
    }
    Ok(needs)
}

/// Renders with the function's engine, even if SES would render the template.
fn preview(
    connector: &EmailConnector,
    (locale, template): (&str, EmailTemplate),
    variables: Vec<String>,
    samples: Map<String, Value>,
) -> Result<Preview, String> {
    let connector = EmailConnector { templates: [(locale.to_owned(), template)].into(), ..connector.clone() };
    let branding = samples.get("organization").and_then(|it| it.get("branding")).and_then(Value::as_object);
    let organization = Organization { branding: branding.cloned().unwrap_or_default(), ..sample_organization() };
    let (invitation, user) = (sample_invitation().ok_or("the sample invitation is invalid")?, sample_inviter());
    let context = EmailContext { invitation: &invitation, organization: &organization, inviter: Some(&user) };
    match compose(connector, &MessagePayload(samples), context).map(|email| email.content) {
        Ok(Content::Rendered { subject, html, text }) => {
            Ok(Preview { locale: locale.to_owned(), variables, subject, html, text })
        }
        Ok(Content::Stored { .. }) | Err(Error::NoTemplate) => Err("the template was not found".to_owned()),
        Err(Error::MissingVariables { names }) => Err(format!("needs {}, which nothing supplies", names.join(", "))),
        // The error already names the locale.
        Err(Error::InvalidTemplate { cause }) => Err(cause.split_once(": ").map_or("", |(_, fault)| fault).to_owned()),
        Err(error) => Err(format!("{error:?}")),
    }
}

/// Sample values for the variables that a caller must supply, and for those that callers usually supply.
fn samples<'a>(
    connector: &EmailConnector,
    locale: &str,
    needs: impl IntoIterator<Item = (&'a str, Need)>,
) -> Map<String, Value> {
    let host = connector.allowed_link_hosts.first().map_or("app.example.com", String::as_str);
    let mut samples = Value::Object(Map::new());
    for (path, need) in needs {
        let sample = match need {
            Need::Value => Value::String(path.rsplit('.').next().unwrap_or(path).to_owned()),
            Need::List => Value::Array(Vec::new()),
        };
        place(&mut samples, path, sample);
    }
    place(&mut samples, "link", format!("https://{host}/join/{{invitationId}}").into());
    place(&mut samples, "code", "123456".into());
    place(&mut samples, "locale", locale.into());
    let Value::Object(samples) = samples else { return Map::new() };
    samples
}

/// Inserts a value at a dotted path. Replaces any value on the path that is not an object.
fn place(samples: &mut Value, path: &str, sample: Value) {
    let mut place = samples;
    for key in path.split('.') {
        if !place.is_object() {
            *place = Value::Object(Map::new());
        }
        place = &mut place[key];
    }
    *place = sample;
}

fn sample_id(text: &str) -> DirectoryId {
    DirectoryId::stored(text).expect("the samples' identifiers are valid")
}

fn sample_organization() -> Organization {
    Organization { name: "Acme Corporation".to_owned(), ..Organization::unnamed(sample_id("acme")) }
}

fn sample_inviter() -> User {
    User {
        name: Some("Ada Lovelace".to_owned()),
        primary_email: Some("ada@example.com".to_owned()),
        avatar: Some("https://app.example.com/ada.png".to_owned()),
        ..User::unnamed(sample_id("ada"))
    }
}

fn sample_invitation() -> Option<Invitation> {
    let created_at = Timestamp::from_millis(1_767_225_600_000);
    Some(Invitation {
        tenant: TenantId::parse("sample")?,
        id: InvitationId::parse("00000000000000sample0")?,
        inviter_id: Some(sample_id("ada")),
        invitee: EmailAddress::parse("grace@example.com").ok()?,
        accepted_user_id: None,
        organization_id: sample_id("acme"),
        stored_status: Status::Pending,
        created_at,
        updated_at: created_at,
        expires_at: created_at.plus_millis(7 * 86_400_000),
        organization_roles: vec![OrganizationRole { id: sample_id("member"), name: "Member".to_owned() }],
    })
}

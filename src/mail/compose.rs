//! Composes an email: collects the variables, checks them, and renders. Runs before anything is written.

use serde_json::{Map, Value, json};

use super::{
    Content, Email, MessagePayload,
    built_in::{self, Brand, Values},
    fence,
    render::{RenderFailure, Rendered, render},
    template::choose,
    utc::UtcTime,
};
use crate::domain::{
    directory::{EmailConnector, EmailTemplate, Organization, User, connector_row::nameable},
    error::Error,
    ids::InvitationId,
    invitation::Invitation,
    token::InvitationToken,
};

/// The part of a `link` that is replaced by the new invitation's identifier.
const INVITATION_ID_PLACEHOLDER: &str = "{invitationId}";

/// The part of a `link` that is replaced by the message's token.
const INVITATION_TOKEN_PLACEHOLDER: &str = "{invitationToken}";

/// The variable with the message's token. A stored template gets it only if it lists it.
const TOKEN_VARIABLE: &str = "invitation.token";

/// The maximum length of the subject, in characters: that of a line of an email (RFC 5322, section 2.1.1).
const MAX_SUBJECT_LENGTH: usize = 998;

/// An invitation, with the organization and the inviter that its email names.
#[derive(Clone, Copy, Debug)]
pub struct EmailContext<'a> {
    /// The invitation.
    pub invitation: &'a Invitation,
    /// The organization that it invites to.
    pub organization: &'a Organization,
    /// The inviter, if any.
    pub inviter: Option<&'a User>,
}

/// Composes the email of an invitation from a template of `connector` and the variables of `payload`. Each email gets a
/// new token, which is stored only if the link or the content contains it.
///
/// # Errors
/// [`Error::LinkSchemeRefused`], [`Error::LinkNotAllowed`], [`Error::TokenLinkNotAllowed`], [`Error::CodeNotAllowed`],
/// [`Error::NoTemplate`], [`Error::InvalidTemplate`], [`Error::MissingVariables`], [`Error::MessageTooLong`] or
/// [`Error::MessageTooComplex`].
pub fn compose(connector: EmailConnector, payload: &MessagePayload, context: EmailContext<'_>) -> Result<Email, Error> {
    let invitation = context.invitation;
    let token = InvitationToken::generate()?;
    let link = payload.link().map(|link| with_placeholders_replaced(link, &invitation.id, &token));
    let sanitized_link = link.as_deref().map(sanitized_text);
    let code = payload.code().map(sanitized_text);
    fence::check(sanitized_link.as_deref(), code.as_deref(), &connector.allowed_link_hosts)?;
    let is_token_in_link = payload.link().is_some_and(|link| link.contains(INVITATION_TOKEN_PLACEHOLDER));
    if is_token_in_link && !fence::allows_tokens(&connector) {
        return Err(Error::TokenLinkNotAllowed);
    }
    let (locale, template) = choose(&connector, payload.locale()).ok_or(Error::NoTemplate)?;
    let variables = |token| variables(payload, context, link, token);
    let parts = match template {
        EmailTemplate::BuiltIn => built_in(locale, &values(context, sanitized_link.as_deref(), code.as_deref()))?,
        EmailTemplate::Inline { subject, html, text } => {
            inline(locale, [subject, html, text], &variables(Some(&token)))?
        }
        EmailTemplate::Stored { name, variables: needed, escape_html } => {
            let is_listed = needed.iter().any(|path| path == TOKEN_VARIABLE);
            stored(name, needed, *escape_html, variables(is_listed.then_some(&token)))?
        }
    };
    let is_token_in_template = *template != EmailTemplate::BuiltIn && parts.holds(token.as_str());
    Ok(Email {
        content: parts,
        to: invitation.invitee.as_str().to_owned(),
        tenant: invitation.tenant.clone(),
        invitation_id: invitation.id.clone(),
        expires_at: invitation.expires_at,
        token: (is_token_in_link || is_token_in_template).then(|| token.hash()),
        connector,
    })
}

/// Replaces the placeholders in a payload's link.
fn with_placeholders_replaced(link: &str, id: &InvitationId, token: &InvitationToken) -> String {
    let link = link.replace(INVITATION_ID_PLACEHOLDER, id.as_str());
    link.replace(INVITATION_TOKEN_PLACEHOLDER, token.as_str())
}

/// The values of the built-in template.
fn values<'a>(context: EmailContext<'a>, link: Option<&'a str>, code: Option<&'a str>) -> Values<'a> {
    let EmailContext { invitation, organization, inviter } = context;
    let shown = |text: &String| Some(sanitized_text(text)).filter(|text| !text.is_empty());
    Values {
        organization: sanitized_text(&organization.name),
        brand: Brand::of(&organization.branding),
        inviter_name: inviter.and_then(|inviter| inviter.name.as_ref()).and_then(shown),
        inviter_address: inviter.and_then(|inviter| inviter.primary_email.as_ref()).and_then(shown),
        invitee: invitation.invitee.as_str(),
        roles: invitation.organization_roles.iter().filter_map(|role| shown(&role.name)).collect(),
        expires_at: UtcTime::of(invitation.expires_at),
        link: link.filter(|link| !link.is_empty()),
        code: code.filter(|code| !code.is_empty()),
    }
}

/// The variables of a tenant's own template: the payload's keys, and `organization`, `inviter` and `invitation`, which a
/// payload cannot override. `link` replaces the payload's.
fn variables(
    payload: &MessagePayload,
    context: EmailContext<'_>,
    link: Option<String>,
    token: Option<&InvitationToken>,
) -> Value {
    let EmailContext { invitation, organization, inviter } = context;
    let mut variables = payload.0.clone();
    if let Some(link) = link {
        variables.insert("link".to_owned(), Value::String(link));
    }
    let expires_at = UtcTime::of(invitation.expires_at);
    variables.insert("organization".to_owned(), json!(organization));
    variables.insert("inviter".to_owned(), inviter.map_or_else(|| json!({}), |inviter| json!(inviter)));
    variables.insert(
        "invitation".to_owned(),
        json!({
            "id": invitation.id,
            "invitee": invitation.invitee.as_str(),
            "expiresAt": expires_at.rfc3339(),
            "expiresOn": expires_at.to_the_minute(),
            "organizationRoles": invitation.organization_roles,
            "token": token.map(InvitationToken::as_str),
        }),
    );
    sanitized(Value::Object(variables))
}

/// Sanitizes every text. Removes null fields, because a null variable counts as missing, and fields whose key has
/// control or direction characters, which no template needs.
fn sanitized(value: Value) -> Value {
    match value {
        Value::String(text) => sanitized_text(&text).into(),
        Value::Array(values) => values.into_iter().map(sanitized).collect(),
        Value::Object(fields) => {
            let is_safe_key = |key: &str| !key.contains(changes_direction) && !key.contains(is_control);
            let fields = fields.into_iter().filter(|(key, value)| is_safe_key(key) && !value.is_null());
            Value::Object(fields.map(|(key, value)| (key, sanitized(value))).collect())
        }
        other => other,
    }
}

/// Neutralizes characters that affect the text around a value: replaces control characters with spaces, and removes
/// characters that change the direction of the following text (Unicode Standard Annex #9).
fn sanitized_text(text: &str) -> String {
    text.replace(changes_direction, "").replace(is_control, " ")
}

/// Returns `true` for control characters except line ends and tabs.
fn is_control(c: char) -> bool {
    c.is_control() && !['\n', '\r', '\t'].contains(&c)
}

/// Returns `true` for embeddings, overrides and isolates. Right-to-left marks only affect their own position, and stay.
fn changes_direction(c: char) -> bool {
    matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

fn built_in(locale: &str, values: &Values<'_>) -> Result<Content, Error> {
    let phrases = built_in::phrases(locale).ok_or_else(|| invalid(locale, "there are no built-in phrases for it"))?;
    built_in::render(phrases, values).map(content).map_err(|failure| render_error(locale, failure))
}

fn inline(locale: &str, [subject, html, text]: [&str; 3], variables: &Value) -> Result<Content, Error> {
    match render(subject, html, text, variables) {
        Ok(parts) if parts.text.trim().is_empty() => Err(invalid(locale, "the text part is empty")),
        Ok(parts) => Ok(content(parts)),
        Err(failure) => Err(render_error(locale, failure)),
    }
}

fn content(parts: Rendered) -> Content {
    Content::Rendered { subject: truncated_line(&parts.subject), html: parts.html, text: parts.text }
}

fn render_error(locale: &str, failure: RenderFailure) -> Error {
    match failure {
        RenderFailure::Missing(names) => Error::MissingVariables { names },
        RenderFailure::Invalid(cause) => invalid(locale, &cause),
        RenderFailure::TooLong => Error::MessageTooLong,
        RenderFailure::TooManySteps => Error::MessageTooComplex,
    }
}

fn invalid(locale: &str, cause: &str) -> Error {
    Error::InvalidTemplate { cause: format!("templates.{}: {cause}", nameable(locale)) }
}

/// Prepares the data of a stored template. SES neither escapes values nor reports missing ones, and a value may become
/// part of a header. Therefore missing variables are an error here, every value is escaped unless the connector turns
/// that off, and every value becomes a single line.
fn stored(name: &str, needed: &[String], escape_html: bool, variables: Value) -> Result<Content, Error> {
    let names: Vec<String> = needed.iter().filter(|path| !is_given(&variables, path)).cloned().collect();
    if !names.is_empty() {
        return Err(Error::MissingVariables { names });
    }
    let data = map_texts(variables, &|text| if escape_html { escaped(&one_line(text)) } else { one_line(text) });
    Ok(Content::Stored { template: name.to_owned(), data: data.to_string() })
}

/// Escapes only the special characters of HTML, because SES uses the same value in the text part.
fn escaped(text: &str) -> String {
    let escapes = [('&', "&amp;"), ('<', "&lt;"), ('>', "&gt;"), ('"', "&quot;"), ('\'', "&#39;")];
    escapes.iter().fold(text.to_owned(), |text, (character, escape)| text.replace(*character, escape))
}

fn is_given(variables: &Value, path: &str) -> bool {
    path.split('.').try_fold(variables, |value, key| value.get(key)).is_some()
}

fn map_texts(value: Value, change: &impl Fn(&str) -> String) -> Value {
    match value {
        Value::String(text) => Value::String(change(&text)),
        Value::Array(values) => values.into_iter().map(|value| map_texts(value, change)).collect(),
        Value::Object(fields) => {
            let fields = fields.into_iter().map(|(name, value)| (name, map_texts(value, change)));
            Value::Object(fields.collect::<Map<_, _>>())
        }
        other => other,
    }
}

/// Truncates a text to one line of at most [`MAX_SUBJECT_LENGTH`] characters, ending with an ellipsis. A long subject
/// is not an error, because the caller cannot change the names in it.
fn truncated_line(text: &str) -> String {
    let line = one_line(text);
    match line.char_indices().nth(MAX_SUBJECT_LENGTH) {
        None => line,
        Some(_) => line.chars().take(MAX_SUBJECT_LENGTH - 1).chain(['\u{2026}']).collect(),
    }
}

/// Replaces control characters and line ends with spaces, which prevents header injection.
pub(super) fn one_line(text: &str) -> String {
    text.replace(|c: char| c.is_control() || ['\u{2028}', '\u{2029}'].contains(&c), " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn characters_that_affect_the_surrounding_text_are_removed() {
        for (given, expected, reason) in [
            (json!("a\u{202e}b\u{2066}c\u{2069}"), json!("abc"), "directions"),
            (json!("a\u{0}b\u{1b}c\u{85}d\u{7f}"), json!("a b c d "), "control characters"),
            (json!("a\r\n\tb"), json!("a\r\n\tb"), "lines, which only a header cannot have"),
            (json!("\u{200f}\u{645}\u{200c}\u{200d}"), json!("\u{200f}\u{645}\u{200c}\u{200d}"), "what scripts need"),
            (json!({ "organization\u{202e}": 1, "b\n": 2, "c\u{0}": 3 }), json!({ "b\n": 2 }), "keys"),
            (json!({ "a": null, "b": { "c": null } }), json!({ "b": {} }), "fields that are null"),
            (json!([1, null, true, { "a": ["\u{2067}"] }]), json!([1, null, true, { "a": [""] }]), "within others"),
        ] {
            assert_eq!(sanitized(given), expected, "{reason}");
        }
        assert_eq!(one_line("a\r\nb\u{2028}c\u{2029}d"), "a  b c d");
    }

    #[test]
    fn a_stored_template_gets_escaped_single_lines_and_every_variable_it_needs() {
        let variables = json!({ "a": "<x>\r\nBcc: y", "b": { "c": [null, 1, "&"] } });
        let data = |escape| stored("t", &["a".to_owned(), "b.c".to_owned()], escape, variables.clone());
        let content = |data: &str| Content::Stored { template: "t".to_owned(), data: data.to_owned() };
        assert_eq!(data(true).unwrap(), content(r#"{"a":"&lt;x&gt;  Bcc: y","b":{"c":[null,1,"&amp;"]}}"#));
        assert_eq!(data(false).unwrap(), content(r#"{"a":"<x>  Bcc: y","b":{"c":[null,1,"&"]}}"#));
        let failure = stored("t", &["a".to_owned(), "b.x".to_owned(), "n".to_owned()], true, variables);
        assert!(matches!(failure, Err(Error::MissingVariables { names }) if names == ["b.x", "n"]));
    }
}

//! From an invitation to a message: the variables, the checks that come before anything is written, the rendering.

use aws_sdk_sesv2::primitives::{DateTime, DateTimeFormat};
use serde_json::{Map, Value, json};

use super::{
    Content, Letter, MessagePayload,
    render::{RenderFailure, render},
    template::choose,
};
use crate::{
    directory::{EmailConnector, EmailTemplate, Organization, User},
    error::Error,
    invitation::Invitation,
    timestamp::Timestamp,
};

/// What stands in a `link` for the new invitation's identifier.
const INVITATION_ID_PLACEHOLDER: &str = "{invitationId}";

/// The last moment that RFC 3339 can write: the end of the year 9999.
const LAST_WRITABLE: Timestamp = Timestamp::from_millis(253_402_300_799_000);

/// An invitation, with the people and the organization that its message speaks of.
#[derive(Clone, Copy, Debug)]
pub struct Invited<'a> {
    /// The invitation.
    pub invitation: &'a Invitation,
    /// What it invites to.
    pub organization: &'a Organization,
    /// Who invites.
    pub inviter: Option<&'a User>,
}

/// The message about an invitation, in the words of `connector` and with the variables of `payload`.
///
/// # Errors
/// [`Error::NoTemplate`], [`Error::InvalidTemplate`], [`Error::MissingVariables`] or [`Error::LinkNotAllowed`].
pub fn compose(connector: EmailConnector, payload: &MessagePayload, invited: Invited<'_>) -> Result<Letter, Error> {
    let variables = variables(payload, invited);
    if !link_is_allowed(&variables, &connector.allowed_link_hosts) {
        return Err(Error::LinkNotAllowed);
    }
    let content = match choose(&connector, payload.locale()).ok_or(Error::NoTemplate)? {
        EmailTemplate::Inline { subject, html, text } => rendered(subject, html, text, &variables)?,
        EmailTemplate::Stored { name, variables: needed, escape_html } => {
            stored(name, needed, *escape_html, variables)?
        }
    };
    let invitation = invited.invitation;
    let about = (invitation.tenant.clone(), invitation.id.clone());
    Ok(Letter { connector, to: invitation.invitee.as_str().to_owned(), content, about })
}

/// The payload's own keys, and `organization`, `inviter` and `invitation`, which a payload cannot override.
fn variables(payload: &MessagePayload, invited: Invited<'_>) -> Value {
    let invitation = invited.invitation;
    let mut variables = payload.0.clone();
    // To a template, a variable that is null is one that is missing.
    variables.retain(|_, value| !value.is_null());
    if let Some(link) = payload.link() {
        let link = link.replace(INVITATION_ID_PLACEHOLDER, invitation.id.as_str());
        variables.insert("link".to_owned(), Value::String(link));
    }
    let (date, time) = date_and_time(invitation.expires_at);
    variables.insert("organization".to_owned(), json!(invited.organization));
    variables.insert("inviter".to_owned(), invited.inviter.map_or_else(|| json!({}), |inviter| json!(inviter)));
    variables.insert(
        "invitation".to_owned(),
        json!({
            "id": invitation.id,
            "invitee": invitation.invitee.as_str(),
            "expiresAt": format!("{date}T{time}Z"),
            "expiresOn": format!("{date} {} UTC", time.get(..5).unwrap_or(&time)),
            "organizationRoles": invitation.organization_roles,
        }),
    );
    Value::Object(variables)
}

/// A moment as RFC 3339 writes it in UTC, in its two halves, to the second.
fn date_and_time(moment: Timestamp) -> (String, String) {
    let seconds = moment.min(LAST_WRITABLE).as_millis().div_euclid(1000);
    let text = DateTime::from_secs(seconds).fmt(DateTimeFormat::DateTime).unwrap_or_default();
    let (date, time) = text.trim_end_matches('Z').split_once('T').unwrap_or_default();
    (date.to_owned(), time.to_owned())
}

fn rendered(subject: &str, html: &str, text: &str, variables: &Value) -> Result<Content, Error> {
    match render(subject, html, text, variables) {
        Ok(parts) if parts.text.trim().is_empty() => {
            Err(Error::InvalidTemplate { cause: "the text part is empty".to_owned() })
        }
        Ok(parts) => Ok(Content::Rendered { subject: one_line(&parts.subject), html: parts.html, text: parts.text }),
        Err(RenderFailure::Missing(names)) => Err(Error::MissingVariables { names }),
        Err(RenderFailure::Invalid(cause)) => Err(Error::InvalidTemplate { cause }),
        Err(RenderFailure::TooLong) => Err(Error::MessageTooLong),
    }
}

/// SES neither escapes values nor reports a missing one, and does not say which of them become headers: so what is
/// missing is found here, every value is escaped unless the connector does without, and each stays on one line.
fn stored(name: &str, needed: &[String], escape_html: bool, variables: Value) -> Result<Content, Error> {
    let names: Vec<String> = needed.iter().filter(|path| !is_given(&variables, path)).cloned().collect();
    if !names.is_empty() {
        return Err(Error::MissingVariables { names });
    }
    let data = map_texts(variables, &|text| if escape_html { escaped(&one_line(text)) } else { one_line(text) });
    Ok(Content::Stored { template: name.to_owned(), data: data.to_string() })
}

/// Escapes what has a meaning in HTML, and no more: SES puts the same value into the text part.
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

/// Control characters, line ends above all, become spaces: nothing may begin a new header.
fn one_line(text: &str) -> String {
    text.replace(char::is_control, " ")
}

/// Whether the link, if there is one, leads to one of `hosts`. Where hosts are listed, only the plainest form of a
/// web address passes, since what follows a `@`, a `\` or the like is read differently by different programs.
fn link_is_allowed(variables: &Value, hosts: &[String]) -> bool {
    let Some(link) = variables.get("link").and_then(Value::as_str) else { return true };
    hosts.is_empty() || host(link).is_some_and(|host| hosts.iter().any(|allowed| allowed.eq_ignore_ascii_case(host)))
}

fn host(link: &str) -> Option<&str> {
    let rest = link.strip_prefix("https://").or_else(|| link.strip_prefix("http://"))?;
    let authority = &rest[..rest.find(['/', '?', '#']).unwrap_or(rest.len())];
    let (host, port) = authority.split_once(':').unwrap_or((authority, ""));
    let is_plain = host.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'.' || byte == b'-');
    (is_plain && port.bytes().all(|byte| byte.is_ascii_digit())).then_some(host)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_has_to_lead_to_an_allowed_host_plainly() {
        let hosts = ["app.example.com".to_owned()];
        for (link, allowed, reason) in [
            ("https://app.example.com/join?x=1", true, "plain"),
            ("https://APP.example.com", true, "hosts have no case"),
            ("http://app.example.com:8080/", true, "any port"),
            ("https://app.example.com.evil.org/", false, "another host"),
            ("https://evil.org/app.example.com", false, "in the path"),
            ("https://app.example.com@evil.org/", false, "as a user name"),
            ("https://evil.org\\@app.example.com/", false, "read differently by browsers"),
            ("https://evil.org#@app.example.com/", false, "in the fragment"),
            ("https:app.example.com", false, "no authority"),
            (" https://app.example.com/", false, "a space in front"),
            ("javascript:alert(1)", false, "another scheme"),
            ("", false, "empty"),
        ] {
            assert_eq!(link_is_allowed(&json!({ "link": link }), &hosts), allowed, "{reason}");
            assert!(link_is_allowed(&json!({ "link": link }), &[]), "no hosts are listed");
        }
        assert!(link_is_allowed(&json!({}), &hosts), "no link");
    }

    #[test]
    fn moments_are_written_to_the_second_and_end_with_the_year_9999() {
        for (millis, date, time) in [
            (4_102_444_800_999, "2100-01-01", "00:00:00"),
            (1_000, "1970-01-01", "00:00:01"),
            (Timestamp::MAX.as_millis(), "9999-12-31", "23:59:59"),
        ] {
            assert_eq!(date_and_time(Timestamp::from_millis(millis)), (date.to_owned(), time.to_owned()));
        }
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

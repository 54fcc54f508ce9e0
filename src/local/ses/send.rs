//! `SendEmail`: from a request to a mail.

use std::{collections::BTreeMap, sync::Arc};

use axum::{
    Json,
    extract::State,
    response::{IntoResponse, Response},
};
use serde_json::json;

use super::{
    Mail, RenderingFailure, SesStandIn, check,
    feedback::Accepted,
    rejection::Rejection,
    templates::{self, Rendered},
    wire::{Content, Message, NameAndValue, Payload, SendEmail, Template},
};
use crate::domain::timestamp::Timestamp;

/// `SendEmail`, with the next requested fault.
pub(super) async fn send(
    State(ses): State<Arc<SesStandIn>>,
    request: Result<Payload<SendEmail>, Rejection>,
) -> Response {
    let (call, fault) = {
        let mut account = ses.account();
        account.calls += 1;
        (account.calls, account.faults.pop_front())
    };
    if let Some(fault) = fault.filter(|fault| !fault.accepts()) {
        return fault.respond(Response::default()).await;
    }
    let accepted = request.and_then(|Payload(request)| accept(&ses, &request, call));
    let usual = accepted.map(|id| Json(json!({ "MessageId": id }))).into_response();
    match fault {
        Some(fault) => fault.respond(usual).await,
        None => usual,
    }
}

/// `SendEmail` as a call inside the process. Returns `None`, without an effect, if the stand-in rejects the request or
/// a fault is pending. The caller then sends the request through the network.
pub(in crate::local) fn send_directly(ses: &SesStandIn, request: &[u8]) -> Option<Vec<u8>> {
    let request = serde_json::from_slice(request).ok()?;
    let composed = Composed::new(ses, &request).ok()?;
    let call = ses.account().call_without_fault()?;
    let id = keep(ses, &request, composed, call);
    serde_json::to_vec(&json!({ "MessageId": id })).ok()
}

/// Stores the mail or the rendering failure, and returns its id.
fn accept(ses: &SesStandIn, request: &SendEmail, call: usize) -> Result<String, Rejection> {
    let composed = Composed::new(ses, request)?;
    Ok(keep(ses, request, composed, call))
}

fn keep(ses: &SesStandIn, request: &SendEmail, composed: Composed<'_>, call: usize) -> String {
    let at = Timestamp::now();
    let id = format!("{:016x}-{call:08}-000000", at.as_millis());
    let to = request.destination.to.join(", ");
    let is_rendered = composed.content.is_ok();
    match composed.content {
        Ok(content) => {
            let headers = headers(request, &content.subject, composed.headers);
            let tags = request.email_tags.iter().map(|tag| (tag.name.clone(), tag.value.clone())).collect();
            let Rendered { subject, html, text } = content;
            let from = composed.from.to_owned();
            ses.account().deliver(Mail { id: id.clone(), at, to, from, subject, html, text, headers, tags });
        }
        Err(reason) => {
            let failure = RenderingFailure { id: id.clone(), at, to, template: composed.template.to_owned(), reason };
            ses.account().record_rendering_failure(failure);
        }
    }
    ses.account().publish(&Accepted { id: &id, at, request, is_rendered });
    id
}

/// Checks everything except the content, and returns the sender.
fn check_envelope(request: &SendEmail) -> Result<&str, Rejection> {
    let from = request.from_email_address.as_deref().ok_or_else(|| Rejection::bad_request("There is no sender."))?;
    check::address("From", from)?;
    let destination = &request.destination;
    let copies = destination.cc.iter().chain(&destination.bcc);
    check::recipients(destination.to.iter().chain(copies))?;
    request.reply_to_addresses.iter().try_for_each(|address| check::address("Reply-To", address))?;
    if let Some(address) = &request.feedback_forwarding_email_address {
        check::address("feedback forwarding", address)?;
    }
    if let Some(name) = &request.configuration_set_name {
        check::resource_name("configuration set", name)?;
    }
    check::tags(&request.email_tags)?;
    Ok(from)
}

/// The message of a valid request, with its content or with the error of rendering it.
struct Composed<'a> {
    from: &'a str,
    content: Result<Rendered, String>,
    headers: &'a [NameAndValue],
    template: &'a str,
}

impl<'a> Composed<'a> {
    fn new(ses: &SesStandIn, request: &'a SendEmail) -> Result<Self, Rejection> {
        let from = check_envelope(request)?;
        let content = request.content.as_ref().ok_or_else(|| Rejection::bad_request("There is no content."))?;
        let (content, headers, template) = match (&content.simple, &content.template, &content.raw) {
            (Some(message), None, None) => (Ok(simple(message)?), message.headers.as_slice(), ""),
            (None, Some(template), None) => {
                let (content, name) = templated(ses, template)?;
                (content, template.headers.as_slice(), name)
            }
            (None, None, Some(_)) => {
                return Err(Rejection::bad_request("The local stand-in for SES knows no raw messages."));
            }
            _ => return Err(Rejection::bad_request("The content has to be one of Simple, Raw and Template.")),
        };
        check::headers(headers)?;
        Ok(Self { from, content, headers, template })
    }
}

fn simple(message: &Message) -> Result<Rendered, Rejection> {
    let subject = message.subject.as_ref().ok_or_else(|| Rejection::bad_request("There is no subject."))?;
    let parts = message.body.as_ref().map(|body| [body.html.as_ref(), body.text.as_ref()]).unwrap_or_default();
    for content in [Some(subject)].into_iter().chain(parts).flatten() {
        check::charset(content)?;
    }
    check::subject(&subject.data)?;
    let [html, text] = parts.map(|part| part.map(|part: &Content| part.data.clone()).unwrap_or_default());
    if html.is_empty() && text.is_empty() {
        return Err(Rejection::bad_request("The message has neither an HTML nor a text part."));
    }
    Ok(Rendered { subject: subject.data.clone(), html, text })
}

/// The content, or the error of rendering it, and the template's name, which is empty for an inline template.
fn templated<'a>(ses: &SesStandIn, template: &'a Template) -> Result<(Result<Rendered, String>, &'a str), Rejection> {
    let named = |name: &'a str| Ok::<_, Rejection>((templates::find(ses, name)?, name));
    let (content, name) = match (&template.name, &template.arn, &template.content) {
        (Some(name), None, None) => named(name)?,
        (None, Some(arn), None) => named(name_in(arn)?)?,
        (None, None, Some(content)) => {
            templates::validate(content)?;
            (content.clone(), "")
        }
        _ => {
            let message = "A template is given by one of TemplateName, TemplateArn and TemplateContent.";
            return Err(Rejection::bad_request(message));
        }
    };
    let data = templates::template_data(template.data.as_deref())?;
    Ok((templates::render(&content, &data), name))
}

/// The template's name in `arn:aws:ses:<region>:<account>:template/<name>`.
fn name_in(arn: &str) -> Result<&str, Rejection> {
    let name = arn.strip_prefix("arn:").and_then(|rest| rest.split_once(":template/")).map(|(_, name)| name);
    name.ok_or_else(|| Rejection::bad_request(format!("Invalid template ARN: {arn:?}.")))
}

/// The custom headers, and the headers for the other fields of the request.
fn headers(request: &SendEmail, subject: &str, custom: &[NameAndValue]) -> BTreeMap<String, String> {
    let list = |addresses: &[String]| (!addresses.is_empty()).then(|| addresses.join(", "));
    let destination = &request.destination;
    let own = [
        ("From", request.from_email_address.clone()),
        ("To", list(&destination.to)),
        ("Cc", list(&destination.cc)),
        ("Reply-To", list(&request.reply_to_addresses)),
        ("Return-Path", request.feedback_forwarding_email_address.clone()),
        ("Subject", Some(subject.to_owned())),
        ("X-SES-CONFIGURATION-SET", request.configuration_set_name.clone()),
        ("X-SES-SOURCE-ARN", request.from_email_address_identity_arn.clone()),
    ];
    let own = own.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)));
    own.chain(custom.iter().map(|header| (header.name.clone(), header.value.clone()))).collect()
}

//! Stored templates: operations and rendering.

use std::{collections::BTreeMap, sync::Arc};

use axum::{
    Json,
    extract::{Path, State},
};
use handlebars::{Handlebars, RenderError, RenderErrorReason, no_escape};
use serde_json::{Map, Value, json};

use super::{
    SesStandIn, check,
    rejection::Rejection,
    wire::{CreateEmailTemplate, Payload, TemplateContent, TestRenderEmailTemplate, UpdateEmailTemplate},
};
use crate::domain::timestamp::Timestamp;

type Stand = State<Arc<SesStandIn>>;

/// A stored template.
#[derive(Clone, Debug)]
pub(super) struct StoredTemplate {
    pub(super) content: TemplateContent,
    created_at: Timestamp,
}

impl StoredTemplate {
    pub(super) fn new(subject: &str, html: &str, text: &str) -> Self {
        let part = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        let content = TemplateContent { subject: part(subject), html: part(html), text: part(text) };
        Self { content, created_at: Timestamp::now() }
    }
}

/// The parts of a rendered template.
#[derive(Debug)]
pub(super) struct Rendered {
    pub(super) subject: String,
    pub(super) html: String,
    pub(super) text: String,
}

/// `CreateEmailTemplate`.
pub(super) async fn create(
    State(ses): Stand,
    Payload(request): Payload<CreateEmailTemplate>,
) -> Result<Json<Value>, Rejection> {
    let CreateEmailTemplate { template_name: name, template_content: content } = request;
    check::resource_name("template", &name)?;
    validate(&content)?;
    let templates = &mut ses.account().templates;
    if templates.contains_key(&name) {
        return Err(Rejection::already_exists(format!("Template {name} already exists.")));
    }
    templates.insert(name, StoredTemplate { content, created_at: Timestamp::now() });
    Ok(Json(json!({})))
}

/// `UpdateEmailTemplate`.
pub(super) async fn update(
    State(ses): Stand,
    Path(name): Path<String>,
    Payload(request): Payload<UpdateEmailTemplate>,
) -> Result<Json<Value>, Rejection> {
    validate(&request.template_content)?;
    let mut account = ses.account();
    account.templates.get_mut(&name).ok_or_else(|| missing(&name))?.content = request.template_content;
    Ok(Json(json!({})))
}

/// `GetEmailTemplate`.
pub(super) async fn get(State(ses): Stand, Path(name): Path<String>) -> Result<Json<Value>, Rejection> {
    let content = find(&ses, &name)?;
    Ok(Json(json!({ "TemplateName": name, "TemplateContent": content })))
}

/// `DeleteEmailTemplate`. A missing template is no error in SES.
pub(super) async fn delete(State(ses): Stand, Path(name): Path<String>) -> Json<Value> {
    ses.account().templates.remove(&name);
    Json(json!({}))
}

/// `ListEmailTemplates`, all on one page.
pub(super) async fn list(State(ses): Stand) -> Json<Value> {
    let account = ses.account();
    let entries = account.templates.iter().map(
        |(name, template)| json!({ "TemplateName": name, "CreatedTimestamp": template.created_at.as_millis() / 1000 }),
    );
    Json(json!({ "TemplatesMetadata": entries.collect::<Value>() }))
}

/// `TestRenderEmailTemplate`, the only operation that reports a missing variable at once.
pub(super) async fn test_render(
    State(ses): Stand,
    Path(name): Path<String>,
    Payload(request): Payload<TestRenderEmailTemplate>,
) -> Result<Json<Value>, Rejection> {
    let data = template_data(Some(&request.template_data))?;
    let rendered = render(&find(&ses, &name)?, &data).map_err(Rejection::bad_request)?;
    let Rendered { subject, html, text } = rendered;
    let message = format!("Subject: {subject}\r\n\r\n{text}\r\n\r\n{html}");
    Ok(Json(json!({ "RenderedTemplate": message })))
}

/// The content of a stored template.
pub(super) fn find(ses: &SesStandIn, name: &str) -> Result<TemplateContent, Rejection> {
    ses.account().templates.get(name).map(|template| template.content.clone()).ok_or_else(|| missing(name))
}

fn missing(name: &str) -> Rejection {
    Rejection::not_found(format!("Template {name} does not exist."))
}

/// Checks that a template has a subject, a body and balanced braces.
pub(super) fn validate(content: &TemplateContent) -> Result<(), Rejection> {
    let is_empty = |part: &Option<String>| part.as_deref().is_none_or(str::is_empty);
    if is_empty(&content.subject) {
        return Err(Rejection::bad_request("The template has no subject."));
    }
    if is_empty(&content.html) && is_empty(&content.text) {
        return Err(Rejection::bad_request("The template has neither an HTML nor a text part."));
    }
    engine(content).map(drop)
}

/// Parses the values of the variables: a JSON object in a string.
pub(super) fn template_data(text: Option<&str>) -> Result<Map<String, Value>, Rejection> {
    let text = text.ok_or_else(|| Rejection::bad_request("There is no template data."))?;
    serde_json::from_str(text).map_err(|_| Rejection::bad_request("The template data is not a JSON object."))
}

/// Renders as SES does: does not escape values; a missing value is an error that the sender does not see.
pub(super) fn render(content: &TemplateContent, data: &Map<String, Value>) -> Result<Rendered, String> {
    let engine = engine(content).map_err(|rejection| rejection.message)?;
    let part = |name: &str| {
        if !engine.has_template(name) {
            return Ok(String::new());
        }
        engine.render(name, data).map_err(|error| format!("{name}: {}", reason(&error)))
    };
    let rendered = Rendered { subject: part("subject")?, html: part("html")?, text: part("text")? };
    check::subject(&rendered.subject).map_err(|rejection| rejection.message)?;
    Ok(rendered)
}

fn reason(error: &RenderError) -> String {
    match error.reason() {
        RenderErrorReason::MissingVariable(Some(path)) => format!("{path} is not in the template data"),
        reason => reason.to_string(),
    }
}

fn engine(content: &TemplateContent) -> Result<Handlebars<'static>, Rejection> {
    let mut engine = Handlebars::new();
    engine.set_strict_mode(true);
    engine.register_escape_fn(no_escape);
    let parts = BTreeMap::from([("subject", &content.subject), ("html", &content.html), ("text", &content.text)]);
    for (name, source) in parts {
        let Some(source) = source else { continue };
        let registered = engine.register_template_string(name, source);
        registered.map_err(|error| {
            Rejection::bad_request(format!("The template's {name} is malformed: {}", error.reason()))
        })?;
    }
    Ok(engine)
}

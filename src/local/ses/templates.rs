//! Stored templates: their operations, and their rendering.

use std::{collections::BTreeMap, sync::Arc};

use axum::{
    Json,
    extract::{Path, State},
};
use handlebars::{Handlebars, RenderError, RenderErrorReason, no_escape};
use serde_json::{Map, Value, json};

use super::{
    SesStandIn, check,
    refusal::Refusal,
    wire::{CreateEmailTemplate, Payload, TemplateContent, TestRenderEmailTemplate, UpdateEmailTemplate},
};
use crate::domain::timestamp::Timestamp;

type Stand = State<Arc<SesStandIn>>;

/// A template as SES keeps it.
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
) -> Result<Json<Value>, Refusal> {
    let CreateEmailTemplate { template_name: name, template_content: content } = request;
    check::resource_name("template", &name)?;
    validate(&content)?;
    let templates = &mut ses.account().templates;
    if templates.contains_key(&name) {
        return Err(Refusal::already_exists(format!("Template {name} already exists.")));
    }
    templates.insert(name, StoredTemplate { content, created_at: Timestamp::now() });
    Ok(Json(json!({})))
}

/// `UpdateEmailTemplate`.
pub(super) async fn update(
    State(ses): Stand,
    Path(name): Path<String>,
    Payload(request): Payload<UpdateEmailTemplate>,
) -> Result<Json<Value>, Refusal> {
    validate(&request.template_content)?;
    let mut account = ses.account();
    account.templates.get_mut(&name).ok_or_else(|| missing(&name))?.content = request.template_content;
    Ok(Json(json!({})))
}

/// `GetEmailTemplate`.
pub(super) async fn get(State(ses): Stand, Path(name): Path<String>) -> Result<Json<Value>, Refusal> {
    let content = find(&ses, &name)?;
    Ok(Json(json!({ "TemplateName": name, "TemplateContent": content })))
}

/// `DeleteEmailTemplate`. SES is content when there is none.
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

/// `TestRenderEmailTemplate`. Here, and only here, SES says at once what a template lacks.
pub(super) async fn test_render(
    State(ses): Stand,
    Path(name): Path<String>,
    Payload(request): Payload<TestRenderEmailTemplate>,
) -> Result<Json<Value>, Refusal> {
    let data = template_data(Some(&request.template_data))?;
    let rendered = render(&find(&ses, &name)?, &data).map_err(Refusal::bad_request)?;
    let Rendered { subject, html, text } = rendered;
    let message = format!("Subject: {subject}\r\n\r\n{text}\r\n\r\n{html}");
    Ok(Json(json!({ "RenderedTemplate": message })))
}

/// The content of a stored template.
pub(super) fn find(ses: &SesStandIn, name: &str) -> Result<TemplateContent, Refusal> {
    ses.account().templates.get(name).map(|template| template.content.clone()).ok_or_else(|| missing(name))
}

fn missing(name: &str) -> Refusal {
    Refusal::not_found(format!("Template {name} does not exist."))
}

/// A template has a subject, a body, and balanced braces.
pub(super) fn validate(content: &TemplateContent) -> Result<(), Refusal> {
    let is_empty = |part: &Option<String>| part.as_deref().is_none_or(str::is_empty);
    if is_empty(&content.subject) {
        return Err(Refusal::bad_request("The template has no subject."));
    }
    if is_empty(&content.html) && is_empty(&content.text) {
        return Err(Refusal::bad_request("The template has neither an HTML nor a text part."));
    }
    engine(content).map(drop)
}

/// The values for a template's variables: a JSON object, written as a string.
pub(super) fn template_data(text: Option<&str>) -> Result<Map<String, Value>, Refusal> {
    let text = text.ok_or_else(|| Refusal::bad_request("There is no template data."))?;
    serde_json::from_str(text).map_err(|_| Refusal::bad_request("The template data is not a JSON object."))
}

/// Renders as SES does: values are not escaped, and a missing one is an error, which the sender never gets to see.
pub(super) fn render(content: &TemplateContent, data: &Map<String, Value>) -> Result<Rendered, String> {
    let engine = engine(content).map_err(|refusal| refusal.message)?;
    let part = |name: &str| {
        if !engine.has_template(name) {
            return Ok(String::new());
        }
        engine.render(name, data).map_err(|error| format!("{name}: {}", reason(&error)))
    };
    let rendered = Rendered { subject: part("subject")?, html: part("html")?, text: part("text")? };
    check::subject(&rendered.subject).map_err(|refusal| refusal.message)?;
    Ok(rendered)
}

fn reason(error: &RenderError) -> String {
    match error.reason() {
        RenderErrorReason::MissingVariable(Some(path)) => format!("{path} is not in the template data"),
        reason => reason.to_string(),
    }
}

fn engine(content: &TemplateContent) -> Result<Handlebars<'static>, Refusal> {
    let mut engine = Handlebars::new();
    engine.set_strict_mode(true);
    engine.register_escape_fn(no_escape);
    let parts = BTreeMap::from([("subject", &content.subject), ("html", &content.html), ("text", &content.text)]);
    for (name, source) in parts {
        let Some(source) = source else { continue };
        let registered = engine.register_template_string(name, source);
        registered
            .map_err(|error| Refusal::bad_request(format!("The template's {name} is malformed: {}", error.reason())))?;
    }
    Ok(engine)
}

//! Handlebars as SES speaks it, rendered strictly: a variable that is missing is an error, and all of those that are
//! missing are told at once.

mod parse;

use std::{
    collections::BTreeMap,
    io,
    sync::{Arc, LazyLock, Mutex, PoisonError},
};

use handlebars::{
    Context, Handlebars, Output, RenderContext, RenderError, RenderErrorReason, Renderable, Template, html_escape,
    no_escape,
    template::{HelperTemplate, Parameter, TemplateElement},
};
use serde_json::{Map, Value};

use self::parse::{parse, tags};
use crate::directory::EmailTemplate;

/// The most missing variables that are looked for in one template.
const MOST_MISSING: usize = 20;

/// The longest part of a message, in bytes: many times what mail clients show, and little enough to hold in memory.
const MAX_PART_BYTES: usize = 1 << 20;

/// The most branches of a template, and the most brackets in one of its tags: each may be one level deeper for whoever
/// reads or drops it.
const MAX_LEVELS: usize = 100;

/// The most templates that are kept compiled, and the longest of them, in bytes: so that they take megabytes at most.
const MOST_COMPILED: usize = 32;
const MAX_COMPILED_BYTES: usize = 64 * 1024;

/// The block helpers that SES's templates have (Amazon SES developer guide, "Advanced email personalization").
const BLOCKS: [&str; 4] = ["if", "unless", "each", "with"];

/// Why a template was not rendered.
#[derive(Debug, PartialEq, Eq)]
pub enum RenderFailure {
    /// Variables are missing: their dotted paths.
    Missing(Vec<String>),
    /// The template itself is wrong.
    Invalid(String),
    /// A part would be longer than 1 MiB.
    TooLong,
}

/// The parts of a rendered message.
#[derive(Debug, PartialEq, Eq)]
pub struct Rendered {
    /// The subject.
    pub subject: String,
    /// The HTML part; values are escaped.
    pub html: String,
    /// The plain-text part; values are not escaped.
    pub text: String,
}

/// Renders the parts of an inline template with the same variables.
///
/// # Errors
/// [`RenderFailure::Missing`] names what any of the parts lacks.
pub fn render(subject: &str, html: &str, text: &str, variables: &Value) -> Result<Rendered, RenderFailure> {
    static TEXT: LazyLock<Handlebars> = LazyLock::new(|| strict(no_escape));
    static HTML: LazyLock<Handlebars> = LazyLock::new(|| strict(html_escape));
    let mut missing = Vec::new();
    let mut part = |template: &str, registry| render_part(template, registry, variables, &mut missing);
    let rendered = Rendered { subject: part(subject, &*TEXT)?, html: part(html, &*HTML)?, text: part(text, &*TEXT)? };
    if missing.is_empty() { Ok(rendered) } else { Err(RenderFailure::Missing(missing)) }
}

fn strict(escape: fn(&str) -> String) -> Handlebars<'static> {
    let mut registry = Handlebars::new();
    registry.set_strict_mode(true);
    registry.register_escape_fn(escape);
    registry
}

/// Renders one part. What is missing is added to `missing`, and made up for, so that the next missing one is found.
fn render_part(
    template: &str,
    registry: &Handlebars<'_>,
    variables: &Value,
    missing: &mut Vec<String>,
) -> Result<String, RenderFailure> {
    let template = compiled(template)?;
    let mut variables = Context::from(variables.clone());
    for _ in 0..MOST_MISSING {
        let mut part = Part(String::new());
        let rendered = template.render(registry, &variables, &mut RenderContext::new(None), &mut part);
        let Err(error) = rendered else { return Ok(part.0) };
        if matches!(error.reason(), RenderErrorReason::IOError(_)) {
            return Err(RenderFailure::TooLong);
        }
        let name = missing_variable(&error)
            .filter(|name| !belongs_to_a_loop(name))
            .ok_or_else(|| RenderFailure::Invalid(error.reason().to_string()))?;
        if !missing.contains(&name) {
            missing.push(name.clone());
        }
        if !make_up(variables.data_mut(), &name) {
            break;
        }
    }
    Ok(String::new())
}

/// What has been rendered so far.
struct Part(String);

impl Output for Part {
    fn write(&mut self, text: &str) -> io::Result<()> {
        if self.0.len() + text.len() > MAX_PART_BYTES {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        self.0.push_str(text);
        Ok(())
    }
}

/// Compiles an inline template ahead of its first use.
pub fn prepare(template: &EmailTemplate) {
    if let EmailTemplate::Inline { subject, html, text } = template {
        for part in [subject, html, text] {
            // One that is wrong is told of when it is used.
            let _ = compiled(part);
        }
    }
}

/// Compiles a template, unless that was done before: compiling takes many times as long as rendering.
fn compiled(template: &str) -> Result<Arc<Template>, RenderFailure> {
    static COMPILED: Mutex<BTreeMap<String, Arc<Template>>> = Mutex::new(BTreeMap::new());
    let lock = || COMPILED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(compiled) = lock().get(template) {
        return Ok(Arc::clone(compiled));
    }
    let compiled = Arc::new(compile(template)?);
    if template.len() <= MAX_COMPILED_BYTES {
        let mut all = lock();
        if all.len() >= MOST_COMPILED {
            all.clear();
        }
        all.insert(template.to_owned(), Arc::clone(&compiled));
    }
    Ok(compiled)
}

/// Only what SES has too: a template should be able to move there. Partials, which SES has, could include each other
/// for ever, and a message has no need of them.
pub(super) fn compile(template: &str) -> Result<Template, RenderFailure> {
    let invalid = |reason: &str| RenderFailure::Invalid(reason.to_owned());
    if tags(template).filter(|tag| begins_branch(tag)).count() > MAX_LEVELS {
        return Err(invalid("a template cannot have more than 100 branches"));
    }
    if tags(template).any(|tag| brackets(tag) > MAX_LEVELS) {
        return Err(invalid("a tag of a template cannot have more than 100 brackets"));
    }
    let template = parse(template).map_err(|error| invalid(&error.reason().to_string()))?;
    if !is_supported(&template) {
        return Err(invalid("a template can only use variables, and the blocks if, unless, each and with"));
    }
    Ok(template)
}

/// Whether what follows `{{` begins a block or another branch of one, however it is written.
fn begins_branch(tag: &str) -> bool {
    let tag = tag.trim_start_matches(['~', ' ', '\t', '\r', '\n']);
    tag.starts_with(['#', '^']) || tag.starts_with("else")
}

fn brackets(tag: &str) -> usize {
    tag.split("}}").next().map_or(0, |tag| tag.matches(['(', '[', '{']).count())
}

fn is_supported(template: &Template) -> bool {
    use TemplateElement as E;
    template.elements.iter().all(|element| match element {
        E::RawString(_) | E::Comment(_) => true,
        E::Expression(helper) | E::HtmlExpression(helper) => is_plain(helper),
        E::HelperBlock(block) => {
            let is_known = block.name.as_name().is_some_and(|name| BLOCKS.contains(&name));
            let branches = [&block.template, &block.inverse];
            is_known && has_plain_parameters(block) && branches.into_iter().flatten().all(is_supported)
        }
        _ => false,
    })
}

/// A variable, and not the call of a helper.
fn is_plain(expression: &HelperTemplate) -> bool {
    expression.params.is_empty()
        && expression.hash.is_empty()
        && !matches!(expression.name, Parameter::Subexpression(_))
}

fn has_plain_parameters(block: &HelperTemplate) -> bool {
    let is_subexpression = |parameter: &Parameter| matches!(parameter, Parameter::Subexpression(_));
    !block.params.iter().chain(block.hash.values()).any(is_subexpression)
}

fn missing_variable(error: &RenderError) -> Option<String> {
    match error.reason() {
        RenderErrorReason::MissingVariable(name) => name.clone(),
        _ => None,
    }
}

/// `@index` and the like, which no payload can have.
fn belongs_to_a_loop(name: &str) -> bool {
    name.starts_with('@')
}

/// Puts an empty text where the variable should be. Says whether that was possible and new.
fn make_up(variables: &mut Value, path: &str) -> bool {
    let mut place = variables;
    for key in path.split('.') {
        let Value::Object(fields) = place else { return false };
        place = fields.entry(key).or_insert_with(|| Value::Object(Map::new()));
    }
    let is_new = matches!(place, Value::Object(fields) if fields.is_empty());
    *place = Value::String(String::new());
    is_new
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn values_are_escaped_in_the_html_part_alone() {
        let variables = json!({ "name": "<b>\"O'Neil\" & co</b>" });
        let rendered = render("{{name}}", "<p>{{name}}</p>", "{{name}}", &variables).unwrap();
        assert_eq!(rendered.subject, "<b>\"O'Neil\" & co</b>");
        assert_eq!(rendered.text, rendered.subject);
        assert_eq!(rendered.html, "<p>&lt;b&gt;&quot;O&#x27;Neil&quot; &amp; co&lt;/b&gt;</p>");
    }

    #[test]
    fn a_value_is_never_taken_for_a_template() {
        let variables = json!({ "name": "{{secret}}{{#if x}}", "secret": "s" });
        assert_eq!(render("{{name}}", "", "", &variables).unwrap().subject, "{{secret}}{{#if x}}");
    }

    #[test]
    fn all_that_is_missing_is_told_at_once() {
        let failure = render("{{a}} {{b.c}}", "{{b.d}} {{a}}", "{{e}}{{#if f}}{{f}}{{/if}}", &json!({ "b": {} }));
        assert_eq!(failure, Err(RenderFailure::Missing(["a", "b.c", "b.d", "e"].map(str::to_owned).into())));
    }

    #[test]
    fn what_only_a_condition_asks_for_may_be_missing() {
        let text = "{{#if inviter.name}}{{inviter.name}}{{else}}somebody{{/if}}{{#each roles}}{{this.name}};{{/each}}";
        let rendered = render("", "", text, &json!({ "roles": [{ "name": "A" }, { "name": "B" }] })).unwrap();
        assert_eq!(rendered.text, "somebodyA;B;");
    }

    #[test]
    fn a_payload_cannot_blow_a_message_up() {
        let variables = json!({ "link": "x".repeat(10_000), "items": vec![0; 1_000] });
        let failure = render("", "{{#each items}}{{../link}}{{/each}}", "t", &variables);
        assert_eq!(failure, Err(RenderFailure::TooLong));
    }

    #[test]
    fn a_wrong_template_is_told_from_a_wrong_payload() {
        for (template, reason) in [
            ("{{#if a}}", "not closed"),
            ("{{/if}}", "not opened"),
            ("{{unknown_helper a}}", "no such helper"),
            ("{{#*inline \"a\"}}{{> a}}{{/inline}}{{> a}}", "endless"),
            ("{{#if a}}{{else}}{{> x}}{{/if}}", "a partial in a branch"),
            ("{{#if (eq b 1)}}{{/if}}", "a helper that SES lacks"),
            ("{{len b}}", "another"),
            ("{{@index}}", "a loop's variable outside of one"),
            (&format!("{{{{#if a}}}}{}{{{{/if}}}}", "{{else if b}}".repeat(5_000)), "too many branches"),
            (&format!("{{{{#if a}}}}{}{{{{/if}}}}", "{{ else if b}}".repeat(5_000)), "with white space"),
            (&format!("{{{{#if a}}}}{}{{{{/if}}}}", "{{~else if b}}".repeat(5_000)), "with a tilde"),
            (&format!("{{{{#if a}}}}{}{{{{/if}}}}", "{{^if b}}".repeat(20_000)), "with the other else"),
            (&format!("{}{}", "{{~#if a}}".repeat(5_000), "{{/if}}".repeat(5_000)), "too many levels"),
            (&format!("{}{}", "{{\n#if a}}".repeat(5_000), "{{/if}}".repeat(5_000)), "on lines of their own"),
            (&format!("{{{{x {}", "(a ".repeat(100_000)), "too many subexpressions"),
            (&format!("{{{{x {}", "[".repeat(100_000)), "too many lists"),
            (&format!("{{{{x {}", "{\"a\":".repeat(100_000)), "too many objects"),
        ] {
            let failure = render("", "", template, &json!({ "a": 1 }));
            assert!(matches!(failure, Err(RenderFailure::Invalid(_))), "{reason}: {failure:?}");
        }
    }
}

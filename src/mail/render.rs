//! Handlebars as SES speaks it, rendered strictly: a variable that is missing is an error, and all of those that are
//! missing are told at once.

use handlebars::{
    Handlebars, RenderError, RenderErrorReason, Template, html_escape, no_escape, template::TemplateElement,
};
use serde_json::{Map, Value};

/// The most missing variables that are looked for in one template.
const MOST_MISSING: usize = 100;

/// Why a template was not rendered.
#[derive(Debug, PartialEq, Eq)]
pub enum RenderFailure {
    /// Variables are missing: their dotted paths.
    Missing(Vec<String>),
    /// The template itself is wrong.
    Invalid(String),
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
    let mut missing = Vec::new();
    let mut part = |template: &str, escape: fn(&str) -> String| render_part(template, escape, variables, &mut missing);
    let rendered =
        Rendered { subject: part(subject, no_escape)?, html: part(html, html_escape)?, text: part(text, no_escape)? };
    if missing.is_empty() { Ok(rendered) } else { Err(RenderFailure::Missing(missing)) }
}

/// Renders one part. What is missing is added to `missing`, and made up for, so that the next missing one is found.
fn render_part(
    template: &str,
    escape: fn(&str) -> String,
    variables: &Value,
    missing: &mut Vec<String>,
) -> Result<String, RenderFailure> {
    let mut registry = Handlebars::new();
    registry.set_strict_mode(true);
    registry.register_escape_fn(escape);
    registry.register_template("part", compile(template)?);
    let mut variables = variables.clone();
    for _ in 0..MOST_MISSING {
        let error = match registry.render("part", &variables) {
            Ok(rendered) => return Ok(rendered),
            Err(error) => error,
        };
        let name = missing_variable(&error).ok_or_else(|| RenderFailure::Invalid(error.reason().to_string()))?;
        if !missing.contains(&name) {
            missing.push(name.clone());
        }
        if !make_up(&mut variables, &name) {
            break;
        }
    }
    Ok(String::new())
}

/// Partials are refused: nothing that a template of one message needs, and they can include each other for ever.
pub(super) fn compile(template: &str) -> Result<Template, RenderFailure> {
    let template = Template::compile(template).map_err(|error| RenderFailure::Invalid(error.reason().to_string()))?;
    if has_partial(&template) {
        return Err(RenderFailure::Invalid("a template cannot use partials".to_owned()));
    }
    Ok(template)
}

fn has_partial(template: &Template) -> bool {
    use TemplateElement as E;
    template.elements.iter().any(|element| match element {
        E::PartialExpression(_) | E::PartialBlock(_) | E::DecoratorExpression(_) | E::DecoratorBlock(_) => true,
        E::HelperBlock(block) => [&block.template, &block.inverse].into_iter().flatten().any(has_partial),
        _ => false,
    })
}

fn missing_variable(error: &RenderError) -> Option<String> {
    match error.reason() {
        RenderErrorReason::MissingVariable(name) => name.clone(),
        _ => None,
    }
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
    fn a_wrong_template_is_told_from_a_wrong_payload() {
        for (template, reason) in [
            ("{{#if a}}", "not closed"),
            ("{{/if}}", "not opened"),
            ("{{unknown_helper a}}", "no such helper"),
            ("{{#*inline \"a\"}}{{> a}}{{/inline}}{{> a}}", "endless"),
            ("{{#if a}}{{else}}{{> x}}{{/if}}", "a partial in a branch"),
        ] {
            let failure = render("", "", template, &json!({ "a": 1 }));
            assert!(matches!(failure, Err(RenderFailure::Invalid(_))), "{reason}: {failure:?}");
        }
    }
}

//! Renders SES's dialect of Handlebars in strict mode: missing variables are an error, which reports all of them at
//! once.

mod bounds;
mod compiled;
mod steps;

use std::sync::LazyLock;

use handlebars::{
    Context, Handlebars, RenderContext, RenderError, RenderErrorReason, Renderable, Template, TemplateError,
    TemplateErrorReason, html_escape, no_escape,
    template::{HelperTemplate, Parameter, TemplateElement},
};
use serde_json::{Map, Value};

pub use self::bounds::{MAX_TAGS, MAX_TEMPLATE_BYTES};
use self::{
    compiled::compiled,
    steps::{Part, Steps, Stopped},
};

/// The maximum size of an email's part, in bytes: many times what mail programs show, and small enough for memory.
pub(super) const MAX_PART_BYTES: usize = 1 << 20;

/// The maximum number of missing variables reported for one template.
const MAX_MISSING: usize = 20;

/// The block helpers that SES supports (Amazon SES developer guide, "Advanced email personalization").
const BLOCKS: [&str; 4] = ["if", "unless", "each", "with"];

/// The reason why a template was not rendered.
#[derive(Debug, PartialEq, Eq)]
pub enum RenderFailure {
    /// Variables are missing: their dotted paths.
    Missing(Vec<String>),
    /// The template is invalid. The text describes the fault without quoting the template, which may contain addresses.
    Invalid(String),
    /// A part would be longer than 1 MiB.
    TooLong,
    /// Rendering exceeds the maximum number of steps of a message.
    TooManySteps,
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
/// [`RenderFailure::Missing`] names the missing variables of all parts.
pub fn render(subject: &str, html: &str, text: &str, variables: &Value) -> Result<Rendered, RenderFailure> {
    static TEXT: LazyLock<Handlebars> = LazyLock::new(|| strict(no_escape));
    static HTML: LazyLock<Handlebars> = LazyLock::new(|| strict(html_escape));
    let mut renderer = Renderer { variables, missing: Vec::new(), steps: Steps::of(variables) };
    let message = Rendered {
        subject: renderer.part("subject", subject, &TEXT)?,
        html: renderer.part("html", html, &HTML)?,
        text: renderer.part("text", text, &TEXT)?,
    };
    if renderer.missing.is_empty() { Ok(message) } else { Err(RenderFailure::Missing(renderer.missing)) }
}

/// Renders the parts of one message.
struct Renderer<'a> {
    variables: &'a Value,
    /// The missing variables so far.
    missing: Vec<String>,
    /// The steps left for the other parts.
    steps: Steps,
}

impl Renderer<'_> {
    fn part(&mut self, name: &str, template: &str, registry: &Handlebars<'_>) -> Result<String, RenderFailure> {
        self.render(template, registry).map_err(|failure| failure.of_part(name))
    }

    /// Adds a missing variable to `missing`, replaces it with an empty text, and renders again to find the next one.
    fn render(&mut self, template: &str, registry: &Handlebars<'_>) -> Result<String, RenderFailure> {
        let template = compiled(template)?;
        let mut variables = Context::from(self.variables.clone());
        for _ in 0..MAX_MISSING {
            let mut part = Part::new(&mut self.steps);
            let rendered = template.render(registry, &variables, &mut RenderContext::new(None), &mut part);
            let Err(error) = rendered else { return Ok(part.into_text()) };
            if matches!(error.reason(), RenderErrorReason::IOError(_)) {
                return Err(part.stopped().into());
            }
            let name = missing_variable(&error)
                .filter(|name| !is_loop_variable(name))
                .ok_or_else(|| RenderFailure::Invalid(render_fault(error.reason()).to_owned()))?;
            if !self.missing.contains(&name) {
                self.missing.push(name.clone());
            }
            if !set_empty(variables.data_mut(), &name) {
                break;
            }
        }
        Ok(String::new())
    }
}

impl RenderFailure {
    fn of_part(self, name: &str) -> Self {
        match self {
            Self::Invalid(reason) => Self::Invalid(format!("{name}: {reason}")),
            other => other,
        }
    }
}

fn strict(escape: fn(&str) -> String) -> Handlebars<'static> {
    let mut registry = Handlebars::new();
    registry.set_strict_mode(true);
    registry.register_escape_fn(escape);
    registry
}

/// Compiles a template. Only the features of SES's Handlebars are supported, without partials, which could include each
/// other endlessly.
pub(super) fn compile(template: &str) -> Result<Template, RenderFailure> {
    let invalid = |reason: &str| RenderFailure::Invalid(reason.to_owned());
    bounds::check(template).map_err(invalid)?;
    let template = Template::compile(template).map_err(|error| invalid(&template_fault(&error)))?;
    if !is_supported(&template) {
        return Err(invalid("a template can only use variables, and the blocks if, unless, each and with"));
    }
    Ok(template)
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

/// Returns `true` for a variable, `false` for a helper call.
fn is_plain(expression: &HelperTemplate) -> bool {
    expression.params.is_empty()
        && expression.hash.is_empty()
        && !matches!(expression.name, Parameter::Subexpression(_))
}

fn has_plain_parameters(block: &HelperTemplate) -> bool {
    let is_subexpression = |parameter: &Parameter| matches!(parameter, Parameter::Subexpression(_));
    !block.params.iter().chain(block.hash.values()).any(is_subexpression)
}

/// Describes the kind and the position of a template's fault. The library's own texts are not used, because they quote
/// names and literals.
fn template_fault(error: &TemplateError) -> String {
    let fault = match error.reason() {
        TemplateErrorReason::MismatchingClosedHelper(..) | TemplateErrorReason::MismatchingClosedDecorator(..) => {
            "a block is closed by another name than it was opened with"
        }
        TemplateErrorReason::InvalidParam(_) => "a parameter is invalid",
        _ => "the syntax is invalid",
    };
    error.pos().map_or_else(|| fault.to_owned(), |(line, column)| format!("{fault} (line {line}, column {column})"))
}

/// As [`template_fault`], for a fault that only rendering finds.
fn render_fault(reason: &RenderErrorReason) -> &'static str {
    match reason {
        RenderErrorReason::HelperNotFound(_) => "there is no such helper",
        RenderErrorReason::ParamNotFoundForIndex(..) => "a block lacks its parameter",
        RenderErrorReason::InvalidJsonIndex(_) => "an item of a list is asked for by a name",
        RenderErrorReason::MissingVariable(_) => "a variable of a loop is used outside of one",
        _ => "it cannot be rendered",
    }
}

impl From<Stopped> for RenderFailure {
    fn from(stopped: Stopped) -> Self {
        match stopped {
            Stopped::TooLong => Self::TooLong,
            Stopped::TooManySteps => Self::TooManySteps,
        }
    }
}

fn missing_variable(error: &RenderError) -> Option<String> {
    match error.reason() {
        RenderErrorReason::MissingVariable(name) => name.clone(),
        _ => None,
    }
}

/// Returns `true` for loop variables such as `@index`, which a payload cannot supply.
fn is_loop_variable(name: &str) -> bool {
    name.starts_with('@')
}

/// Sets a missing variable to an empty text. Returns `false` if that is impossible or was done before.
fn set_empty(variables: &mut Value, path: &str) -> bool {
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
    fn all_missing_variables_are_reported_at_once() {
        let failure = render("{{a}} {{b.c}}", "{{b.d}} {{a}}", "{{e}}{{#if f}}{{f}}{{/if}}", &json!({ "b": {} }));
        assert_eq!(failure, Err(RenderFailure::Missing(["a", "b.c", "b.d", "e"].map(str::to_owned).into())));
    }

    #[test]
    fn a_variable_that_only_a_condition_tests_may_be_missing() {
        let text = "{{#if inviter.name}}{{inviter.name}}{{else}}somebody{{/if}}{{#each roles}}{{this.name}};{{/each}}";
        let rendered = render("", "", text, &json!({ "roles": [{ "name": "A" }, { "name": "B" }] })).unwrap();
        assert_eq!(rendered.text, "somebodyA;B;");
    }

    #[test]
    fn a_payload_cannot_make_a_message_too_long() {
        let variables = json!({ "link": "x".repeat(10_000), "items": vec![0; 1_000] });
        let failure = render("", "{{#each items}}{{../link}}{{/each}}", "t", &variables);
        assert_eq!(failure, Err(RenderFailure::TooLong));
    }

    #[test]
    fn an_invalid_template_is_distinguished_from_an_invalid_payload() {
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

    #[test]
    fn a_fault_names_its_position_and_quotes_nothing_of_the_template() {
        for (template, says, reason) in [
            ("\n {{#if ada}}{{/ada@example.com}}", "text: the syntax is invalid (line 2, column", "another close"),
            ("{{#if ada}}{{/ada}}", "text: a block is closed by another name", "another name"),
            ("{{#if \"ada\n\"}}{{/if}}", "text: a parameter is invalid", "a literal with a line end"),
            ("{{ada b}}", "text: a template can only use variables", "a helper"),
            ("{{list.[ada]}}", "text: an item of a list is asked for by a name", "an index"),
            ("{{#if}}ada{{/if}}", "text: a block lacks its parameter", "no condition"),
            ("ada {{@index}}", "text: a variable of a loop is used outside of one", "no loop"),
        ] {
            let Err(RenderFailure::Invalid(fault)) = render("", "", template, &json!({ "ada": 1, "list": [] })) else {
                panic!("{reason}")
            };
            assert!(fault.starts_with(says) && !fault.contains("ada"), "{reason}: {fault}");
        }
    }

    #[test]
    fn a_template_has_bounds() {
        let filled = |n: usize| "x".repeat(n);
        for (template, says, reason) in [
            (filled(MAX_TEMPLATE_BYTES), None, "as long as it may be"),
            (filled(MAX_TEMPLATE_BYTES + 1), Some("102,400 bytes"), "longer"),
            ("{{a}}".repeat(MAX_TAGS), None, "as many tags as there may be"),
            ("{{a}}".repeat(MAX_TAGS + 1), Some("500 tags"), "more"),
            ("{{{ a }}}".repeat(MAX_TAGS), None, "as many with three braces"),
            ("{{{ a }}}".repeat(MAX_TAGS + 1), Some("500 tags"), "more with three braces"),
            (format!("{{{{{{a}}}}}}{}", filled(199)).repeat(220), None, "both long and with many tags"),
            (format!("{{{{{{a}}}}}}{}", filled(199)).repeat(230), Some("10,000,000"), "longer and with more"),
            (format!("{{{{ a }}}}{}", filled(195)).repeat(490), Some("10,000,000"), "longer and with more"),
            (format!("{{{{a {}}}}}", filled(1_100)), Some("1,024 bytes"), "a long tag"),
            (format!("{{{{a {}", filled(1_100)), Some("1,024 bytes"), "a long tag that does not end"),
            (format!("{{{{!-- {} --}}}}{{{{a}}}}", filled(2_000)), None, "a long comment"),
        ] {
            let rendered = render("", "", &template, &json!({ "a": 1 }));
            match (says, rendered) {
                (None, rendered) => assert!(rendered.is_ok(), "{reason}"),
                (Some(says), Err(RenderFailure::Invalid(fault))) => assert!(fault.contains(says), "{reason}: {fault}"),
                (_, other) => panic!("{reason}: {other:?}"),
            }
        }
    }

    #[test]
    fn a_loop_ends_after_the_maximum_steps_even_without_output() {
        let zeros = vec![0; 2_000];
        let variables = json!({ "i": zeros, "no": false, "o": { "k".repeat(100_000): 1 }, "few": [1, 2, 3] });
        for (template, reason) in [
            ("{{#each i}}{{#each ../i}}{{/each}}{{/each}}", "nothing in it"),
            ("{{#each i}}{{#each ../i}}{{#if @root.no}}x{{/if}}{{/each}}{{/each}}", "a condition that never holds"),
            ("{{#each i}}{{#each ../i}}{{@root.e}}{{/each}}{{/each}}", "an empty text"),
            ("{{#each i}}{{#each ../o}}{{/each}}{{/each}}", "a long key, which is copied each time"),
            (&format!("{{{{#each i}}}}{{{{#if {}a}}}}x{{{{/if}}}}{{{{/each}}}}", "a.".repeat(480)), "a long path"),
            ("{{#each i}}{{#each ../i}}{{else}}{{/each}}{{#each ../i}}{{/each}}{{/each}}", "with another branch"),
        ] {
            let mut variables = variables.clone();
            variables["e"] = "".into();
            assert_eq!(render("", "", template, &variables), Err(RenderFailure::TooManySteps), "{reason}");
        }
        let text = "{{#each few}}{{#each ../few}}{{this}}{{/each}}{{/each}}";
        assert_eq!(render("", "", text, &json!({ "few": [1, 2, 3] })).unwrap().text, "123123123");
    }

    #[test]
    fn all_parts_and_all_attempts_share_the_steps() {
        let variables = json!({ "i": vec![0; 200] });
        let loops = "{{#each i}}{{#each ../i}}{{/each}}{{/each}}";
        assert!(render("", "", loops, &variables).is_ok());
        assert_eq!(render(loops, loops, loops, &variables), Err(RenderFailure::TooManySteps));
        let missing = "{{m1}}{{m2}}{{m3}}{{m4}}";
        assert_eq!(render("", "", &(loops.to_owned() + missing), &variables), Err(RenderFailure::TooManySteps));
    }
}

//! Counts the steps of rendering, so that no template and no payload can block the function: while it renders, nothing
//! else runs, not even the request's deadline. The limit of the output is not enough, because a loop need not produce
//! output.

use std::io;

use handlebars::{
    Output, Path, Template,
    template::{HelperTemplate, Parameter, TemplateElement},
};
use serde_json::Value;

use super::MAX_PART_BYTES;

/// The maximum number of steps of one message, over all its parts. Each rendered tag and each text is a step, each
/// time. A usual email takes about a hundred.
const MAX_STEPS: usize = 100_000;

/// The fixed cost of a step, expressed in bytes of copied keys: a step in a loop also copies the path of keys from the
/// root to the loop's item, which a payload can make long.
const STEP_BYTES: usize = 256;

/// The marker that a template writes before each tag, repeated for each step that the tag costs. It never reaches the
/// output.
const STEP: &str = "\0";

/// The number of parts of a path or a literal that cost one additional step.
const PARTS_OF_A_STEP: usize = 8;

/// The remaining steps of a message.
#[derive(Debug)]
pub(super) struct Steps(usize);

/// The limit that stopped rendering.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stopped {
    TooLong,
    TooManySteps,
}

impl Steps {
    /// The steps of a message with these variables. Longer keys reduce them.
    pub(super) fn of(variables: &Value) -> Self {
        Self(MAX_STEPS * STEP_BYTES / (STEP_BYTES + longest_path(variables)))
    }

    pub(super) fn are_used_up(&self) -> bool {
        self.0 == 0
    }
}

/// The maximum total length of the keys on a path from the root to a value, in bytes.
fn longest_path(value: &Value) -> usize {
    match value {
        Value::Array(values) => values.iter().map(longest_path).max().unwrap_or(0),
        Value::Object(fields) => fields.iter().map(|(key, value)| key.len() + longest_path(value)).max().unwrap_or(0),
        _ => 0,
    }
}

/// Returns the template with [`STEP`] markers before each tag and at the beginning of each branch, so that an empty
/// loop is counted too.
pub(super) fn counted(template: Template) -> Template {
    let mut counted = Template::default();
    counted.elements.reserve_exact(2 * template.elements.len() + 1);
    counted.elements.push(steps(1));
    for mut element in template.elements {
        if let TemplateElement::HelperBlock(tag) = &mut element {
            count_branches(tag);
        }
        if let TemplateElement::Expression(tag)
        | TemplateElement::HtmlExpression(tag)
        | TemplateElement::HelperBlock(tag) = &element
        {
            counted.elements.push(steps(1 + parts(tag) / PARTS_OF_A_STEP));
        }
        counted.elements.push(element);
    }
    counted
}

/// The number of parts that are looked up or copied each time the tag is rendered.
fn parts(tag: &HelperTemplate) -> usize {
    let parameters = [&tag.name].into_iter().chain(&tag.params).chain(tag.hash.values());
    let parts = parameters.map(|parameter| match parameter {
        // Resolving a path has a fixed cost of about three segments.
        Parameter::Path(Path::Relative((segments, _))) => 3 + segments.len(),
        Parameter::Literal(value) => values(value),
        _ => 1,
    });
    parts.sum()
}

fn values(value: &Value) -> usize {
    match value {
        Value::Array(items) => 1 + items.iter().map(values).sum::<usize>(),
        Value::Object(fields) => 1 + fields.values().map(values).sum::<usize>(),
        _ => 1,
    }
}

fn count_branches(block: &mut HelperTemplate) {
    for branch in [&mut block.template, &mut block.inverse].into_iter().flatten() {
        *branch = counted(std::mem::take(branch));
    }
}

fn steps(count: usize) -> TemplateElement {
    TemplateElement::RawString(STEP.repeat(count))
}

/// A part of an email while it is rendered.
#[derive(Debug)]
pub(super) struct Part<'a> {
    text: String,
    steps: &'a mut Steps,
}

impl<'a> Part<'a> {
    pub(super) fn new(steps: &'a mut Steps) -> Self {
        Self { text: String::new(), steps }
    }

    pub(super) fn into_text(self) -> String {
        self.text
    }

    /// The reason why writing failed.
    pub(super) fn stopped(&self) -> Stopped {
        if self.steps.are_used_up() { Stopped::TooManySteps } else { Stopped::TooLong }
    }
}

impl Output for Part<'_> {
    fn write(&mut self, text: &str) -> io::Result<()> {
        let is_count = text.trim_start_matches(STEP).is_empty();
        let Steps(left) = self.steps;
        *left = left.saturating_sub(if is_count { text.len() } else { 1 });
        if *left == 0 || self.text.len() + text.len() > MAX_PART_BYTES {
            return Err(io::ErrorKind::QuotaExceeded.into());
        }
        if !is_count {
            self.text.push_str(text);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn longer_keys_of_variables_reduce_the_steps_of_a_message() {
        let key = |length: usize| "k".repeat(length);
        for (variables, steps) in [
            (json!({}), 100_000),
            (json!({ key(256): 1 }), 50_000),
            (json!({ key(1): 1, key(256): { key(512): [{ "": 1 }] } }), 25_000),
        ] {
            assert_eq!(Steps::of(&variables).0, steps, "{variables}");
        }
    }
}

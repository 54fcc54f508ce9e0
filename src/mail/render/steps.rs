//! The steps of rendering, which are counted, so that no template and no payload keep the function busy: nothing else
//! runs meanwhile, not even the request's deadline. What is shown is bounded too, but a loop need not show anything.

use std::io;

use handlebars::{
    Output, Path, Template,
    template::{HelperTemplate, Parameter, TemplateElement},
};
use serde_json::Value;

use super::MAX_PART_BYTES;

/// The most steps of one message, over all of its parts: each tag each time that it is rendered, and each text. A usual
/// email takes about a hundred.
const MAX_STEPS: usize = 100_000;

/// The usual cost of a step, expressed in bytes of keys that are copied: a step also copies the keys on the way from
/// the outermost object to where a loop stands, which a payload can make long.
const STEP_BYTES: usize = 256;

/// The mark that a template writes in front of each of its tags, as often as the tag counts. It is never shown.
const STEP: &str = "\0";

/// The parts of a path or a literal that count as one step more.
const PARTS_OF_A_STEP: usize = 8;

/// The steps that a message has left.
#[derive(Debug)]
pub(super) struct Steps(usize);

/// The bound that stopped rendering.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stopped {
    TooLong,
    TooManySteps,
}

impl Steps {
    /// Those of a message with these variables: the fewer, the longer their keys are.
    pub(super) fn of(variables: &Value) -> Self {
        Self(MAX_STEPS * STEP_BYTES / (STEP_BYTES + longest_path(variables)))
    }

    pub(super) fn are_used_up(&self) -> bool {
        self.0 == 0
    }
}

/// The bytes of the keys from the outermost object to the innermost value for which they are most.
fn longest_path(value: &Value) -> usize {
    match value {
        Value::Array(values) => values.iter().map(longest_path).max().unwrap_or(0),
        Value::Object(fields) => fields.iter().map(|(key, value)| key.len() + longest_path(value)).max().unwrap_or(0),
        _ => 0,
    }
}

/// The same template, which writes [`STEP`] in front of each tag, and in each branch of a block, so that a loop with
/// nothing in it is counted as well.
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

/// The number of parts that are looked up or copied one by one each time that a tag is rendered.
fn parts(tag: &HelperTemplate) -> usize {
    let parameters = [&tag.name].into_iter().chain(&tag.params).chain(tag.hash.values());
    let parts = parameters.map(|parameter| match parameter {
        // Resolving a path costs as much as some of its segments.
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

    /// The reason for which writing to it failed.
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
    fn a_message_has_fewer_steps_the_longer_the_keys_of_its_variables_are() {
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

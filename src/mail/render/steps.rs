//! The steps of rendering, which are counted, so that no template and no payload keep the function busy: nothing else
//! runs meanwhile, not even the request's deadline. What is shown is bounded too, but a loop need not show anything.

use std::io;

use handlebars::{
    Output, Template,
    template::{HelperTemplate, TemplateElement},
};
use serde_json::Value;

/// The most steps of one message, over all of its parts: each tag each time that it is rendered, and each text. The
/// message that comes with the function takes about a hundred.
const MAX_STEPS: usize = 100_000;

/// What a step usually costs, expressed in bytes of keys that are copied: a step also copies the keys on the way from
/// the outermost object to where a loop stands, which a payload can make long.
const STEP_BYTES: usize = 256;

/// The longest part of a message, in bytes: many times what mail clients show, and little enough to hold in memory.
const MAX_PART_BYTES: usize = 1 << 20;

/// What a template writes in front of each of its tags. It is counted and never shown.
const STEP: &str = "\0";

/// The steps that a message has left.
#[derive(Debug)]
pub(super) struct Steps(usize);

/// Why rendering was stopped.
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
    counted.elements.push(step());
    for mut element in template.elements {
        match &mut element {
            TemplateElement::RawString(_) | TemplateElement::Comment(_) => {}
            TemplateElement::HelperBlock(block) => {
                count_branches(block);
                counted.elements.push(step());
            }
            _ => counted.elements.push(step()),
        }
        counted.elements.push(element);
    }
    counted
}

fn count_branches(block: &mut HelperTemplate) {
    for branch in [&mut block.template, &mut block.inverse].into_iter().flatten() {
        *branch = counted(std::mem::take(branch));
    }
}

fn step() -> TemplateElement {
    TemplateElement::RawString(STEP.to_owned())
}

/// What has been rendered of a part.
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

    /// Why writing to it failed.
    pub(super) fn stopped(&self) -> Stopped {
        if self.steps.are_used_up() { Stopped::TooManySteps } else { Stopped::TooLong }
    }
}

impl Output for Part<'_> {
    fn write(&mut self, text: &str) -> io::Result<()> {
        let Steps(left) = self.steps;
        *left = left.saturating_sub(1);
        if *left == 0 || self.text.len() + text.len() > MAX_PART_BYTES {
            return Err(io::ErrorKind::QuotaExceeded.into());
        }
        if text != STEP {
            self.text.push_str(text);
        }
        Ok(())
    }
}

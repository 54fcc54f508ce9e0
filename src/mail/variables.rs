//! Finds the variables that a template needs: all that it uses, except those used only inside a condition on
//! themselves, where they are known to exist.
//!
//! A variable inside a condition on another variable counts as needed. SES silently drops a message with a missing
//! variable, so it is safer to require too many.

use std::collections::BTreeMap;

use handlebars::{
    Template,
    template::{BlockParam, HelperTemplate, Parameter, TemplateElement},
};

use super::render::{RenderFailure, compile};

/// The path of a variable, from the outermost object on.
type Path = Vec<String>;

/// The kind of value that a variable must have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Need {
    /// Any value.
    Value,
    /// A list, or an object to iterate over.
    List,
}

/// The variables that any of `parts` needs, as dotted paths.
pub(crate) fn needed<'a>(parts: impl IntoIterator<Item = &'a str>) -> Result<BTreeMap<String, Need>, RenderFailure> {
    let mut walk = Walk { scopes: vec![Some(Path::new())], ..Walk::default() };
    for part in parts {
        walk.template(&compile(part)?);
    }
    Ok(walk.needed)
}

#[derive(Default)]
struct Walk {
    needed: BTreeMap<String, Need>,
    /// The variables known to exist at this point.
    present: Vec<Path>,
    /// The objects that names are relative to, innermost last. `None` is an item of a list, whose fields are not
    /// variables.
    scopes: Vec<Option<Path>>,
    /// The block parameters in scope, as in `{{#each l as |item|}}`.
    block_params: Vec<String>,
}

impl Walk {
    fn template(&mut self, template: &Template) {
        for element in &template.elements {
            match element {
                TemplateElement::Expression(expression) | TemplateElement::HtmlExpression(expression) => {
                    self.expression(expression);
                }
                TemplateElement::HelperBlock(block) => self.block(block),
                _ => {}
            }
        }
    }

    /// Visits a variable, or a helper call with its parameters.
    fn expression(&mut self, expression: &HelperTemplate) {
        if expression.params.is_empty() && expression.hash.is_empty() {
            return self.need(&expression.name, Need::Value);
        }
        for parameter in expression.params.iter().chain(expression.hash.values()) {
            self.need(parameter, Need::Value);
        }
    }

    fn block(&mut self, block: &HelperTemplate) {
        let subject = block.params.first();
        match (block.name.as_name(), subject) {
            (Some("if"), Some(condition)) => self.condition(condition, block.template.as_ref(), block.inverse.as_ref()),
            (Some("unless"), Some(condition)) => {
                self.condition(condition, block.inverse.as_ref(), block.template.as_ref());
            }
            (Some("each"), Some(list)) => self.scope(block, list, Need::List, None),
            (Some("with"), Some(object)) => self.scope(block, object, Need::Value, self.resolve(object)),
            _ => {
                self.expression(block);
                self.branches(block.template.as_ref(), block.inverse.as_ref());
            }
        }
    }

    /// Visits a condition. `kept` is rendered if it holds, `other` if it does not.
    fn condition(&mut self, condition: &Parameter, kept: Option<&Template>, other: Option<&Template>) {
        if let Parameter::Subexpression(_) = condition {
            self.need(condition, Need::Value);
        }
        let present = self.resolve(condition);
        let known = self.present.len();
        self.present.extend(present);
        self.branches(kept, None);
        self.present.truncate(known);
        self.branches(other, None);
    }

    /// Visits a block whose names are relative to `scope`. Without an `else` branch, `subject` is needed.
    fn scope(&mut self, block: &HelperTemplate, subject: &Parameter, need: Need, scope: Option<Path>) {
        if block.inverse.is_none() {
            self.need(subject, need);
        }
        let names = self.block_params.len();
        self.block_params.extend(block_names(block));
        self.scopes.push(scope);
        self.branches(block.template.as_ref(), None);
        self.scopes.pop();
        self.block_params.truncate(names);
        self.branches(block.inverse.as_ref(), None);
    }

    fn branches(&mut self, one: Option<&Template>, other: Option<&Template>) {
        for template in [one, other].into_iter().flatten() {
            self.template(template);
        }
    }

    fn need(&mut self, parameter: &Parameter, need: Need) {
        if let Parameter::Subexpression(subexpression) = parameter {
            if let TemplateElement::Expression(expression) = subexpression.element.as_ref() {
                self.expression(expression);
            }
            return;
        }
        let Some(path) = self.resolve(parameter).filter(|path| !path.is_empty()) else { return };
        if !self.present.iter().any(|present| present.starts_with(&path)) {
            self.needed.entry(path.join(".")).or_insert(need);
        }
    }

    /// The variable that a parameter refers to; `None` for a literal, a field of a list item, a block parameter, or a
    /// variable of Handlebars itself (`@index`).
    fn resolve(&self, parameter: &Parameter) -> Option<Path> {
        let mut rest = parameter.as_name()?;
        let mut depth = self.scopes.len() - 1;
        if let Some(outermost) = rest.strip_prefix("@root") {
            (rest, depth) = (outermost, 0);
        }
        while let Some(outer) = rest.strip_prefix("..") {
            (rest, depth) = (outer.trim_start_matches('/'), depth.saturating_sub(1));
        }
        let is_index = |part: &&str| part.bytes().all(|byte| byte.is_ascii_digit());
        let parts = rest.split(['.', '/']).map(|part| part.trim_matches(['[', ']'])).filter(|part| !part.is_empty());
        let parts: Vec<&str> = parts.filter(|part| *part != "this").take_while(|part| !is_index(part)).collect();
        if parts
            .first()
            .is_some_and(|first| first.starts_with('@') || self.block_params.iter().any(|name| name == first))
        {
            return None;
        }
        let scope = self.scopes.get(depth)?.as_ref()?;
        Some(scope.iter().cloned().chain(parts.into_iter().map(str::to_owned)).collect())
    }
}

fn block_names(block: &HelperTemplate) -> impl Iterator<Item = String> {
    let names = match &block.block_param {
        Some(BlockParam::Single(name)) => [name.as_name(), None],
        Some(BlockParam::Pair((name, key))) => [name.as_name(), key.as_name()],
        _ => [None, None],
    };
    names.into_iter().flatten().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_variable_outside_of_a_condition_on_itself_is_needed() {
        for (template, expected, reason) in [
            ("{{a}} {{{b.c}}} {{a}}", "a b.c", "once each"),
            ("{{#if a}}{{a}}{{/if}}", "", "inside its condition"),
            ("{{#if a.b}}{{a.b}}{{a.c}}{{a}}{{/if}}", "a.c", "a condition on a field is one on its object"),
            ("{{#if a}}{{a.b}}{{/if}}", "a.b", "a condition on an object is none on its fields"),
            ("{{#if a}}{{b}}{{else}}{{a}}{{c}}{{/if}}", "a b c", "conditions on others do not count"),
            ("{{#if a}}{{a}}{{else if b}}{{b}}{{else}}{{c}}{{/if}}", "c", "a chain"),
            ("{{#unless a}}x{{else}}{{a}}{{/unless}}", "", "the other way round"),
            ("{{#if a}}{{/if}}{{a}}", "a", "a condition ends"),
            ("{{#each l}}{{name}}{{this.x}}{{../a}}{{@root.b.c}}{{@index}}{{/each}}", "a b.c l", "a list's items"),
            ("{{#each l as |item|}}{{item.name}}{{/each}}", "l", "an item with a name"),
            ("{{#each l}}{{x}}{{else}}{{none}}{{/each}}", "none", "a list that may be missing"),
            ("{{#with o}}{{name}}{{../a}}{{/with}}", "a o o.name", "an object's fields"),
            ("{{list.[0].name}}", "list", "an item by its number"),
            ("{{! a }}{{this}}plain", "", "nothing at all"),
        ] {
            let names: Vec<String> = needed([template]).unwrap().into_keys().collect();
            assert_eq!(names.join(" "), expected, "{reason}: {template}");
        }
    }

    #[test]
    fn a_template_that_does_not_parse_is_reported() {
        assert!(matches!(needed(["{{a}}", "{{#if a}}"]), Err(RenderFailure::Invalid(_))));
    }
}

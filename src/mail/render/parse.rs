//! Parsing a template. The library's parser takes some thousand instructions for each character, which for one mail is
//! more than all else that the function does at its start. So what nearly all templates consist of is parsed here, to
//! the very same result: text, variables, and blocks that are closed where they should be.

use std::collections::HashMap;

use handlebars::{
    Path, PathSeg, Template,
    template::{ExpressionSpec, ExpressionSpecBuilder, HelperTemplate, Parameter, TemplateElement},
};

use super::BLOCKS;

/// What follows each `{{`. They are looked for by one character, which the standard library finds many times as fast as
/// two.
pub(super) fn tags(template: &str) -> impl Iterator<Item = &str> {
    template.match_indices('{').filter_map(|(at, _)| template[at + 1..].strip_prefix('{'))
}

/// As [`Template::compile`], of a template that is made of nothing but what is known here.
pub(super) fn plain(template: &str) -> Option<Template> {
    let mut reader = Reader { template, rest: template, after_lone_tag: false };
    match reader.branch()? {
        (whole, Tag::End) => Some(whole),
        _ => None,
    }
}

/// What ends a piece of text.
enum Tag<'a> {
    /// `{{path}}`. There may be white space around what is inside of any tag, and between its parts.
    Variable(&'a str),
    /// `{{#block path}}`
    Open(&'a str, &'a str),
    /// `{{else}}`
    Else,
    /// `{{/block}}`
    Close(&'a str),
    /// The template's end.
    End,
}

struct Reader<'a> {
    template: &'a str,
    /// What has not been read.
    rest: &'a str,
    /// Whether a tag was read last that has its line to itself, which then is not part of the message.
    after_lone_tag: bool,
}

impl<'a> Reader<'a> {
    /// Reads a branch of a block, or the whole template, and the tag that ends it.
    fn branch(&mut self) -> Option<(Template, Tag<'a>)> {
        let mut branch = Template::default();
        loop {
            self.text(&mut branch)?;
            let element = match self.tag(&mut branch)? {
                Tag::Variable(path) => {
                    let variable = HelperTemplate::new(expression(variable(path)?, Vec::new())?, false, false);
                    TemplateElement::Expression(Box::new(variable))
                }
                Tag::Open(block, path) => TemplateElement::HelperBlock(Box::new(self.block(block, path)?)),
                end => return Some((branch, end)),
            };
            branch.elements.push(element);
        }
    }

    /// Reads the text up to the next tag.
    fn text(&mut self, branch: &mut Template) -> Option<()> {
        let tag = tags(self.rest).next().map_or(0, |tag| "{{".len() + tag.len());
        let (text, rest) = self.rest.split_at(self.rest.len() - tag);
        self.rest = rest;
        let shown = if std::mem::take(&mut self.after_lone_tag) { without_line_end(text) } else { text };
        if !text.is_empty() {
            branch.elements.push(TemplateElement::RawString(shown.to_owned()));
        }
        // A backslash would belong to the tag.
        (!text.ends_with('\\')).then_some(())
    }

    /// Reads the next tag. The white space in front of it goes with it, where that is all that its line has.
    fn tag(&mut self, branch: &mut Template) -> Option<Tag<'a>> {
        let Some(tag) = self.rest.strip_prefix("{{") else { return Some(Tag::End) };
        let before = &self.template[..self.template.len() - self.rest.len()];
        let (tag, rest) = tag.split_once("}}")?;
        self.rest = rest;
        let tag = tag.trim_matches(WHITE_SPACE);
        let tag = match tag.split_at_checked(1)? {
            ("#", block) => {
                let (block, path) = block.trim_start_matches(WHITE_SPACE).split_once(WHITE_SPACE)?;
                Tag::Open(block, path.trim_start_matches(WHITE_SPACE))
            }
            ("/", block) => Tag::Close(block.trim_start_matches(WHITE_SPACE)),
            _ if tag == "else" => Tag::Else,
            _ => return Some(Tag::Variable(tag)),
        };
        self.after_lone_tag = (rest.is_empty() || begins_with_line_end(rest)) && ends_with_line_end(before);
        if self.after_lone_tag
            && let Some(TemplateElement::RawString(text)) = branch.elements.last_mut()
        {
            text.truncate(text.trim_end_matches(BLANK).len());
        }
        Some(tag)
    }

    /// Reads what follows `{{#block path}}`.
    fn block(&mut self, name: &str, path: &str) -> Option<HelperTemplate> {
        let is_lone = self.after_lone_tag;
        if !BLOCKS.contains(&name) {
            return None;
        }
        let expression = expression(Parameter::Name(name.to_owned()), vec![variable(path)?])?;
        let mut block = HelperTemplate::new(expression, true, is_lone);
        let (template, mut end) = self.branch()?;
        block.template = Some(template);
        if let Tag::Else = end {
            let (inverse, last) = self.branch()?;
            (block.inverse, end) = (Some(inverse), last);
        }
        matches!(end, Tag::Close(closed) if closed == name).then_some(block)
    }
}

/// What may stand around a tag that has its line to itself.
const BLANK: [char; 2] = [' ', '\t'];
const LINE_END: [char; 2] = ['\n', '\r'];
/// What may stand inside a tag.
const WHITE_SPACE: [char; 4] = [' ', '\t', '\n', '\r'];

fn begins_with_line_end(text: &str) -> bool {
    text.trim_start_matches(BLANK).starts_with(LINE_END)
}

/// The beginning of a template is that of a line.
fn ends_with_line_end(text: &str) -> bool {
    let text = text.trim_end_matches(BLANK);
    text.is_empty() || text.ends_with(LINE_END)
}

fn without_line_end(text: &str) -> &str {
    let text = text.trim_start_matches(BLANK);
    text.strip_prefix("\r\n").or_else(|| text.strip_prefix('\n')).unwrap_or(text)
}

fn expression(name: Parameter, params: Vec<Parameter>) -> Option<ExpressionSpec> {
    let mut expression = ExpressionSpecBuilder::default();
    expression.name(name).params(params).hash(HashMap::new()).omit_pre_ws(false).omit_pro_ws(false).build().ok()
}

/// A variable by its dotted path. Words that mean something else, and characters that might, are left to the library.
fn variable(path: &str) -> Option<Parameter> {
    let is_name = |part: &str| {
        part.starts_with(|c: char| c.is_ascii_alphabetic())
            && part.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
    };
    let has_meaning = |part: &str| ["as", "false", "null", "true"].contains(&part) || part.starts_with("else");
    let is_plain = path.split('.').all(|part| is_name(part) && !has_meaning(part));
    let parts = path.split('.').filter(|part| *part != "this");
    let parts = parts.map(|part| PathSeg::Named(part.to_owned())).collect();
    is_plain.then(|| Parameter::Path(Path::Relative((parts, path.to_owned()))))
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*, sample::select, test_runner::RngSeed};

    use super::*;
    use crate::{
        domain::directory::EmailTemplate,
        mail::template::{built_in, built_in_locales},
    };

    /// What the library makes of it, but for the lines and columns, which nobody is told.
    fn parsed_by_the_library(template: &str) -> Option<Template> {
        let mut parsed = Template::compile(template).ok()?;
        forget_places(&mut parsed);
        Some(parsed)
    }

    fn forget_places(template: &mut Template) {
        template.mapping.clear();
        for element in &mut template.elements {
            if let TemplateElement::HelperBlock(block) = element {
                [&mut block.template, &mut block.inverse].into_iter().flatten().for_each(forget_places);
            }
        }
    }

    #[test]
    fn the_built_in_templates_are_plain() {
        for template in built_in_locales().filter_map(built_in) {
            let EmailTemplate::Inline { subject, html, text } = template else { panic!("they are inline") };
            for part in [subject, html, text] {
                assert!(plain(part).is_some(), "{part}");
                assert!(plain(part) == parsed_by_the_library(part), "{part}");
            }
        }
    }

    #[test]
    fn what_means_more_is_left_to_the_library() {
        for (template, reason) in [
            ("{{{a}}}", "not escaped"),
            ("{{&a}}", "the same"),
            ("{{~a~}}", "white space around it"),
            ("{{a b}}", "a helper"),
            ("{{\u{a0}a}}", "a space that is none to the library"),
            ("{{! a }}", "a comment"),
            ("{{!-- {{a}} --}}", "the other comment"),
            ("\\{{a}}", "escaped"),
            ("{{../a}} {{a/b}} {{@index}} {{a.[0]}} {{this}}", "paths"),
            ("{{elsewhere}}", "a condition on where, to the library"),
            ("{{#if true}}{{/if}}", "a literal"),
            ("{{#if a}}{{else if b}}{{/if}}", "a chain"),
            ("{{#each a as |b|}}{{/each}}", "a name"),
            ("{{#if a}}{{^}}{{/if}}", "the other else"),
            ("{{^if a}}{{/if}}", "the other block"),
            ("{{#other a}}{{/other}}", "a block that is none of SES's"),
            ("{{> a}}", "a partial"),
            ("{{#if a}}", "not closed"),
            ("{{#if a}}{{/each}}", "closed otherwise"),
            ("{{#if a}}{{else}}{{else}}{{/if}}", "two of them"),
            ("{{else}}", "of nothing"),
            ("{{/if}}", "not opened"),
            ("{{}}", "empty"),
            ("{{a", "not ended"),
        ] {
            assert_eq!(plain(template), None, "{reason}: {template}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig {
            failure_persistence: None,
            rng_seed: RngSeed::Fixed(20_260_101),
            ..ProptestConfig::with_cases(1_000)
        })]

        #[test]
        fn whatever_is_parsed_here_the_library_would_have_parsed_to_the_same(
            pieces in vec(select(vec![
                "{{a}}", "{{a.b1}}", "{{this.c_d}}", "{{#if a}}", "{{#each this.a}}", "{{#with b}}", "{{else}}", "{{/if}}",
                "{{ a }}", "{{\ta.b1\n}}", "{{ # if  a }}", "{{#with\na}}", "{{ else }}", "{{ / if }}", "{{#if  a\r\n}}",
                "{{/each}}", "{{/with}}", "{{#unless as.x}}", "{{/unless}}", "{{{a}}}", "{{truest}}", "{{a.else}}", "{{",
                "}}", "}", "x", "\u{e4}", " ", " ", "\t", "\n", "\n", "\r\n", "\r", "\\", "\u{a0}",
            ]), 0..12),
        ) {
            let inner = pieces.concat();
            for template in [inner.clone(), format!("{{{{#if a}}}}{inner}{{{{/if}}}}"), format!("\n{{{{#if a}}}}\n{inner}\n{{{{else}}}} \n{inner} {{{{/if}}}}\n ")] {
                if let Some(parsed) = plain(&template) {
                    prop_assert_eq!(Some(parsed), parsed_by_the_library(&template), "{:?}", template);
                }
            }
        }
    }
}

//! Parsing a template. The parser is slow with plain text, which most of a mail is: some thousand instructions for each
//! character of it. So it is shown every long stretch of text as one character, and the text is put back afterwards.

use handlebars::{Template, TemplateError, template::TemplateElement};

/// Stands for a stretch of text: a character that has no meaning to anybody (Unicode, "Private Use Area").
const PLACEHOLDER: char = '\u{E000}';

/// A stretch of fewer bytes stays.
const LONG: usize = 16;

/// As [`Template::compile`].
pub(super) fn parse(template: &str) -> Result<Template, TemplateError> {
    if !template.contains(PLACEHOLDER) {
        let (skeleton, stretches) = skeleton(template);
        let mut stretches = stretches.into_iter();
        if let Ok(mut parsed) = Template::compile(&skeleton)
            && put_back(&mut parsed, &mut stretches)
            && stretches.next().is_none()
        {
            return Ok(parsed);
        }
    }
    // It is wrong, which is to be told of the whole, or so unusual that what looks like text is something else.
    Template::compile(template)
}

/// The template with placeholders, and what they stand for. The white space around tags has a meaning, and stays.
fn skeleton(template: &str) -> (String, Vec<&str>) {
    let (mut skeleton, mut stretches) = (String::new(), Vec::new());
    let mut rest = template;
    while !rest.is_empty() {
        let (text, tag) = rest.split_at(rest.find("{{").unwrap_or(rest.len()));
        let stretch = text.trim();
        // A backslash would belong to the tag.
        if stretch.len() >= LONG && !stretch.ends_with('\\') {
            skeleton += &text[..text.len() - text.trim_start().len()];
            skeleton.push(PLACEHOLDER);
            skeleton += &text[text.trim_end().len()..];
            stretches.push(stretch);
        } else {
            skeleton += text;
        }
        let end = tag.find("}}").map_or("", |end| &tag[end..]).trim_start_matches('}');
        skeleton += &tag[..tag.len() - end.len()];
        rest = end;
    }
    (skeleton, stretches)
}

/// Puts the stretches back in their order. Says whether there was one for each placeholder.
fn put_back<'a>(template: &mut Template, stretches: &mut impl Iterator<Item = &'a str>) -> bool {
    template.elements.iter_mut().all(|element| match element {
        TemplateElement::RawString(text) if text.contains(PLACEHOLDER) => {
            let stretch = stretches.next();
            *text = text.replacen(PLACEHOLDER, stretch.unwrap_or_default(), 1);
            stretch.is_some() && !text.contains(PLACEHOLDER)
        }
        TemplateElement::HelperBlock(block) => {
            let branches = [&mut block.template, &mut block.inverse];
            branches.into_iter().flatten().all(|branch| put_back(branch, stretches))
        }
        _ => true,
    })
}

#[cfg(test)]
mod tests {
    use handlebars::{Context, Handlebars, RenderContext, Renderable};
    use serde_json::json;

    use super::*;
    use crate::{directory::EmailTemplate, mail::template::BUILT_IN};

    #[test]
    fn a_template_says_the_same_as_if_it_were_parsed_as_a_whole() {
        const LONG_TEXT: &str = "a text that is so long that a placeholder stands for it";
        let built_in = BUILT_IN.values().flat_map(|template| match template {
            EmailTemplate::Inline { subject, html, text } => [subject.clone(), html.clone(), text.clone()],
            EmailTemplate::Stored { .. } => panic!("the built-in templates are inline"),
        });
        let unusual = [
            "\n  T  \n{{#if a}}\n T\n\n{{else if b}}\n  T {{~ a ~}} \n T\n{{else}}T{{/if}}\n\nT\n"
                .replace('T', LONG_TEXT),
            "T{{{a}}}T{{a}}}T".replace('T', LONG_TEXT),
            "T {{! T }} T {{!-- }} T {{ --}} T".replace('T', LONG_TEXT),
            "T\\{{a}} T\\\\{{a}} T".replace('T', LONG_TEXT),
            "T {{#if \"}} T {{\"}}T{{/if}} T".replace('T', LONG_TEXT),
            "T \u{E000} {{a}}".replace('T', LONG_TEXT),
            "{{#each list}}T{{this}}{{^}}T{{/each}}T{{#unless a}}T{{else}}T{{/unless}}".replace('T', LONG_TEXT),
            "T { {a} } {T} }} T".replace('T', LONG_TEXT),
            "T {{a".replace('T', LONG_TEXT),
            "T {{#if a}} T".replace('T', LONG_TEXT),
            String::new(),
        ];
        let variables = json!({ "a": "A", "link": "L", "list": [1, 2], "inviter": { "name": "N" }, "organization": {},
            "invitation": { "organizationRoles": [{ "name": "R" }], "expiresOn": "X" } });
        let (registry, variables) = (Handlebars::new(), Context::from(variables));
        let rendered = |template: Result<Template, TemplateError>| {
            let template = template.map_err(|error| error.reason().to_string())?;
            let rendered = template.renders(&registry, &variables, &mut RenderContext::new(None));
            rendered.map_err(|error| error.reason().to_string())
        };
        for template in built_in.chain(unusual) {
            assert_eq!(rendered(parse(&template)), rendered(Template::compile(&template)), "{template}");
        }
    }

    #[test]
    fn the_parser_sees_next_to_nothing_of_a_mail() {
        for template in BUILT_IN.values() {
            let EmailTemplate::Inline { html, .. } = template else { panic!("the built-in templates are inline") };
            assert!(skeleton(html).0.len() < html.len() / 3, "{}", skeleton(html).0);
        }
    }
}

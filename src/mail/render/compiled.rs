//! Compiled templates, and those that are kept from one message to the next: compiling takes many times as long as
//! rendering.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use handlebars::{
    Path, PathSeg, Template,
    template::{HelperTemplate, Parameter, TemplateElement},
};
use serde_json::Value;

use super::{RenderFailure, compile, steps::counted};

/// The most that the kept templates take, in bytes as [`template_bytes`] estimates them: some hundred usual ones, or a
/// few of the largest. A function of 128 MB has about 100 MB for everything.
const MAX_KEPT_BYTES: usize = 8 << 20;

/// The most that one of them may take.
const MAX_ENTRY_BYTES: usize = MAX_KEPT_BYTES / 4;

/// The overhead of an allocation, in bytes: its header and the rounding.
const ALLOCATION: usize = 24;

/// The templates that are kept, by their text.
#[derive(Default)]
struct Kept {
    templates: BTreeMap<String, Arc<Template>>,
    bytes: usize,
}

/// Compiles a template, unless that was done before.
pub(super) fn compiled(template: &str) -> Result<Arc<Template>, RenderFailure> {
    static KEPT: Mutex<Kept> = Mutex::new(Kept { templates: BTreeMap::new(), bytes: 0 });
    let lock = || KEPT.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(compiled) = lock().templates.get(template) {
        return Ok(Arc::clone(compiled));
    }
    let compiled = Arc::new(counted(compile(template)?));
    lock().keep(template, &compiled);
    Ok(compiled)
}

impl Kept {
    /// Keeps a template. Where there is no room, all others go: which will be needed next cannot be known.
    fn keep(&mut self, text: &str, compiled: &Arc<Template>) {
        let bytes = ALLOCATION + text.len() + template_bytes(compiled);
        if bytes > MAX_ENTRY_BYTES {
            return;
        }
        if self.bytes + bytes > MAX_KEPT_BYTES {
            *self = Self::default();
        }
        if self.templates.insert(text.to_owned(), Arc::clone(compiled)).is_none() {
            self.bytes += bytes;
        }
    }
}

/// An estimate of the memory that a compiled template takes, in bytes. [`counted`] has dropped the positions of its tags.
fn template_bytes(template: &Template) -> usize {
    let elements = template.elements.capacity() * size_of::<TemplateElement>();
    elements + template.elements.iter().map(element_bytes).sum::<usize>()
}

fn element_bytes(element: &TemplateElement) -> usize {
    use TemplateElement as E;
    match element {
        E::RawString(text) | E::Comment(text) => ALLOCATION + text.capacity(),
        E::Expression(tag) | E::HtmlExpression(tag) | E::HelperBlock(tag) => tag_bytes(tag),
        // No template that is rendered here has any of the others.
        _ => 0,
    }
}

fn tag_bytes(tag: &HelperTemplate) -> usize {
    let parameters = tag.params.iter().chain(tag.hash.values());
    let branches = [&tag.template, &tag.inverse].into_iter().flatten();
    ALLOCATION
        + size_of::<HelperTemplate>()
        + parameter_bytes(&tag.name)
        + parameters.map(|it| ALLOCATION + size_of::<Parameter>() + parameter_bytes(it)).sum::<usize>()
        + tag.hash.keys().map(|key| ALLOCATION + key.len()).sum::<usize>()
        + branches.map(template_bytes).sum::<usize>()
}

fn parameter_bytes(parameter: &Parameter) -> usize {
    match parameter {
        Parameter::Name(text) | Parameter::Path(Path::Local((_, _, text))) => 2 * (ALLOCATION + text.len()),
        Parameter::Path(Path::Relative((segments, text))) => {
            let of_segments = segments.len() * (size_of::<PathSeg>() + ALLOCATION);
            2 * (ALLOCATION + text.len()) + of_segments
        }
        Parameter::Literal(value) => value_bytes(value),
        // A template with a subexpression is invalid.
        _ => 0,
    }
}

fn value_bytes(value: &Value) -> usize {
    let own = ALLOCATION + size_of::<Value>();
    match value {
        Value::String(text) => own + text.len(),
        Value::Array(values) => own + values.iter().map(value_bytes).sum::<usize>(),
        Value::Object(fields) => own + fields.iter().map(|(key, it)| key.len() + 64 + value_bytes(it)).sum::<usize>(),
        _ => own,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_stays_within_its_bytes_whatever_is_compiled() {
        let mut kept = Kept::default();
        for tenant in 0..100 {
            let text = format!("{tenant}{}", "{{a.b.c}} and more ".repeat(450));
            kept.keep(&text, &Arc::new(counted(compile(&text).unwrap())));
            let bytes =
                |(text, template): (&String, &Arc<Template>)| ALLOCATION + text.len() + template_bytes(template);
            assert_eq!(kept.bytes, kept.templates.iter().map(bytes).sum::<usize>());
            assert!(kept.bytes <= MAX_KEPT_BYTES && !kept.templates.is_empty());
        }
        let bytes = kept.bytes;
        let text = format!("{{{{#if {}}}}}{{{{/if}}}}", "a ".repeat(400)).repeat(60);
        kept.keep(&text, &Arc::new(counted(compile(&text).unwrap())));
        assert_eq!(kept.bytes, bytes, "one that is larger than it reads is not kept");
    }

    #[test]
    fn the_estimate_grows_with_literals_and_with_the_segments_of_a_path() {
        let bytes = |text: &str| template_bytes(&counted(compile(text).unwrap()));
        let literal = |text: &str| bytes(&format!("{{{{#if \"{text}\"}}}}{{{{/if}}}}"));
        assert!(literal(&"x".repeat(501)) - literal("x") >= 500);
        let segments = bytes(&format!("{{{{a{}}}}}", ".a".repeat(100))) - bytes("{{a}}");
        assert!(segments >= 100 * (size_of::<PathSeg>() + ALLOCATION), "each is an allocation: {segments}");
    }
}

//! A cache of compiled templates, because compiling takes many times as long as rendering.

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

/// The maximum size of the cache, in bytes as estimated by [`template_bytes`]: some hundred usual templates, or a few
/// of the largest. A function with 128 MB has about 100 MB for everything.
const MAX_CACHE_BYTES: usize = 8 << 20;

/// The maximum size of a cached template, in bytes.
const MAX_ENTRY_BYTES: usize = MAX_CACHE_BYTES / 4;

/// The overhead of an allocation, in bytes: its header and the rounding.
const ALLOCATION: usize = 24;

/// The cached templates, by their text.
#[derive(Default)]
struct TemplateCache {
    templates: BTreeMap<String, Arc<Template>>,
    bytes: usize,
}

/// Returns the compiled template, from the cache if possible.
pub(super) fn compiled(template: &str) -> Result<Arc<Template>, RenderFailure> {
    static CACHE: Mutex<TemplateCache> = Mutex::new(TemplateCache { templates: BTreeMap::new(), bytes: 0 });
    let lock = || CACHE.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(compiled) = lock().templates.get(template) {
        return Ok(Arc::clone(compiled));
    }
    let compiled = Arc::new(counted(compile(template)?));
    lock().put(template, &compiled);
    Ok(compiled)
}

impl TemplateCache {
    /// Caches a template. If the cache is full, it is cleared first.
    fn put(&mut self, text: &str, compiled: &Arc<Template>) {
        let bytes = ALLOCATION + text.len() + template_bytes(compiled);
        if bytes > MAX_ENTRY_BYTES {
            return;
        }
        if self.bytes + bytes > MAX_CACHE_BYTES {
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
        // No supported template has other elements.
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
        // Templates with subexpressions are not supported.
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
    fn the_cache_stays_within_its_maximum_bytes_whatever_is_compiled() {
        let mut cache = TemplateCache::default();
        for tenant in 0..100 {
            let text = format!("{tenant}{}", "{{a.b.c}} and more ".repeat(450));
            cache.put(&text, &Arc::new(counted(compile(&text).unwrap())));
            let bytes =
                |(text, template): (&String, &Arc<Template>)| ALLOCATION + text.len() + template_bytes(template);
            assert_eq!(cache.bytes, cache.templates.iter().map(bytes).sum::<usize>());
            assert!(cache.bytes <= MAX_CACHE_BYTES && !cache.templates.is_empty());
        }
        let bytes = cache.bytes;
        let text = format!("{{{{#if {}}}}}{{{{/if}}}}", "a ".repeat(400)).repeat(60);
        cache.put(&text, &Arc::new(counted(compile(&text).unwrap())));
        assert_eq!(cache.bytes, bytes, "one that is larger than it reads is not cached");
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

//! The limits of a template, which bound the cost of parsing, caching and rendering it.
//!
//! For each tag, the library's parser scans the template up to the tag several times to find its line and column, so
//! its time grows with the product of length and tags. Each parsed tag takes some hundred bytes.

/// The maximum size of a template's part, in bytes: Gmail clips longer messages.
pub const MAX_TEMPLATE_BYTES: usize = 100 * 1024;

/// The maximum number of tags in a part.
pub const MAX_TAGS: usize = 500;

/// The maximum product of a part's bytes and its tags, which takes about 60 ms to parse on a full core.
const MAX_BYTES_TIMES_TAGS: usize = 10_000_000;

/// The maximum length of a tag other than a comment, in bytes: rendering may copy a tag's literals each time.
const MAX_TAG_BYTES: usize = 1_024;

/// The maximum number of branches in a template, and of brackets in a tag: each may add a level of recursion when the
/// template is parsed or dropped.
const MAX_LEVELS: usize = 100;

/// Checks a part of a template before it is parsed, in linear time.
pub(super) fn check(template: &str) -> Result<(), &'static str> {
    if template.len() > MAX_TEMPLATE_BYTES {
        return Err("a part of a template can have at most 102,400 bytes");
    }
    if tag_count(template) > MAX_TAGS {
        return Err("a part of a template can have at most 500 tags");
    }
    if tags(template).filter(|tag| begins_branch(tag)).count() > MAX_LEVELS {
        return Err("a template cannot have more than 100 branches");
    }
    if template.len() * tag_count(template) > MAX_BYTES_TIMES_TAGS {
        return Err("the bytes of a part, times its tags, can be at most 10,000,000");
    }
    tags(template).try_for_each(check_tag)
}

/// The text after each `{{`. Searches for one character, which the standard library does many times faster than for
/// two.
fn tags(template: &str) -> impl Iterator<Item = &str> {
    template.match_indices('{').filter_map(|(at, _)| template[at + 1..].strip_prefix('{'))
}

/// Counts tags. Overlapping braces, as in `{{{`, begin one tag.
fn tag_count(template: &str) -> usize {
    let mut end_of_last = 0;
    let begins_after_last = |tag: &&str| {
        let begin = template.len() - tag.len() - "{{".len();
        let is_next = begin >= end_of_last;
        if is_next {
            end_of_last = begin + "{{".len();
        }
        is_next
    };
    tags(template).filter(begins_after_last).count()
}

/// Returns `true` if the text after `{{` begins a block or another branch of a block, in any notation.
fn begins_branch(tag: &str) -> bool {
    let tag = tag.trim_start_matches(['~', ' ', '\t', '\r', '\n']);
    tag.starts_with(['#', '^']) || tag.starts_with("else")
}

/// Checks the text after `{{`.
fn check_tag(tag: &str) -> Result<(), &'static str> {
    if tag.starts_with('!') {
        return Ok(());
    }
    let tag = &tag.as_bytes()[..tag.len().min(MAX_TAG_BYTES + "}}".len())];
    let end = tag.windows(2).position(|two| two == b"}}");
    let brackets = tag[..end.unwrap_or(tag.len())].iter().filter(|byte| b"([{".contains(byte)).count();
    if brackets > MAX_LEVELS {
        return Err("a tag of a template cannot have more than 100 brackets");
    }
    if end.is_none() && tag.len() > MAX_TAG_BYTES {
        return Err("a tag of a template can have at most 1,024 bytes");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_is_counted_once_however_many_braces_begin_it() {
        for text in ["", "{", "{ {", "{{a}}", "{{{a}}}", "a{{b}}{{{c}}}", "{{{{raw}}}}", "{{{{{", "\u{e4}{{\u{e4}}}{{"]
        {
            assert_eq!(tag_count(text), text.matches("{{").count(), "{text}");
        }
    }

    #[test]
    fn a_tag_has_at_most_a_hundred_brackets_and_1024_bytes() {
        for (tag, is_allowed, reason) in [
            (format!("{}}}}}", "(".repeat(100)), true, "a hundred brackets"),
            (format!("{}}}}}", "(".repeat(101)), false, "one more"),
            (format!("{}(([}}}}", "([{".repeat(33)), false, "of several kinds"),
            (format!("a}}}}{}", "(".repeat(101)), true, "those after the tag are none of its own"),
            (format!("!{}}}}}", "(".repeat(101)), true, "a comment"),
            (format!("{}}}}}", "a".repeat(1024)), true, "1,024 bytes"),
            (format!("{}}}}}", "a".repeat(1025)), false, "one more"),
            ("a".repeat(1024), true, "1,024 bytes without an end, which the parser rejects"),
            ("a".repeat(1025), false, "one more"),
        ] {
            assert_eq!(check_tag(&tag).is_ok(), is_allowed, "{reason}: {tag}");
        }
    }
}

//! The part of Markdown that the descriptions use: paragraphs, lists, bold text and code.

use maud::{Markup, html};

/// A description as paragraphs and lists.
pub(super) fn blocks(text: &str) -> Markup {
    html! {
        @for block in text.trim().split("\n\n").filter(|block| !block.trim().is_empty()) {
            @let (before, items) = list(block);
            @if !before.is_empty() { p { (inline(&before)) } }
            @if !items.is_empty() { ul { @for item in &items { li { (inline(item)) } } } }
        }
    }
}

/// The text before the first item of a list, and the items. Lines are joined.
fn list(block: &str) -> (String, Vec<String>) {
    let (mut before, mut items) = (String::new(), Vec::<String>::new());
    for line in block.lines().map(str::trim) {
        if let Some(item) = line.strip_prefix("- ") {
            items.push(item.to_owned());
            continue;
        }
        let text = items.last_mut().unwrap_or(&mut before);
        if !text.is_empty() {
            text.push(' ');
        }
        text.push_str(line);
    }
    (before, items)
}

/// A text with code and bold parts. An unpaired mark stays as it is.
pub(super) fn inline(text: &str) -> Markup {
    html! { @for (is_code, part) in parts(text, "`") { @if is_code { code { (part) } } @else { (bold(part)) } } }
}

fn bold(text: &str) -> Markup {
    html! { @for (is_bold, part) in parts(text, "**") { @if is_bold { strong { (part) } } @else { (part) } } }
}

/// The parts of a text outside and inside pairs of `mark`.
fn parts<'a>(text: &'a str, mark: &str) -> Vec<(bool, &'a str)> {
    let (mut parts, mut rest) = (Vec::new(), text);
    while let Some((before, (inside, after))) =
        rest.split_once(mark).and_then(|(before, after)| Some((before, after.split_once(mark)?)))
    {
        parts.extend([(false, before), (true, inside)]);
        rest = after;
    }
    parts.push((false, rest));
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_marks_of_descriptions_become_markup_and_everything_else_is_escaped() {
        for (text, expected) in [
            ("a\nb", "<p>a b</p>"),
            ("a\n\nb", "<p>a</p><p>b</p>"),
            ("- a\n  b\n- c\n", "<ul><li>a b</li><li>c</li></ul>"),
            ("a:\n- b", "<p>a:</p><ul><li>b</li></ul>"),
            ("**a** `b**c**` <i>", "<p><strong>a</strong> <code>b**c**</code> &lt;i&gt;</p>"),
            ("a `b", "<p>a `b</p>"),
            ("", ""),
        ] {
            assert_eq!(blocks(text).into_string(), expected, "{text:?}");
        }
    }
}

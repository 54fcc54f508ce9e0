//! What SES accepts as an address, a tag, a header and a text. The messages are in SES's manner, and name what is
//! wrong with what.

use std::collections::BTreeSet;

use super::{
    refusal::Refusal,
    wire::{Content, NameAndValue},
};

/// SES counts To, Cc and Bcc together.
const MAX_RECIPIENTS: usize = 50;
const MAX_TAGS: usize = 50;
const MAX_TAG_CHARACTERS: usize = 256;
/// "The combined length of the header name and value must not exceed 996 characters."
const MAX_HEADER_CHARACTERS: usize = 996;
const MAX_HEADER_NAME_CHARACTERS: usize = 126;
const MAX_HEADERS: usize = 15;

const CHARSETS: [&str; 6] = ["UTF-8", "US-ASCII", "ISO-8859-1", "ISO-8859-15", "windows-1252", "Shift_JIS"];

/// At least one recipient, at most fifty, every one an address.
pub(super) fn recipients<'a>(addresses: impl Iterator<Item = &'a String> + Clone) -> Result<(), Refusal> {
    match addresses.clone().count() {
        0 => Err(Refusal::bad_request("There are no recipients.")),
        1..=MAX_RECIPIENTS => addresses.into_iter().try_for_each(|text| address("recipient", text)),
        count => Err(Refusal::bad_request(format!("Recipient count exceeds {MAX_RECIPIENTS}: {count}."))),
    }
}

/// `local@domain`, `Name <local@domain>` or `"Name" <local@domain>`. All of it is ASCII: a display name in another
/// script has to be an encoded word (RFC 2047).
pub(super) fn address(role: &str, text: &str) -> Result<(), Refusal> {
    let problem = |what: &str| Err(Refusal::bad_request(format!("Illegal {role} address: {what}.")));
    if !text.is_ascii() {
        return problem("it contains characters that are not ASCII");
    }
    if text.contains(|c: char| c.is_ascii_control()) {
        return problem("it contains a control character");
    }
    let mailbox = match text.split_once('<') {
        None => text.trim(),
        Some((name, rest)) => match rest.trim_end().strip_suffix('>') {
            _ if !is_display_name(name.trim()) => return problem("the display name has to be quoted"),
            None => return problem("missing '>'"),
            Some(mailbox) => mailbox,
        },
    };
    match mailbox.rsplit_once('@') {
        None => problem("missing final '@domain'"),
        Some((local, _)) if !is_local_part(local) => problem("the local part is malformed"),
        Some((_, domain)) if !is_domain(domain) => problem("the domain is malformed"),
        Some(_) => Ok(()),
    }
}

/// A quoted string, or words without the characters that mean something in a header.
fn is_display_name(name: &str) -> bool {
    let is_quote_free = |text: &str| !text.replace(r"\\", "").replace("\\\"", "").contains('"');
    match name.strip_prefix('"').and_then(|name| name.strip_suffix('"')) {
        Some(quoted) => is_quote_free(quoted),
        None => !name.contains(['"', '(', ')', '<', '>', '[', ']', ':', ';', '@', '\\', ',']),
    }
}

fn is_local_part(local: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-/=?^_`{|}~.".contains(c);
    (1..=64).contains(&local.len()) && local.chars().all(allowed)
}

fn is_domain(domain: &str) -> bool {
    let is_label = |label: &str| {
        let allowed = |c: char| c.is_ascii_alphanumeric() || c == '-';
        (1..=63).contains(&label.len())
            && label.chars().all(allowed)
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    domain.len() <= 255 && domain.contains('.') && domain.split('.').all(is_label)
}

/// Letters, digits and `_.@-`, and no name twice.
pub(super) fn tags(tags: &[NameAndValue]) -> Result<(), Refusal> {
    let mut names = BTreeSet::new();
    if tags.len() > MAX_TAGS {
        return Err(Refusal::bad_request(format!("More than {MAX_TAGS} message tags.")));
    }
    for NameAndValue { name, value } in tags {
        if !is_tag_text(name) {
            return Err(Refusal::bad_request(format!("Invalid message tag name: {name:?}.")));
        }
        if !is_tag_text(value) {
            return Err(Refusal::bad_request(format!("Invalid message tag value of {name}: {value:?}.")));
        }
        if !names.insert(name) {
            return Err(Refusal::bad_request(format!("Duplicate message tag name: {name}.")));
        }
    }
    Ok(())
}

fn is_tag_text(text: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "_.@-".contains(c);
    (1..=MAX_TAG_CHARACTERS).contains(&text.len()) && text.chars().all(allowed)
}

/// Printable ASCII, within SES's lengths: a line break would begin another header.
pub(super) fn headers(headers: &[NameAndValue]) -> Result<(), Refusal> {
    if headers.len() > MAX_HEADERS {
        return Err(Refusal::bad_request(format!("More than {MAX_HEADERS} message headers.")));
    }
    for NameAndValue { name, value } in headers {
        let named = (1..=MAX_HEADER_NAME_CHARACTERS).contains(&name.len());
        if !named || !name.chars().all(|c| c.is_ascii_graphic() && c != ':') {
            return Err(Refusal::bad_request(format!("Invalid message header name: {name:?}.")));
        }
        let printable = value.chars().all(|c| c.is_ascii_graphic() || c == ' ');
        if !printable || value.is_empty() || name.len() + value.len() > MAX_HEADER_CHARACTERS {
            return Err(Refusal::bad_request(format!("Invalid message header value of {name}.")));
        }
    }
    Ok(())
}

/// A subject is one line.
pub(super) fn subject(text: &str) -> Result<(), Refusal> {
    if text.contains(|c: char| c.is_control()) {
        return Err(Refusal::bad_request("The subject contains a control character."));
    }
    Ok(())
}

/// Without a charset SES takes a text for 7-bit ASCII, and mangles one that is not; that is refused here.
pub(super) fn charset(content: &Content) -> Result<(), Refusal> {
    match &content.charset {
        None if content.data.is_ascii() => Ok(()),
        None => Err(Refusal::bad_request("The text is not ASCII and names no charset.")),
        Some(charset) if CHARSETS.iter().any(|known| known.eq_ignore_ascii_case(charset)) => Ok(()),
        Some(charset) => Err(Refusal::bad_request(format!("Unsupported charset: {charset:?}."))),
    }
}

/// Up to 64 letters, digits, underscores and hyphens: the names of templates and configuration sets.
pub(super) fn resource_name(kind: &str, name: &str) -> Result<(), Refusal> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if (1..=64).contains(&name.len()) && name.chars().all(allowed) {
        return Ok(());
    }
    Err(Refusal::bad_request(format!("Invalid {kind} name: {name:?}.")))
}

//! SES's rules for addresses, tags, headers and texts. The messages imitate SES and name the fault.

use std::collections::BTreeSet;

use super::{
    rejection::Rejection,
    wire::{Content, NameAndValue},
};

/// The limit of To, Cc and Bcc together.
const MAX_RECIPIENTS: usize = 50;
const MAX_TAGS: usize = 50;
const MAX_TAG_CHARACTERS: usize = 256;
/// "The combined length of the header name and value must not exceed 996 characters."
const MAX_HEADER_CHARACTERS: usize = 996;
const MAX_HEADER_NAME_CHARACTERS: usize = 126;
const MAX_HEADERS: usize = 15;

const CHARSETS: [&str; 6] = ["UTF-8", "US-ASCII", "ISO-8859-1", "ISO-8859-15", "windows-1252", "Shift_JIS"];

/// Checks for one to fifty recipients, each of them an address.
pub(super) fn recipients<'a>(addresses: impl Iterator<Item = &'a String> + Clone) -> Result<(), Rejection> {
    match addresses.clone().count() {
        0 => Err(Rejection::bad_request("There are no recipients.")),
        1..=MAX_RECIPIENTS => addresses.into_iter().try_for_each(|text| address("recipient", text)),
        count => Err(Rejection::bad_request(format!("Recipient count exceeds {MAX_RECIPIENTS}: {count}."))),
    }
}

/// Checks an address: `local@domain`, `Name <local@domain>` or `"Name" <local@domain>`, in ASCII. A display name in
/// another script has to be an encoded word (RFC 2047).
pub(super) fn address(role: &str, text: &str) -> Result<(), Rejection> {
    let problem = |what: &str| Err(Rejection::bad_request(format!("Illegal {role} address: {what}.")));
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

/// Accepts a quoted string, or words without the special characters of a header.
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

/// Checks tags: letters, digits and `_.@-`, and no name twice.
pub(super) fn tags(tags: &[NameAndValue]) -> Result<(), Rejection> {
    let mut names = BTreeSet::new();
    if tags.len() > MAX_TAGS {
        return Err(Rejection::bad_request(format!("More than {MAX_TAGS} message tags.")));
    }
    for NameAndValue { name, value } in tags {
        if !is_tag_text(name) {
            return Err(Rejection::bad_request(format!("Invalid message tag name: {name:?}.")));
        }
        if !is_tag_text(value) {
            return Err(Rejection::bad_request(format!("Invalid message tag value of {name}: {value:?}.")));
        }
        if !names.insert(name) {
            return Err(Rejection::bad_request(format!("Duplicate message tag name: {name}.")));
        }
    }
    Ok(())
}

fn is_tag_text(text: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "_.@-".contains(c);
    (1..=MAX_TAG_CHARACTERS).contains(&text.len()) && text.chars().all(allowed)
}

/// Checks headers: printable ASCII within SES's lengths. A line break would start another header.
pub(super) fn headers(headers: &[NameAndValue]) -> Result<(), Rejection> {
    if headers.len() > MAX_HEADERS {
        return Err(Rejection::bad_request(format!("More than {MAX_HEADERS} message headers.")));
    }
    for NameAndValue { name, value } in headers {
        let named = (1..=MAX_HEADER_NAME_CHARACTERS).contains(&name.len());
        if !named || !name.chars().all(|c| c.is_ascii_graphic() && c != ':') {
            return Err(Rejection::bad_request(format!("Invalid message header name: {name:?}.")));
        }
        let printable = value.chars().all(|c| c.is_ascii_graphic() || c == ' ');
        if !printable || value.is_empty() || name.len() + value.len() > MAX_HEADER_CHARACTERS {
            return Err(Rejection::bad_request(format!("Invalid message header value of {name}.")));
        }
    }
    Ok(())
}

/// Checks that a subject is one line.
pub(super) fn subject(text: &str) -> Result<(), Rejection> {
    if text.contains(|c: char| c.is_control()) {
        return Err(Rejection::bad_request("The subject contains a control character."));
    }
    Ok(())
}

/// Checks a charset. SES reads a text without a charset as 7-bit ASCII and garbles other text; the stand-in rejects
/// such a text.
pub(super) fn charset(content: &Content) -> Result<(), Rejection> {
    match &content.charset {
        None if content.data.is_ascii() => Ok(()),
        None => Err(Rejection::bad_request("The text is not ASCII and names no charset.")),
        Some(charset) if CHARSETS.iter().any(|known| known.eq_ignore_ascii_case(charset)) => Ok(()),
        Some(charset) => Err(Rejection::bad_request(format!("Unsupported charset: {charset:?}."))),
    }
}

/// Checks the name of a template or a configuration set: up to 64 letters, digits, underscores and hyphens.
pub(super) fn resource_name(kind: &str, name: &str) -> Result<(), Rejection> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if (1..=64).contains(&name.len()) && name.chars().all(allowed) {
        return Ok(());
    }
    Err(Rejection::bad_request(format!("Invalid {kind} name: {name:?}.")))
}

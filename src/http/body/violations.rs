//! The table from rules to violations: zod's code and message for each of garde's rules and of ours.
//!
//! An error of garde is only a text. A violation is therefore passed through garde as its code, a space and its
//! message: [`text`] writes that and [`validate`] parses it. No other code depends on the form.

use std::{borrow::Cow, collections::BTreeSet, fmt::Display};

use garde::{
    Report, Valid, Validate,
    error::Path,
    i18n::{I18n, InvalidCreditCard, InvalidEmail, InvalidPhoneNumber, InvalidUrl, IpKind, with_i18n},
};

use super::field::{Field, JsonType};
use crate::{
    domain::email_address::{EmailAddress, EmailAddressError},
    http::error::{Issue, IssueCode, PathSegment, RequestError},
};

/// The maximum number of violations in a response, which bounds its size.
pub(super) const MAX_ISSUES: usize = 100;

/// The violations of garde's rules for the form of a string, which share one code in zod. No body uses them yet.
macro_rules! invalid_string {
    ($($rule:ident($($argument:ty)?)),*) => {
        $(fn $rule(&self $(, _: $argument)?) -> Cow<'static, str> {
            text(IssueCode::InvalidString, "Invalid")
        })*
    };
}
/// The violations of garde's own rules.
struct ZodMessages;

impl I18n for ZodMessages {
    fn required_not_set(&self) -> Cow<'static, str> {
        text(IssueCode::InvalidType, "Required")
    }

    fn length_lower_than(&self, min: usize) -> Cow<'static, str> {
        let plural = if min == 1 { "" } else { "s" };
        text(IssueCode::TooSmall, format_args!("String must contain at least {min} character{plural}"))
    }

    fn length_greater_than(&self, max: usize) -> Cow<'static, str> {
        text(IssueCode::TooBig, format_args!("String must contain at most {max} characters"))
    }

    fn range_lower_than(&self, min: &dyn Display) -> Cow<'static, str> {
        text(IssueCode::TooSmall, format_args!("Number must be at least {min}"))
    }

    fn range_greater_than(&self, max: &dyn Display) -> Cow<'static, str> {
        text(IssueCode::TooBig, format_args!("Number must be at most {max}"))
    }

    invalid_string! {
        alphanumeric_invalid(), ascii_invalid(), contains_missing(&dyn Display), credit_card_invalid(InvalidCreditCard),
        email_invalid(InvalidEmail), ip_invalid(IpKind), matches_field_mismatch(&dyn Display),
        pattern_no_match(&dyn Display), phone_number_invalid(InvalidPhoneNumber), prefix_missing(&dyn Display),
        suffix_missing(&dyn Display), url_invalid(InvalidUrl)
    }
}

/// Requires the JSON type of a present field. garde's `required` checks for absence.
pub(crate) fn typed<T: JsonType, C>(field: &Field<T>, _: &C) -> garde::Result {
    match field {
        Field::Mistyped(found) => Err(wrong_type(T::NAME, found)),
        Field::Absent | Field::Present(_) => Ok(()),
    }
}

/// Requires `messagePayload` to be an object or `false`.
pub(crate) fn object_or_false<T, C>(field: &Field<T>, _: &C) -> garde::Result {
    match field {
        Field::Mistyped(_) => Err(violation(IssueCode::InvalidUnion, "Expected object or false")),
        Field::Absent | Field::Present(_) => Ok(()),
    }
}

/// Requires an email address. Accepts an address that is only too long, because the use case reports it, as a 422.
pub(crate) fn email<C>(field: &Field<String>, _: &C) -> garde::Result {
    match field.value().map(|text| EmailAddress::parse(text)) {
        None | Some(Ok(_) | Err(EmailAddressError::TooLong)) => Ok(()),
        Some(Err(EmailAddressError::Malformed)) => Err(violation(IssueCode::InvalidString, "Invalid email")),
    }
}

/// Requires one of two texts.
pub(crate) fn either<C>(one: &str, other: &str) -> impl FnOnce(&Field<String>, &C) -> garde::Result {
    move |field, _| match field.value() {
        Some(text) if text != one && text != other => {
            Err(violation(IssueCode::InvalidEnumValue, format_args!("Expected '{one}' or '{other}'")))
        }
        _ => Ok(()),
    }
}

/// Limits the number of distinct strings of an array.
pub(crate) fn at_most_distinct<C>(max: usize) -> impl FnOnce(&Field<Vec<Field<String>>>, &C) -> garde::Result {
    move |field, _| {
        let distinct: BTreeSet<&String> = field.value().into_iter().flatten().filter_map(Field::value).collect();
        if distinct.len() > max {
            let message = format_args!("Array must contain at most {max} distinct elements");
            return Err(violation(IssueCode::TooBig, message));
        }
        Ok(())
    }
}

/// The violation of a wrong JSON type.
pub(super) fn wrong_type(expected: &str, found: &str) -> garde::Error {
    violation(IssueCode::InvalidType, format_args!("Expected {expected}, received {found}"))
}

fn violation(code: IssueCode, message: impl Display) -> garde::Error {
    garde::Error::new(text(code, message))
}

/// The text of a violation.
fn text(code: IssueCode, message: impl Display) -> Cow<'static, str> {
    format!("{} {message}", code.as_str()).into()
}

/// Validates a whole body.
///
/// # Errors
/// [`RequestError::InvalidBody`] with every violation in the order of `keys`.
pub(crate) fn validate<B: Validate>(body: B, context: &B::Context, keys: &[&str]) -> Result<Valid<B>, RequestError> {
    let validated = with_i18n(ZodMessages, || garde::Unvalidated::new(body).validate_with(context));
    validated.map_err(|report| RequestError::InvalidBody { issues: issues(&report, keys) })
}

/// The first [`MAX_ISSUES`] violations that garde reports, sorted by the position of their field in `keys`.
fn issues(report: &Report, keys: &[&str]) -> Vec<Issue> {
    let mut issues: Vec<Issue> =
        report.iter().take(MAX_ISSUES).map(|(path, error)| issue(path, error.message())).collect();
    issues.sort_by_key(|issue| match issue.path.first() {
        Some(PathSegment::Key(first)) => keys.iter().position(|key| key == first),
        _ => None,
    });
    issues
}

fn issue(path: &Path, text: &str) -> Issue {
    let (code, message) = text.split_once(' ').unwrap_or(("", text));
    Issue { code: IssueCode::parse(code), path: segments(path), message: message.to_owned() }
}

/// Parses a path of garde, such as `field_of_rust.b[0].c`. The keys of the bodies contain neither dots nor brackets.
fn segments(path: &Path) -> Vec<PathSegment> {
    let text = path.to_string();
    let parts = text.split(['.', '[']).filter(|part| !part.is_empty());
    parts
        .map(|part| match part.strip_suffix(']').and_then(|index| index.parse().ok()) {
            Some(index) => PathSegment::Index(index),
            None => PathSegment::Key(camel_case(part)),
        })
        .collect()
}

/// The key of the body for a Rust field name.
fn camel_case(field: &str) -> String {
    let mut words = field.split('_');
    let first = words.next().unwrap_or_default().to_owned();
    words.fold(first, |key, word| {
        let (initial, rest) = word.split_at(word.len().min(1));
        key + &initial.to_ascii_uppercase() + rest
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_has_the_keys_and_indices_of_the_body() {
        let path = Path::new("organization_role_ids").join(3).join("name");
        let expected = [
            PathSegment::Key("organizationRoleIds".to_owned()),
            PathSegment::Index(3),
            PathSegment::Key("name".to_owned()),
        ];
        assert_eq!(segments(&path), expected);
    }
}

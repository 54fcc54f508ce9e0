//! Converts a row into the body of a create.

use std::collections::HashMap;

use serde_json::{Map, Value, json};

use super::{
    Options, expiry,
    file::{BadFile, Row},
    rejected::{ERROR_CODE, ERROR_MESSAGE, Rejected},
    run::MAX_BYTES,
};
use crate::domain::timestamp::Timestamp;

/// The API's code for a row with the organization and address of an earlier row.
const DUPLICATE: &str = "entity.unique_integrity_violation";

/// The values of fields that a row lacks.
pub(super) struct Defaults<'a> {
    pub(super) options: &'a Options,
    pub(super) expires_at: Timestamp,
}

/// An error of a row: the column and the reason.
type BadField = (Option<String>, String);

/// Separates the rows to send from the rejected ones with the organization and address of an earlier row.
///
/// # Errors
/// The first invalid row.
pub(super) fn distinct<'r>(
    rows: &'r [Row],
    defaults: &Defaults<'_>,
) -> Result<(Vec<&'r Row>, Vec<Rejected<'r>>), BadFile> {
    let (mut lines, mut distinct, mut duplicates) = (HashMap::new(), Vec::new(), Vec::new());
    for row in rows {
        let body = defaults.body(row).map_err(|(column, reason)| BadFile { line: row.line, column, reason })?;
        if body.to_string().len() > MAX_BYTES {
            return Err(BadFile {
                line: row.line,
                column: None,
                reason: "the row is longer than a call can be".to_owned(),
            });
        }
        let text = |name: &str| body[name].as_str().unwrap_or_default().to_owned();
        let first = *lines.entry((text("organizationId"), text("invitee").to_ascii_lowercase())).or_insert(row.line);
        if first == row.line {
            distinct.push(row);
        } else {
            let message = format!("Line {first} has the same organization and address.");
            duplicates.push(Rejected { row, code: DUPLICATE.to_owned(), message });
        }
    }
    Ok((distinct, duplicates))
}

impl Defaults<'_> {
    /// The body of a create.
    pub(super) fn body(&self, row: &Row) -> Result<Value, BadField> {
        let (mut body, mut payload) = self.of_options();
        let mut is_mailed = !self.options.no_mail;
        for (name, value) in &row.fields {
            let bad = |reason: &str| (Some(format!("`{name}`")), reason.to_owned());
            match name.to_ascii_lowercase().as_str() {
                "invitee" | "email" => put_text(&mut body, "invitee", value).map_err(bad)?,
                "organizationid" | "organization" => put_text(&mut body, "organizationId", value).map_err(bad)?,
                "inviterid" | "inviter" => put_text(&mut body, "inviterId", value).map_err(bad)?,
                "organizationroleids" | "roles" | "role" => {
                    body.insert("organizationRoleIds".to_owned(), roles(value).map_err(bad)?);
                }
                "expiresat" => {
                    body.insert("expiresAt".to_owned(), expires_at(value).map_err(|reason| bad(&reason))?);
                }
                "messagepayload" => match value {
                    Value::Object(variables) => payload.extend(variables.clone()),
                    Value::Bool(false) => is_mailed = false,
                    _ => return Err(bad("neither an object nor false")),
                },
                _ if name == ERROR_CODE || name == ERROR_MESSAGE => {}
                _ => drop(payload.insert(name.clone(), value.clone())),
            }
        }
        body.insert("messagePayload".to_owned(), if is_mailed { Value::Object(payload) } else { json!(false) });
        required(&body)?;
        Ok(Value::Object(body))
    }

    /// The body and the variables of the mail that the options give.
    fn of_options(&self) -> (Map<String, Value>, Map<String, Value>) {
        let options = self.options;
        let present = |(key, option): (&str, &Option<String>)| Some((key.to_owned(), json!(option.as_ref()?)));
        let texts = [("organizationId", &options.organization), ("inviterId", &options.inviter)];
        let mut body: Map<String, Value> = texts.into_iter().filter_map(present).collect();
        body.insert("expiresAt".to_owned(), json!(self.expires_at));
        body.insert("organizationRoleIds".to_owned(), json!(options.roles));
        let variables = [("link", &options.link), ("locale", &options.locale)];
        (body, variables.into_iter().filter_map(present).collect())
    }
}

/// Requires an address and an organization.
fn required(body: &Map<String, Value>) -> Result<(), BadField> {
    for (key, remedy) in [
        ("invitee", "no column `invitee` or `email`"),
        ("organizationId", "no column `organizationId`, and no --organization"),
    ] {
        if !body.contains_key(key) {
            return Err((None, format!("`{key}` is missing: the row has {remedy}")));
        }
    }
    Ok(())
}

fn put_text(body: &mut Map<String, Value>, key: &str, value: &Value) -> Result<(), &'static str> {
    let text = value.as_str().ok_or("not a text")?;
    body.insert(key.to_owned(), json!(text.trim()));
    Ok(())
}

/// Parses an array of texts, or one text with spaces, semicolons or commas as separators.
fn roles(value: &Value) -> Result<Value, &'static str> {
    match value {
        Value::String(text) => {
            let is_separator = |character: char| character.is_whitespace() || matches!(character, ';' | ',');
            Ok(text.split(is_separator).filter(|role| !role.is_empty()).collect())
        }
        Value::Array(roles) if roles.iter().all(Value::is_string) => Ok(value.clone()),
        _ => Err("neither a text nor an array of texts"),
    }
}

fn expires_at(value: &Value) -> Result<Value, String> {
    match value {
        Value::Number(_) => Ok(value.clone()),
        Value::String(text) => expiry::time(text.trim()).map(|time| json!(time)),
        _ => Err("not a time".to_owned()),
    }
}

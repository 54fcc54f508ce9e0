//! The comparison of a response with its row.

use serde_json::Value;

use super::row::{CREATED, Row};
use crate::helpers::Answer;

pub fn judge(row: &Row, answer: &Answer) -> Result<(), String> {
    let body: Value = serde_json::from_str(&answer.text).map_err(|error| error.to_string())?;
    let outcome = (answer.status, body["code"].as_str().unwrap_or_default());
    if !row.allowed.contains(&outcome) {
        return Err(format!("expected {:?}", row.allowed));
    }
    if outcome == CREATED {
        return judge_entity(&body);
    }
    judge_error_form(answer, &body)?;
    if !row.issues.is_empty() {
        judge_issues(&row.issues, &body)?;
    }
    let data = body["data"].to_string();
    if let Some(name) = row.names.iter().find(|name| !data.contains(**name)) {
        return Err(format!("expected data to name {name}"));
    }
    if row.explains && !body["details"].is_string() { Err("expected details".into()) } else { Ok(()) }
}

/// The invitation is new, pending and in the caller's tenant, independent of the body.
fn judge_entity(entity: &Value) -> Result<(), String> {
    let id = entity["id"].as_str().unwrap_or_default();
    let well_formed = |c: u8| c.is_ascii_digit() || c.is_ascii_lowercase();
    if id.len() != 21 || !id.bytes().all(well_formed) {
        return Err("expected an id of the function's format".into());
    }
    if entity["tenantId"] != "default" || entity["status"] != "Pending" {
        return Err("expected a pending invitation of the caller's tenant".into());
    }
    if !entity["acceptedUserId"].is_null() || !entity["expiresAt"].is_u64() {
        return Err("expected no accepting user, and whole milliseconds".into());
    }
    let roles = entity["organizationRoles"].as_array().ok_or("expected roles")?;
    let names: Vec<_> = roles.iter().map(|role| role["name"].as_str()).collect();
    if names.is_sorted_by(|one, next| one < next) {
        Ok(())
    } else {
        Err("expected distinct roles, sorted by name".into())
    }
}

fn judge_error_form(answer: &Answer, body: &Value) -> Result<(), String> {
    let content_type = answer.headers.get("content-type").map(String::as_str);
    if content_type != Some("application/json; charset=utf-8") {
        return Err(format!("expected JSON, not {content_type:?}"));
    }
    if body["message"].as_str().is_none_or(str::is_empty) {
        return Err("expected a message".into());
    }
    let known = ["code", "message", "data", "details"];
    for (key, value) in body.as_object().ok_or("expected an object")? {
        if value.is_null() || !known.contains(&key.as_str()) {
            return Err(format!("expected no {key}, or not null"));
        }
    }
    Ok(())
}

fn judge_issues(expected: &[(&str, &str)], body: &Value) -> Result<(), String> {
    let issues = body["data"]["issues"].as_array().ok_or("expected issues")?;
    let mut found = Vec::new();
    for issue in issues {
        let path = issue["path"].as_array().ok_or("expected a path")?;
        let steps = path.iter().map(|step| match step {
            Value::String(key) => key.clone(),
            index => index.to_string(),
        });
        let code = issue["code"].as_str().unwrap_or_default();
        found.push((steps.collect::<Vec<_>>().join("."), code));
        if issue["message"].as_str().is_none_or(str::is_empty) {
            return Err("expected each issue to have a message".into());
        }
    }
    if !found.iter().map(|(path, code)| (path.as_str(), *code)).eq(expected.iter().copied()) {
        return Err(format!("expected the issues {expected:?}, found {found:?}"));
    }
    let mut lines = body["details"].as_str().unwrap_or_default().lines();
    let in_line = |(path, code): &(&str, &str)| {
        let start = format!("Error in key path \"{path}\": ({code}) ");
        lines.next().is_some_and(|line| line.starts_with(&start))
    };
    if expected.iter().all(in_line) && lines.next().is_none() {
        Ok(())
    } else {
        Err("expected details with one line for each issue".into())
    }
}

pub fn excerpt(text: &str) -> String {
    match text.chars().count() {
        0..=400 => text.into(),
        count => format!("{}… ({count} characters)", text.chars().take(200).collect::<String>()),
    }
}

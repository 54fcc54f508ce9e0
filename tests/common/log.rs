//! The log: its lines, and the secrets that no line may contain.

use std::collections::BTreeSet;

use base64::{Engine, prelude::BASE64_STANDARD};
use organization_invitations::local::ses::Mail;
use serde_json::Value;

/// The lines of a log. Each has to be a JSON object.
pub fn lines(log: &str) -> Vec<Value> {
    let line =
        |line: &str| serde_json::from_str(line).ok().filter(Value::is_object).unwrap_or_else(|| panic!("{line}"));
    log.lines().map(line).collect()
}

/// Shorter texts are not secrets: any log contains them by chance.
const SHORTEST_SECRET: usize = 5;

/// The parts of a request that may be logged: identifiers of things, and values that all requests have.
const NO_SECRETS: [&str; 10] = [
    "organizationId",
    "organizationRoleIds",
    "inviterId",
    "acceptedUserId",
    "status",
    "tenant_id",
    "tenantId",
    "custom:tenant_id",
    "scope",
    "scopes",
];

/// The people of the demo directory and of the examples.
const NAMES: [&str; 6] = ["Ada", "Lovelace", "Acme", "Grace", "Hopper", "@"];

/// The texts that the log of a request must not contain: those of its body, headers, query, claims and client.
pub fn secrets(event: &Value) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let text = event["body"].as_str().unwrap_or_default();
    let decoded = BASE64_STANDARD.decode(text).ok().filter(|_| event["isBase64Encoded"] == true);
    let text = decoded.map_or_else(|| text.to_owned(), |bytes| String::from_utf8_lossy(&bytes).into_owned());
    match serde_json::from_str(&text) {
        Ok(body) => collect(&body, &mut found),
        Err(_) => found.extend([text]),
    }
    let context = &event["requestContext"];
    for part in ["headers", "multiValueHeaders", "queryStringParameters", "cookies"] {
        collect(&event[part], &mut found);
    }
    for part in ["authorizer", "identity"] {
        collect(&context[part], &mut found);
    }
    collect(&context["http"]["sourceIp"], &mut found);
    collect(&context["http"]["userAgent"], &mut found);
    collect(&event["rawQueryString"], &mut found);
    // Every line contains `false` as a value.
    found.retain(|text| text.len() >= SHORTEST_SECRET && text != "false");
    found
}

fn collect(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::String(text) => found.extend([text.clone()]),
        Value::Array(values) => values.iter().for_each(|value| collect(value, found)),
        Value::Object(fields) => fields
            .iter()
            .filter(|(key, _)| !NO_SECRETS.contains(&key.as_str()))
            .for_each(|(_, value)| collect(value, found)),
        _ => {}
    }
}

/// The lines of a mail.
pub fn words(mail: &Mail) -> BTreeSet<String> {
    let parts = [&mail.subject, &mail.text, &mail.html, &mail.to, &mail.from];
    let lines = parts.into_iter().flat_map(|part| part.lines()).map(|line| line.trim().to_owned());
    lines.filter(|line| line.len() >= SHORTEST_SECRET).collect()
}

/// Asserts that `log` has one line for each of `requests` requests, and contains none of `secrets`.
#[track_caller]
pub fn assert_names_nobody(log: &str, requests: usize, secrets: &BTreeSet<String>, what: &str) {
    let about_requests = lines(log).into_iter().filter(|line| line.get("status").is_some()).count();
    assert_eq!(about_requests, requests, "{what}: {log}");
    let escaped = |secret: &str| serde_json::to_string(secret).unwrap().trim_matches('"').to_owned();
    let names = NAMES.map(str::to_owned);
    // A secret longer than the log cannot be in it, and some bodies are megabytes long.
    for secret in secrets.iter().chain(&names).filter(|secret| secret.len() <= log.len()) {
        assert!(!log.contains(secret) && !log.contains(&escaped(secret)), "{what}: {secret:?} is in {log}");
    }
}

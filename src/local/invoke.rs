//! `cargo dev invoke`: replays one event over a fresh stack, and shows the function's output and the mail.

use std::{
    fmt::Write,
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use lambda_runtime::{Context, LambdaEvent};
use serde::de::IgnoredAny;
use serde_json::{Value, value::RawValue};

use super::{
    serve::setting,
    ses::{Mail, RenderingFailure},
    stack::{Stack, StackError, StackOptions},
};
use crate::{
    clock::RequestClock,
    http,
    trigger::{self, InvocationError, Output},
};

/// The time that API Gateway waits for a response.
const PATIENCE: Duration = Duration::from_secs(29);

/// A failure to replay an event.
#[derive(Debug, thiserror::Error)]
pub enum InvokeError {
    /// The file cannot be read.
    #[error("cannot read {}: {reason}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The error.
        reason: String,
    },
    /// The stack does not start.
    #[error(transparent)]
    Stack(#[from] StackError),
}

/// Replays the event in the file `path`. Returns the text to print.
pub async fn invoke(path: &Path) -> Result<String, InvokeError> {
    let event = read(path)?;
    let stack = Stack::start(StackOptions::default()).await?;
    let app = stack.app(setting).await?;
    let output = match trigger::handle(&app, LambdaEvent::new(event.clone(), Context::default())).await {
        // The fuzzer calls the HTTP interface with any input, so that its findings are replayed there.
        Err(InvocationError::UnknownEvent(_)) => {
            Ok(Output::Api(http::handle(&app, event.get(), RequestClock::with_budget(PATIENCE)).await))
        }
        output => output,
    };
    let mut shown = match &output {
        Ok(Output::Api(response)) => show_response(&serde_json::to_value(response).unwrap_or_default()),
        Ok(Output::Nothing) => "done; an event of this kind has no response\n".to_owned(),
        Ok(events @ Output::Events(_)) => indented(&serde_json::to_string(events).unwrap_or_default()) + "\n",
        Err(error) => format!("the invocation fails: {error}\n"),
    };
    // In the order of sending: oldest first.
    stack.ses.mails().iter().rev().for_each(|mail| shown.push_str(&show_mail(mail)));
    stack.ses.rendering_failures().iter().rev().for_each(|failure| shown.push_str(&show_failure(failure)));
    drop(app);
    stack.stop().await;
    Ok(shown)
}

/// Reads the event.
fn read(path: &Path) -> Result<Box<RawValue>, InvokeError> {
    let unreadable = |reason: String| InvokeError::Unreadable { path: path.to_owned(), reason };
    let event = fs::read_to_string(path).map_err(|error| unreadable(error.to_string()))?;
    RawValue::from_string(event).map_err(|error| unreadable(format!("it is not JSON: {error}")))
}

fn show_response(response: &Value) -> String {
    let mut shown = format!("{}\n", response["statusCode"]);
    let single = response["headers"].as_object().into_iter().flatten();
    for (name, value) in single.chain(response["multiValueHeaders"].as_object().into_iter().flatten()) {
        for value in value.as_array().map_or(std::slice::from_ref(value), Vec::as_slice) {
            push_line(&mut shown, name, value.as_str().unwrap_or_default());
        }
    }
    let body = response["body"].as_str().unwrap_or_default();
    let is_json = serde_json::from_str::<IgnoredAny>(body).is_ok();
    if !body.is_empty() {
        let _ = write!(shown, "\n{}\n", if is_json { indented(body) } else { body.to_owned() });
    }
    shown
}

/// Indents compact JSON. The keys keep their order, which [`Value`] would change.
fn indented(json: &str) -> String {
    let (mut shown, mut depth, mut in_string, mut escaped) = (String::new(), 0, false, false);
    let break_line = |shown: &mut String, depth: usize| {
        shown.push('\n');
        shown.push_str(&"  ".repeat(depth));
    };
    for c in json.chars() {
        let closes = !in_string && matches!(c, '}' | ']');
        if closes {
            depth = usize::saturating_sub(depth, 1);
        }
        let after_opening = !in_string && shown.ends_with(['{', '[']);
        if (after_opening && !closes) || (closes && !after_opening) {
            break_line(&mut shown, depth);
        }
        shown.push(c);
        match c {
            '"' if !escaped => in_string = !in_string,
            '{' | '[' if !in_string => depth += 1,
            ',' if !in_string => break_line(&mut shown, depth),
            ':' if !in_string => shown.push(' '),
            _ => {}
        }
        escaped = in_string && c == '\\' && !escaped;
    }
    shown
}

fn show_mail(mail: &Mail) -> String {
    let mut shown = "\n--- mail ---\n".to_owned();
    mail.headers.iter().for_each(|(name, value)| push_line(&mut shown, name, value));
    let _ = write!(shown, "\n{}\n", mail.text.trim_end());
    shown
}

fn show_failure(failure: &RenderingFailure) -> String {
    let RenderingFailure { to, reason, .. } = failure;
    format!("\n--- mail to {to}: accepted by SES, but never delivered ---\n{reason}\n")
}

fn push_line(shown: &mut String, name: &str, value: &str) {
    let _ = writeln!(shown, "{name}: {value}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_indented_without_a_change_of_order_or_content() {
        for json in [
            r#"{"b":1,"a":[1,{"c":"x{[,:\"\\"}],"e":{},"f":[],"g":"[","h":null}"#,
            r#"["{",[[]],"\\\""]"#,
            r#""{,""#,
            "7",
        ] {
            let shown = indented(json);
            let again: Value = serde_json::from_str(&shown).unwrap();
            assert_eq!(again, serde_json::from_str::<Value>(json).unwrap(), "{shown}");
        }
        assert_eq!(indented(r#"{"b":[1,{}],"a":""}"#), "{\n  \"b\": [\n    1,\n    {}\n  ],\n  \"a\": \"\"\n}");
    }
}

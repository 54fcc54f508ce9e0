//! `cargo dev invoke`: replays one event over a fresh stack, and shows the function's output and the mail.

use std::{
    fmt::Write,
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use lambda_runtime::{Context, LambdaEvent};
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
        Ok(Output::Events(events)) => show_events(events),
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
    if !body.is_empty() {
        let _ = write!(shown, "\n{}\n", indented(body).unwrap_or_else(|| body.to_owned()));
    }
    shown
}

fn show_events(events: &[Box<RawValue>]) -> String {
    let json = serde_json::to_string(events).unwrap_or_default();
    indented(&json).unwrap_or(json) + "\n"
}

/// Indents JSON; `None` for any other text. The keys keep their order, which [`Value`] would change.
fn indented(json: &str) -> Option<String> {
    let value: serde_yaml_ng::Value = serde_json::from_str(json).ok()?;
    serde_json::to_string_pretty(&value).ok()
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
    fn events_are_indented_too() {
        let event = RawValue::from_string(r#"{"id":"1","data":{"status":"Pending"}}"#.to_owned()).unwrap();
        let shown = "[\n  {\n    \"id\": \"1\",\n    \"data\": {\n      \"status\": \"Pending\"\n    }\n  }\n]\n";
        assert_eq!(show_events(&[event]), shown);
    }

    #[test]
    fn json_is_indented_without_a_change_of_order_or_content() {
        for json in [
            r#"{"b":1,"a":[1,{"c":"x{[,:\"\\"}],"e":{},"f":[],"g":"[","h":null}"#,
            r#"["{",[[]],"\\\""]"#,
            r#""{,""#,
            "7",
        ] {
            let shown = indented(json).unwrap();
            let again: Value = serde_json::from_str(&shown).unwrap();
            assert_eq!(again, serde_json::from_str::<Value>(json).unwrap(), "{shown}");
        }
        assert_eq!(
            indented(r#"{"b":[1,{}],"a":""}"#).unwrap(),
            "{\n  \"b\": [\n    1,\n    {}\n  ],\n  \"a\": \"\"\n}"
        );
    }
}

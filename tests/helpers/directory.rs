//! The directory command, and files for it to import.

use std::{
    fs,
    io::Cursor,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use clap::Parser;
use organization_invitations::{
    app::App,
    directory_command::{self, Operator, Streams, cli::Cli},
    local::stack,
};
use serde_json::Value;

use super::TestApp;

/// Runs the command for the tenant `default` without a terminal, and returns its output or its error.
pub async fn directory(app: &TestApp, arguments: &[&str]) -> Result<Vec<Value>, String> {
    run(app, arguments, None).await.0
}

/// Runs the command at a terminal where the operator answers `answer`. Returns its output or its error, and its prompt.
pub async fn directory_at_terminal(
    app: &TestApp,
    arguments: &[&str],
    answer: &str,
) -> (Result<Vec<Value>, String>, String) {
    run(app, arguments, Some(answer)).await
}

async fn run(app: &TestApp, arguments: &[&str], answer: Option<&str>) -> (Result<Vec<Value>, String>, String) {
    let url = app.proxy_url().unwrap_or(&app.stack.dynamodb_url);
    let app = Arc::new(App::new(app.app.config.clone(), &stack::sdk_config(url, &app.stack.ses_url)).unwrap());
    let start = ["directory", "--tenant", "default", "--table", &app.config.table_name];
    let cli = match Cli::try_parse_from(start.iter().chain(arguments)) {
        Ok(cli) => cli,
        Err(error) => return (Err(error.to_string()), String::new()),
    };
    let (mut out, mut questions) = (Vec::new(), Vec::new());
    let mut answers = answer.map(|answer| Cursor::new(answer.to_owned()));
    let operator = answers.as_mut().map(|answers| Operator { questions: &mut questions, answers });
    let done = directory_command::run(&app, cli, Streams { out: &mut out, operator }).await;
    let lines = String::from_utf8(out).unwrap();
    let shown = done.map(|()| lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect());
    (shown.map_err(|error| error.to_string()), String::from_utf8(questions).unwrap())
}

/// A file that is deleted when the test ends.
pub struct TestFile(PathBuf);

impl TestFile {
    pub fn new(text: &str) -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let name = format!("directory-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        fs::write(&path, text).unwrap();
        Self(path)
    }

    pub fn lines(rows: &[Value]) -> Self {
        Self::new(&lines(rows))
    }

    pub fn path(&self) -> &str {
        self.0.to_str().unwrap()
    }
}

impl Drop for TestFile {
    fn drop(&mut self) {
        // A file that cannot be deleted stays in the temporary directory.
        let _ = fs::remove_file(&self.0);
    }
}

pub fn lines(rows: &[Value]) -> String {
    let lines: Vec<String> = rows.iter().map(Value::to_string).collect();
    lines.join("\n") + "\n"
}

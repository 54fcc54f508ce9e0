//! The function as Lambda runs it: a process that asks the Runtime API for events and posts its responses.

use std::{process::Stdio, time::Duration};

use organization_invitations::{
    domain::timestamp::Timestamp,
    local::stack::{self, Stack},
};
use tokio::{
    io::{AsyncRead, AsyncReadExt},
    process::{Child, Command},
    task::JoinHandle,
    time::timeout,
};

use crate::{
    common::answer::Answer,
    runtime_api::{RuntimeApi, release_binary},
};

/// The timeout of a start, and of an event.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// A running function, and the Runtime API that it is attached to.
pub struct Function {
    process: Child,
    runtime: RuntimeApi,
    /// The output of the process, which must be read: a full pipe would block the function.
    output: [JoinHandle<String>; 2],
}

impl Function {
    pub async fn start(stack: &Stack) -> Self {
        Self::start_with(&stack.dynamodb_url, &stack.ses_url, &[]).await
    }

    /// Starts the function with DynamoDB and SES at these URLs.
    pub async fn start_behind(dynamodb_url: &str, ses_url: &str) -> Self {
        Self::start_with(dynamodb_url, ses_url, &[]).await
    }

    pub async fn start_with(dynamodb_url: &str, ses_url: &str, settings: &[(&str, &str)]) -> Self {
        let mut runtime = RuntimeApi::start().await;
        let endpoints = [("AWS_ENDPOINT_URL_DYNAMODB", dynamodb_url), ("AWS_ENDPOINT_URL_SESV2", ses_url)];
        let mut process = command(&runtime.address, &endpoints).envs(settings.iter().copied()).spawn().unwrap();
        let output = [read_all(process.stdout.take().unwrap()), read_all(process.stderr.take().unwrap())];
        timeout(PATIENCE, runtime.asked()).await.expect("the function starts");
        Self { process, runtime, output }
    }

    /// The process to send signals to.
    pub fn process_id(&self) -> i32 {
        self.process.id().expect("the process is alive").try_into().unwrap()
    }

    pub async fn invoke(&mut self, event: &str) -> Answer {
        let deadline = Timestamp::now().plus_millis(10_000).as_millis();
        self.invoke_with_deadline(event, deadline).await
    }

    /// Returns the response, or the error of the invocation.
    pub async fn try_invoke(&mut self, event: &str) -> Result<Answer, String> {
        let deadline = Timestamp::now().plus_millis(10_000).as_millis();
        let answer = timeout(PATIENCE, self.runtime.invoke(event, deadline)).await.expect("a response in time");
        answer.map(|answer| Answer::from_lambda(&answer))
    }

    pub async fn invoke_with_deadline(&mut self, event: &str, deadline_millis: i64) -> Answer {
        let answer = timeout(PATIENCE, self.runtime.invoke(event, deadline_millis)).await;
        Answer::from_lambda(&answer.expect("a response in time").expect("a response, not an error"))
    }

    /// Returns the response, or `None` if the process dies first.
    pub async fn invoke_until_death(&mut self, event: &str, deadline_millis: i64) -> Option<Answer> {
        tokio::select! {
            answer = self.runtime.invoke(event, deadline_millis) => Some(Answer::from_lambda(&answer.unwrap())),
            died = timeout(PATIENCE, self.process.wait()) => {
                died.expect("a response, or the end of the process").unwrap();
                None
            }
        }
    }

    /// The function's peak resident memory.
    pub fn most_memory_mib(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process.id().unwrap())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() / 1024
    }

    /// Ends the function, and returns what it logged.
    pub async fn stop(mut self) -> String {
        self.process.kill().await.unwrap();
        let [stdout, stderr] = self.output;
        stdout.await.unwrap() + &stderr.await.unwrap()
    }
}

fn read_all(mut pipe: impl AsyncRead + Send + Unpin + 'static) -> JoinHandle<String> {
    tokio::spawn(async move {
        let mut bytes = Vec::new();
        pipe.read_to_end(&mut bytes).await.unwrap();
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

/// Builds the release binary, unless it is built, without blocking this thread.
pub async fn build() {
    tokio::task::spawn_blocking(release_binary).await.unwrap();
}

/// The command that starts the function with the environment of Lambda.
pub fn command(runtime_api: &str, endpoints: &[(&str, &str)]) -> Command {
    let mut command = Command::new(release_binary());
    command
        .env_clear()
        .envs([
            ("AWS_LAMBDA_RUNTIME_API", runtime_api),
            ("AWS_LAMBDA_FUNCTION_NAME", "organization-invitations"),
            ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "128"),
            ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST"),
            ("AWS_REGION", stack::REGION),
            ("AWS_ACCESS_KEY_ID", stack::ACCESS_KEY),
            ("AWS_SECRET_ACCESS_KEY", stack::ACCESS_KEY),
            ("TABLE_NAME", stack::TABLE_NAME),
            ("SELF_SERVICE", "on"),
        ])
        .envs(endpoints.iter().copied())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    command
}

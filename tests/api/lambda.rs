//! The release binary as Lambda runs it: a process that asks the Runtime API for events and posts its answers.

#[path = "../common/runtime_api.rs"]
mod runtime_api;

use std::{
    process::{Output, Stdio},
    time::{Duration, Instant},
};

use organization_invitations::{
    domain::timestamp::Timestamp,
    local::stack::{self, Stack},
};
use serde_json::Value;
use tokio::{
    io::{AsyncRead, AsyncReadExt},
    process::{Child, Command},
    task::JoinHandle,
    time::timeout,
};

use self::runtime_api::{RuntimeApi, release_binary};
use crate::{
    events,
    helpers::{Answer, TestApp, body, create_event, with},
    hostile::{self, Row},
    log_privacy,
};

/// How long the function may take to start, and to answer an event.
const PATIENCE: Duration = Duration::from_secs(30);

#[tokio::test(flavor = "multi_thread")]
async fn the_release_binary_creates_and_mails() {
    let app = TestApp::start().await;
    let mut function = Function::start(&app.stack).await;
    let event = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/events/create.json")).unwrap();
    let answer = function.invoke(&event).await;
    assert_eq!(answer.status, 201, "{answer:?}");
    let mail = app.mails().remove(0);
    assert_eq!(mail.to, answer.json()["invitee"]);
    function.invoke(&event).await.assert_refused(422, "entity.unique_integrity_violation");
    let log = function.stop().await;
    let lines: Vec<Value> = log.lines().map(|line| serde_json::from_str(line).expect(line)).collect();
    assert_eq!(lines.len(), 2, "one line for each request: {log}");
    assert_eq!((lines[0]["status"].as_u64(), lines[1]["status"].as_u64()), (Some(201), Some(422)));
    assert_eq!(lines[1]["code"], "entity.unique_integrity_violation");
    assert_eq!((lines[0]["coldStart"].as_bool(), lines[1]["coldStart"].as_bool()), (Some(true), Some(false)));
    assert_eq!(lines[0]["function"], "organization-invitations");
    assert_eq!(lines[0]["traceId"], "1-5bef4de7-ad49b0e87f6ef6c87fc2e700");
    assert!(lines.iter().all(|line| line["_aws"]["CloudWatchMetrics"].is_array()), "each is its own metrics: {log}");
    assert!(!log.contains('@'), "the log names nobody: {log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_release_binary_survives_whatever_it_is_handed() {
    let app = TestApp::start().await;
    let mut function = Function::start(&app.stack).await;
    let valid = create_event("default", Some("application/json"), &body("x@example.com").to_string(), false);
    let bad_base64 = create_event("default", None, "%%%", true);
    let mut bad_path = valid.clone();
    bad_path["rawPath"] = "/ <%zz>\u{0}\n".into();
    let mut bad_headers = valid.clone();
    bad_headers["headers"]["bad name\n"] = "bad\r\nvalue".into();
    bad_headers["body"] = with(body("y@example.com"), serde_json::json!({ "expiresAt": 1 })).to_string().into();
    let nested = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
    for (event, reason) in [
        ("{}", "an empty object"),
        ("null", "null"),
        ("[1]", "an array"),
        (nested.as_str(), "deeply nested"),
        (r#"{"source":"aws.ses","detail-type":"Email Bounced","detail":{}}"#, "an event of another kind"),
    ] {
        let error = function.try_invoke(event).await.unwrap_err();
        assert!(error.contains("unknown kind of event"), "it is not swallowed, {reason}: {error}");
    }
    for (event, status, reason) in [
        (&bad_base64.to_string(), 400, "a body that is not base64"),
        (&bad_path.to_string(), 404, "a path that no URI could have"),
        (&bad_headers.to_string(), 400, "a header that HTTP does not allow"),
        (&valid.to_string(), 201, "a valid event, after all of that"),
    ] {
        let answer = function.invoke(event).await;
        assert_eq!(answer.status, status, "{reason}: {answer:?}");
    }
    function.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_release_binary_stays_small_and_quick_whatever_it_is_handed() {
    let app = TestApp::start().await;
    let mut function = Function::start(&app.stack).await;
    let mut complaints = Vec::new();
    for Row { reason, event, status } in hostile::rows() {
        let started = Instant::now();
        let found = function.try_invoke(&event).await.map(|answer| answer.status).ok();
        let (took, used) = (started.elapsed(), function.most_memory_mib());
        // What is no request to the API is an error of the invocation.
        let expected = event.contains("requestContext").then_some(status);
        if found != expected || took > hostile::PATIENCE || used > memory_mib() {
            complaints.push(format!("{reason}: {found:?}, {took:?}, {used} MiB"));
        }
    }
    function.stop().await;
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_release_binary_logs_nobodys_data_however_much_it_is_asked_to_log() {
    let app = TestApp::start().await;
    let mut function =
        Function::start_with(&app.stack.dynamodb_url, &app.stack.ses_url, &[("RUST_LOG", "trace")]).await;
    let mut secrets = log_privacy::secrets_of_events();
    for (_, event) in events::all() {
        function.invoke(&event).await;
    }
    secrets.extend(app.mails().iter().flat_map(log_privacy::words));
    let log = function.stop().await;
    log_privacy::assert_names_nobody(&log, events::all().count(), &secrets, "RUST_LOG=trace");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_release_binary_takes_a_deadline_in_1970_for_none() {
    let app = TestApp::start().await;
    let mut function = Function::start(&app.stack).await;
    let event = create_event("default", None, &body("x@example.com").to_string(), false).to_string();
    let answer = function.invoke_with_deadline(&event, 1).await;
    assert_eq!(answer.status, 201, "{answer:?}");
    function.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_release_binary_does_not_start_with_a_setting_that_makes_no_sense() {
    for (name, value) in [("TABLE_NAME", ""), ("MESSAGE_RATE_LIMIT", "many")] {
        let runtime = RuntimeApi::start().await;
        let output = command(&runtime.address, &[]).env(name, value).output();
        let output = timeout(PATIENCE, output).await.unwrap().unwrap();
        assert!(!output.status.success(), "{name}");
        assert!(text(&output).contains(name), "{name} is named: {}", text(&output));
    }
}

fn text(output: &Output) -> String {
    [&output.stdout, &output.stderr].map(|stream| String::from_utf8_lossy(stream)).concat()
}

/// A running function, and the Runtime API that it is attached to.
pub struct Function {
    process: Child,
    runtime: RuntimeApi,
    /// What it writes, read as it comes: it would wait for ever for room in a pipe that nobody reads.
    output: [JoinHandle<String>; 2],
}

impl Function {
    async fn start(stack: &Stack) -> Self {
        Self::start_with(&stack.dynamodb_url, &stack.ses_url, &[]).await
    }

    /// With DynamoDB and SES where they are said to be.
    pub async fn start_behind(dynamodb_url: &str, ses_url: &str) -> Self {
        Self::start_with(dynamodb_url, ses_url, &[]).await
    }

    async fn start_with(dynamodb_url: &str, ses_url: &str, settings: &[(&str, &str)]) -> Self {
        let mut runtime = RuntimeApi::start().await;
        let endpoints = [("AWS_ENDPOINT_URL_DYNAMODB", dynamodb_url), ("AWS_ENDPOINT_URL_SESV2", ses_url)];
        let mut process = command(&runtime.address, &endpoints).envs(settings.iter().copied()).spawn().unwrap();
        let output = [read_all(process.stdout.take().unwrap()), read_all(process.stderr.take().unwrap())];
        timeout(PATIENCE, runtime.asked()).await.expect("the function starts");
        Self { process, runtime, output }
    }

    /// For signals.
    pub fn process_id(&self) -> i32 {
        self.process.id().expect("it is alive").try_into().unwrap()
    }

    pub async fn invoke(&mut self, event: &str) -> Answer {
        let deadline = Timestamp::now().plus_millis(10_000).as_millis();
        self.invoke_with_deadline(event, deadline).await
    }

    /// The answer, or the error of the invocation.
    async fn try_invoke(&mut self, event: &str) -> Result<Answer, String> {
        let deadline = Timestamp::now().plus_millis(10_000).as_millis();
        let answer = timeout(PATIENCE, self.runtime.invoke(event, deadline)).await.expect("an answer in time");
        answer.map(|answer| Answer::from_lambda(&answer))
    }

    async fn invoke_with_deadline(&mut self, event: &str, deadline_millis: i64) -> Answer {
        let answer = timeout(PATIENCE, self.runtime.invoke(event, deadline_millis)).await;
        Answer::from_lambda(&answer.expect("an answer in time").expect("an answer, not an error"))
    }

    /// The answer, unless the process dies before it.
    pub async fn invoke_until_death(&mut self, event: &str, deadline_millis: i64) -> Option<Answer> {
        tokio::select! {
            answer = self.runtime.invoke(event, deadline_millis) => Some(Answer::from_lambda(&answer.unwrap())),
            died = timeout(PATIENCE, self.process.wait()) => {
                died.expect("an answer, or the process's end").unwrap();
                None
            }
        }
    }

    /// The most memory that the function has had at any moment.
    fn most_memory_mib(&self) -> u64 {
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

/// Builds the release binary, unless that was done, without holding up what runs on this thread.
pub async fn build() {
    tokio::task::spawn_blocking(release_binary).await.unwrap();
}

fn command(runtime_api: &str, endpoints: &[(&str, &str)]) -> Command {
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
        ])
        .envs(endpoints.iter().copied())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    command
}

/// What the deployed function has, unless its parameter says otherwise.
fn memory_mib() -> u64 {
    let (_, parameter) = include_str!("../../template.yaml").split_once("\n  MemorySize:\n").expect("a parameter");
    let size = parameter.lines().find_map(|line| line.trim().strip_prefix("Default:")).expect("with a default");
    size.trim().parse().unwrap()
}

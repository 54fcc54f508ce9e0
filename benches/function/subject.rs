//! The measured programs, which use the Lambda Runtime API.

use std::{
    path::{Path, PathBuf},
    process::{Command as Builder, Stdio},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use serde_json::{Value, json};
use tokio::{
    process::{Child, Command},
    time::timeout,
};

use crate::{
    endpoints::{Endpoints, TABLE},
    process,
    runtime_api::{RuntimeApi, release_binary},
};

/// The timeout of every step; valgrind on a busy machine is slow.
const PATIENCE: Duration = Duration::from_mins(1);

const CREATE: &str = include_str!("../../events/create.json");

/// A program that Lambda could run.
pub struct Subject {
    pub name: &'static str,
    /// The file that is deployed.
    pub artifact: PathBuf,
    /// The program and its arguments.
    pub command: Vec<PathBuf>,
}

impl Subject {
    /// The function, as it is deployed.
    pub fn function() -> Self {
        let binary = release_binary().to_owned();
        Self { name: "the function", artifact: binary.clone(), command: vec![binary] }
    }

    /// The lower bound: a function that does nothing.
    pub fn hello_world() -> Self {
        let target = peers().join("target");
        let manifest = project().join("benches/peers/hello/Cargo.toml");
        let build = ["build", "--release", "--locked", "--quiet", "--manifest-path"];
        run(Builder::new(env!("CARGO")).args(build).arg(manifest).arg("--target-dir").arg(&target));
        let binary = target.join("release/hello");
        Self { name: "hello world (Rust)", artifact: binary.clone(), command: vec![binary] }
    }

    /// The same create in Node.js; `None` without Node.js.
    pub fn node() -> Option<Self> {
        let (node, npm) = (process::find("node")?, process::find("npm")?);
        let directory = project().join("benches/peers/node");
        let bundle = peers().join("node.cjs");
        run(Builder::new(&npm).current_dir(&directory).args(["ci", "--no-audit", "--no-fund", "--loglevel", "error"]));
        let outfile = format!("--outfile={}", bundle.display());
        let bundling = ["run", "--silent", "bundle", "--", "--log-level=warning", &outfile];
        run(Builder::new(&npm).current_dir(&directory).args(bundling));
        Some(Self { name: "Node.js", artifact: bundle.clone(), command: vec![node, bundle] })
    }

    /// Runs the program on one core, as Lambda does, until it asks for its first event.
    pub async fn start(&self, endpoints: &Endpoints, settings: &[(&str, &str)]) -> Running {
        self.start_under(&[], endpoints, settings).await
    }

    /// Runs the program under another program, such as valgrind.
    pub async fn start_under(&self, by: &[PathBuf], endpoints: &Endpoints, settings: &[(&str, &str)]) -> Running {
        let mut runtime = RuntimeApi::start().await;
        let line: Vec<&Path> = by.iter().chain(&self.command).map(PathBuf::as_path).collect();
        let authority = endpoints.authority.as_deref();
        let mut command = Command::new(line[0]);
        command
            .args(&line[1..])
            .env_clear()
            .envs([
                ("AWS_LAMBDA_RUNTIME_API", runtime.address.as_str()),
                ("AWS_LAMBDA_FUNCTION_NAME", "organization-invitations"),
                ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "128"),
                ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST"),
                ("AWS_REGION", "eu-central-1"),
                ("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE"),
                ("AWS_SECRET_ACCESS_KEY", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"),
                ("AWS_ENDPOINT_URL_DYNAMODB", &endpoints.dynamodb),
                ("AWS_ENDPOINT_URL_SESV2", &endpoints.ses),
                ("TABLE_NAME", TABLE),
            ])
            .envs(authority.iter().flat_map(|file| [("AWS_CA_BUNDLE", file), ("NODE_EXTRA_CA_CERTS", file)]))
            .envs(settings.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        let (started, process) = on_one_core(|| (Instant::now(), command.spawn().unwrap()));
        let asked = timeout(PATIENCE, runtime.asked()).await.expect("it starts");
        Running { process, runtime, init: asked - started, creates: 0 }
    }
}

/// A started subject that waits for an event.
pub struct Running {
    process: Child,
    runtime: RuntimeApi,
    /// From the start of the process until it asked for its first event.
    pub init: Duration,
    creates: u32,
}

impl Running {
    pub fn pid(&self) -> u32 {
        self.process.id().expect("it runs until it is stopped")
    }

    /// Creates an invitation for a new invitee, with or without mail, and returns the time until the response.
    pub async fn create(&mut self, mail: bool) -> Duration {
        self.creates += 1;
        let (took, response) = self.invoke(&event("", &body(self.creates, mail).to_string())).await;
        assert_eq!(response["statusCode"], 201, "{response}");
        took
    }

    /// Creates `items` invitations for new invitees in one call, with mail, and returns the time until the response.
    pub async fn create_all(&mut self, items: usize) -> Duration {
        let mut new = || {
            self.creates += 1;
            body(self.creates, true)
        };
        let bodies: Vec<Value> = (0..items).map(|_| new()).collect();
        let (took, response) = self.invoke(&event("/bulk", &json!({ "invitations": bodies }).to_string())).await;
        let results: Value = serde_json::from_str(response["body"].as_str().unwrap()).unwrap();
        let created = results["results"].as_array().unwrap().iter().filter(|result| result["status"] == 201);
        assert_eq!(created.count(), items, "{results}");
        took
    }

    async fn invoke(&mut self, event: &str) -> (Duration, Value) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("it is after 1970");
        let deadline = i64::try_from((now + PATIENCE).as_millis()).expect("it is before 292278994");
        let handed = Instant::now();
        let response = timeout(PATIENCE, self.runtime.invoke(event, deadline)).await.expect("a response in time");
        let took = handed.elapsed();
        timeout(PATIENCE, self.runtime.asked()).await.expect("it asks for the next event");
        (took, response.expect("a response, not an error"))
    }

    /// Ends the process, and returns its standard error.
    pub async fn stop(self) -> String {
        process::terminate(self.pid());
        let output = self.process.wait_with_output().await.unwrap();
        String::from_utf8_lossy(&output.stderr).into_owned()
    }
}

/// `events/create.json` with another body, and a suffix to its path.
fn event(path: &str, body: &str) -> String {
    let mut event: Value = serde_json::from_str(CREATE).unwrap();
    let path = format!("{}{path}", event["rawPath"].as_str().unwrap());
    event["requestContext"]["http"]["path"] = json!(path);
    event["rawPath"] = json!(path);
    event["body"] = json!(body);
    event.to_string()
}

/// The body of `events/create.json` with an invitee of this number. Its length does not depend on the number.
fn body(number: u32, mail: bool) -> Value {
    let event: Value = serde_json::from_str(CREATE).unwrap();
    let mut body: Value = serde_json::from_str(event["body"].as_str().unwrap()).unwrap();
    body["invitee"] = json!(format!("person-{number:06}@example.com"));
    if !mail {
        body["messagePayload"] = json!(false);
    }
    body
}

/// Calls `start` on the first core. A process started by `start` stays on that core.
fn on_one_core<T>(start: impl FnOnce() -> T) -> T {
    let usual = sched_getaffinity(None).expect("a thread has its cores");
    let mut first = CpuSet::new();
    first.set((0..CpuSet::MAX_CPU).find(|core| usual.is_set(*core)).expect("a thread has a core"));
    sched_setaffinity(None, &first).expect("a thread may have one of its cores");
    let started = start();
    sched_setaffinity(None, &usual).expect("they were its own");
    started
}

fn project() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The directory in which the peers are built.
fn peers() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("peers")
}

fn run(command: &mut Builder) {
    let status = command.status().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(status.success(), "{command:?}: {status}");
}

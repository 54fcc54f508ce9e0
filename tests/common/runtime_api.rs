//! A stand-in for Lambda, shared by tests and benchmarks: the Runtime API, and the binary to deploy.

use std::{
    collections::VecDeque,
    net::Ipv4Addr,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, OnceLock},
    time::Instant,
};

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, HeaderName, StatusCode},
    routing::{get, post},
};
use serde_json::Value;
use tokio::{
    net::TcpListener,
    sync::{Notify, mpsc},
    task::JoinHandle,
};

/// The part of the Lambda Runtime API that a function needs (AWS Lambda developer guide, "Using the Lambda runtime
/// API").
pub struct RuntimeApi {
    /// The value of `AWS_LAMBDA_RUNTIME_API` for the function.
    pub address: String,
    shared: Arc<Events>,
    asked: mpsc::UnboundedReceiver<Instant>,
    answers: mpsc::UnboundedReceiver<Result<Value, String>>,
    server: JoinHandle<()>,
}

/// The events that the function has not fetched yet.
struct Events {
    waiting: Mutex<VecDeque<(String, i64)>>,
    arrival: Notify,
    asked: mpsc::UnboundedSender<Instant>,
    answers: mpsc::UnboundedSender<Result<Value, String>>,
}

impl RuntimeApi {
    /// Listens on a free port.
    pub async fn start() -> Self {
        let ((asks, asked), (sender, answers)) = (mpsc::unbounded_channel(), mpsc::unbounded_channel());
        let shared = Events { waiting: Mutex::default(), arrival: Notify::new(), asked: asks, answers: sender };
        let shared = Arc::new(shared);
        let router = Router::new()
            .route("/2018-06-01/runtime/invocation/next", get(next))
            .route("/2018-06-01/runtime/invocation/{id}/response", post(response))
            .route("/2018-06-01/runtime/invocation/{id}/error", post(error))
            .route("/2018-06-01/runtime/init/error", post(init_error))
            .with_state(Arc::clone(&shared));
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let server = tokio::spawn(async { axum::serve(listener, router).await.unwrap() });
        Self { address, shared, asked, answers, server }
    }

    /// Waits until the function asks for an event, which means that it is ready, and returns the time.
    pub async fn asked(&mut self) -> Instant {
        self.asked.recv().await.expect("the server runs")
    }

    /// Hands an event over, and waits for the response or for the error that the function reports.
    pub async fn invoke(&mut self, event: &str, deadline_millis: i64) -> Result<Value, String> {
        self.shared.waiting.lock().unwrap().push_back((event.to_owned(), deadline_millis));
        self.shared.arrival.notify_one();
        self.answers.recv().await.expect("the server runs")
    }
}

impl Drop for RuntimeApi {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn next(State(events): State<Arc<Events>>) -> (HeaderMap, String) {
    // The receiver is dropped when the server is about to stop.
    let _ = events.asked.send(Instant::now());
    loop {
        let waiting = events.waiting.lock().unwrap().pop_front();
        if let Some((event, deadline_millis)) = waiting {
            let headers = [
                ("lambda-runtime-aws-request-id", "8476a536-e9f4-11e8-9739-2dfe598c3fcd".to_owned()),
                ("lambda-runtime-deadline-ms", deadline_millis.to_string()),
                ("lambda-runtime-invoked-function-arn", "arn:aws:lambda:us-east-1:123456789012:function:f".to_owned()),
                ("lambda-runtime-trace-id", "Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700;Sampled=0".to_owned()),
            ];
            let headers = headers.map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap()));
            return (headers.into_iter().collect(), event);
        }
        events.arrival.notified().await;
    }
}

async fn response(State(events): State<Arc<Events>>, answer: Bytes) -> StatusCode {
    events.answers.send(serde_json::from_slice(&answer).map_err(|error| error.to_string())).unwrap();
    StatusCode::ACCEPTED
}

async fn error(State(events): State<Arc<Events>>, error: Bytes) -> StatusCode {
    events.answers.send(Err(String::from_utf8_lossy(&error).into_owned())).unwrap();
    StatusCode::ACCEPTED
}

async fn init_error(error: Bytes) {
    panic!("the function did not start: {}", String::from_utf8_lossy(&error));
}

/// The binary to deploy: the file that `RELEASE_BINARY` names, such as the artefact of `sam build`, or else one that is
/// built here, once, with the release profile and without features. Cargo itself builds only with the profile and the
/// features of the tests.
pub fn release_binary() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| match std::env::var_os("RELEASE_BINARY") {
        Some(path) => std::fs::canonicalize(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display())),
        None => build_release_binary(),
    })
}

fn build_release_binary() -> PathBuf {
    let built = std::process::Command::new(env!("CARGO"))
        .args(["build", "--release", "--locked", "--quiet", "--bin", "organization-invitations"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .status()
        .expect("cargo runs");
    assert!(built.success(), "the release build failed");
    let own = PathBuf::from(env!("CARGO_BIN_EXE_organization-invitations"));
    let target = own.parent().and_then(Path::parent).expect("target/<profile>/…");
    target.join("release").join("organization-invitations")
}

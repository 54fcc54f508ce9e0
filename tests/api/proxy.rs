//! A proxy in front of DynamoDB that can interfere: what no emulator does by itself has to come from somewhere.

use std::{
    collections::{HashMap, VecDeque},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
};

use axum::{
    Router,
    body::{Body, Bytes, to_bytes},
    extract::{Request, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use organization_invitations::local::stack;
use serde_json::{Value, json};
use tokio::task::JoinHandle;

/// What happens to a request instead of the usual.
#[derive(Clone, Copy, Debug)]
pub enum Intervention {
    /// DynamoDB answers with this status and error.
    Fail(u16, &'static str),
    /// DynamoDB gets to none of the keys of a `BatchGetItem`.
    LeaveUnprocessed,
    /// DynamoDB gets to only so many of the rows of a `BatchWriteItem`.
    #[cfg_attr(not(feature = "cli"), expect(dead_code, reason = "only the directory command writes batches"))]
    WriteOnly(usize),
    /// DynamoDB cancels a transaction for this reason, in all of its parts.
    CancelWith(&'static str),
    /// DynamoDB does as asked, but the caller only hears of a failure.
    LoseAnswer,
}

pub struct Proxy {
    shared: Arc<Shared>,
    url: String,
    server: JoinHandle<()>,
}

struct Shared {
    upstream: String,
    client: reqwest::Client,
    interventions: Mutex<HashMap<&'static str, VecDeque<Intervention>>>,
    counts: Mutex<HashMap<String, usize>>,
    rows_read: AtomicU64,
}

impl Proxy {
    pub async fn start(upstream: &str) -> Self {
        let shared = Arc::new(Shared {
            upstream: upstream.to_owned(),
            client: reqwest::Client::new(),
            interventions: Mutex::default(),
            counts: Mutex::default(),
            rows_read: AtomicU64::default(),
        });
        let (listener, url) = stack::listen(0, "").await.unwrap();
        let router = Router::new().fallback(handle).with_state(Arc::clone(&shared));
        let server = tokio::spawn(async { axum::serve(listener, router).await.unwrap() });
        Self { shared, url, server }
    }

    pub fn url(&self) -> &str {
        &self.url
    }

    /// What happens to the next request for `operation` that nothing is set to happen to yet.
    pub fn next(&self, operation: &'static str, intervention: Intervention) {
        self.shared.interventions.lock().unwrap().entry(operation).or_default().push_back(intervention);
    }

    /// How many requests there have been for `operation`.
    pub fn count(&self, operation: &str) -> usize {
        self.shared.counts.lock().unwrap().get(operation).copied().unwrap_or_default()
    }

    /// How many rows queries have read, whether or not a filter left them out of the answer.
    pub fn rows_read(&self) -> u64 {
        self.shared.rows_read.load(Ordering::Relaxed)
    }

    /// How many requests there have been.
    pub fn total(&self) -> usize {
        self.shared.counts.lock().unwrap().values().sum()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn handle(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = to_bytes(body, usize::MAX).await.unwrap();
    let target = parts.headers["x-amz-target"].to_str().unwrap();
    let operation = target.rsplit_once('.').unwrap().1.to_owned();
    *shared.counts.lock().unwrap().entry(operation.clone()).or_default() += 1;
    let queue = |all: &mut HashMap<_, VecDeque<_>>| all.get_mut(operation.as_str()).and_then(VecDeque::pop_front);
    let intervention = queue(&mut shared.interventions.lock().unwrap());
    match intervention {
        None => shared.forward(&parts.headers, body).await,
        Some(Intervention::Fail(status, error)) => failure(status, error),
        Some(Intervention::LoseAnswer) => {
            assert_eq!(shared.forward(&parts.headers, body).await.status(), StatusCode::OK);
            failure(500, "InternalServerError")
        }
        Some(Intervention::LeaveUnprocessed) => {
            let request: Value = serde_json::from_slice(&body).unwrap();
            answer(200, &json!({ "Responses": {}, "UnprocessedKeys": request["RequestItems"] }))
        }
        Some(Intervention::WriteOnly(most)) => {
            let mut request: Value = serde_json::from_slice(&body).unwrap();
            let mut left = request["RequestItems"].clone();
            let rows = request["RequestItems"].as_object_mut().unwrap().values_mut().next().unwrap();
            let rest = rows.as_array_mut().unwrap().split_off(most);
            *left.as_object_mut().unwrap().values_mut().next().unwrap() = rest.into();
            if most > 0 {
                let written = shared.forward(&without_length(&parts.headers), request.to_string().into()).await;
                assert_eq!(written.status(), StatusCode::OK);
            }
            answer(200, &json!({ "UnprocessedItems": left }))
        }
        Some(Intervention::CancelWith(reason)) => {
            let request: Value = serde_json::from_slice(&body).unwrap();
            let parts = request["TransactItems"].as_array().unwrap().len();
            let reasons = vec![json!({ "Code": reason, "Message": "set by a test" }); parts];
            let kind = "com.amazonaws.dynamodb.v20120810#TransactionCanceledException";
            answer(400, &json!({ "__type": kind, "Message": "cancelled", "CancellationReasons": reasons }))
        }
    }
}

impl Shared {
    async fn forward(&self, headers: &HeaderMap, body: Bytes) -> Response {
        let mut headers = headers.clone();
        headers.remove(header::HOST);
        let answer = self.client.post(&self.upstream).headers(headers).body(body).send().await.unwrap();
        let (status, headers) = (answer.status(), answer.headers().clone());
        let body = answer.bytes().await.unwrap();
        let told: Value = serde_json::from_slice(&body).unwrap_or_default();
        self.rows_read.fetch_add(told["ScannedCount"].as_u64().unwrap_or_default(), Ordering::Relaxed);
        let mut response = Response::new(Body::from(body));
        *response.status_mut() = status;
        *response.headers_mut() = headers;
        response.headers_mut().remove(header::TRANSFER_ENCODING);
        response
    }
}

/// The headers of a request whose body becomes another.
fn without_length(headers: &HeaderMap) -> HeaderMap {
    let mut headers = headers.clone();
    headers.remove(header::CONTENT_LENGTH);
    headers
}

fn failure(status: u16, error: &str) -> Response {
    answer(
        status,
        &json!({ "__type": format!("com.amazonaws.dynamodb.v20120810#{error}"), "message": "set by a test" }),
    )
}

fn answer(status: u16, body: &Value) -> Response {
    let status = StatusCode::from_u16(status).unwrap();
    (status, [(header::CONTENT_TYPE, "application/x-amz-json-1.0")], body.to_string()).into_response()
}

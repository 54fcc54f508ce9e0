//! A proxy in front of DynamoDB that can interfere: what no emulator does by itself has to come from somewhere. It also
//! remembers what was asked, in front of SES too, and can measure what it costs.

use std::{
    collections::{HashMap, VecDeque},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use axum::{
    Router,
    body::{Body, Bytes, to_bytes},
    extract::{Request, State},
    http::{HeaderMap, StatusCode, header, request::Parts},
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

/// A request that came through the proxy: DynamoDB's operation or, where none is named, the path; and the body.
#[derive(Clone, Debug)]
pub struct Asked {
    pub operation: String,
    body: Bytes,
}

impl Asked {
    pub fn body(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

struct Shared {
    upstream: String,
    client: reqwest::Client,
    interventions: Mutex<HashMap<&'static str, VecDeque<Intervention>>>,
    asked: Mutex<Vec<Asked>>,
    rows_read: AtomicU64,
    measures: AtomicBool,
    /// Operation and `ConsumedCapacity` of each answer since the measuring began.
    consumed: Mutex<Vec<(String, Value)>>,
}

impl Proxy {
    pub async fn start(upstream: &str) -> Self {
        let shared = Arc::new(Shared {
            upstream: upstream.to_owned(),
            client: reqwest::Client::new(),
            interventions: Mutex::default(),
            asked: Mutex::default(),
            rows_read: AtomicU64::default(),
            measures: AtomicBool::default(),
            consumed: Mutex::default(),
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
        self.shared.asked.lock().unwrap().iter().filter(|asked| asked.operation == operation).count()
    }

    /// How many rows queries have read, whether or not a filter left them out of the answer.
    pub fn rows_read(&self) -> u64 {
        self.shared.rows_read.load(Ordering::Relaxed)
    }

    /// How many requests there have been.
    pub fn total(&self) -> usize {
        self.shared.asked.lock().unwrap().len()
    }

    /// What was asked since the start, or since this was asked last.
    pub fn take_asked(&self) -> Vec<Asked> {
        std::mem::take(&mut self.shared.asked.lock().unwrap())
    }

    /// Does `work`, and gives what DynamoDB says that it consumed, by operation. Of what fails it does not tell.
    pub async fn measure<T>(&self, work: impl Future<Output = T>) -> (T, Vec<(String, Value)>) {
        self.shared.measures.store(true, Ordering::Relaxed);
        let done = work.await;
        self.shared.measures.store(false, Ordering::Relaxed);
        (done, std::mem::take(&mut self.shared.consumed.lock().unwrap()))
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
    let operation = operation(&parts);
    shared.asked.lock().unwrap().push(Asked { operation: operation.clone(), body: body.clone() });
    let queue = |all: &mut HashMap<_, VecDeque<_>>| all.get_mut(operation.as_str()).and_then(VecDeque::pop_front);
    let intervention = queue(&mut shared.interventions.lock().unwrap());
    match intervention {
        None => shared.forward(&parts, body).await,
        Some(Intervention::Fail(status, error)) => failure(status, error),
        Some(Intervention::LoseAnswer) => {
            assert_eq!(shared.forward(&parts, body).await.status(), StatusCode::OK);
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
                let written = shared.forward(&parts, request.to_string().into()).await;
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
    async fn forward(&self, parts: &Parts, body: Bytes) -> Response {
        let url = format!("{}{}", self.upstream, parts.uri);
        let request = self.client.request(parts.method.clone(), url).headers(forwarded(&parts.headers));
        let measures = self.measures.load(Ordering::Relaxed);
        let body = if measures { measured(&body) } else { body };
        let answer = request.body(body).send().await.unwrap();
        let (status, headers) = (answer.status(), answer.headers().clone());
        let body = answer.bytes().await.unwrap();
        let told: Value = serde_json::from_slice(&body).unwrap_or_default();
        self.rows_read.fetch_add(told["ScannedCount"].as_u64().unwrap_or_default(), Ordering::Relaxed);
        if measures {
            self.consumed.lock().unwrap().push((operation(parts), told["ConsumedCapacity"].clone()));
        }
        let mut response = Response::new(Body::from(body));
        *response.status_mut() = status;
        *response.headers_mut() = headers;
        response.headers_mut().remove(header::TRANSFER_ENCODING);
        response
    }
}

fn operation(parts: &Parts) -> String {
    let target = parts.headers.get("x-amz-target").map(|target| target.to_str().unwrap());
    target.map_or(parts.uri.path(), |target| target.rsplit_once('.').unwrap().1).to_owned()
}

/// The headers of a request to somebody else, whose body may be another.
fn forwarded(headers: &HeaderMap) -> HeaderMap {
    let mut headers = headers.clone();
    headers.remove(header::HOST);
    headers.remove(header::CONTENT_LENGTH);
    headers
}

/// The same request to DynamoDB, with the wish to be told what it consumes.
fn measured(body: &[u8]) -> Bytes {
    let mut request: Value = serde_json::from_slice(body).unwrap();
    request["ReturnConsumedCapacity"] = "INDEXES".into();
    request.to_string().into()
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

//! A proxy in front of DynamoDB or SES that injects faults, records the requests, and measures their capacity.

use std::{
    collections::{HashMap, VecDeque},
    future, io,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
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
use tokio::{task::JoinHandle, time::sleep};
use tokio_stream::StreamExt;

/// A fault that replaces the usual handling of a request.
#[derive(Clone, Copy, Debug)]
pub enum Intervention {
    /// The request fails with this status and error, and has no effect.
    Fail(u16, &'static str),
    /// All keys of a `BatchGetItem` stay unprocessed.
    LeaveUnprocessed,
    /// Only this number of rows of a `BatchWriteItem` is processed.
    #[cfg_attr(not(feature = "cli"), expect(dead_code, reason = "only the directory command writes batches"))]
    WriteOnly(usize),
    /// The transaction is cancelled, with this reason for each of its parts.
    CancelWith(&'static str),
    /// DynamoDB executes the request, but the response is replaced by an error.
    LoseAnswer,
    /// The connection closes, and the request is lost.
    Disconnect,
    /// DynamoDB executes the request, but the connection closes before the response.
    DisconnectAfter,
    /// DynamoDB executes the request, but the connection closes in the middle of the response.
    CutOff,
    /// DynamoDB executes the request, but the second half of the response body is missing.
    Truncate,
    /// DynamoDB executes the request, but the response has this body.
    Garble(&'static str),
    /// The request is lost, and no response arrives.
    Silence,
    /// DynamoDB executes the request, but the response arrives after this delay.
    Delay(Duration),
}

/// Faults at random.
#[derive(Clone, Copy, Debug)]
struct Chance {
    /// The state of the generator (`SplitMix64`).
    state: u64,
    percent: usize,
    errors: &'static [&'static str],
}

pub struct Proxy {
    shared: Arc<Shared>,
    url: String,
    server: JoinHandle<()>,
}

/// A request that passed the proxy: DynamoDB's operation, or the path of a request to SES, and the body.
#[derive(Clone, Debug)]
pub struct RecordedRequest {
    pub operation: String,
    body: Bytes,
}

impl RecordedRequest {
    /// `true` for a probe of the connection to SES, which has no body.
    pub fn is_empty(&self) -> bool {
        self.body.is_empty()
    }

    pub fn body(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

struct Shared {
    upstream: String,
    client: reqwest::Client,
    interventions: Mutex<HashMap<&'static str, VecDeque<Intervention>>>,
    asked: Mutex<Vec<RecordedRequest>>,
    lasting: Mutex<HashMap<&'static str, Intervention>>,
    chance: Mutex<Option<Chance>>,
    rows_read: AtomicU64,
    measures: AtomicBool,
    /// Operation and `ConsumedCapacity` of each response since the start of the measurement.
    consumed: Mutex<Vec<(String, Value)>>,
    conflicts: AtomicBool,
    /// The keys of the rows that running transactions lock.
    locked: Mutex<Vec<Value>>,
}

impl Proxy {
    pub async fn start(upstream: &str) -> Self {
        let shared = Arc::new(Shared {
            upstream: upstream.to_owned(),
            client: reqwest::Client::new(),
            interventions: Mutex::default(),
            asked: Mutex::default(),
            lasting: Mutex::default(),
            chance: Mutex::default(),
            rows_read: AtomicU64::default(),
            measures: AtomicBool::default(),
            consumed: Mutex::default(),
            conflicts: AtomicBool::default(),
            locked: Mutex::default(),
        });
        let (listener, url) = stack::listen(0, "").await.unwrap();
        let router = Router::new().fallback(handle).with_state(Arc::clone(&shared));
        let server = tokio::spawn(async { axum::serve(listener, router).await.unwrap() });
        Self { shared, url, server }
    }

    pub fn url(&self) -> &str {
        &self.url
    }

    /// Queues a fault for one request for `operation`. Queued faults apply in order.
    pub fn next(&self, operation: &'static str, intervention: Intervention) {
        self.shared.interventions.lock().unwrap().entry(operation).or_default().push_back(intervention);
    }

    /// Sets a fault for every request for `operation` from now on.
    pub fn always(&self, operation: &'static str, intervention: Intervention) {
        self.shared.lasting.lock().unwrap().insert(operation, intervention);
    }

    /// Fails this percentage of all requests, each with one of these errors. `seed` determines which.
    pub fn fail_at_random(&self, seed: u64, percent: usize, errors: &'static [&'static str]) {
        *self.shared.chance.lock().unwrap() = Some(Chance { state: seed, percent, errors });
    }

    /// Fails requests for rows of a running transaction, as DynamoDB documents it (developer guide, "Transaction
    /// conflict handling"): a transaction is cancelled, and a single write fails with `TransactionConflictException`.
    /// Transactions are slowed down, so that conflicts occur.
    pub fn simulate_transaction_conflicts(&self) {
        self.shared.conflicts.store(true, Ordering::Relaxed);
    }

    /// Removes all faults.
    pub fn stop_faults(&self) {
        self.shared.interventions.lock().unwrap().clear();
        self.shared.lasting.lock().unwrap().clear();
        *self.shared.chance.lock().unwrap() = None;
    }

    /// The number of requests for `operation` so far.
    pub fn count(&self, operation: &str) -> usize {
        self.shared.asked.lock().unwrap().iter().filter(|asked| asked.operation == operation).count()
    }

    /// The number of rows that queries have read, including those that a filter removed from the response.
    pub fn rows_read(&self) -> u64 {
        self.shared.rows_read.load(Ordering::Relaxed)
    }

    /// The number of requests so far.
    pub fn total(&self) -> usize {
        self.shared.asked.lock().unwrap().len()
    }

    /// Takes the requests since the start or the last call.
    pub fn take_requests(&self) -> Vec<RecordedRequest> {
        std::mem::take(&mut self.shared.asked.lock().unwrap())
    }

    /// Does `work`, and returns its result and the `ConsumedCapacity` of each successful response by operation.
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
    shared.asked.lock().unwrap().push(RecordedRequest { operation: operation.clone(), body: body.clone() });
    match shared.intervention(&operation) {
        None if shared.conflicts.load(Ordering::Relaxed) => shared.forward_unless_in_conflict(&parts, body).await,
        None => shared.forward(&parts, body).await,
        Some(Intervention::Fail(status, error)) => failure(status, error),
        Some(Intervention::LoseAnswer) => {
            shared.forward_for_body(&parts, body).await;
            failure(500, "InternalServerError")
        }
        Some(Intervention::Disconnect) => cut_off(&[], 0),
        Some(Intervention::DisconnectAfter) => {
            shared.forward_for_body(&parts, body).await;
            cut_off(&[], 0)
        }
        Some(Intervention::CutOff) => {
            let done = shared.forward_for_body(&parts, body).await;
            cut_off(&done[..done.len() / 2], done.len())
        }
        Some(Intervention::Truncate) => {
            let done = shared.forward_for_body(&parts, body).await;
            answer(200, &String::from_utf8_lossy(&done[..done.len() / 2]))
        }
        Some(Intervention::Garble(text)) => {
            shared.forward_for_body(&parts, body).await;
            answer(200, text)
        }
        Some(Intervention::Silence) => future::pending().await,
        Some(Intervention::Delay(time)) => {
            let response = shared.forward(&parts, body).await;
            sleep(time).await;
            response
        }
        Some(Intervention::LeaveUnprocessed) => {
            let request: Value = serde_json::from_slice(&body).unwrap();
            answer(200, &json!({ "Responses": {}, "UnprocessedKeys": request["RequestItems"] }).to_string())
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
            answer(200, &json!({ "UnprocessedItems": left }).to_string())
        }
        Some(Intervention::CancelWith(reason)) => {
            let request: Value = serde_json::from_slice(&body).unwrap();
            let parts = request["TransactItems"].as_array().unwrap().len();
            cancelled(vec![reason; parts])
        }
    }
}

impl Shared {
    /// The fault for this request: the next one in the queue, else the one for all requests, else one at random.
    fn intervention(&self, operation: &str) -> Option<Intervention> {
        let next = self.interventions.lock().unwrap().get_mut(operation).and_then(VecDeque::pop_front);
        let next = next.or_else(|| self.lasting.lock().unwrap().get(operation).copied());
        next.or_else(|| self.chance.lock().unwrap().as_mut()?.intervention())
    }

    async fn forward_unless_in_conflict(&self, parts: &Parts, body: Bytes) -> Response {
        const A_MOMENT: Duration = Duration::from_millis(15);
        let request: Value = serde_json::from_slice(&body).unwrap();
        let keys = keys(&request);
        let is_transaction = request["TransactItems"].is_array();
        {
            let mut locked = self.locked.lock().unwrap();
            let in_conflict: Vec<bool> = keys.iter().map(|key| locked.contains(key)).collect();
            if in_conflict.contains(&true) {
                return if is_transaction {
                    cancelled(in_conflict.into_iter().map(|is| if is { "TransactionConflict" } else { "None" }))
                } else {
                    failure(400, "TransactionConflictException")
                };
            }
            locked.extend(keys.iter().filter(|_| is_transaction).cloned());
        }
        if is_transaction {
            sleep(A_MOMENT).await;
        }
        let response = self.forward(parts, body).await;
        if is_transaction {
            self.locked.lock().unwrap().retain(|key| !keys.contains(key));
        }
        response
    }

    /// Forwards the request, and returns the body of the response.
    async fn forward_for_body(&self, parts: &Parts, body: Bytes) -> Bytes {
        to_bytes(self.forward(parts, body).await.into_body(), usize::MAX).await.unwrap()
    }

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

/// The keys of the rows that a request writes, or that its transaction checks.
fn keys(request: &Value) -> Vec<Value> {
    let key = |part: &Value| {
        let row = if part["Key"].is_object() { &part["Key"] } else { &part["Item"] };
        json!([row["pk"], row["sk"]])
    };
    match request["TransactItems"].as_array() {
        Some(parts) => parts.iter().flat_map(|part| part.as_object().unwrap().values()).map(key).collect(),
        None if request["UpdateExpression"].is_string() || request["Item"].is_object() => vec![key(request)],
        None => vec![],
    }
}

fn cancelled(reasons: impl IntoIterator<Item = &'static str>) -> Response {
    let reasons = reasons.into_iter().map(|reason| json!({ "Code": reason, "Message": "set by a test" }));
    let reasons: Vec<_> = reasons.collect();
    let kind = "com.amazonaws.dynamodb.v20120810#TransactionCanceledException";
    let cancelled = json!({ "__type": kind, "Message": "cancelled", "CancellationReasons": reasons });
    answer(400, &cancelled.to_string())
}

fn operation(parts: &Parts) -> String {
    let target = parts.headers.get("x-amz-target").map(|target| target.to_str().unwrap());
    target.map_or(parts.uri.path(), |target| target.rsplit_once('.').unwrap().1).to_owned()
}

/// The headers for a forwarded request, whose body may have another length.
fn forwarded(headers: &HeaderMap) -> HeaderMap {
    let mut headers = headers.clone();
    headers.remove(header::HOST);
    headers.remove(header::CONTENT_LENGTH);
    headers
}

/// The same request with `ReturnConsumedCapacity`.
fn measured(body: &[u8]) -> Bytes {
    let mut request: Value = serde_json::from_slice(body).unwrap();
    request["ReturnConsumedCapacity"] = "INDEXES".into();
    request.to_string().into()
}

/// The AWS request id of each request that the proxy fails.
pub const REQUEST_ID: &str = "4KBNVRGD25RG1KEO9UT4V3FQDJVV4KQNSO5AEMVJF66Q9ASUAAJG";

fn failure(status: u16, error: &str) -> Response {
    let kind = format!("com.amazonaws.dynamodb.v20120810#{error}");
    answer(status, &json!({ "__type": kind, "message": "set by a test" }).to_string())
}

fn answer(status: u16, body: &str) -> Response {
    let status = StatusCode::from_u16(status).unwrap();
    let headers = [(header::CONTENT_TYPE.as_str(), "application/x-amz-json-1.0"), ("x-amzn-requestid", REQUEST_ID)];
    (status, headers, body.to_owned()).into_response()
}

/// A response of this length whose connection closes after `beginning`. If `beginning` is empty, not even the status is
/// sent.
fn cut_off(beginning: &[u8], length: usize) -> Response {
    let end = tokio_stream::once(Err::<Bytes, _>(io::Error::other("the end that a test asked for")));
    if beginning.is_empty() {
        return Body::from_stream(end).into_response();
    }
    // The server sends the beginning while it waits for the rest.
    let end = end.then(|end| async {
        sleep(Duration::from_millis(20)).await;
        end
    });
    let beginning = tokio_stream::once(Ok(Bytes::copy_from_slice(beginning)));
    ([(header::CONTENT_LENGTH, length)], Body::from_stream(beginning.chain(end))).into_response()
}

impl Chance {
    fn intervention(&mut self) -> Option<Intervention> {
        if self.draw() % 100 >= self.percent as u64 {
            return None;
        }
        let position = usize::try_from(self.draw() % self.errors.len() as u64).unwrap();
        Some(Intervention::Fail(400, self.errors[position]))
    }

    fn draw(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.state ^ (self.state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

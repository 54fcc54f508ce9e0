//! Kills the release binary at every AWS call of every operation, and checks the table afterwards, the outcome of the
//! client's retry, and the number of mails.

mod bulk;

use std::{
    future,
    sync::{
        Arc, Mutex,
        atomic::{AtomicI32, Ordering},
    },
    time::Duration,
};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::State,
    http::{HeaderMap, Method, Uri, header},
    response::Response,
};
use organization_invitations::local::{ses::SesFault, stack};
use rustix::process::{Pid, Signal, kill_process};
use tokio::{
    sync::Semaphore,
    task::{JoinHandle, JoinSet},
    time::sleep,
};

use crate::{
    common::{
        answer::Answer,
        call::Call,
        operation::{
            INVITEE,
            Operation::{
                self, Accept, AcceptByToken, AcceptOwn, Bulk, Change, Create, CreateWithKey, CreateWithMail,
                CreateWithMailAndKey, Delete, Get, GetWithDelivery, List, ListOwn, Message, Revoke, VerifyToken,
            },
        },
        rows,
    },
    function::{self, Function},
    surroundings::{Surroundings, now},
};

/// The function's timeout for an event, in milliseconds: enough for every operation, but short, because the tests wait
/// for leases to expire.
const LIFETIME: i64 = 8000;

/// The point in an AWS call at which the process dies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Death {
    /// AWS has received the request and not executed it.
    Received,
    /// AWS has executed the request and not responded.
    Executed,
    /// AWS has responded, and the process has not read the response.
    Answered,
}

/// The final result of the client's retries.
#[derive(Clone, Copy)]
enum End {
    /// The result of an undisturbed operation: the status of a success, and its mails.
    AsUsual,
    /// The status of the retry, and the number of mails sent.
    Is(u16, usize),
}

use End::{AsUsual, Is};

/// An operation, and for each of its AWS calls the result of a death before AWS executed the call, and after.
struct Scenario {
    operation: Operation,
    /// The fault of SES for the first message.
    fault: Option<SesFault>,
    calls: Vec<&'static str>,
    ends: &'static [(End, End)],
}

/// Only the rows with two mails allow a duplicate: SES accepted the message, and the process died before it recorded
/// that.
const fn ends(operation: Operation) -> &'static [(End, End)] {
    const UNCHANGED: (End, End) = (AsUsual, AsUsual);
    match operation {
        CreateWithKey | GetWithDelivery | ListOwn => &[UNCHANGED, UNCHANGED],
        CreateWithMail => &[UNCHANGED, (AsUsual, Is(422, 0)), (Is(422, 0), Is(422, 1))],
        CreateWithMailAndKey => &[UNCHANGED, UNCHANGED, (AsUsual, Is(201, 2)), (Is(201, 2), AsUsual)],
        List | Get | VerifyToken => &[UNCHANGED],
        Change => &[UNCHANGED, UNCHANGED, UNCHANGED],
        Message => &[UNCHANGED, UNCHANGED, UNCHANGED, (AsUsual, Is(204, 2))],
        Accept | AcceptByToken => &[UNCHANGED, UNCHANGED, (AsUsual, Is(422, 0))],
        Create | Bulk | Revoke | AcceptOwn => &[UNCHANGED, (AsUsual, Is(422, 0))],
        Delete => &[UNCHANGED, (AsUsual, Is(404, 0))],
    }
}

/// A create that is rolled back because SES rejects its message.
fn rejected(operation: Operation, ends: &'static [(End, End)]) -> Scenario {
    let calls = vec!["BatchGetItem", "TransactWriteItems", "SendEmail", "TransactWriteItems"];
    Scenario { operation, fault: Some(SesFault::MessageRejected), calls, ends }
}

fn scenarios() -> Vec<Arc<Scenario>> {
    // A bulk create has a test of its own.
    let operations = Operation::ALL.into_iter().filter(|operation| *operation != Bulk);
    let undisturbed = operations.map(|operation| {
        let (calls, ends) = (operation.aws_calls().to_vec(), ends(operation));
        Scenario { operation, fault: None, calls, ends }
    });
    let without_key: &[(End, End)] =
        &[(Is(400, 0), Is(400, 0)), (Is(400, 0), Is(422, 0)), (Is(422, 0), Is(422, 0)), (Is(422, 0), AsUsual)];
    let with_key: &[(End, End)] =
        &[(Is(400, 0), Is(400, 0)), (Is(400, 0), Is(400, 0)), (Is(400, 0), AsUsual), (AsUsual, AsUsual)];
    let rolled_back = [rejected(CreateWithMail, without_key), rejected(CreateWithMailAndKey, with_key)];
    undisturbed.chain(rolled_back).map(Arc::new).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_kill_at_any_call_a_retry_finds_a_consistent_table() {
    function::build().await;
    // The number of concurrent processes. A case that waits for a lease to expire does not count.
    let turns = Arc::new(Semaphore::new(4));
    let mut cases = JoinSet::new();
    for scenario in scenarios() {
        assert_eq!(scenario.calls.len(), scenario.ends.len(), "{:?}", scenario.operation);
        for at in 0..scenario.calls.len() {
            for death in [Death::Received, Death::Executed, Death::Answered] {
                let (scenario, turns) = (Arc::clone(&scenario), Arc::clone(&turns));
                cases.spawn(async move { kill_and_retry(&scenario, at, death, &turns).await });
            }
        }
    }
    while let Some(case) = cases.join_next().await {
        case.unwrap();
    }
}

async fn kill_and_retry(scenario: &Scenario, at: usize, death: Death, turns: &Semaphore) {
    let Scenario { operation, fault, calls, ends } = scenario;
    let case = format!("{operation:?}, {fault:?}, dead with {} ({}) {death:?}", calls[at], at + 1);
    let turn = turns.acquire().await.unwrap();
    let around = Surroundings::start().await;
    let existing = if has_invitation(*operation) { around.invite(INVITEE).await } else { String::new() };
    if let Some(fault) = fault {
        around.stack.ses.fail_next(*fault);
    }
    let call = operation.call(&existing);

    let tap = Tap::start(&around.stack.dynamodb_url, &around.stack.ses_url, Some((at, death))).await;
    let mut function = Function::start_behind(&tap.dynamodb_url, &tap.ses_url).await;
    tap.watch(&function);
    assert!(function.invoke_until_death(&call.event().to_string(), now() + LIFETIME).await.is_none(), "{case}");
    assert_eq!(tap.calls(), calls[..=at], "{case}");
    drop(turn);

    let answer = retry(&around, &call, turns).await;
    let (not_executed, executed) = ends[at];
    let expected = match if death == Death::Received { not_executed } else { executed } {
        AsUsual => (operation.success(), operation.mails()),
        Is(status, mails) => (status, mails),
    };
    assert_eq!((answer.status, around.stack.ses.mails().len()), expected, "{case}: {answer:?}");
    assert_consistent(&around, *operation, &answer, &case).await;
    if call.idempotency_key.is_some() && answer.status == 201 {
        let repeated = retry(&around, &call, turns).await;
        assert_eq!(repeated.headers.get("idempotent-replayed").map(String::as_str), Some("true"), "{case}");
        assert_eq!((repeated.text, around.stack.ses.mails().len()), (answer.text, expected.1), "{case}");
    }
}

/// Retries the call as a client without a response does: on another process, after `Retry-After`.
async fn retry(around: &Surroundings, call: &Call, turns: &Semaphore) -> Answer {
    for _ in 0..5 {
        let answer = call_another_process(around, call, turns).await;
        let Some(seconds) = answer.headers.get("retry-after") else { return answer };
        sleep(Duration::from_secs(seconds.parse().unwrap())).await;
    }
    panic!("every response has a Retry-After");
}

/// `true` if the operation needs an existing invitation.
fn has_invitation(operation: Operation) -> bool {
    operation.names_invitation() || operation == ListOwn
}

async fn call_another_process(around: &Surroundings, call: &Call, turns: &Semaphore) -> Answer {
    let _turn = turns.acquire().await.unwrap();
    let mut function = Function::start_behind(&around.stack.dynamodb_url, &around.stack.ses_url).await;
    let answer = function.invoke(&call.event().to_string()).await;
    function.stop().await;
    answer
}

async fn assert_consistent(around: &Surroundings, operation: Operation, answer: &Answer, case: &str) {
    let rows = around.rows().await;
    let invitations: Vec<&str> = rows::of_kind(&rows, "INVITATION").map(|row| row["id"].as_str().unwrap()).collect();
    for mail in around.stack.ses.mails() {
        assert!(invitations.contains(&mail.tags["invitation"].as_str()), "{case}: a mail without its invitation");
    }
    if !has_invitation(operation) {
        let reported = match answer.status {
            201 => vec![answer.json()["id"].clone()],
            422 => vec![answer.json()["data"]["invitationId"].clone()],
            _ => vec![],
        };
        assert_eq!(invitations, reported, "{case}: {answer:?}");
    }
}

/// A proxy between the function and AWS. It counts the calls, and kills the process in the middle of one.
struct Tap {
    shared: Arc<Shared>,
    dynamodb_url: String,
    ses_url: String,
    servers: [JoinHandle<()>; 2],
}

struct Shared {
    client: reqwest::Client,
    death: Option<(usize, Death)>,
    calls: Mutex<Vec<String>>,
    process: AtomicI32,
}

impl Tap {
    async fn start(dynamodb: &str, ses: &str, death: Option<(usize, Death)>) -> Self {
        let (client, calls, process) = (reqwest::Client::new(), Mutex::default(), AtomicI32::default());
        let shared = Arc::new(Shared { client, death, calls, process });
        let (dynamodb_url, dynamodb_server) = serve(&shared, dynamodb).await;
        let (ses_url, ses_server) = serve(&shared, ses).await;
        Self { shared, dynamodb_url, ses_url, servers: [dynamodb_server, ses_server] }
    }

    /// Sets the process to kill.
    fn watch(&self, function: &Function) {
        self.shared.process.store(function.process_id(), Ordering::SeqCst);
    }

    fn calls(&self) -> Vec<String> {
        self.shared.calls.lock().unwrap().clone()
    }
}

impl Drop for Tap {
    fn drop(&mut self) {
        self.servers.iter().for_each(JoinHandle::abort);
    }
}

async fn serve(shared: &Arc<Shared>, upstream: &str) -> (String, JoinHandle<()>) {
    let (listener, url) = stack::listen(0, "").await.unwrap();
    let router = Router::new().fallback(pass).with_state((Arc::clone(shared), upstream.to_owned()));
    (url, tokio::spawn(async { axum::serve(listener, router).await.unwrap() }))
}

async fn pass(
    State((shared, upstream)): State<(Arc<Shared>, String)>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let operation = match headers.get("x-amz-target") {
        Some(target) => target.to_str().unwrap().rsplit_once('.').unwrap().1,
        None => "SendEmail",
    };
    // Not counted: the calls before the function asks for its first event, and the proof that a connection to SES is
    // alive, which changes nothing.
    if method == Method::GET || shared.process.load(Ordering::SeqCst) == 0 {
        return shared.forward(&upstream, method, &uri, headers, body).await;
    }
    let position = {
        let mut calls = shared.calls.lock().unwrap();
        calls.push(operation.to_owned());
        calls.len() - 1
    };
    let forwarded = shared.forward(&upstream, method, &uri, headers, body);
    match shared.death.filter(|(at, _)| *at == position).map(|(_, death)| death) {
        None => forwarded.await,
        Some(Death::Received) => {
            shared.signal(Signal::KILL);
            future::pending().await
        }
        Some(Death::Executed) => {
            forwarded.await;
            shared.signal(Signal::KILL);
            future::pending().await
        }
        Some(Death::Answered) => {
            // A stopped process cannot read the response.
            shared.signal(Signal::STOP);
            let answer = forwarded.await;
            tokio::spawn(async move {
                sleep(Duration::from_millis(50)).await;
                shared.signal(Signal::KILL);
            });
            answer
        }
    }
}

impl Shared {
    fn signal(&self, signal: Signal) {
        let process = Pid::from_raw(self.process.load(Ordering::SeqCst)).expect("`watch` has set the process");
        kill_process(process, signal).unwrap();
    }

    async fn forward(
        &self,
        upstream: &str,
        method: Method,
        uri: &Uri,
        mut headers: HeaderMap,
        body: Bytes,
    ) -> Response {
        headers.remove(header::HOST);
        let request = self.client.request(method, format!("{upstream}{}", uri.path()));
        let answer = request.headers(headers).body(body).send().await.unwrap();
        let (status, mut headers) = (answer.status(), answer.headers().clone());
        headers.remove(header::TRANSFER_ENCODING);
        let mut response = Response::new(Body::from(answer.bytes().await.unwrap()));
        *response.status_mut() = status;
        *response.headers_mut() = headers;
        response
    }
}

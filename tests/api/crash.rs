//! The release binary, killed at every call that it makes of AWS, in every operation: what the table holds then, what
//! the same request made again by a client comes to, and how many mails there are in the end.

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
use organization_invitations::{
    domain::timestamp::Timestamp,
    local::{ses::SesFault, stack},
};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;
use tokio::{
    sync::Semaphore,
    task::{JoinHandle, JoinSet},
    time::sleep,
};

use crate::{
    helpers::{Answer, Call, TestApp, body, body_with_mail, rows},
    invariant,
    lambda::{self, Function},
};

/// How long after an event Lambda would end the function, in milliseconds: long enough for every operation, short enough
/// to wait for.
pub const LIFETIME: i64 = 8000;

const INVITEE: &str = "a@example.com";

/// When the process dies, in the course of one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Death {
    /// AWS has received the request and not acted on it.
    Received,
    /// AWS has acted on it and not answered.
    Executed,
    /// AWS has answered, and the process has not read that.
    Answered,
}

/// What the client has in the end: the status that its retry gets, and the mails that were sent.
pub type End = (u16, usize);

/// An operation, and for each of its calls what comes of a death before AWS acted on it, and after.
pub struct Operation {
    name: &'static str,
    call: fn(&str) -> Call,
    /// What SES does with the first message.
    fault: Option<SesFault>,
    /// Whether there is an invitation before.
    on_existing: bool,
    pub calls: &'static [(&'static str, End, End)],
}

const fn create(name: &'static str, call: fn(&str) -> Call, calls: &'static [(&'static str, End, End)]) -> Operation {
    Operation { name, call, fault: None, on_existing: false, calls }
}

pub const fn change(
    name: &'static str,
    call: fn(&str) -> Call,
    calls: &'static [(&'static str, End, End)],
) -> Operation {
    Operation { name, call, fault: None, on_existing: true, calls }
}

/// The rows in which there are two mails are all that there are: SES took the message, and nobody could remember it.
const OPERATIONS: [Operation; 12] = [
    create(
        "a create without mail",
        |_| Call::create(&body(INVITEE)),
        &[("BatchGetItem", (201, 0), (201, 0)), ("TransactWriteItems", (201, 0), (422, 0))],
    ),
    create(
        "a create without mail, with a key",
        |_| Call::create(&body(INVITEE)).with_key("k"),
        &[("BatchGetItem", (201, 0), (201, 0)), ("TransactWriteItems", (201, 0), (201, 0))],
    ),
    create(
        "a create with mail",
        |_| Call::create(&body_with_mail(INVITEE)),
        &[
            ("BatchGetItem", (201, 1), (201, 1)),
            ("TransactWriteItems", (201, 1), (422, 0)),
            ("SendEmail", (422, 0), (422, 1)),
        ],
    ),
    create(
        "a create with mail, with a key",
        |_| Call::create(&body_with_mail(INVITEE)).with_key("k"),
        &[
            ("BatchGetItem", (201, 1), (201, 1)),
            ("TransactWriteItems", (201, 1), (201, 1)),
            ("SendEmail", (201, 1), (201, 2)),
            ("UpdateItem", (201, 2), (201, 1)),
        ],
    ),
    Operation {
        name: "a create whose mail SES refuses",
        call: |_| Call::create(&body_with_mail(INVITEE)),
        fault: Some(SesFault::MessageRejected),
        on_existing: false,
        calls: &[
            ("BatchGetItem", (400, 0), (400, 0)),
            ("TransactWriteItems", (400, 0), (422, 0)),
            ("SendEmail", (422, 0), (422, 0)),
            ("TransactWriteItems", (422, 0), (201, 1)),
        ],
    },
    Operation {
        name: "a create whose mail SES refuses, with a key",
        call: |_| Call::create(&body_with_mail(INVITEE)).with_key("k"),
        fault: Some(SesFault::MessageRejected),
        on_existing: false,
        calls: &[
            ("BatchGetItem", (400, 0), (400, 0)),
            ("TransactWriteItems", (400, 0), (400, 0)),
            ("SendEmail", (400, 0), (201, 1)),
            ("TransactWriteItems", (201, 1), (201, 1)),
        ],
    },
    change(
        "a message",
        |id| Call::message(id, &json!({ "link": "https://app.example.com" })),
        &[
            ("GetItem", (204, 1), (204, 1)),
            ("BatchGetItem", (204, 1), (204, 1)),
            ("TransactWriteItems", (204, 1), (204, 1)),
            ("SendEmail", (204, 1), (204, 2)),
        ],
    ),
    change(
        "accepting",
        |id| Call::accept(id, "invited"),
        &[
            ("GetItem", (200, 0), (200, 0)),
            ("BatchGetItem", (200, 0), (200, 0)),
            ("TransactWriteItems", (200, 0), (422, 0)),
        ],
    ),
    change("revoking", Call::revoke, &[("GetItem", (200, 0), (200, 0)), ("TransactWriteItems", (200, 0), (422, 0))]),
    change("deleting", Call::delete, &[("GetItem", (204, 0), (204, 0)), ("TransactWriteItems", (204, 0), (404, 0))]),
    change("reading", Call::get, &[("GetItem", (200, 0), (200, 0))]),
    change("listing", |_| Call::list(""), &[("Query", (200, 0), (200, 0))]),
];

#[tokio::test(flavor = "multi_thread")]
async fn the_release_binary_can_be_killed_at_any_call_and_the_same_request_made_again() {
    lambda::build().await;
    // Processes at once; those who wait for a run to end do not count.
    let turns = Arc::new(Semaphore::new(4));
    let mut cases = JoinSet::new();
    for operation in &OPERATIONS {
        for at in 0..operation.calls.len() {
            for death in [Death::Received, Death::Executed, Death::Answered] {
                let turns = Arc::clone(&turns);
                cases.spawn(async move { die_and_try_again(operation, at, death, &turns).await });
            }
        }
    }
    while let Some(case) = cases.join_next().await {
        case.unwrap();
    }
}

pub async fn die_and_try_again(operation: &Operation, at: usize, death: Death, turns: &Semaphore) {
    let (called, not_executed, executed) = operation.calls[at];
    let case = format!("{}, dead with {called} ({}) {death:?}", operation.name, at + 1);
    let turn = turns.acquire().await.unwrap();
    let app = TestApp::start().await;
    app.add_user("invited", Some(INVITEE)).await;
    let existing = if operation.on_existing { app.invite_at(now(), &body(INVITEE)).await } else { String::new() };
    if let Some(fault) = operation.fault {
        app.stack.ses.fail_next(fault);
    }
    let call = (operation.call)(&existing);

    let tap = Tap::start(&app.stack.dynamodb_url, &app.stack.ses_url, Some((at, death))).await;
    let mut function = Function::start_behind(&tap.dynamodb_url, &tap.ses_url).await;
    tap.watch(&function);
    assert!(function.invoke_until_death(&call.event().to_string(), now() + LIFETIME).await.is_none(), "{case}");
    let seen = operation.calls[..=at].iter().map(|(call, ..)| *call).collect::<Vec<_>>();
    assert_eq!(tap.calls(), seen, "{case}");
    drop(turn);

    let answer = try_again(&app, &call, turns).await;
    let expected = if death == Death::Received { not_executed } else { executed };
    assert_eq!((answer.status, app.mails().len()), expected, "{case}: {answer:?}");
    assert_consistent(&app, operation, &answer, &case).await;
    if call.idempotency_key.is_some() && answer.status == 201 {
        let repeated = try_again(&app, &call, turns).await;
        assert_eq!(repeated.headers.get("idempotent-replayed").map(String::as_str), Some("true"), "{case}");
        assert_eq!((repeated.text, app.mails().len()), (answer.text, expected.1), "{case}");
    }
}

/// Makes the call again as a client would that got no answer: with another process, waiting where it is told to.
async fn try_again(app: &TestApp, call: &Call, turns: &Semaphore) -> Answer {
    for _ in 0..5 {
        let turn = turns.acquire().await.unwrap();
        let mut function = Function::start_behind(&app.stack.dynamodb_url, &app.stack.ses_url).await;
        let answer = function.invoke(&call.event().to_string()).await;
        function.stop().await;
        drop(turn);
        let Some(seconds) = answer.headers.get("retry-after") else { return answer };
        sleep(Duration::from_secs(seconds.parse().unwrap())).await;
    }
    panic!("told to wait again and again");
}

async fn assert_consistent(app: &TestApp, operation: &Operation, answer: &Answer, case: &str) {
    invariant::check(app, now()).await;
    let rows = app.rows().await;
    let invitations: Vec<&str> = rows::of_kind(&rows, "INVITATION").map(|row| row["id"].as_str().unwrap()).collect();
    for mail in app.mails() {
        assert!(invitations.contains(&mail.tags["invitation"].as_str()), "{case}: a mail without its invitation");
    }
    if !operation.on_existing {
        let told = match answer.status {
            201 => vec![answer.json()["id"].clone()],
            422 => vec![answer.json()["data"]["invitationId"].clone()],
            _ => vec![],
        };
        assert_eq!(invitations, told, "{case}: {answer:?}");
    }
}

pub fn now() -> i64 {
    Timestamp::now().as_millis()
}

/// What stands between the function and AWS: it counts the calls, and ends the process in the middle of one.
pub struct Tap {
    shared: Arc<Shared>,
    pub dynamodb_url: String,
    pub ses_url: String,
    servers: [JoinHandle<()>; 2],
}

struct Shared {
    client: reqwest::Client,
    death: Option<(usize, Death)>,
    calls: Mutex<Vec<String>>,
    process: AtomicI32,
}

impl Tap {
    pub async fn start(dynamodb: &str, ses: &str, death: Option<(usize, Death)>) -> Self {
        let (client, calls, process) = (reqwest::Client::new(), Mutex::default(), AtomicI32::default());
        let shared = Arc::new(Shared { client, death, calls, process });
        let (dynamodb_url, dynamodb_server) = serve(&shared, dynamodb).await;
        let (ses_url, ses_server) = serve(&shared, ses).await;
        Self { shared, dynamodb_url, ses_url, servers: [dynamodb_server, ses_server] }
    }

    /// Whom to end.
    pub fn watch(&self, function: &Function) {
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
    // What the function does before it asks for its first event is not counted, and neither is the proof that a
    // connection to SES is alive, which changes nothing.
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
            // A process that is stopped cannot read its answer.
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
        let process = Pid::from_raw(self.process.load(Ordering::SeqCst)).expect("there is a process to end");
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

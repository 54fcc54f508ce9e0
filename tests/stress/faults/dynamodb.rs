//! Faults of DynamoDB: each fault in every call of every operation, once and repeatedly.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use tokio::{sync::Semaphore, task::JoinSet};

use crate::{
    common::operation::{
        INVITEE,
        Operation::{
            self, Accept, AcceptByToken, AcceptOwn, Bulk, Change, Create, CreateWithKey, CreateWithMail,
            CreateWithMailAndKey, Delete, Get, GetWithDelivery, List, ListOwn, Message, Revoke, VerifyToken,
        },
    },
    helpers::{
        Answer, BUDGET, NOW, TestApp, body, invariant,
        proxy::Intervention::{
            self, CancelWith, CutOff, Delay, Disconnect, DisconnectAfter, Fail, Garble, LeaveUnprocessed, LoseAnswer,
            Silence, Truncate,
        },
        rows,
    },
};

/// The effect of a fault, and whether a retry can help.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// Nothing was executed, and a retry may help.
    Passing,
    /// Nothing was executed, and no retry helps until an operator acts.
    Lasting,
    /// Nothing was executed, and the same request will always fail.
    Permanent,
    /// The request was executed, or may have been, and its response is lost.
    Lost,
}

use Kind::{Lasting, Lost, Passing, Permanent};

const EVERY_CALL: &[&str] = &["BatchGetItem", "GetItem", "Query", "TransactWriteItems", "UpdateItem"];
const SINGLE_ROWS: &[&str] = &["GetItem", "UpdateItem"];
const TRANSACTIONS: &[&str] = &["TransactWriteItems"];
const BATCHES: &[&str] = &["BatchGetItem"];

/// Longer than the function waits for a response.
const TOO_LONG: Duration = Duration::from_secs(3);

/// The delay that a machine under load may add.
const SLACK: Duration = Duration::from_secs(1);

#[rustfmt::skip]
const FAULTS: &[(Intervention, &[&str], Kind, &str)] = &[
    (Fail(400, "ThrottlingException"), EVERY_CALL, Passing, "throttled"),
    (Fail(400, "ProvisionedThroughputExceededException"), TRANSACTIONS, Passing, "throttled: the partition is hot"),
    (Fail(400, "RequestLimitExceeded"), BATCHES, Passing, "throttled: the account's limit"),
    (Fail(500, "InternalServerError"), EVERY_CALL, Passing, "DynamoDB fails"),
    (Fail(503, "ServiceUnavailable"), EVERY_CALL, Passing, "DynamoDB is not available"),
    (Disconnect, EVERY_CALL, Passing, "the connection closes before the request is read"),
    (Silence, EVERY_CALL, Passing, "no response arrives"),
    (LeaveUnprocessed, BATCHES, Passing, "UnprocessedKeys"),
    (CancelWith("TransactionConflict"), TRANSACTIONS, Passing, "another transaction writes the same row"),
    (CancelWith("ThrottlingError"), TRANSACTIONS, Passing, "a part of the transaction is throttled"),
    (CancelWith("ProvisionedThroughputExceeded"), TRANSACTIONS, Passing, "a part of the transaction meets a hot partition"),
    (Fail(400, "TransactionConflictException"), SINGLE_ROWS, Passing, "a transaction writes the same row"),
    (Fail(400, "ReplicatedWriteConflictException"), SINGLE_ROWS, Passing, "another region writes the same row"),
    (Fail(400, "TransactionInProgressException"), TRANSACTIONS, Passing, "an earlier attempt is in progress"),
    (Fail(400, "ExpiredTokenException"), EVERY_CALL, Lasting, "the credentials have expired"),
    (Fail(400, "UnrecognizedClientException"), EVERY_CALL, Lasting, "the credentials are no longer valid"),
    (Fail(400, "AccessDeniedException"), EVERY_CALL, Lasting, "the function's role lacks a permission"),
    (Fail(400, "ResourceNotFoundException"), EVERY_CALL, Lasting, "the table does not exist"),
    (CancelWith("ValidationError"), TRANSACTIONS, Permanent, "a part of the transaction is invalid"),
    (CancelWith("ItemCollectionSizeLimitExceeded"), TRANSACTIONS, Permanent, "a part of the transaction is too large"),
    (Fail(400, "ValidationException"), EVERY_CALL, Permanent, "the request is invalid"),
    (LoseAnswer, EVERY_CALL, Lost, "executed, and the response is a failure"),
    (DisconnectAfter, EVERY_CALL, Lost, "executed, and the connection closes before the response"),
    (CutOff, EVERY_CALL, Lost, "executed, and the connection closes within the response"),
    (Delay(TOO_LONG), EVERY_CALL, Lost, "executed, and the response arrives after the timeout"),
    (Truncate, EVERY_CALL, Lost, "executed, and the response body is truncated"),
    (Garble("<html>502</html>"), EVERY_CALL, Lost, "executed, and the response is not JSON"),
    (Garble("[]"), EVERY_CALL, Lost, "executed, and the response is unexpected JSON"),
];

/// The operations whose response is the error itself. A bulk create responds with an error per item: see `bulk.rs`.
fn operations() -> impl Iterator<Item = Operation> {
    Operation::ALL.into_iter().filter(|operation| *operation != Bulk)
}

/// The injected errors of DynamoDB and the injected cancellation reasons.
pub fn error_names() -> impl Iterator<Item = &'static str> {
    FAULTS.iter().filter_map(|(fault, ..)| match fault {
        Fail(_, name) | CancelWith(name) => Some(*name),
        _ => None,
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn one_fault_is_retried_where_a_retry_can_help() {
    each_case(FAULTS.len(), |case, app| async move {
        let app = CaseApp::with_invitation(app).await;
        let before = app.rows().await;
        app.proxy().next(case.call, case.fault);
        let answer = case.request(&app, BUDGET).await;
        if matches!(case.kind, Lasting | Permanent) && !case.is_after_the_mail() {
            case.assert_error(&app, &answer, &before).await;
            let again = case.request(&app, BUDGET).await;
            case.assert_done(&app, &again).await;
        } else {
            case.assert_done(&app, &answer).await;
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeated_fault_is_an_error_in_time_and_leaves_nothing_half_written() {
    each_case(6, |case, app| async move {
        let app = CaseApp::with_invitation(app).await;
        let before = app.rows().await;
        app.proxy().always(case.call, case.fault);
        // A passing fault is retried until the time budget ends; a lost response is retried twice.
        // A machine under load needs a part of the budget before it sends the mail.
        let waits = if case.operation.mails() > 0 { 8 } else { 4 };
        let budget = Duration::from_secs(if case.kind == Passing { waits } else { 10 });
        let started = Instant::now();
        let answer = case.request(&app, budget).await;
        assert!(started.elapsed() < budget + SLACK, "{case}: {:?}", started.elapsed());
        app.proxy().stop_faults();
        if case.is_seen() || case.is_after_the_mail() {
            return case.assert_done(&app, &answer).await;
        }
        case.assert_error(&app, &answer, &before).await;
        let again = case.request(&app, BUDGET).await;
        case.assert_done(&app, &again).await;
    })
    .await;
}

/// Faults of a transaction, one after another.
#[rustfmt::skip]
const IN_A_ROW: [(&[Intervention], &str); 2] = [
    (&[CancelWith("TransactionConflict"); 3], "other transactions keep writing the same row"),
    (&[CancelWith("TransactionConflict"), LoseAnswer], "a conflict, and then executed with a lost response"),
];

#[tokio::test(flavor = "multi_thread")]
async fn after_several_faults_in_a_row_the_change_is_made_once() {
    let call = TRANSACTIONS[0];
    let app = Arc::new(TestApp::start_behind_proxy(&[]).await);
    for operation in operations().filter(|operation| operation.aws_calls().contains(&call)) {
        for (faults, reason) in IN_A_ROW {
            let app = CaseApp::with_invitation(Arc::clone(&app)).await;
            for fault in faults {
                app.proxy().next(call, *fault);
            }
            let case = Case { operation, call, fault: faults[0], kind: Passing, reason };
            case.assert_done(&app, &case.request(&app, BUDGET).await).await;
        }
    }
}

#[tokio::test]
async fn without_a_connection_to_dynamodb_every_operation_is_a_503() {
    let app = Arc::new(TestApp::start_with_unreachable_dynamodb().await);
    let before = app.rows().await;
    let requests = operations().map(|operation| (NOW, operation.call(&"0".repeat(21))));
    for answer in app.call_all_at_once(requests.collect()).await {
        answer.assert_error(503, "service.unavailable");
        assert_eq!(answer.headers["retry-after"], "1", "{answer:?}");
    }
    assert_eq!((app.rows().await, app.mails().len()), (before, 0));
}

/// A fault in one call of an operation.
#[derive(Clone, Copy)]
struct Case {
    operation: Operation,
    call: &'static str,
    fault: Intervention,
    kind: Kind,
    reason: &'static str,
}

impl Case {
    async fn request(&self, app: &CaseApp, budget: Duration) -> Answer {
        let event = self.operation.call(&app.id).event().to_string();
        app.invoke_within(budget, NOW, &event).await
    }

    /// `true` if the operation succeeds although no response to this call arrives: the function reads the invitation
    /// again to see whether the change was made.
    fn is_seen(&self) -> bool {
        let ends = matches!(self.operation, Accept | AcceptByToken | AcceptOwn | Change | Delete | Revoke);
        ends && self.kind == Lost && self.call == "TransactWriteItems"
    }

    /// `true` if the mail is sent before this call: the operation succeeds although its record stays in progress.
    fn is_after_the_mail(&self) -> bool {
        self.call == "UpdateItem"
    }

    /// `true` if an executed change stays although its caller gets an error: the same key replays it, and no mail is
    /// missing.
    fn stays(&self) -> bool {
        self.operation == CreateWithKey && self.kind == Lost && self.call == "TransactWriteItems"
    }

    async fn assert_error(&self, app: &CaseApp, answer: &Answer, before: &[Value]) {
        let expected = match self.kind {
            Permanent => ((500, "service.internal"), None),
            _ => ((503, "service.unavailable"), Some("1")),
        };
        let retry_after = answer.headers.get("retry-after").map(String::as_str);
        assert_eq!(((answer.status, answer.code().as_str()), retry_after), expected, "{self}: {answer:?}");
        assert!(!answer.text.contains("DynamoDB") && !answer.text.contains("Exception"), "{self}: {answer:?}");
        let rows = app.rows().await;
        invariant::assert_holds(app, &rows, NOW);
        // A send that was released leaves an empty row.
        let new: Vec<_> = rows.iter().filter(|row| !before.contains(row) && row["sends"] != json!([])).collect();
        assert!((new.is_empty() || self.stays()) && before.iter().all(|row| rows.contains(row)), "{self}: {new:?}");
        assert_eq!(app.mails_sent(), 0, "{self}");
    }

    async fn assert_done(&self, app: &CaseApp, answer: &Answer) {
        assert_eq!(answer.status, self.operation.success(), "{self}: {answer:?}");
        let rows = app.rows().await;
        invariant::assert_holds(app, &rows, NOW);
        let count = |kind| rows::of_kind(&rows, kind).count();
        let (invitations, standings, members) = match self.operation {
            Create | CreateWithKey | CreateWithMail | CreateWithMailAndKey | Bulk => (2, 2, 0),
            List | Get | GetWithDelivery | Change | Message | VerifyToken | ListOwn => (1, 1, 0),
            Accept | AcceptByToken | AcceptOwn => (1, 1, 1),
            Revoke => (1, 0, 0),
            Delete => (0, 0, 0),
        };
        assert_eq!(
            (count("INVITATION"), count("ORG"), count("MEMBER")),
            (invitations, standings, members),
            "{self}: {rows:#?}"
        );
        let counted: usize = rows.iter().filter_map(|row| Some(row["sends"].as_array()?.len())).sum();
        let mails = self.operation.mails();
        assert_eq!((app.mails_sent(), counted), (mails, mails), "{self}");
    }
}

impl std::fmt::Display for Case {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?}, {} {:?} ({})", self.operation, self.call, self.fault, self.reason)
    }
}

/// The app of a case, with one invitation.
struct CaseApp {
    app: Arc<TestApp>,
    /// The identifier of the only invitation.
    id: String,
    mails_before: usize,
}

impl CaseApp {
    async fn with_invitation(app: Arc<TestApp>) -> Self {
        app.delete_all_but_directory().await;
        let id = app.invite_with_token(&body(INVITEE)).await;
        Self { id, mails_before: app.mails().len(), app }
    }

    fn mails_sent(&self) -> usize {
        self.app.mails().len() - self.mails_before
    }
}

impl std::ops::Deref for CaseApp {
    type Target = TestApp;

    fn deref(&self) -> &TestApp {
        &self.app
    }
}

/// Runs a test for each fault in each call of each operation. Cases run concurrently, since they mostly wait.
/// `in_a_row` faults run one after another on one emulator, so that not every case starts its own.
async fn each_case<T: Future<Output = ()> + Send + 'static>(in_a_row: usize, test: fn(Case, Arc<TestApp>) -> T) {
    const AT_ONCE: usize = 24;
    let room = Arc::new(Semaphore::new(AT_ONCE));
    let mut running = JoinSet::new();
    for operation in operations() {
        // An idempotency key does not change how the directory is read.
        let has_key = matches!(operation, CreateWithKey | CreateWithMailAndKey);
        for call in operation.aws_calls().iter().filter(|call| !has_key || !BATCHES.contains(call)) {
            let faults: Vec<_> = FAULTS.iter().filter(|(_, calls, ..)| calls.contains(call)).collect();
            for faults in faults.chunks(in_a_row).map(<[_]>::to_vec) {
                let room = Arc::clone(&room);
                running.spawn(async move {
                    let _place = room.acquire().await.unwrap();
                    let app = Arc::new(TestApp::start_behind_proxy(&[]).await.with_time_limits());
                    for (fault, _, kind, reason) in faults {
                        let case = Case { operation, call, fault: *fault, kind: *kind, reason };
                        test(case, Arc::clone(&app)).await;
                    }
                });
            }
        }
    }
    running.join_all().await;
}

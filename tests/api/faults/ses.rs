//! SES failing: every fault, for a create with mail and for mailing again.

use std::time::{Duration, Instant};

use organization_invitations::local::ses::SesFault::{self, *};
use serde_json::{Value, json};

use crate::{
    helpers::{Answer, Call, NOW, TestApp, body, body_with_mail},
    invariant,
};

/// What the caller gets: status, code and `Retry-After`.
pub type Told = (u16, &'static str, Option<&'static str>);

const REFUSED: Told = (400, "connector.invalid_response", None);
const THROTTLED: Told = (429, "connector.rate_limit_exceeded", Some("1"));
const FAILED: Told = (503, "connector.general", Some("1"));

/// Longer than the function waits for an answer.
const TOO_LONG: Duration = Duration::from_secs(3);

/// What keeps SES from taking a message, how often the function tries nevertheless, and what the caller gets. It tries
/// again only where SES certainly has not accepted the message.
#[rustfmt::skip]
pub const FAULTS: [(SesFault, usize, Told, &str); 20] = [
    (MessageRejected, 1, REFUSED, "the message is refused for what it is"),
    (BadRequest, 1, REFUSED, "the request is not valid"),
    (NotFound, 1, REFUSED, "the configuration set or the template does not exist"),
    (AccountSuspended, 1, REFUSED, "the account may not send any more"),
    (SendingPaused, 1, REFUSED, "sending is paused"),
    (MailFromDomainNotVerified, 1, REFUSED, "the domain is not verified"),
    (TooManyRequests, 3, THROTTLED, "the sending rate"),
    (LimitExceeded, 3, THROTTLED, "the sending quota"),
    (Throttling, 3, THROTTLED, "the limit of requests"),
    (InternalFailure, 1, FAILED, "it fails; the message may have been accepted"),
    (ServiceUnavailable, 1, FAILED, "it is not available; the message may have been accepted"),
    (ExpiredToken, 1, FAILED, "the function's credentials have expired"),
    (UnrecognizedClient, 1, FAILED, "the function's credentials are none any more"),
    (Disconnect { accepts: false }, 1, FAILED, "the connection ends without an answer"),
    (Disconnect { accepts: true }, 1, FAILED, "accepted, and the connection ends without an answer"),
    (CutOff, 1, FAILED, "accepted, and the connection ends in the middle of the answer"),
    (Garbled("<html>502</html>"), 1, FAILED, "accepted, and the answer is not JSON"),
    (Garbled("{\"MessageId\":"), 1, FAILED, "accepted, and the answer is half of one"),
    (Silence { accepts: false }, 1, FAILED, "no answer ever comes"),
    (Delay(TOO_LONG), 1, FAILED, "accepted, and answered when nobody waits any more"),
];

/// What an attempt may take, and as much again for a busy machine.
const IN_TIME: Duration = Duration::from_secs(4);

fn assert_told(answer: &Answer, (status, code, retry_after): Told, case: &str) {
    assert_eq!((answer.status, answer.code().as_str()), (status, code), "{case}: {answer:?}");
    assert_eq!(answer.headers.get("retry-after").map(String::as_str), retry_after, "{case}");
}

/// The rows, but for send windows that hold no sends any more.
async fn rows_but_empty_windows(app: &TestApp) -> Vec<Value> {
    let rows = app.rows().await;
    invariant::assert_holds(app, &rows, NOW);
    rows.into_iter().filter(|row| row["sends"] != json!([])).collect()
}

/// Makes a call that SES fails, and then again when it does not.
async fn assert_taken_back(app: &TestApp, call: Call, (fault, attempts, told, reason): (SesFault, usize, Told, &str)) {
    let case = format!("{} {}, {fault:?}: {reason}", call.method, call.path);
    let (before, calls, mails) = (rows_but_empty_windows(app).await, app.stack.ses.calls(), app.mails().len());
    (0..attempts).for_each(|_| app.stack.ses.fail_next(fault));
    let started = Instant::now();
    let refused = app.call(call.clone()).await;
    assert!(started.elapsed() < IN_TIME, "{case}: {:?}", started.elapsed());
    assert_told(&refused, told, &case);
    assert_eq!(app.stack.ses.calls() - calls, attempts, "{case}");
    assert_eq!(rows_but_empty_windows(app).await, before, "{case}");
    // What SES accepted without the function's knowing cannot be called back.
    let sent = app.mails().len() - mails;
    assert!(sent == 0 || reason.starts_with("accepted"), "{case}");
    let again = app.call(call).await;
    assert!(again.status == 201 || again.status == 204, "the send was given back too, {case}: {again:?}");
    assert_eq!(app.mails().len() - mails, sent + 1, "{case}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invitation_whose_mail_ses_does_not_take_is_taken_back_and_can_be_made_again() {
    for fault in FAULTS {
        let app = TestApp::start_with(&[("MESSAGE_RATE_LIMIT", "1")]).await.with_time_limits();
        assert_taken_back(&app, Call::create(&body_with_mail("grace@example.com")), fault).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invitation_that_ses_does_not_take_again_stays_and_its_send_is_given_back() {
    for fault in FAULTS {
        let app = TestApp::start_with(&[("MESSAGE_RATE_LIMIT", "1")]).await.with_time_limits();
        let id = app.invite(&body("grace@example.com")).await;
        assert_taken_back(&app, Call::message(&id, &json!({})), fault).await;
    }
}

#[tokio::test]
async fn a_mail_service_that_cannot_be_reached_is_a_503_and_the_invitation_is_taken_back() {
    let app = TestApp::start_without_mail_service().await;
    let id = app.invite(&body("ada@example.com")).await;
    let before = rows_but_empty_windows(&app).await;
    for call in [Call::create(&body_with_mail("grace@example.com")), Call::message(&id, &json!({}))] {
        assert_told(&app.call(call).await, FAILED, "nobody listens");
        assert_eq!(rows_but_empty_windows(&app).await, before);
    }
}

#[tokio::test]
async fn a_message_that_was_throttled_once_is_sent_again() {
    for fault in [TooManyRequests, LimitExceeded, Throttling] {
        let app = TestApp::start().await;
        app.stack.ses.fail_next(fault);
        assert_eq!(app.call(Call::create(&body_with_mail("grace@example.com"))).await.status, 201, "{fault:?}");
        assert_eq!((app.stack.ses.calls(), app.mails().len()), (2, 1), "{fault:?}");
    }
}

#[tokio::test]
async fn a_message_for_which_there_is_no_time_left_is_not_sent() {
    let app = TestApp::start().await;
    let event = Call::create(&body_with_mail("grace@example.com")).event().to_string();
    let answer = app.invoke_within(Duration::from_secs(3), NOW, &event).await;
    assert_told(&answer, FAILED, "an attempt could take longer");
    assert_eq!(app.stack.ses.calls(), 0);
    invariant::check(&app, NOW).await;
    assert_eq!(app.call(Call::create(&body_with_mail("grace@example.com"))).await.status, 201);
}

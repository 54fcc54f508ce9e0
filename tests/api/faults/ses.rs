//! SES failing: every fault, for a create with mail and for mailing again.

use std::time::{Duration, Instant};

use organization_invitations::local::ses::SesFault::{self, *};
use serde_json::{Value, json};

use crate::{
    helpers::{Answer, Call, NOW, TestApp, body, body_with_mail},
    invariant,
    log::Logged,
    proxy::{Intervention, Proxy},
    relay::Death,
};

/// What the caller gets: status, code and `Retry-After`.
pub type Told = (u16, &'static str, Option<&'static str>);

const REFUSED: Told = (400, "connector.invalid_response", None);
const THROTTLED: Told = (429, "connector.rate_limit_exceeded", Some("1"));
const FAILED: Told = (503, "connector.general", Some("1"));

/// Longer than a function waits for SES that has [`SHORT`] for the request.
const TOO_LONG: Duration = Duration::from_secs(5);

/// What keeps SES from taking a message, how often the function tries nevertheless, and what the caller gets. In each case
/// SES certainly has not taken the message.
#[rustfmt::skip]
pub const FAULTS: [(SesFault, usize, Told, &str); 12] = [
    (MessageRejected, 1, REFUSED, "the message is refused for what it is"),
    (BadRequest, 1, REFUSED, "the request is not valid"),
    (NotFound, 1, REFUSED, "the configuration set or the template does not exist"),
    (AccountSuspended, 1, REFUSED, "the account may not send any more"),
    (SendingPaused, 1, REFUSED, "sending is paused"),
    (MailFromDomainNotVerified, 1, REFUSED, "the domain is not verified"),
    (TooManyRequests, 3, THROTTLED, "the sending rate"),
    (LimitExceeded, 3, THROTTLED, "the sending quota"),
    (Throttling, 3, THROTTLED, "the limit of requests"),
    (ServiceUnavailable, 1, FAILED, "it is not available"),
    (ExpiredToken, 1, FAILED, "the function's credentials have expired"),
    (UnrecognizedClient, 1, FAILED, "the function's credentials are none any more"),
];

/// What leaves it unknown whether SES has taken a message, and whether it has.
#[rustfmt::skip]
pub const LOST_ANSWERS: [(SesFault, bool, &str); 11] = [
    (InternalFailure, false, "a failure of unknown reach"),
    (Disconnect { accepts: false }, false, "the connection ends without an answer"),
    (Disconnect { accepts: true }, true, "taken, and the connection ends without an answer"),
    (CutOff, true, "taken, and the connection ends in the middle of the answer"),
    (Garbled("<html>502</html>"), true, "taken, and the answer is not JSON"),
    (Garbled("{\"MessageId\":"), true, "taken, and the answer is half of one"),
    (Garbled("{}"), true, "taken, and the answer has no MessageId"),
    (Garbled("{\"MessageId\":\"\"}"), true, "taken, and the MessageId is empty"),
    (Silence { accepts: false }, false, "no answer ever comes"),
    (Silence { accepts: true }, true, "taken, and no answer ever comes"),
    (Delay(TOO_LONG), true, "taken, and answered when nobody waits any more"),
];

/// The time of a request in which an answer of SES gets lost.
pub const SHORT: Duration = Duration::from_secs(4);

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
async fn assert_rolled_back(app: &TestApp, call: Call, (fault, attempts, told, reason): (SesFault, usize, Told, &str)) {
    let case = format!("{} {}, {fault:?}: {reason}", call.method, call.path);
    let (before, calls, mails) = (rows_but_empty_windows(app).await, app.stack.ses.calls(), app.mails().len());
    (0..attempts).for_each(|_| app.stack.ses.fail_next(fault));
    let started = Instant::now();
    let refused = app.call(call.clone()).await;
    assert!(started.elapsed() < IN_TIME, "{case}: {:?}", started.elapsed());
    assert_told(&refused, told, &case);
    assert_eq!(app.stack.ses.calls() - calls, attempts, "{case}");
    assert_eq!(rows_but_empty_windows(app).await, before, "{case}");
    assert_eq!(app.mails().len(), mails, "{case}");
    let again = app.call(call).await;
    assert!(again.status == 201 || again.status == 204, "the send was released too, {case}: {again:?}");
    assert_eq!(app.mails().len() - mails, 1, "{case}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invitation_whose_mail_ses_does_not_take_is_rolled_back_and_can_be_made_again() {
    for fault in FAULTS {
        let app = TestApp::start_with(&[("MESSAGE_RATE_LIMIT", "1")]).await.with_time_limits();
        assert_rolled_back(&app, Call::create(&body_with_mail("grace@example.com")), fault).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invitation_that_ses_does_not_take_again_stays_and_its_send_is_released() {
    for fault in FAULTS {
        let app = TestApp::start_with(&[("MESSAGE_RATE_LIMIT", "1")]).await.with_time_limits();
        let id = app.invite(&body("grace@example.com")).await;
        assert_rolled_back(&app, Call::message(&id, &json!({})), fault).await;
    }
}

#[tokio::test]
async fn a_mail_service_that_cannot_be_reached_is_a_503_and_the_invitation_is_rolled_back() {
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
async fn without_the_time_to_write_and_to_send_nothing_is_written_and_nothing_sent() {
    for (millis, has_time, reason) in
        [(2000, false, "a timeout of two seconds"), (3500, true, "of a bit more than three")]
    {
        let app = TestApp::start_behind_proxy(&[]).await;
        let id = app.invite(&body("ada@example.com")).await;
        let transactions = app.proxy().count("TransactWriteItems");
        for call in [Call::create(&body_with_mail("grace@example.com")), Call::message(&id, &json!({}))] {
            let answer = app.call_within(Duration::from_millis(millis), call).await;
            if has_time {
                assert!(answer.status < 300, "{reason}: {answer:?}");
            } else {
                assert_told(&answer, FAILED, reason);
            }
        }
        let expected = if has_time { 2 } else { 0 };
        assert_eq!(app.proxy().count("TransactWriteItems") - transactions, expected, "{reason}");
        assert_eq!((app.stack.ses.calls(), app.mails().len()), (expected, expected), "{reason}");
    }
}

/// The sends that the recipient's rate limit counts.
async fn counted(app: &TestApp, address: &str) -> usize {
    let row = app.row("default", &format!("SENDS#{address}")).await;
    row.map_or(0, |row| row["sends"].as_array().unwrap().len())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invitation_whose_mail_ses_may_have_taken_stands_and_is_never_mailed_twice() {
    let each = LOST_ANSWERS.map(|(fault, is_taken, reason)| {
        tokio::spawn(async move {
            let app = TestApp::start_with(&[("MESSAGE_RATE_LIMIT", "1")]).await.with_time_limits();
            app.stack.ses.fail_next(fault);
            let call = Call::create(&body_with_mail("grace@example.com")).with_key("k");
            let created = app.call_within(SHORT, call.clone()).await;
            assert_eq!(created.status, 201, "{fault:?}: {created:?}");
            assert_eq!(app.mails().len(), usize::from(is_taken), "{fault:?}: {reason}");
            assert_eq!(counted(&app, "grace@example.com").await, 1, "{fault:?}: {reason}");
            let replayed = app.call(call).await;
            assert_eq!((replayed.status, &replayed.text), (201, &created.text), "{fault:?}: {reason}");
            assert_eq!(replayed.headers["idempotent-replayed"], "true", "{fault:?}: {reason}");
            assert_eq!((app.mails().len(), app.stack.ses.calls()), (usize::from(is_taken), 1), "{fault:?}: {reason}");
            let id = created.json()["id"].as_str().unwrap().to_owned();
            assert_eq!(app.call(Call::get(&id)).await.text, created.text, "its link leads to it, {fault:?}");
            invariant::check(&app, NOW).await;
        })
    });
    for one in each {
        one.await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_ses_may_have_taken_counts_as_sent() {
    let each = LOST_ANSWERS.map(|(fault, is_taken, reason)| {
        tokio::spawn(async move {
            let app = TestApp::start_with(&[("MESSAGE_RATE_LIMIT", "1")]).await.with_time_limits();
            let id = app.invite(&body("grace@example.com")).await;
            app.stack.ses.fail_next(fault);
            let message = Call::message(&id, &json!({}));
            let sent = app.call_within(SHORT, message.clone()).await;
            assert_eq!((sent.status, app.mails().len()), (204, usize::from(is_taken)), "{fault:?}: {reason}");
            app.call(message).await.assert_refused(429, "request.message_rate_limited");
            assert_eq!(counted(&app, "grace@example.com").await, 1, "{fault:?}: {reason}");
            invariant::check(&app, NOW).await;
        })
    });
    for one in each {
        one.await.unwrap();
    }
}

#[tokio::test]
async fn a_slow_ses_is_waited_for_and_gets_each_message_once() {
    const SLOW: SesFault = Delay(Duration::from_millis(2500));
    let app = TestApp::start().await.with_time_limits();
    let create = Call::create(&body_with_mail("grace@example.com"));
    for (call, statuses, reason) in [
        (create.clone(), [201, 422, 422], "without a key, the first invitation is in the way"),
        (Call::create(&body_with_mail("ada@example.com")).with_key("k"), [201, 201, 201], "with a key, it is replayed"),
    ] {
        let mails = app.mails().len();
        for status in statuses {
            app.stack.ses.fail_next(SLOW);
            assert_eq!(app.call(call.clone()).await.status, status, "{reason}");
        }
        assert_eq!(app.mails().len() - mails, 1, "{reason}");
    }
    invariant::check(&app, NOW).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_died_while_the_container_slept_carries_no_message() {
    const HOUR: i64 = 3_600_000;
    for death in [Death::Silent, Death::Closed] {
        let (app, relay) = TestApp::start_behind_relay(&[]).await;
        let mut app = app.with_time_limits();
        let logged = Logged::by(&mut app);
        for round in 0..4 {
            let started = Instant::now();
            let created = app.create_at(NOW + round * HOUR, &body_with_mail(&format!("a{round}@example.com"))).await;
            assert_eq!(created.status, 201, "{death:?}: {created:?}");
            assert_eq!(logged.last()["outcome"], "ok", "{death:?}");
            assert!(started.elapsed() < Duration::from_secs(3), "{death:?}: {:?}", started.elapsed());
            relay.end_connections(death).await;
        }
        assert_eq!(app.mails().len(), 4, "{death:?}");
    }
}

#[tokio::test]
async fn a_connection_that_was_just_used_is_not_asked_whether_it_lives() {
    let app = TestApp::start().await;
    let proxy = Proxy::start(&app.stack.ses_url).await;
    let app = app.behind_mail_proxy(proxy.url());
    let path = "/v2/email/outbound-emails";
    for (later, requests, reason) in [
        (0, 2, "the first proves the connection"),
        (1_999, 1, "it was just used"),
        (2_000, 1, "and again"),
        (4_001, 2, "it was idle for two seconds and more"),
        (4_000, 2, "the clock was set back"),
    ] {
        let before = proxy.count(path);
        let invitee = format!("later{later}@example.com");
        assert_eq!(app.create_at(NOW + later, &body_with_mail(&invitee)).await.status, 201, "{reason}");
        assert_eq!(proxy.count(path) - before, requests, "{reason}");
    }
}

#[tokio::test]
async fn a_proof_from_before_the_container_slept_proves_nothing_afterwards() {
    const PATH: &str = "/v2/email/outbound-emails";
    for (later, requests, reason) in [
        (3_600_000, 2, "an hour later, the request proves the connection for itself"),
        (1_000, 1, "a request at the same time shares the proof"),
    ] {
        let app = TestApp::start().await;
        let proxy = Proxy::start(&app.stack.ses_url).await;
        let app = app.behind_mail_proxy(proxy.url());
        app.invite(&body("ada@example.com")).await;
        proxy.next(PATH, Intervention::Delay(Duration::from_millis(300)));
        let refused = app.create_at(NOW, &body_with_mail("ada@example.com")).await;
        refused.assert_refused(422, "entity.unique_integrity_violation");
        while proxy.count(PATH) == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        assert_eq!(app.create_at(NOW + later, &body_with_mail("grace@example.com")).await.status, 201, "{reason}");
        assert_eq!(proxy.count(PATH) - 1, requests, "{reason}");
    }
}

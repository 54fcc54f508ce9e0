//! Faults of SES: each fault, for a create with mail and for a message.

use std::time::{Duration, Instant};

use organization_invitations::local::ses::SesFault::{self, Delay, LimitExceeded, Throttling, TooManyRequests};
use serde_json::{Value, json};

use crate::helpers::{
    Answer, Call, NOW, TestApp, body, body_with_mail, invariant,
    log::Logged,
    proxy::{Intervention, Proxy},
    relay::Death,
    ses_faults::{FAILED, FAULTS, LOST_ANSWERS, Outcome, SHORT},
};

/// Twice the time of an attempt, for a machine under load.
const IN_TIME: Duration = Duration::from_secs(4);

fn assert_outcome(answer: &Answer, (status, code, retry_after): Outcome, case: &str) {
    assert_eq!((answer.status, answer.code().as_str()), (status, code), "{case}: {answer:?}");
    assert_eq!(answer.headers.get("retry-after").map(String::as_str), retry_after, "{case}");
}

/// The rows, without rate limit rows that count no send.
async fn rows_without_empty_rate_limits(app: &TestApp) -> Vec<Value> {
    let rows = app.rows().await;
    invariant::assert_holds(app, &rows, NOW);
    rows.into_iter().filter(|row| row["sends"] != json!([])).collect()
}

/// Makes a call with the fault of SES, and then again without it.
async fn assert_rolled_back(
    app: &TestApp,
    call: Call,
    (fault, attempts, outcome, reason): (SesFault, usize, Outcome, &str),
) {
    let case = format!("{} {}, {fault:?}: {reason}", call.method, call.path);
    let (before, calls, mails) = (rows_without_empty_rate_limits(app).await, app.stack.ses.calls(), app.mails().len());
    (0..attempts).for_each(|_| app.stack.ses.fail_next(fault));
    let started = Instant::now();
    let failed = app.call(call.clone()).await;
    assert!(started.elapsed() < IN_TIME, "{case}: {:?}", started.elapsed());
    assert_outcome(&failed, outcome, &case);
    assert_eq!(app.stack.ses.calls() - calls, attempts, "{case}");
    assert_eq!(rows_without_empty_rate_limits(app).await, before, "{case}");
    assert_eq!(app.mails().len(), mails, "{case}");
    let again = app.call(call).await;
    assert!(again.status == 201 || again.status == 204, "the send is released too, {case}: {again:?}");
    assert_eq!(app.mails().len() - mails, 1, "{case}");
}

#[tokio::test(flavor = "multi_thread")]
async fn when_ses_rejects_a_creates_email_the_invitation_is_rolled_back() {
    for fault in FAULTS {
        let app = TestApp::start_with(&[("MESSAGE_RATE_LIMIT", "1")]).await.with_time_limits();
        assert_rolled_back(&app, Call::create(&body_with_mail("grace@example.com")), fault).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn when_ses_rejects_a_message_the_invitation_stays_and_the_send_is_released() {
    for fault in FAULTS {
        let app = TestApp::start_with(&[("MESSAGE_RATE_LIMIT", "1")]).await.with_time_limits();
        let id = app.invite(&body("grace@example.com")).await;
        assert_rolled_back(&app, Call::message(&id, &json!({})), fault).await;
    }
}

#[tokio::test]
async fn without_a_connection_to_ses_the_invitation_is_rolled_back_with_a_503() {
    let app = TestApp::start_with_unreachable_ses().await;
    let id = app.invite(&body("ada@example.com")).await;
    let before = rows_without_empty_rate_limits(&app).await;
    for call in [Call::create(&body_with_mail("grace@example.com")), Call::message(&id, &json!({}))] {
        assert_outcome(&app.call(call).await, FAILED, "connection refused");
        assert_eq!(rows_without_empty_rate_limits(&app).await, before);
    }
}

#[tokio::test]
async fn a_throttled_email_is_sent_again() {
    for fault in [TooManyRequests, LimitExceeded, Throttling] {
        let app = TestApp::start().await;
        app.stack.ses.fail_next(fault);
        assert_eq!(app.call(Call::create(&body_with_mail("grace@example.com"))).await.status, 201, "{fault:?}");
        assert_eq!((app.stack.ses.calls(), app.mails().len()), (2, 1), "{fault:?}");
    }
}

#[tokio::test]
async fn nothing_is_written_or_sent_without_time_for_both() {
    for (millis, has_time, reason) in
        [(2000, false, "a timeout of two seconds"), (3500, true, "a timeout of 3.5 seconds")]
    {
        let app = TestApp::start_behind_proxy(&[]).await;
        let id = app.invite(&body("ada@example.com")).await;
        let transactions = app.proxy().count("TransactWriteItems");
        for call in [Call::create(&body_with_mail("grace@example.com")), Call::message(&id, &json!({}))] {
            let answer = app.call_within(Duration::from_millis(millis), call).await;
            if has_time {
                assert!(answer.status < 300, "{reason}: {answer:?}");
            } else {
                assert_outcome(&answer, FAILED, reason);
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
async fn when_ses_may_have_accepted_a_creates_email_the_invitation_stays_and_is_not_mailed_twice() {
    let each = LOST_ANSWERS.map(|(fault, is_taken, reason)| {
        tokio::spawn(async move {
            let mut app = TestApp::start_with(&[("MESSAGE_RATE_LIMIT", "1")]).await.with_time_limits();
            let logged = Logged::by(&mut app);
            app.stack.ses.fail_next(fault);
            let call = Call::create(&body_with_mail("grace@example.com")).with_key("k");
            let created = app.call_within(SHORT, call.clone()).await;
            assert_eq!(created.status, 201, "{fault:?}: {created:?}");
            assert_eq!(logged.last()["outcome"], "mail_unknown", "{fault:?}: {reason}");
            assert_eq!(app.mails().len(), usize::from(is_taken), "{fault:?}: {reason}");
            assert_eq!(counted(&app, "grace@example.com").await, 1, "{fault:?}: {reason}");
            let replayed = app.call(call).await;
            assert_eq!((replayed.status, &replayed.text), (201, &created.text), "{fault:?}: {reason}");
            assert_eq!(replayed.headers["idempotent-replayed"], "true", "{fault:?}: {reason}");
            assert_eq!((app.mails().len(), app.stack.ses.calls()), (usize::from(is_taken), 1), "{fault:?}: {reason}");
            let id = created.json()["id"].as_str().unwrap().to_owned();
            assert_eq!(app.call(Call::get(&id)).await.text, created.text, "the link works, {fault:?}");
            invariant::check(&app, NOW).await;
        })
    });
    for one in each {
        one.await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_ses_may_have_accepted_counts_as_sent() {
    let each = LOST_ANSWERS.map(|(fault, is_taken, reason)| {
        tokio::spawn(async move {
            let app = TestApp::start_with(&[("MESSAGE_RATE_LIMIT", "1")]).await.with_time_limits();
            let id = app.invite(&body("grace@example.com")).await;
            app.stack.ses.fail_next(fault);
            let message = Call::message(&id, &json!({}));
            let sent = app.call_within(SHORT, message.clone()).await;
            assert_eq!((sent.status, app.mails().len()), (204, usize::from(is_taken)), "{fault:?}: {reason}");
            app.call(message).await.assert_error(429, "request.message_rate_limited");
            assert_eq!(counted(&app, "grace@example.com").await, 1, "{fault:?}: {reason}");
            invariant::check(&app, NOW).await;
        })
    });
    for one in each {
        one.await.unwrap();
    }
}

#[tokio::test]
async fn a_slow_ses_gets_each_email_once() {
    const SLOW: SesFault = Delay(Duration::from_millis(2500));
    let app = TestApp::start().await.with_time_limits();
    let create = Call::create(&body_with_mail("grace@example.com"));
    for (call, statuses, reason) in [
        (create.clone(), [201, 422, 422], "without a key, the first invitation conflicts"),
        (Call::create(&body_with_mail("ada@example.com")).with_key("k"), [201, 201, 201], "with a key, a replay"),
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
async fn no_email_is_sent_on_a_connection_that_died_while_the_container_was_frozen() {
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
async fn a_connection_that_was_just_used_is_not_proved_again() {
    let app = TestApp::start().await;
    let proxy = Proxy::start(&app.stack.ses_url).await;
    let app = app.behind_ses_proxy(proxy.url());
    let path = "/v2/email/outbound-emails";
    for (later, requests, reason) in [
        (0, 2, "the first request proves the connection"),
        (1_999, 1, "the connection was just used"),
        (2_000, 1, "and again"),
        (4_001, 2, "the connection was idle for more than two seconds"),
        (4_000, 2, "the clock was set back"),
    ] {
        let before = proxy.count(path);
        let invitee = format!("later{later}@example.com");
        assert_eq!(app.create_at(NOW + later, &body_with_mail(&invitee)).await.status, 201, "{reason}");
        assert_eq!(proxy.count(path) - before, requests, "{reason}");
    }
}

#[tokio::test]
async fn a_proof_of_the_connection_does_not_outlive_a_freeze() {
    const PATH: &str = "/v2/email/outbound-emails";
    for (later, requests, reason) in [
        (3_600_000, 2, "an hour later, the request proves the connection again"),
        (1_000, 1, "a concurrent request shares the proof"),
    ] {
        let app = TestApp::start().await;
        let proxy = Proxy::start(&app.stack.ses_url).await;
        let app = app.behind_ses_proxy(proxy.url());
        app.invite(&body("ada@example.com")).await;
        proxy.next(PATH, Intervention::Delay(Duration::from_millis(300)));
        let failed = app.create_at(NOW, &body_with_mail("ada@example.com")).await;
        failed.assert_error(422, "entity.unique_integrity_violation");
        while proxy.count(PATH) == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        assert_eq!(app.create_at(NOW + later, &body_with_mail("grace@example.com")).await.status, 201, "{reason}");
        assert_eq!(proxy.count(PATH) - 1, requests, "{reason}");
    }
}

//! The mail of a bulk create: its pacing, and the results of items whose mail fails.

use std::time::{Duration, Instant};

use organization_invitations::local::ses::SesFault;
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::{
    helpers::{
        NOW, TestApp, body, body_with_mail,
        bulk::{FAST, SES_PATH, address, bulk, count, mailed, results, statuses},
        log::{Log, Logged, lines},
    },
    invariant,
    proxy::{Intervention, Proxy},
};

#[tokio::test]
async fn mail_is_paced_to_the_set_rate() {
    let app = TestApp::start_with(&[("MAIL_RATE_PER_SECOND", "20")]).await;
    let mut items = mailed(0..21);
    items.extend((21..60).map(|number| body(&address(number))));
    let started = Instant::now();
    assert_eq!(statuses(&results(&app.call(bulk(&items)).await)), [201; 60]);
    // One unused send is saved up.
    assert!(started.elapsed() >= Duration::from_millis(850), "20 a second: {:?}", started.elapsed());
    assert_eq!(app.mails().len(), 21);
    invariant::check(&app, NOW).await;
}

#[tokio::test]
async fn a_retried_call_does_not_wait_for_mail_that_was_already_sent() {
    let app = TestApp::start_with(&[("MAIL_RATE_PER_SECOND", "8")]).await;
    let items = mailed(0..13);
    results(&app.call(bulk(&items).with_key("k")).await);
    let started = Instant::now();
    let again = results(&app.call(bulk(&items).with_key("k")).await);
    assert!(
        started.elapsed() < Duration::from_millis(1300),
        "sending would take a second and a half: {:?}",
        started.elapsed()
    );
    assert!(again.iter().all(|result| result["replayed"] == true));
    assert_eq!(app.mails().len(), 13);
}

#[tokio::test]
async fn without_any_time_every_item_fails_and_nothing_is_written() {
    let app = TestApp::start_with(&[FAST]).await;
    let before = app.rows().await;
    let items = [body("a@example.com"), body_with_mail("b@example.com"), json!(5)];
    let found = results(&app.call_within(Duration::ZERO, bulk(&items)).await);
    assert_eq!(statuses(&found), [503, 503, 400]);
    assert_eq!((app.rows().await, app.mails().len()), (before, 0));
}

#[tokio::test]
async fn an_item_whose_mail_ses_rejects_fails_alone_and_is_rolled_back() {
    let app = TestApp::start_with(&[("MAIL_RATE_PER_SECOND", "30")]).await;
    (0..2).for_each(|_| app.stack.ses.fail_next(SesFault::MessageRejected));
    let items = mailed(0..8);
    let found = results(&app.call(bulk(&items).with_key("k")).await);
    let rejected: Vec<usize> = (0..8).filter(|place| found[*place]["status"] == 400).collect();
    assert_eq!((rejected.len(), app.mails().len(), count(&app, "INVITATION").await), (2, 6, 6), "{found:?}");
    for place in &rejected {
        assert_eq!(found[*place]["body"]["code"], "connector.invalid_response");
    }
    let again = results(&app.call(bulk(&items).with_key("k")).await);
    assert_eq!((statuses(&again), app.mails().len()), (vec![201; 8], 8));
    invariant::check(&app, NOW).await;
}

#[tokio::test]
async fn an_unreachable_ses_is_reported_before_anything_is_written() {
    let app = TestApp::start_with_unreachable_ses().await;
    let before = app.rows().await.len();
    let found = results(&app.call(bulk(&[body_with_mail("a@example.com"), body("b@example.com"), json!(null)])).await);
    assert_eq!(statuses(&found), [503, 201, 400]);
    assert_eq!(app.rows().await.len(), before + 2, "the invitation without mail and its standing");
}

#[tokio::test(flavor = "multi_thread")]
async fn sending_without_a_connection_to_ses_fails_after_three_attempts() {
    let (mut app, relay) = TestApp::start_behind_relay(&[("MAIL_RATE_PER_SECOND", "4")]).await;
    let logged = Logged::by(&mut app);
    let first_mail_then_none = async {
        while app.mails().is_empty() {
            sleep(Duration::from_millis(5)).await;
        }
        drop(relay);
    };
    let (answer, ()) = tokio::join!(app.call(bulk(&mailed(0..3))), first_mail_then_none);
    let found = statuses(&results(&answer));
    let failed = found.iter().filter(|status| **status == 503).count();
    assert!(failed > 0, "{found:?}");
    assert_eq!(logged.last()["retries"], 2 * failed, "{found:?}: {}", logged.last());
    assert_eq!(count(&app, "INVITATION").await, 3 - failed);
}

#[tokio::test]
async fn without_ses_a_bulk_create_still_replays_and_reports_conflicts() {
    let app = TestApp::start_with(&[FAST]).await;
    let proxy = Proxy::start(&app.stack.ses_url).await;
    let app = app.behind_ses_proxy(proxy.url());
    app.make_member("acme", "member@example.com").await;
    app.invite(&body("pending@example.com")).await;
    let mut items = mailed(0..3);
    assert_eq!(statuses(&results(&app.call(bulk(&items).with_key("k")).await)), [201; 3]);
    proxy.always(SES_PATH, Intervention::Disconnect);
    items.extend(["member", "pending", "new"].map(|name| body_with_mail(&format!("{name}@example.com"))));
    let found = results(&app.call_at(NOW + 60_000, bulk(&items).with_key("k")).await);
    assert_eq!(statuses(&found), [201, 201, 201, 422, 422, 503]);
    assert!(found[..3].iter().all(|result| result["replayed"] == true), "{found:?}");
    assert_eq!(found[4]["body"]["code"], "entity.unique_integrity_violation");
    assert_eq!(found[5]["body"]["code"], "connector.general");
}

#[tokio::test]
async fn mails_with_an_unknown_outcome_are_counted_and_logged_with_their_invitations() {
    let mut app = TestApp::start_with(&[("MAIL_RATE_PER_SECOND", "30")]).await;
    let log = Log::capture("info");
    let logged = Logged::by(&mut app);
    (0..5).for_each(|_| app.stack.ses.fail_next(SesFault::Garbled("?")));
    let found = results(&app.call(bulk(&mailed(0..6))).await);
    assert_eq!(statuses(&found), [201; 6]);
    let line = logged.last();
    assert_eq!(
        (&line["outcome"], &line["level"], &line["Requests"]),
        (&json!("mail_unknown"), &json!("WARN"), &json!(5))
    );
    assert_eq!(line["results"], json!({ "mail_unknown": 5, "ok": 1 }));
    let mut named_lines = lines(&log.take());
    named_lines.retain(|line| line["message"] == "mail_unknown in a bulk create");
    let named = |result: &&Value| named_lines.iter().any(|line| line["invitation_id"] == result["body"]["id"]);
    assert_eq!((named_lines.len(), found.iter().filter(named).count()), (5, 5), "{named_lines:?}");
    (0..5).for_each(|_| app.stack.ses.fail_next(SesFault::Garbled("?")));
    app.stack.ses.fail_next(SesFault::MessageRejected);
    app.call(bulk(&mailed(10..16))).await;
    let line = logged.last();
    assert_eq!((&line["outcome"], &line["Requests"]), (&json!("mail_refused"), &json!(1)));
    assert_eq!(line["results"], json!({ "mail_refused": 1, "mail_unknown": 5 }));
}

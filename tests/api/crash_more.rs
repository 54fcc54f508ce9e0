//! As `crash.rs`, for a change, and for a bulk create with a key, whose retry has the rest in another order.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use serde_json::{Value, json};
use tokio::{sync::Semaphore, task::JoinSet, time::sleep};

use crate::{
    crash::{self, Death, LIFETIME, Operation, Tap, die_and_try_again, now},
    helpers::{Answer, Call, FAR_FUTURE, TestApp, body_with_mail, rows},
    invariant,
    lambda::{self, Function},
};

const DEATHS: [Death; 3] = [Death::Received, Death::Executed, Death::Answered];

const CHANGE: Operation = crash::change(
    "changing",
    |id| Call::change(id, &json!({ "expiresAt": FAR_FUTURE + 1, "organizationRoleIds": ["admin"] })),
    &[
        ("GetItem", (200, 0), (200, 0)),
        ("BatchGetItem", (200, 0), (200, 0)),
        ("TransactWriteItems", (200, 0), (200, 0)),
    ],
);

#[tokio::test(flavor = "multi_thread")]
async fn the_release_binary_can_be_killed_at_any_call_of_a_change() {
    lambda::build().await;
    let turns = Semaphore::new(4);
    for at in 0..CHANGE.calls.len() {
        for death in DEATHS {
            die_and_try_again(&CHANGE, at, death, &turns).await;
        }
    }
}

const ITEMS: usize = 5;

/// The read of the directory, and for each item its transaction, its message, and the completion of its record.
const CALLS: usize = 1 + 3 * ITEMS;

/// The bulk with its items in this order.
fn bulk(order: [usize; ITEMS]) -> Call {
    let items = order.map(|number| body_with_mail(&format!("person{number}@example.com")));
    Call::bulk(&json!({ "invitations": items })).with_key("k")
}

#[tokio::test(flavor = "multi_thread")]
async fn the_release_binary_can_be_killed_at_any_call_of_a_bulk_and_the_rest_asked_for_in_another_order() {
    lambda::build().await;
    let turns = Arc::new(Semaphore::new(4));
    let mut cases = JoinSet::new();
    for at in 0..CALLS {
        for death in DEATHS {
            let turns = Arc::clone(&turns);
            cases.spawn(async move { die_and_ask_for_the_rest(at, death, &turns).await });
        }
    }
    while let Some(case) = cases.join_next().await {
        case.unwrap();
    }
}

async fn die_and_ask_for_the_rest(at: usize, death: Death, turns: &Semaphore) {
    let case = format!("dead with call {} {death:?}", at + 1);
    let turn = turns.acquire().await.unwrap();
    let app = TestApp::start().await;
    let tap = Tap::start(&app.stack.dynamodb_url, &app.stack.ses_url, Some((at, death))).await;
    let mut function = Function::start_behind(&tap.dynamodb_url, &tap.ses_url).await;
    tap.watch(&function);
    let event = bulk([0, 1, 2, 3, 4]).event().to_string();
    assert!(function.invoke_until_death(&event, now() + LIFETIME).await.is_none(), "{case}");
    drop(turn);

    let done = try_until_done(&app, &bulk([3, 0, 4, 2, 1]), turns).await;
    invariant::check(&app, now()).await;
    let rows = app.rows().await;
    let invitations: Vec<&str> = rows::of_kind(&rows, "INVITATION").map(|row| row["id"].as_str().unwrap()).collect();
    assert_eq!(invitations.len(), ITEMS, "{case}: each once");
    let mut mails: BTreeMap<String, usize> = BTreeMap::new();
    for mail in app.mails() {
        assert!(invitations.contains(&mail.tags["invitation"].as_str()), "{case}: a mail without its invitation");
        *mails.entry(mail.to).or_default() += 1;
    }
    // Twice only where SES took the message and nobody lived to remember it.
    assert!(mails.len() == ITEMS && mails.values().all(|count| *count <= 2), "{case}: {mails:?}");

    let again = try_until_done(&app, &bulk([1, 2, 3, 4, 0]), turns).await;
    for result in &again {
        assert_eq!(result["replayed"], true, "{case}");
        assert!(done.iter().any(|first| first["body"] == result["body"]), "{case}: {result} of {done:?}");
    }
    assert_eq!(app.mails().len(), mails.values().sum::<usize>(), "{case}");
}

/// Makes the call again until nothing of it has to wait. Gives the results, each of which is a success.
async fn try_until_done(app: &TestApp, call: &Call, turns: &Semaphore) -> Vec<Value> {
    for _ in 0..5 {
        let turn = turns.acquire().await.unwrap();
        let mut function = Function::start_behind(&app.stack.dynamodb_url, &app.stack.ses_url).await;
        let answer: Answer = function.invoke(&call.event().to_string()).await;
        function.stop().await;
        drop(turn);
        let results = answer.json()["results"].as_array().unwrap().clone();
        let Some(seconds) = results.iter().filter_map(|result| result["retryAfter"].as_u64()).max() else {
            assert!(results.iter().all(|result| result["status"] == 201), "{results:?}");
            return results;
        };
        sleep(Duration::from_secs(seconds)).await;
    }
    panic!("told to wait again and again");
}

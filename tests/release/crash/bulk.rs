//! A bulk create with a key, killed at every call. The retry sends the items in another order.

use std::{collections::BTreeMap, sync::Arc};

use serde_json::{Value, json};
use tokio::{sync::Semaphore, task::JoinSet, time::sleep};

use super::{Death, Duration, LIFETIME, Tap, call_another_process};
use crate::{
    common::{body::body_with_mail, call::Call, rows},
    function::{self, Function},
    surroundings::{Surroundings, now},
};

const ITEMS: usize = 5;

/// The read of the directory, and for each item its transaction, its message, and the completion of its record.
const CALLS: usize = 1 + 3 * ITEMS;

/// A bulk create with the items in this order.
fn bulk(order: [usize; ITEMS]) -> Call {
    let items = order.map(|number| body_with_mail(&format!("person{number}@example.com")));
    Call::bulk(&json!({ "invitations": items })).with_key("k")
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_kill_at_any_call_of_a_bulk_a_retry_in_another_order_completes_it() {
    function::build().await;
    let turns = Arc::new(Semaphore::new(4));
    let mut cases = JoinSet::new();
    for at in 0..CALLS {
        for death in [Death::Received, Death::Executed, Death::Answered] {
            let turns = Arc::clone(&turns);
            cases.spawn(async move { kill_and_retry(at, death, &turns).await });
        }
    }
    while let Some(case) = cases.join_next().await {
        case.unwrap();
    }
}

async fn kill_and_retry(at: usize, death: Death, turns: &Semaphore) {
    let case = format!("dead with call {} {death:?}", at + 1);
    let turn = turns.acquire().await.unwrap();
    let around = Surroundings::start().await;
    let tap = Tap::start(&around.stack.dynamodb_url, &around.stack.ses_url, Some((at, death))).await;
    let mut function = Function::start_behind(&tap.dynamodb_url, &tap.ses_url).await;
    tap.watch(&function);
    let event = bulk([0, 1, 2, 3, 4]).event().to_string();
    assert!(function.invoke_until_death(&event, now() + LIFETIME).await.is_none(), "{case}");
    drop(turn);

    let done = retry_until_done(&around, &bulk([3, 0, 4, 2, 1]), turns).await;
    let rows = around.rows().await;
    let invitations: Vec<&str> = rows::of_kind(&rows, "INVITATION").map(|row| row["id"].as_str().unwrap()).collect();
    assert_eq!(invitations.len(), ITEMS, "{case}: each item is created once");
    let mut mails: BTreeMap<String, usize> = BTreeMap::new();
    for mail in around.stack.ses.mails() {
        assert!(invitations.contains(&mail.tags["invitation"].as_str()), "{case}: a mail without its invitation");
        *mails.entry(mail.to).or_default() += 1;
    }
    // Two mails only if SES accepted the message and the process was killed before it recorded that.
    assert!(mails.len() == ITEMS && mails.values().all(|count| *count <= 2), "{case}: {mails:?}");

    let again = retry_until_done(&around, &bulk([1, 2, 3, 4, 0]), turns).await;
    for result in &again {
        assert_eq!(result["replayed"], true, "{case}");
        assert!(done.iter().any(|first| first["body"] == result["body"]), "{case}: {result} of {done:?}");
    }
    assert_eq!(around.stack.ses.mails().len(), mails.values().sum::<usize>(), "{case}");
}

/// Retries the call until no result has a `retryAfter`. Returns the results, which must all be successes.
async fn retry_until_done(around: &Surroundings, call: &Call, turns: &Semaphore) -> Vec<Value> {
    for _ in 0..5 {
        let answer = call_another_process(around, call, turns).await;
        let results = answer.json()["results"].as_array().unwrap().clone();
        let Some(seconds) = results.iter().filter_map(|result| result["retryAfter"].as_u64()).max() else {
            assert!(results.iter().all(|result| result["status"] == 201), "{results:?}");
            return results;
        };
        sleep(Duration::from_secs(seconds)).await;
    }
    panic!("every response has a retryAfter");
}

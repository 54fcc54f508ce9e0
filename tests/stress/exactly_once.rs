//! Exactly one event for each change, also when many callers make changes concurrently.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex},
};

use organization_invitations::local::ses::SesFault;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::helpers::{
    Call, FAR_FUTURE, TestApp, body, body_with_mail,
    changes::{Changes, an_hour_ago, details, kind},
    invariant, with,
};

const CALLERS: usize = 8;
const ROUNDS: i64 = 10;
/// Operations of each caller in a round: before the short invitations expire, and after.
const OPERATIONS: [usize; 2] = [8, 5];
/// Milliseconds between the rounds.
const ROUND: i64 = 10_000;
const PEOPLE: usize = 5;
const ORGANIZATIONS: usize = 3;

/// The changes that the responses confirmed, by invitation.
#[derive(Default)]
struct Reported {
    /// The identifiers of the invitations, with the invited person and the time of the expiry.
    created: Mutex<BTreeMap<String, (usize, i64)>>,
    /// The identifier of an invitation, Accepted, Revoked or Deleted, and the time of the call.
    ended: Mutex<Vec<(String, &'static str, i64)>>,
    /// Creates that were rolled back.
    rolled_back: Mutex<usize>,
    operations: Mutex<usize>,
}

/// A pseudo-random generator (xorshift) with a seed, so that a failure can be reproduced.
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % u64::try_from(end).unwrap()).unwrap()
    }
}

/// One caller's part of a phase.
struct Caller {
    app: Arc<TestApp>,
    reported: Arc<Reported>,
    random: Random,
    round: i64,
    now: i64,
    has_expired: bool,
}

impl Caller {
    async fn work(mut self, operations: usize) {
        for _ in 0..operations {
            *self.reported.operations.lock().unwrap() += 1;
            match self.random.below(20) {
                0..7 => self.create().await,
                7 | 8 if self.has_expired => self.sweep().await,
                7..17 => self.change().await,
                17 => self.app.stack.ses.fail_next(SesFault::MessageRejected),
                _ => drop(self.app.call_at(self.now, Call::list("")).await),
            }
        }
    }

    async fn create(&mut self) {
        let (person, organization) = (self.random.below(PEOPLE), self.random.below(ORGANIZATIONS));
        let is_short = !self.has_expired && self.random.below(2) == 0;
        let expires_at = if is_short { self.now + 1000 } else { FAR_FUTURE };
        let address = format!("p{person}@example.com");
        let body = if self.random.below(3) == 0 { body_with_mail(&address) } else { body(&address) };
        let organization = format!("org{}-{organization}", self.round);
        let call = Call::create(&with(body, json!({ "organizationId": organization, "expiresAt": expires_at })));
        // Few keys, so that some creates are replayed, and some reuse the key of a different create.
        let key = (self.random.below(4) == 0).then(|| format!("k{}-{person}", self.round));
        let answer = self.app.call_at(self.now, Call { idempotency_key: key, ..call }).await;
        match answer.status {
            201 => {
                let entity = answer.json();
                let (id, expires_at) = (entity["id"].as_str().unwrap(), entity["expiresAt"].as_i64().unwrap());
                self.reported.created.lock().unwrap().insert(id.to_owned(), (person, expires_at));
            }
            400 => *self.reported.rolled_back.lock().unwrap() += 1,
            409 | 422 => {}
            _ => panic!("{answer:?}"),
        }
    }

    async fn change(&mut self) {
        let known: Vec<(String, usize)> =
            self.reported.created.lock().unwrap().iter().map(|(id, (person, _))| (id.clone(), *person)).collect();
        if known.is_empty() {
            return;
        }
        // One of the latest invitations, which other callers change too.
        let (id, person) = &known[known.len() - 1 - self.random.below(known.len().min(12))];
        let (event, call) = match self.random.below(4) {
            0 => ("Accepted", Call::accept(id, &format!("p{person}"))),
            1 => ("Revoked", Call::revoke(id)),
            2 => ("Deleted", Call::delete(id)),
            _ => ("", Call::message(id, &json!({ "link": "https://app.example.com/" }))),
        };
        let answer = self.app.call_at(self.now, call).await;
        match answer.status {
            200 | 204 if !event.is_empty() => {
                self.reported.ended.lock().unwrap().push((id.clone(), event, self.now));
            }
            200 | 204 | 400 | 404 | 422 => {}
            _ => panic!("{answer:?}"),
        }
    }

    async fn sweep(&self) {
        let database = self.app.stack.database.clone();
        tokio::task::spawn_blocking(move || database.sweep_ttl()).await.unwrap().unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_operations_of_eight_callers_give_one_event_for_each_change() {
    let app = Arc::new(TestApp::start_with_stream(&[("MESSAGE_RATE_LIMIT", "100")]).await);
    for person in 0..PEOPLE {
        app.add_user(&format!("p{person}"), Some(&format!("p{person}@example.com"))).await;
    }
    let (changes, reported, began) = (Changes::of(&app), Arc::new(Reported::default()), an_hour_ago());
    for round in 0..ROUNDS {
        for organization in 0..ORGANIZATIONS {
            app.add_organization(&format!("org{round}-{organization}")).await;
        }
        for (phase, operations) in OPERATIONS.into_iter().enumerate() {
            let (has_expired, now) = (phase == 1, began + round * ROUND + if phase == 1 { 2000 } else { 0 });
            let mut callers = JoinSet::new();
            for caller in 0..CALLERS {
                let seed = u64::try_from(round).unwrap() * 100 + u64::try_from(phase * 10 + caller).unwrap() + 1;
                let (app, reported) = (Arc::clone(&app), Arc::clone(&reported));
                let random = Random(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15));
                callers.spawn(Caller { app, reported, random, round, now, has_expired }.work(operations));
            }
            callers.join_all().await;
        }
    }
    app.stack.database.sweep_ttl().unwrap();
    assert!(*reported.operations.lock().unwrap() >= 1000);
    invariant::check(&app, began + ROUNDS * ROUND).await;

    let records = changes.records();
    // The records that the pipe filters out would not have become events.
    let (passing, left_out): (Vec<Value>, Vec<Value>) =
        records.into_iter().partition(|record| changes.pipe.passes(record));
    assert!(left_out.len() > 500 && details(&app, &left_out).await.is_empty());

    let events = details(&app, &passing).await;
    judge(&reported, &events);
    // The same records in other batches give the same bytes.
    let mut again = Vec::new();
    for batch in passing.chunks(7) {
        again.extend(details(&app, batch).await);
    }
    assert_eq!(again, events);
}

/// Compares the events with the changes that the responses confirmed.
fn judge(reported: &Reported, events: &[String]) {
    let events: Vec<Value> = events.iter().map(|event| serde_json::from_str(event).unwrap()).collect();
    let ids: BTreeSet<&str> = events.iter().map(|event| event["id"].as_str().unwrap()).collect();
    assert_eq!(ids.len(), events.len(), "no two events have the same id");
    let mut by_invitation: BTreeMap<&str, Vec<&Value>> = BTreeMap::new();
    for event in &events {
        by_invitation.entry(event["data"]["id"].as_str().unwrap()).or_default().push(event);
    }
    let mut ended: BTreeMap<String, Vec<(&str, i64)>> = BTreeMap::new();
    for (id, event, at) in reported.ended.lock().unwrap().iter() {
        ended.entry(id.clone()).or_default().push((event, *at));
    }
    let created = reported.created.lock().unwrap();
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    let mut rolled_back = 0;
    for (id, events) in &mut by_invitation {
        events.sort_by_key(|event| event["sequence"].as_str());
        let kinds: Vec<&str> = events.iter().map(|event| kind(event)).collect();
        for kind in &kinds {
            *counts.entry(kind).or_default() += 1;
        }
        let Some((_, expires_at)) = created.get(*id) else {
            assert_eq!(kinds, ["Created", "Deleted"], "{id} was rolled back");
            rolled_back += 1;
            continue;
        };
        let ends = ended.remove(*id).unwrap_or_default();
        assert_eq!(kinds, expected(&ends, *expires_at, &kinds), "{id}: {ends:?}");
    }
    assert!(ended.is_empty(), "changes without an event: {ended:?}");
    assert_eq!(created.keys().filter(|id| !by_invitation.contains_key(id.as_str())).count(), 0);
    assert_eq!(rolled_back, *reported.rolled_back.lock().unwrap());
    // Each change has happened often enough for a meaningful comparison.
    for (kind, least) in [("Created", 100), ("Accepted", 5), ("Revoked", 5), ("Expired", 20), ("Deleted", 10)] {
        assert!(counts.get(kind).is_some_and(|count| *count >= least), "{counts:?}");
    }
    assert!(rolled_back > 0);
}

/// The expected events of an invitation, in order, derived from the responses. Responses to concurrent callers have no
/// order, but only a deletion can follow another end, and nothing follows a deletion.
fn expected(ends: &[(&'static str, i64)], expires_at: i64, found: &[&str]) -> Vec<&'static str> {
    let mut kinds = vec!["Created"];
    kinds.extend(ends.iter().map(|(kind, _)| *kind).filter(|kind| *kind != "Deleted"));
    let is_accepted_or_revoked = kinds.len() > 1;
    let deleted_in_time = ends.iter().any(|(kind, at)| *kind == "Deleted" && *at < expires_at);
    let deleted_late = ends.iter().any(|(kind, at)| *kind == "Deleted" && *at >= expires_at);
    if expires_at < FAR_FUTURE && !is_accepted_or_revoked && !deleted_in_time {
        // A deletion after the expiry races with the sweep or the new invitation that publishes the expiry.
        if !deleted_late || found.contains(&"Expired") {
            kinds.push("Expired");
        }
    }
    kinds.extend((deleted_in_time || deleted_late).then_some("Deleted"));
    kinds
}

//! Concurrent operations on one invitation: their responses, and the whole table afterwards.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use organization_invitations::local::ses::SesFault;
use serde_json::{Value, json};

use crate::{
    common::operation::Operation::{
        self, Accept, AcceptByToken, AcceptOwn, Bulk, Change, Create, CreateWithKey, CreateWithMail,
        CreateWithMailAndKey, Delete, Get, GetWithDelivery, List, ListOwn, Message, Revoke, VerifyToken,
    },
    helpers::{Answer, Call, NOW, TestApp, body, body_with_mail, invariant, with},
};

/// The operations that accept.
const ACCEPTS: [Operation; 3] = [Accept, AcceptByToken, AcceptOwn];

/// When the raced invitations expire.
const EXPIRY: i64 = NOW + 1000;

/// With the directory cache, the operations take equally long, so each has a chance to win.
const SETTINGS: [(&str, &str); 2] = [("DIRECTORY_CACHE_SECONDS", "30"), ("MESSAGE_RATE_LIMIT", "100")];

/// The operations that race in pairs. A create with a key or with mail ends like a plain create against another
/// operation; `idempotency.rs` and `concurrency.rs` race such creates with each other.
fn racing() -> Vec<Operation> {
    let races = |operation: &Operation| match operation {
        CreateWithKey | CreateWithMail | CreateWithMailAndKey | Bulk | GetWithDelivery | ListOwn => false,
        Create | List | Get | Change | Message | VerifyToken | Accept | AcceptByToken | Revoke | Delete | AcceptOwn => {
            true
        }
    };
    Operation::ALL.into_iter().filter(races).collect()
}

/// The call of an operation for the invitation `id` of `ada` to `organization`. A create invites the same person to the
/// same organization.
fn call(operation: Operation, id: &str, organization: &str) -> Call {
    match operation {
        Create => Call::create(&with(body("ADA@example.com"), json!({ "organizationId": organization }))),
        List => Call::list(&format!("organizationId={organization}")),
        Change => Call::change(id, &json!({ "expiresAt": EXPIRY + 1000, "organizationRoleIds": ["admin"] })),
        other => other.call(id),
    }
}

/// `true` if an operation may get this response when it races with `other`.
fn may_answer(operation: Operation, answer: &Answer, other: Operation) -> bool {
    let is_deleted = operation == Delete || other == Delete;
    match (operation, answer.status) {
        (_, status) if status == operation.success() => true,
        (Change | Message | Accept | AcceptByToken | AcceptOwn | Revoke, 422) => {
            answer.code() == "request.invalid_input"
        }
        // Also if the invitation has ended or expired, or a message has replaced its token.
        (VerifyToken, 404) => answer.code() == "entity.not_found",
        (Change | Message | Accept | AcceptByToken | AcceptOwn | Revoke | Delete | Get, 404) => {
            is_deleted && answer.code() == "entity.not_found"
        }
        (Create, 422) => match answer.code().as_str() {
            "entity.unique_integrity_violation" => true,
            // The invitee has become a member.
            code => code == "request.invalid_input" && ACCEPTS.contains(&other),
        },
        _ => false,
    }
}

/// Invites `ada` to a new organization.
async fn invite(app: &TestApp, organization: &str) -> String {
    app.add_organization(organization).await;
    let changes = json!({ "organizationId": organization, "expiresAt": EXPIRY });
    app.invite_with_token(&with(body("Ada@example.com"), changes)).await
}

/// Races accepting, revoking and deleting one invitation. Returns the operations that succeeded.
///
/// - At most one caller accepts or revokes, and exactly one if nobody deletes.
/// - If anybody deletes, exactly one caller deletes: every status allows it, so also after another caller's success.
/// - All others get the error that the invitation has ended or does not exist.
async fn race_to_end(app: &Arc<TestApp>, organization: &str, endings: &[Operation]) -> BTreeSet<Operation> {
    let id = invite(app, organization).await;
    let calls = endings.iter().map(|ending| (NOW + 5, call(*ending, &id, organization))).collect();
    let answers = app.call_all_at_once(calls).await;
    let answers = || endings.iter().zip(&answers);
    let succeeded: Vec<Operation> =
        answers().filter(|(ending, answer)| answer.status == ending.success()).map(|(ending, _)| *ending).collect();
    let (deleted, changed): (Vec<_>, Vec<_>) = succeeded.iter().partition(|ending| **ending == Delete);
    let has_deleters = endings.contains(&Delete);
    assert_eq!(deleted.len(), usize::from(has_deleters), "{:?}", answers().collect::<Vec<_>>());
    assert!(changed.len() <= 1, "{:?}", answers().collect::<Vec<_>>());
    assert!(changed.len() == 1 || has_deleters, "{:?}", answers().collect::<Vec<_>>());
    for (ending, answer) in answers() {
        match answer.status {
            404 => assert!(has_deleters && answer.code() == "entity.not_found", "{ending:?}: {answer:?}"),
            422 => {
                assert!(*ending != Delete && changed.len() == 1, "{ending:?}: {answer:?}");
                assert_eq!(answer.code(), "request.invalid_input");
            }
            200 => assert_eq!(answer.json()["status"], status_after(*ending), "{answer:?}"),
            204 => assert_eq!(answer.text, ""),
            _ => panic!("{ending:?}: {answer:?}"),
        }
    }

    let rows = app.rows().await;
    invariant::assert_holds(app, &rows, NOW + 5);
    let row = |sk: &str| rows.iter().find(|row| row["sk"] == sk);
    let accepted = changed.iter().any(|ending| ACCEPTS.contains(ending));
    let expected = changed.first().filter(|_| !has_deleters).map(|ending| json!(status_after(*ending)));
    assert_eq!(row(&format!("INVITATION#{id}")).map(|row| row["status"].clone()), expected, "{succeeded:?}");
    let standing = row(&format!("ORG#{organization}#INVITEE#ada@example.com"));
    assert_eq!(standing.map(|row| &row["state"]), accepted.then_some(&json!("member")), "{succeeded:?}");
    assert_eq!(row(&format!("MEMBER#{organization}#ada")).is_some(), accepted, "{succeeded:?}");
    succeeded.into_iter().collect()
}

fn status_after(ending: Operation) -> &'static str {
    if ACCEPTS.contains(&ending) { "Accepted" } else { "Revoked" }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_of_eight_concurrent_ends_of_an_invitation_succeeds_and_the_table_is_consistent() {
    for (mix, rounds) in [
        ([Accept; 8], 20),
        ([Revoke; 8], 20),
        ([Delete; 8], 20),
        ([Accept, Revoke, Accept, Revoke, Accept, Revoke, Accept, Revoke], 50),
        ([Accept, AcceptByToken, AcceptOwn, Accept, AcceptByToken, AcceptOwn, Accept, AcceptByToken], 30),
        ([AcceptOwn, Revoke, AcceptByToken, Revoke, AcceptOwn, Revoke, AcceptByToken, Revoke], 30),
        ([Accept, Delete, Accept, Delete, Accept, Delete, Accept, Delete], 40),
        ([Revoke, Delete, Revoke, Delete, Revoke, Delete, Revoke, Delete], 20),
        ([Accept, Revoke, Delete, Accept, Revoke, Delete, Accept, Revoke], 50),
    ] {
        let app = Arc::new(TestApp::start_with(&SETTINGS).await);
        let mut mix = mix;
        let mut succeeded = BTreeSet::new();
        for round in 0..rounds {
            succeeded.extend(race_to_end(&app, &format!("org{round}"), &mix).await);
            mix.rotate_left(1);
        }
        assert_eq!(succeeded, mix.into(), "each operation has won at least once, so these were races");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_accept_concurrent_with_a_change_sees_all_of_the_change_or_none() {
    let app = Arc::new(TestApp::start_with(&SETTINGS).await);
    let mut outcomes = BTreeSet::new();
    for round in 0..60 {
        let organization = format!("org{round}");
        let id = invite(&app, &organization).await;
        let mut racing = [Accept, Change];
        racing.rotate_left(round % 2);
        let calls = racing.map(|operation| (NOW + 5, call(operation, &id, &organization)));
        let answers = app.call_all_at_once(calls.into()).await;
        let answer = |operation| &answers[racing.iter().position(|raced| *raced == operation).unwrap()];
        let (accepted, changed) = (answer(Accept), answer(Change));
        assert_eq!(accepted.status, 200, "{answers:?}");
        let expected = match changed.status {
            200 => ("admin", EXPIRY + 1000),
            _ => ("member", EXPIRY),
        };
        assert!(may_answer(Change, changed, Accept), "{answers:?}");
        let entity = accepted.json();
        assert_eq!(
            (&entity["organizationRoles"][0]["id"], &entity["expiresAt"]),
            (&json!(expected.0), &json!(expected.1))
        );
        let membership = app.row("default", &format!("MEMBER#{organization}#ada")).await.unwrap();
        assert_eq!(membership["organizationRoleIds"], json!([expected.0]), "{answers:?}");
        outcomes.insert(changed.status);
    }
    invariant::check(&app, NOW + 5).await;
    assert_eq!(outcomes, [200, 422].into(), "each operation has won at least once, so these were races");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_pair_of_operations_leaves_the_table_consistent_with_any_clocks() {
    let operations = racing();
    let pairs = operations
        .iter()
        .enumerate()
        .flat_map(|(position, one)| operations[position..].iter().map(|other| (*one, *other)));
    for (one, other) in pairs {
        let app = Arc::new(TestApp::start_with(&SETTINGS).await);
        // Two rounds for each pair of clocks, in ascending order, since time does not go back.
        for round in 0..8 {
            let (one_now, other_now) =
                [(NOW, NOW), (EXPIRY - 1, EXPIRY), (EXPIRY, EXPIRY - 1), (EXPIRY, EXPIRY)][round / 2];
            let organization = format!("org{round}");
            let id = invite(&app, &organization).await;
            let racing =
                [(one_now, one, other), (other_now, other, one), (one_now, one, other), (other_now, other, one)];
            let calls = racing.map(|(now, operation, _)| (now, call(operation, &id, &organization)));
            let answers = app.call_all_at_once(calls.into()).await;
            for ((_, operation, against), answer) in racing.iter().zip(&answers) {
                assert!(may_answer(*operation, answer, *against), "{operation:?} against {against:?}: {answer:?}");
            }
            for exclusive in [&[Accept, AcceptByToken, AcceptOwn, Revoke][..], &[Delete], &[Create]] {
                let succeeded = racing.iter().zip(&answers).filter(|((_, operation, _), answer)| {
                    exclusive.contains(operation) && answer.status == operation.success()
                });
                assert!(succeeded.count() <= 1, "{one:?} against {other:?}: {answers:?}");
            }
            invariant::check(&app, one_now.max(other_now)).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invitation_that_changed_while_its_email_failed_stays_and_the_send_is_released() {
    for (meanwhile, status) in [(Accept, json!("Accepted")), (Revoke, json!("Revoked")), (Delete, Value::Null)] {
        let app = Arc::new(TestApp::start_with(&[("MESSAGE_RATE_LIMIT", "1")]).await);
        // Three attempts leave time for the other operation.
        (0..3).for_each(|_| app.stack.ses.fail_next(SesFault::TooManyRequests));
        let mailed = body_with_mail("ada@example.com");
        let creating = tokio::spawn({
            let (app, mailed) = (Arc::clone(&app), mailed.clone());
            async move { app.create_at(NOW, &mailed).await }
        });
        let id = loop {
            if let Some(entity) = app.call(Call::list("")).await.json().get(0) {
                break entity["id"].as_str().unwrap().to_owned();
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        };
        assert_eq!(app.call(meanwhile.call(&id)).await.status, meanwhile.success(), "{meanwhile:?}");
        creating.await.unwrap().assert_error(429, "connector.rate_limit_exceeded");

        let row = app.row("default", &format!("INVITATION#{id}")).await;
        assert_eq!(row.map_or(Value::Null, |row| row["status"].clone()), status);
        invariant::check(&app, NOW).await;
        let elsewhere = with(mailed, json!({ "organizationId": "string" }));
        let next = app.create_at(NOW, &elsewhere).await;
        assert_eq!(next.status, 201, "{meanwhile:?}: {next:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invitation_that_expired_while_ses_rejected_its_email_is_rolled_back_beside_its_successor() {
    for key in [None, Some("k".to_owned())] {
        let app = Arc::new(TestApp::start_with(&SETTINGS).await);
        (0..3).for_each(|_| app.stack.ses.fail_next(SesFault::TooManyRequests));
        let mailed = with(body_with_mail("ada@example.com"), json!({ "expiresAt": EXPIRY }));
        let call = Call { idempotency_key: key.clone(), ..Call::create(&mailed) };
        let creating = tokio::spawn({
            let app = Arc::clone(&app);
            async move { app.call(call).await }
        });
        while app.call(Call::list("")).await.json().get(0).is_none() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let next = app.invite_at(EXPIRY, &body("ada@example.com")).await;
        creating.await.unwrap().assert_error(429, "connector.rate_limit_exceeded");
        let left = app.call_at(EXPIRY, Call::list("")).await.json();
        let ids: Vec<&str> = left.as_array().unwrap().iter().map(|entity| entity["id"].as_str().unwrap()).collect();
        assert_eq!(ids, [next.as_str()], "the expired invitation is rolled back, {key:?}");
        invariant::check(&app, EXPIRY).await;
    }
}

//! Lists of thousands of invitations: complete, in order and without duplicates, during concurrent creates.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use organization_invitations::{
    domain::{directory::OrganizationRole, invitation::Invitation},
    store::{Item, items},
};

use crate::helpers::{Answer, Call, NOW, TestApp, body, directory_id, rows};

const COUNT: i64 = 5000;

/// An invitation and its row. Every four invitations have the same millisecond.
fn invitation(n: i64, role_name: &str) -> (String, Item) {
    let invitation = Invitation {
        organization_roles: vec![OrganizationRole { id: directory_id("member"), name: role_name.to_owned() }],
        ..rows::pending_invitation(&format!("person{n}@example.com"), NOW + n / 4)
    };
    (invitation.id.to_string(), items::invitation(&invitation, 0))
}

fn ids(answer: &Answer) -> Vec<String> {
    assert_eq!(answer.status, 200, "{answer:?}");
    let entities = answer.json();
    let entities = entities.as_array().unwrap();
    let times: Vec<i64> = entities.iter().map(|entity| entity["createdAt"].as_i64().unwrap()).collect();
    assert!(times.is_sorted_by(|newer, older| newer >= older), "newest first");
    entities.iter().map(|entity| entity["id"].as_str().unwrap().to_owned()).collect()
}

/// Follows the pages from `query` on, and returns them as one list.
async fn all_pages(app: &TestApp, query: &str) -> Vec<String> {
    let (mut found, mut query) = (Vec::new(), query.to_owned());
    loop {
        let answer = app.call(Call::list(&query)).await;
        found.extend(ids(&answer));
        let Some(link) = answer.headers.get("link") else { return found };
        link.strip_prefix("<?").unwrap().split_once('>').unwrap().0.clone_into(&mut query);
    }
}

/// Asserts that `found` ends with `seeded`, newest first, and that everything before it is newer.
fn assert_complete(found: &[String], seeded: &[String], name: &str) {
    let newer = found.len().checked_sub(seeded.len()).unwrap_or_else(|| panic!("{name}: {} found", found.len()));
    assert!(found[newer..] == *seeded, "{name}: each invitation once, and in order");
    assert!(found.is_sorted_by(|newer, older| newer > older), "{name}: no duplicates");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_of_five_thousand_is_complete_and_in_order_during_creates() {
    let app = Arc::new(TestApp::start().await);
    let (mut seeded, rows): (Vec<String>, Vec<Item>) = (0..COUNT).map(|n| invitation(n, "Member")).unzip();
    app.put_rows(rows).await;
    seeded.sort_unstable_by(|a, b| b.cmp(a));

    let done = Arc::new(AtomicBool::new(false));
    let creating = tokio::spawn({
        let (app, done) = (Arc::clone(&app), Arc::clone(&done));
        async move {
            let mut created = 0;
            while !done.load(Ordering::Relaxed) {
                app.invite_at(NOW + COUNT + created, &body(&format!("late{created}@example.com"))).await;
                created += 1;
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            created
        }
    });
    for filter in ["", "inviterId=ada&organizationId=acme"] {
        assert_complete(&ids(&app.call(Call::list(filter)).await), &seeded, filter);
    }
    for query in ["page_size=100", "page_size=99&organizationId=acme&inviterId=ada"] {
        assert_complete(&all_pages(&app, query).await, &seeded, query);
    }
    done.store(true, Ordering::Relaxed);
    assert!(creating.await.unwrap() > 0, "invitations were created concurrently");
}

#[tokio::test]
async fn a_list_too_long_for_one_response_is_an_error_and_can_be_read_in_pages() {
    let app = TestApp::start().await;
    // The response of a Lambda function has at most 6 MB.
    for n in 0..15 {
        app.put_rows([invitation(n, &"x".repeat(300_000)).1]).await;
    }
    let too_long = app.call(Call::list("")).await;
    too_long.assert_error(400, "guard.invalid_pagination");
    assert!(too_long.json()["message"].as_str().unwrap().contains("page_size"), "{too_long:?}");
    assert_eq!(all_pages(&app, "page_size=10").await.len(), 15);
}

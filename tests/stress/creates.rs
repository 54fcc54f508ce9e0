//! A thousand concurrent creates: none lost, none duplicated, and none rejected.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use organization_invitations::domain::directory::Organization;
use serde_json::{Map, json};
use tokio::task::JoinSet;

use crate::{
    helpers::{Answer, Call, NOW, TestApp, body, directory_id, invariant, rows, tenant, with},
    without_time_limits,
};

const CREATES: usize = 1000;
const ORGANIZATIONS: usize = 50;
const TENANTS: usize = 100;
/// One create in this many sends mail. In a debug build, composing mail takes most of the time.
const MAILED: usize = 10;

/// Longer than the 25 s of the deployed function, because one machine does the work of a thousand containers, of
/// DynamoDB and of SES.
const BUDGET: Duration = Duration::from_mins(3);

/// One create for each person `n`, spread over the organizations of one tenant or over many tenants.
fn creates(place: fn(usize) -> (String, String)) -> Vec<Call> {
    let create = |n| {
        let (tenant, organization) = place(n);
        let changes = json!({
            "organizationId": organization,
            "inviterId": null,
            "organizationRoleIds": [],
            "messagePayload": if n % MAILED == 0 { json!({}) } else { json!(false) },
        });
        Call::create(&with(body(&format!("person{n}@example.com")), changes)).by(&tenant)
    };
    (0..CREATES).map(create).collect()
}

fn over_organizations(n: usize) -> (String, String) {
    ("default".to_owned(), format!("org{}", n % ORGANIZATIONS))
}

fn over_tenants(n: usize) -> (String, String) {
    (format!("tenant{}", n % TENANTS), "acme".to_owned())
}

/// Makes all calls at once, and checks that each creates one invitation and sends the mail that it asks for. DynamoDB
/// throttles `throttled_percent` of its requests, always at the same positions in their order.
async fn assert_each_creates_one(throttled_percent: usize, place: fn(usize) -> (String, String)) {
    let settings = [("DEFAULT_FROM_EMAIL_ADDRESS", "invitations@example.com")];
    let app = Box::pin(TestApp::start_behind_proxy(&settings)).await;
    let app = without_time_limits(app);
    let places: BTreeSet<(String, String)> = (0..CREATES).map(place).collect();
    for (owner, id) in places {
        let organization = Organization { id: directory_id(&id), name: id, branding: Map::new() };
        app.app.store.put_organization(&tenant(&owner), &organization).await.unwrap();
    }
    app.proxy().fail_at_random(
        4,
        throttled_percent,
        &["ThrottlingException", "ProvisionedThroughputExceededException"],
    );
    let app = Arc::new(app);
    let requests_before = app.proxy().total();
    let mut running = JoinSet::new();
    for call in creates(place) {
        let app = Arc::clone(&app);
        running.spawn(async move { app.invoke_within(BUDGET, NOW, &call.event().to_string()).await });
    }
    let answers = running.join_all().await;
    let others: Vec<&Answer> = answers.iter().filter(|answer| answer.status != 201).collect();
    assert!(others.is_empty(), "{} of {CREATES}: {:?}", others.len(), others[0]);
    // Each create is one read and one transaction, and each throttled request is retried once.
    let requests = app.proxy().total() - requests_before;
    let expected = 2 * CREATES * 100 / (100 - throttled_percent);
    assert!(requests.abs_diff(expected) < expected / 10, "{requests} requests instead of about {expected}");

    let rows = app.rows().await;
    invariant::assert_holds(&app, &rows, NOW);
    let told: BTreeSet<String> = answers.iter().map(|answer| answer.json()["id"].to_string()).collect();
    let stored: Vec<String> = rows::of_kind(&rows, "INVITATION").map(|row| row["id"].to_string()).collect();
    assert_eq!((told.len(), stored.len()), (CREATES, CREATES));
    assert!(stored.iter().all(|id| told.contains(id)));
    let recipients: BTreeSet<String> = app.mails().into_iter().map(|mail| mail.to).collect();
    assert_eq!((app.stack.ses.calls(), recipients.len()), (CREATES / MAILED, CREATES / MAILED));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_creates_at_once_over_fifty_organizations_of_a_tenant_all_succeed() {
    assert_each_creates_one(0, over_organizations).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_creates_at_once_over_a_hundred_tenants_all_succeed() {
    assert_each_creates_one(0, over_tenants).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_creates_at_once_over_fifty_organizations_all_succeed_while_a_fifth_is_throttled() {
    assert_each_creates_one(20, over_organizations).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_creates_at_once_over_a_hundred_tenants_all_succeed_while_a_fifth_is_throttled() {
    assert_each_creates_one(20, over_tenants).await;
}

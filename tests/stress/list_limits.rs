//! The limits of one list: the bytes of the response, the rows read, and the time.

use std::time::Duration;

use organization_invitations::{
    domain::{directory::OrganizationRole, invitation::Invitation},
    store::{Item, items},
};
use serde_json::Value;
use tokio::time::Instant;

use crate::{
    helpers::{Answer, Call, NOW, TestApp, directory_id, proxy::Intervention, rows},
    without_time_limits,
};

/// The maximum size of a list in the function's response, in bytes.
const MOST_BYTES: usize = 4 << 20;

/// The row of the `n`th invitation, with this inviter and a role of this name.
fn row(n: i64, inviter: &str, role_name: &str) -> Item {
    let invitation = Invitation {
        inviter_id: Some(directory_id(inviter)),
        organization_roles: vec![OrganizationRole { id: directory_id("member"), name: role_name.to_owned() }],
        ..rows::pending_invitation(&format!("person{n}@example.com"), NOW + n)
    };
    items::invitation(&invitation, 0)
}

/// Writes rows of about this size. Ada is the inviter of all but the first, which is the oldest.
async fn write_rows(app: &TestApp, count: i64, bytes: usize) {
    app.put_rows([row(0, "string", "rare")]).await;
    // A batch of 25 is the most that the emulator takes.
    let name = "x".repeat(bytes);
    for start in (1..count).step_by(25) {
        app.put_rows((start..count.min(start + 25)).map(|n| row(n, "ada", &name))).await;
    }
}

/// The read units, the rows and the queries that `call` takes.
async fn cost(app: &TestApp, call: Call) -> (Answer, f64, u64, usize) {
    let (rows, queries) = (app.proxy().rows_read(), app.proxy().count("Query"));
    let (answer, consumed) = app.proxy().measure(app.call(call)).await;
    let units = consumed.iter().map(|(_, used): &(String, Value)| used["CapacityUnits"].as_f64().unwrap()).sum();
    (answer, units, app.proxy().rows_read() - rows, app.proxy().count("Query") - queries)
}

fn next(answer: &Answer) -> Option<String> {
    let link = answer.headers.get("link")?;
    Some(link.strip_prefix("<?").unwrap().split_once('>').unwrap().0.to_owned())
}

#[tokio::test]
async fn a_list_that_is_too_long_fails_without_reading_all_of_it() {
    let app = without_time_limits(TestApp::start_behind_proxy(&[]).await);
    write_rows(&app, 1200, 8 << 10).await;
    for (filter, most_units) in [("", 1400.0), ("organizationId=acme", 700.0)] {
        let (answer, units, rows, queries) = cost(&app, Call::list(filter)).await;
        println!("unpaged, {filter:?}: {queries} queries, {rows} rows, {units} read units");
        answer.assert_error(400, "guard.invalid_pagination");
        // 510 of these rows are 4 MiB, and DynamoDB reads a megabyte per query.
        assert!(rows <= 650 && queries <= 6 && units <= most_units, "{filter}: {queries}, {rows}, {units}");
    }
}

#[tokio::test]
async fn the_size_limit_of_a_list_counts_the_bytes_of_the_response() {
    for (text, in_a_row, sent) in [("\"", 1, 4), ("\u{1}", 1, 7), ("\u{e9}", 2, 2)] {
        let app = without_time_limits(TestApp::start().await);
        // Each is a little more than a tenth of the limit, and less than the 400 KB of a DynamoDB row.
        let times = (MOST_BYTES / 10 - 500).min(360_000 * sent / in_a_row) / sent;
        let fitting = MOST_BYTES / (times * sent + 500);
        let name = text.repeat(times);
        for n in 0..i64::try_from(fitting).unwrap() {
            app.put_rows([row(n, "ada", &name)]).await;
        }
        let answer = app.call(Call::list("")).await;
        assert_eq!(answer.status, 200, "{text:?}: {fitting} rows fit");
        let bytes = serde_json::to_string(&answer.text).unwrap().len() - 2;
        assert!(bytes <= MOST_BYTES && bytes > MOST_BYTES * 4 / 5, "{text:?}: {bytes}");
        for n in 0..2 {
            app.put_rows([row(100 + n, "ada", &name)]).await;
        }
        app.call(Call::list("")).await.assert_error(400, "guard.invalid_pagination");
        let page = app.call(Call::list("page_size=100")).await;
        assert!(page.status == 200 && next(&page).is_some(), "{text:?}: a page ends before the limit");
        let bytes = serde_json::to_string(&page.text).unwrap().len() - 2;
        assert!(bytes <= MOST_BYTES && bytes > MOST_BYTES * 4 / 5, "{text:?}: {bytes}");
        let rest = app.call(Call::list(&next(&page).unwrap())).await;
        let lengths = [&page, &rest].map(|page| page.json().as_array().unwrap().len());
        assert_eq!((lengths[0] + lengths[1], next(&rest)), (fitting + 2, None), "{text:?}");
    }
}

#[tokio::test]
async fn a_page_has_room_for_the_deliveries_that_it_includes() {
    let app = without_time_limits(TestApp::start().await);
    // A hundred invitations fit, but not with a delivery of up to 640 bytes each.
    write_rows(&app, 100, MOST_BYTES / 100 - 500).await;
    let plain = app.call(Call::list("page_size=100")).await;
    let page = app.call(Call::list("page_size=100&include=delivery")).await;
    let rest = app.call(Call::list(&next(&page).expect("a link to the next page"))).await;
    let lengths = [&plain, &page, &rest].map(|page| page.json().as_array().unwrap().len());
    assert_eq!((lengths[0], next(&plain)), (100, None));
    assert_eq!((lengths[1] + lengths[2], next(&rest)), (100, None));
}

#[tokio::test]
async fn a_page_with_few_matches_ends_early_and_the_next_page_continues_after_it() {
    let app = without_time_limits(TestApp::start_behind_proxy(&[]).await);
    write_rows(&app, 250, 100_000).await;
    let (mut query, mut pages) = (Some("organizationId=acme&inviterId=string&page_size=10".to_owned()), Vec::new());
    while let Some(this) = query {
        let (answer, units, rows, queries) = cost(&app, Call::list(&this)).await;
        println!("a page with few matches: {queries} queries, {rows} rows, {units} read units");
        assert_eq!(answer.status, 200, "{answer:?}");
        assert!(queries <= 10 && units <= 1290.0, "{queries} queries, {units} read units");
        pages.push(answer.json().as_array().unwrap().len());
        query = next(&answer);
    }
    assert_eq!(pages, [0, 0, 1], "empty pages lead to the only match");
}

#[tokio::test]
async fn on_a_slow_table_a_page_ends_early_and_a_whole_list_fails() {
    let app = without_time_limits(TestApp::start_behind_proxy(&[]).await);
    write_rows(&app, 250, 100_000).await;
    app.proxy().always("Query", Intervention::Delay(Duration::from_millis(300)));
    let filter = "organizationId=acme&inviterId=string";
    for (query, status) in [(format!("{filter}&page_size=10"), 200), (filter.to_owned(), 503)] {
        let (budget, started) = (Duration::from_secs(3), Instant::now());
        let answer = app.invoke_within(budget, NOW, &Call::list(&query).event().to_string()).await;
        assert_eq!(answer.status, status, "{query}: {answer:?}");
        assert!(started.elapsed() < budget, "{query}: {:?}", started.elapsed());
        assert_eq!(next(&answer).is_some(), status == 200, "{query}");
    }
}

//! Faults of a second injector, microburst, which derives their form from AWS's service models.
//! `.ci/second-opinion` starts it in front of another emulator.

use serde_json::Value;

use crate::{
    helpers::{NOW, TestApp, body_with_mail, rows},
    invariant,
};

const CREATES: usize = 30;

#[tokio::test]
#[ignore = "needs microburst, which .ci/second-opinion starts"]
async fn creates_survive_the_throttling_and_lost_responses_of_another_injector() {
    let injector = std::env::var("INJECTOR_URL").unwrap();
    let app = TestApp::start_behind(&injector).await;
    for n in 0..CREATES {
        app.invite(&body_with_mail(&format!("person{n}@example.com"))).await;
    }
    let rows = app.rows().await;
    invariant::assert_holds(&app, &rows, NOW);
    assert_eq!((rows::of_kind(&rows, "INVITATION").count(), app.mails().len()), (CREATES, CREATES));

    let fired: Value = reqwest::get(format!("{injector}/_microburst/fired")).await.unwrap().json().await.unwrap();
    let count = |action: &str| {
        let events = fired.as_array().unwrap().iter();
        events.filter(|event| event["action"].as_str().unwrap().contains(action)).count()
    };
    assert!(count("ProvisionedThroughputExceededException") >= CREATES / 4, "{fired}");
    assert!(count("response") >= CREATES / 4, "{fired}");
}

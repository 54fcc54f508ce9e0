//! A property: the same bodies have the same results in a bulk create as in single creates.

use std::collections::BTreeSet;

use organization_invitations::domain::directory::EmailConnector;
use proptest::{collection::vec, prelude::*, test_runner::RngSeed};
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use crate::helpers::{
    Answer, Call, TestApp, body, body_with_mail,
    bulk::{FAST, bulk, results},
    connector, with,
};

/// The items that the property draws from: JSON texts in which `#` stands for the position in the call.
#[rustfmt::skip]
const ITEMS: [&str; 30] = [
    r#"{"invitee":"a#@example.com","organizationId":"acme","expiresAt":4102444800000}"#,
    r#"{"invitee":"A#@Example.com","organizationId":"string","expiresAt":4102444800000.5,"inviterId":"ada","organizationRoleIds":["member","admin","member"]}"#,
    r#"{"invitee":"a#@example.com","organizationId":"acme","expiresAt":4102444800000,"messagePayload":{}}"#,
    r#"{"invitee":"a#@example.com","organizationId":"string","expiresAt":4102444800000,"messagePayload":{"locale":"de-AT","link":"https://app.example.com/{invitationId}"}}"#,
    r#"{"invitee":"a#@example.com","organizationId":"acme","expiresAt":4102444800000,"messagePayload":{"locale":"ar","code":"1#"}}"#,
    r#"{"invitee":"a#@example.com","organizationId":"acme","expiresAt":4102444800000,"messagePayload":{"link":"https://elsewhere.example"}}"#,
    r#"{"invitee":"a#@example.com","organizationId":"acme","expiresAt":4102444800000,"messagePayload":{"link":"javascript:x"}}"#,
    r#"{"invitee":"pending@example.com","organizationId":"acme","expiresAt":4102444800000}"#,
    r#"{"invitee":"Member@example.com","organizationId":"acme","expiresAt":4102444800000,"messagePayload":{}}"#,
    r#"{"invitee":"full@example.com","organizationId":"acme","expiresAt":4102444800000,"messagePayload":{}}"#,
    r#"{"invitee":"a#@example.com","organizationId":"nowhere","expiresAt":4102444800000,"inviterId":"nobody","organizationRoleIds":["x"]}"#,
    r#"{"invitee":"a#@example.com","organizationId":"a\u0000b","expiresAt":4102444800000}"#,
    r#"{"invitee":"a#@example.com","organizationId":"acme","expiresAt":42}"#,
    r#"{"invitee":"a#@example.com","organizationId":"acme"}"#,
    r#"{"invitee":"a#@example.com","organizationId":"acme","expiresAt":4102444800000,"organizationRoleIds":null,"messagePayload":true}"#,
    r#"{"invitee":"nobody","organizationId":"","expiresAt":"x","inviterId":5}"#,
    r#"{"invitee":"a#@example.com","organizationId":"acme","expiresAt":4102444800000,"messagePayload":{"x":1e400}}"#,
    r#"{"invitee":"a#@example.com","organizationId":"acme","expiresAt":4102444800000,"messagePayload":{"x":"\ud800"}}"#,
    r#"{"invitee":"\udc00a#@example.com","organizationId":"acme","expiresAt":4102444800000}"#,
    r#"{"invitee":1,"invitee":"a#@example.com","organizationId":"acme","expiresAt":4102444800000,"__proto__":{},"tenantId":"x"}"#,
    "{}",
    "[]",
    "null",
    "\"a text\"",
    "5",
    "false",
    r#"[{"invitee":"a#@example.com"}]"#,
    r#"{ "invitee" : "a#@example.com","organizationId":"acme", "expiresAt":4102444800000 , "messagePayload": false}"#,
    r#"{"invitee":"a#@example.com","organizationId":"acme","expiresAt":8640000000000001}"#,
    r#"{"invitee":"a#@example.com","organizationId":"acme","expiresAt":4102444800000,"messagePayload":{"locale":5,"x":{"y":[null,5]}}}"#,
];

/// An app with a member, a pending invitation, and a recipient who has reached the rate limit.
async fn populated() -> TestApp {
    let app = TestApp::start_with(&[FAST, ("MESSAGE_RATE_LIMIT", "1")]).await;
    app.set_connector(&EmailConnector { allowed_link_hosts: vec!["app.example.com".to_owned()], ..connector() }).await;
    app.make_member("acme", "member@example.com").await;
    app.invite(&body("Pending@example.com")).await;
    app.invite(&with(body_with_mail("full@example.com"), json!({ "organizationId": "string" }))).await;
    app
}

/// The result with its identifiers replaced.
fn redacted(mut result: Value) -> Value {
    let id = result["body"]["id"].as_str().map(str::to_owned);
    if id.is_some() {
        result["body"]["id"] = json!("[id]");
    }
    if result["body"]["data"]["invitationId"].is_string() {
        result["body"]["data"]["invitationId"] = json!("[id]");
    }
    result
}

fn single_result(answer: &Answer) -> Value {
    let mut result = json!({ "status": answer.status, "body": answer.json() });
    if let Some(seconds) = answer.headers.get("retry-after") {
        result["retryAfter"] = json!(seconds.parse::<u64>().unwrap());
    }
    redacted(result)
}

fn few_cases() -> ProptestConfig {
    let config = ProptestConfig { failure_persistence: None, cases: 6, ..ProptestConfig::default() };
    match config.rng_seed {
        RngSeed::Random => ProptestConfig { rng_seed: RngSeed::Fixed(20_260_101), ..config },
        RngSeed::Fixed(_) => config,
    }
}

proptest! {
    #![proptest_config(few_cases())]

    #[test]
    fn the_same_bodies_get_the_same_results_in_single_and_in_bulk_creates(
        chosen in vec(0..ITEMS.len(), 0..40),
        has_all in any::<bool>(),
    ) {
        let all = has_all.then(|| 0..ITEMS.len()).into_iter().flatten();
        let texts: Vec<String> = all.chain(chosen).enumerate()
            .map(|(place, item)| ITEMS[item].replace('#', &place.to_string())).collect();
        prop_assume!(!texts.is_empty());
        Runtime::new().unwrap().block_on(async {
            let (one_by_one, at_once) = (populated().await, populated().await);
            let mut expected = Vec::new();
            for text in &texts {
                let call = Call::create(&json!({})).text("application/json", text);
                expected.push(single_result(&one_by_one.call(call).await));
            }
            let call = bulk(&[]).text("application/json", &format!("{{\"invitations\":[{}]}}", texts.join(",")));
            let answer = at_once.call(call).await;
            let found: Vec<Value> = results(&answer).into_iter().map(redacted).collect();
            assert_eq!(found.len(), expected.len());
            // Items that share an address: all but the first are duplicates.
            let mut seen = BTreeSet::new();
            for ((found, expected), text) in found.iter().zip(&expected).zip(&texts) {
                let is_shared = ["pending@", "Member@", "full@"].iter().find(|name| text.contains(**name));
                if is_shared.is_some_and(|name| !seen.insert(*name)) {
                    assert_eq!((&found["status"], &found["body"]["code"]), (&json!(422), &json!("entity.unique_integrity_violation")));
                } else {
                    assert_eq!(found, expected, "{text}");
                }
            }
            let mails = |app: &TestApp| app.mails().iter().map(|mail| (mail.to.clone(), mail.subject.clone())).collect::<BTreeSet<_>>();
            assert_eq!(mails(&at_once), mails(&one_by_one));
        });
    }
}

use std::sync::LazyLock;

use proptest::{collection::btree_set, prelude::*};
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use super::arbitrary::{self, cases};
use crate::helpers::{Answer, Call, FAR_FUTURE, NOW, TestApp};

/// The keys of a create, in the order of its violations.
const KEYS: [&str; 6] =
    ["inviterId", "invitee", "organizationId", "expiresAt", "organizationRoleIds", "messagePayload"];

/// A field that is of the right kind in most cases.
fn nearly(right: impl Strategy<Value = Value> + 'static) -> BoxedStrategy<Option<Value>> {
    prop_oneof![12 => right.prop_map(Some), 1 => arbitrary::json().prop_map(Some), 1 => Just(None)].boxed()
}

fn create_body() -> impl Strategy<Value = Value> {
    let id = || prop_oneof![2 => "[a-z]{1,21}".boxed(), 1 => arbitrary::text().boxed()];
    let payload = prop_oneof![Just(json!(false)), arbitrary::json().prop_map(|x| json!({ "x": x, "locale": "en" }))];
    let clock = prop_oneof![4 => (NOW + 1..=FAR_FUTURE).boxed(), 1 => any::<i64>().boxed()];
    let strategies = [
        nearly(id().prop_map(Value::from)),
        nearly("[a-z]{1,8}@[a-z]{1,8}\\.com".prop_map(Value::from)),
        nearly(id().prop_map(Value::from)),
        nearly(clock.prop_map(Value::from)),
        nearly(btree_set(id(), 0..4).prop_map(|ids| ids.into_iter().collect())),
        nearly(payload),
    ];
    strategies.to_vec().prop_map(|values| {
        let fields = KEYS.into_iter().zip(values).filter_map(|(key, value)| Some((key.to_owned(), value?)));
        Value::Object(fields.collect())
    })
}

/// The function with trusted references, which creates every well-formed body.
static APP: LazyLock<(Runtime, TestApp)> = LazyLock::new(|| {
    let runtime = Runtime::new().unwrap();
    let app = runtime.block_on(TestApp::start_with(&[("REFERENCE_CHECKS", "trust"), ("MESSAGE_RATE_LIMIT", "100")]));
    (runtime, app)
});

fn create(body: &Value) -> Answer {
    let (runtime, app) = &*APP;
    runtime.block_on(app.create_at(NOW, body))
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn a_create_is_a_201_or_a_400(body in create_body()) {
        let answer = create(&body);
        let said = answer.json();
        match answer.status {
            201 => {
                for key in ["invitee", "organizationId"] {
                    prop_assert_eq!(&said[key], &body[key]);
                }
                let inviter = body["inviterId"].as_str().filter(|id| !id.is_empty());
                prop_assert_eq!(said["inviterId"].as_str(), inviter);
                prop_assert_eq!(said["expiresAt"].as_f64(), body["expiresAt"].as_f64().map(f64::trunc));
                let roles = said["organizationRoles"].as_array().unwrap().iter().map(|role| role["id"].as_str().unwrap());
                let mut expected: Vec<&str> = body["organizationRoleIds"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
                expected.sort_unstable();
                expected.dedup();
                prop_assert_eq!(roles.collect::<Vec<_>>(), expected);
            }
            400 if said["code"] == "guard.invalid_input" => {
                let issues = said["data"]["issues"].as_array().unwrap();
                let keys: Vec<usize> = issues.iter().map(|issue| KEYS.iter().position(|key| issue["path"][0] == *key).unwrap()).collect();
                prop_assert!(!keys.is_empty() && keys.is_sorted(), "{}", said);
                prop_assert_eq!(said["details"].as_str().unwrap().lines().count(), issues.len());
            }
            400 => prop_assert!(["request.invalid_input", "connector.insufficient_request_parameters"].contains(&said["code"].as_str().unwrap()), "{}", said),
            status => prop_assert!([422, 429].contains(&status), "{:?}", answer),
        }
    }

    #[test]
    fn no_body_is_a_server_error(body in arbitrary::json()) {
        let (runtime, app) = &*APP;
        let id = "0mwshl16meeoe2l4w0lik";
        let changes = [Call::change(id, &body), Call::message(id, &body), Call::status(id, &body)];
        for call in [Call::create(&body), Call::bulk(&body)].into_iter().chain(changes) {
            let answer = runtime.block_on(app.call(call));
            prop_assert!((400..500).contains(&answer.status), "{:?}", answer);
            prop_assert!(answer.json()["code"].is_string());
        }
    }
}

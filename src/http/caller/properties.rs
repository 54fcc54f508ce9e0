//! Properties of the authorization by claims.

use crate::{
    config::Config,
    http::{caller::Caller, error::RequestError},
};
use proptest::{collection::vec, prelude::*};
use serde_json::{Map, Value, json};

use crate::arbitrary::{self, cases};

fn config() -> Config {
    Config::from_lookup(|name| match name {
        "TABLE_NAME" => Some("t".to_owned()),
        "ALLOWED_SCOPES" => Some("all invite".to_owned()),
        "ALLOWED_GROUPS" => Some("inviters".to_owned()),
        _ => None,
    })
    .unwrap()
}

/// Allowed scopes and groups, other words, and near misses.
fn word() -> impl Strategy<Value = String> {
    let words = ["all", "invite", "inviters", "ALL", "all:read", "al", "xall", "all,invite", "[all]", "inviters,x", ""];
    prop_oneof![4 => prop::sample::select(words.to_vec()).prop_map(str::to_owned), 1 => arbitrary::text()]
}

/// A list in the form of any authorizer, or any other value.
fn list() -> impl Strategy<Value = Value> {
    prop_oneof![
        vec(word(), 0..4).prop_map(Value::from),
        vec(word(), 0..4).prop_map(|words| words.join(" ").into()),
        vec(word(), 0..4).prop_map(|words| words.join(",").into()),
        vec(word(), 0..4).prop_map(|words| format!("[{}]", words.join(" ")).into()),
        arbitrary::json(),
    ]
}

fn tenant() -> impl Strategy<Value = Value> {
    prop_oneof![
        3 => "[A-Za-z0-9_-]{1,5}".prop_map(Value::from),
        1 => any::<u32>().prop_map(Value::from),
        1 => Just(Value::Null),
        1 => arbitrary::json(),
    ]
}

/// Claims, each of which may be missing.
fn claims() -> impl Strategy<Value = Map<String, Value>> {
    let named = |name: &'static str, value: BoxedStrategy<Value>| {
        prop::option::of(value).prop_map(move |value| value.map(|value| (name.to_owned(), value)))
    };
    let known = [
        named("tenant_id", tenant().boxed()).boxed(),
        named("custom:tenant_id", tenant().boxed()).boxed(),
        named("scope", list().boxed()).boxed(),
        named("scp", list().boxed()).boxed(),
        named("groups", list().boxed()).boxed(),
        named("cognito:groups", list().boxed()).boxed(),
        named("tenantId", tenant().boxed()).boxed(),
        named("scopes", list().boxed()).boxed(),
    ];
    known.to_vec().prop_map(|claims| claims.into_iter().flatten().collect())
}

fn read(claims: &Map<String, Value>) -> Result<String, &'static str> {
    read_authorizer(&json!({ "jwt": { "claims": claims } }))
}

fn read_authorizer(authorizer: &Value) -> Result<String, &'static str> {
    let outcome = Caller::from_authorizer(authorizer, &config());
    outcome.map(|caller| caller.tenant.to_string()).map_err(|error: RequestError| error.status_and_code().1)
}

/// `true` if `claim` contains one of `words` as a whole word.
fn says(claims: &Map<String, Value>, claim: &str, words: &[&str]) -> bool {
    let is_part_of_a_word = |c: char| !c.is_whitespace() && !"[],".contains(c);
    let text_says = |text: &str| text.split(|c| !is_part_of_a_word(c)).any(|word| words.contains(&word));
    match claims.get(claim) {
        Some(Value::String(text)) => text_says(text),
        Some(Value::Array(entries)) => entries.iter().filter_map(Value::as_str).any(text_says),
        _ => false,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2 * cases().cases, ..cases() })]

    #[test]
    fn no_caller_is_admitted_without_an_allowed_scope_or_group(claims in claims()) {
        let may = ["scope", "scp"].iter().any(|claim| says(&claims, claim, &["all", "invite"]))
            || ["groups", "cognito:groups"].iter().any(|claim| says(&claims, claim, &["inviters"]));
        prop_assert!(may || read(&claims).is_err());
    }

    #[test]
    fn a_caller_with_an_allowed_scope_and_a_tenant_is_admitted(mut claims in claims(), before in vec("[b-z]{1,4}", 0..3)) {
        claims.insert("tenant_id".to_owned(), "mine".into());
        claims.insert("scope".to_owned(), [before.join(" "), "all".to_owned()].join(" ").into());
        prop_assert_eq!(read(&claims), Ok("mine".to_owned()));
    }

    #[test]
    fn the_tenant_is_the_first_claim_that_is_present(claims in claims()) {
        let first = ["tenant_id", "custom:tenant_id"].iter().find_map(|name| claims.get(*name));
        let named = first.map(|claim| claim.as_str().map_or_else(|| claim.to_string(), str::to_owned));
        if let Ok(tenant) = read(&claims) {
            prop_assert!(first.is_some_and(|claim| !claim.is_null()), "a null names nobody");
            prop_assert_eq!(Some(tenant), named);
        }
    }

    #[test]
    fn no_other_claim_changes_the_tenant(claims in claims(), name in arbitrary::text(), other in arbitrary::json()) {
        let known = ["tenant_id", "custom:tenant_id", "scope", "scp", "groups", "cognito:groups"];
        prop_assume!(!known.contains(&name.as_str()) && !claims.is_empty());
        let mut more = claims.clone();
        more.insert(name, other);
        prop_assert_eq!(read(&more), read(&claims));
    }

    #[test]
    fn every_authorizer_gives_the_same_caller_for_the_same_claims(claims in claims()) {
        prop_assert_eq!(read_authorizer(&json!({ "claims": claims, "scopes": null })), read(&claims));
        let flat = read_authorizer(&json!(claims));
        for authorizer in [json!({ "lambda": claims }), json!({ "claims": claims })] {
            prop_assert_eq!(&read_authorizer(&authorizer), &flat);
        }
        // Only a text that may be a list is read differently.
        let is_list = |claim: &Value| claim.as_str().is_some_and(|text| text.contains(['[', ',']));
        if !["groups", "cognito:groups"].iter().filter_map(|name| claims.get(*name)).any(is_list) {
            prop_assert_eq!(flat, read(&claims));
        }
    }

    #[test]
    fn any_authorizer_context_is_read_without_a_panic(authorizer in arbitrary::json()) {
        prop_assert!(read_authorizer(&authorizer).is_err(), "random output admits nobody");
    }
}

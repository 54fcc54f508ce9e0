//! The settings in `template.yaml`, compared with those of the code.

use std::{cell::RefCell, collections::BTreeSet};

use organization_invitations::config::Config;
use serde_yaml_ng::Value;

fn template() -> Value {
    let text = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/template.yaml")).unwrap();
    serde_yaml_ng::from_str(&text).unwrap()
}

fn environment() -> serde_yaml_ng::Mapping {
    let template = template();
    let properties = &template["Resources"]["OrganizationInvitationsFunction"]["Properties"];
    properties["Environment"]["Variables"].as_mapping().unwrap().clone()
}

#[test]
fn the_template_deploys_exactly_the_settings() {
    let asked = RefCell::new(BTreeSet::from(["RUST_LOG".to_owned()]));
    // With a sender, the settings that depend on a sender are read too.
    let lookup = |name: &str| {
        asked.borrow_mut().insert(name.to_owned());
        ["TABLE_NAME", "DEFAULT_FROM_EMAIL_ADDRESS"].contains(&name).then(|| "x".to_owned())
    };
    Config::from_lookup(lookup).unwrap();
    let deployed = environment().keys().map(|name| name.as_str().unwrap().to_owned()).collect::<BTreeSet<_>>();
    assert_eq!(deployed, asked.into_inner());
}

#[test]
fn variables_without_a_parameter_have_the_settings_default() {
    let numbers = environment().into_iter().filter_map(|(variable, value)| {
        let value = value.as_str()?.parse::<u32>().ok()?;
        Some((variable.as_str().unwrap().to_owned(), value.to_string()))
    });
    let numbers: Vec<_> = numbers.collect();
    assert!(numbers.len() > 1, "{numbers:?}");
    let config = |variable: &str, value: &str| {
        Config::from_lookup(|name| match name {
            "TABLE_NAME" => Some("t".to_owned()),
            name => (name == variable).then(|| value.to_owned()),
        })
    };
    let default = format!("{:?}", config("", "").unwrap());
    for (variable, value) in numbers {
        assert_eq!(format!("{:?}", config(&variable, &value).unwrap()), default, "{variable}={value}");
    }
}

#[test]
fn the_parameters_have_the_defaults_and_limits_of_the_settings() {
    let template = template();
    for (variable, reference) in environment() {
        let (variable, parameter) = (variable.as_str().unwrap(), reference_name(&reference));
        let Some(parameter) = template["Parameters"].get(&parameter) else { continue };
        let differs_on_purpose = match variable {
            // The stack has its own table, so the name of an external table has no default.
            "TABLE_NAME" => continue,
            // Stricter default: users of a Cognito user pool may be able to write `custom:tenant_id`.
            "TENANT_CLAIMS" => true,
            _ => false,
        };
        let config = |value: &str| {
            Config::from_lookup(|name| match name {
                name if name == variable => Some(value.to_owned()),
                "TABLE_NAME" => Some("t".to_owned()),
                _ => None,
            })
        };
        let with_default = config(&text(&parameter["Default"])).unwrap();
        let without = Config::from_lookup(|name| (name == "TABLE_NAME").then(|| "t".to_owned())).unwrap();
        assert_eq!(format!("{with_default:?}") != format!("{without:?}"), differs_on_purpose, "{variable}");
        if let (Some(least), Some(most)) = (parameter["MinValue"].as_i64(), parameter["MaxValue"].as_i64()) {
            for (value, valid) in [(least, true), (most, true), (least - 1, false), (most + 1, false)] {
                assert_eq!(config(&value.to_string()).is_ok(), valid, "{variable}={value}");
            }
        }
        for value in parameter["AllowedValues"].as_sequence().into_iter().flatten() {
            assert!(config(&text(value)).is_ok(), "{variable}={value:?}");
        }
    }
}

/// The name in `!Ref name`, or in the last case of an `!If`.
fn reference_name(value: &Value) -> String {
    match value {
        Value::Tagged(tagged) => reference_name(&tagged.value),
        Value::Sequence(cases) => reference_name(cases.last().unwrap()),
        other => text(other),
    }
}

fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        other => panic!("{other:?} is neither text nor number"),
    }
}

//! The release binary: its events, settings, log and memory.

use std::{collections::BTreeSet, process::Output, time::Instant};

use serde_json::Value;
use tokio::time::timeout;

use crate::{
    common::{
        body::{body, with},
        call::create_event,
        events, log,
    },
    function::{Function, PATIENCE, command},
    hostile_events::{self, Row},
    runtime_api::RuntimeApi,
    surroundings::Surroundings,
};

#[tokio::test(flavor = "multi_thread")]
async fn the_release_binary_creates_and_mails() {
    let around = Surroundings::start().await;
    let mut function = Function::start(&around.stack).await;
    let event = events::read("create");
    let answer = function.invoke(&event).await;
    assert_eq!(answer.status, 201, "{answer:?}");
    let mail = around.stack.ses.mails().remove(0);
    assert_eq!(mail.to, answer.json()["invitee"]);
    function.invoke(&event).await.assert_error(422, "entity.unique_integrity_violation");
    let log = function.stop().await;
    let lines: Vec<Value> = log.lines().map(|line| serde_json::from_str(line).expect(line)).collect();
    let (sent, lines): (Vec<Value>, Vec<Value>) = lines.into_iter().partition(|line| line["message"] == "mail sent");
    assert_eq!(sent.len(), 1, "one line for the mail: {log}");
    assert_eq!((&sent[0]["message_id"], &sent[0]["invitation_id"]), (&mail.id.into(), &answer.json()["id"]));
    assert_eq!(lines.len(), 2, "one line for each request: {log}");
    assert_eq!((lines[0]["status"].as_u64(), lines[1]["status"].as_u64()), (Some(201), Some(422)));
    assert_eq!(lines[1]["code"], "entity.unique_integrity_violation");
    assert_eq!((lines[0]["coldStart"].as_bool(), lines[1]["coldStart"].as_bool()), (Some(true), Some(false)));
    assert_eq!(lines[0]["function"], "organization-invitations");
    assert_eq!(lines[0]["traceId"], "1-5bef4de7-ad49b0e87f6ef6c87fc2e700");
    assert!(
        lines.iter().all(|line| line["_aws"]["CloudWatchMetrics"].is_array()),
        "each line contains its metrics: {log}"
    );
    assert!(!log.contains('@'), "the log has no address: {log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_release_binary_survives_malformed_events() {
    let around = Surroundings::start().await;
    let mut function = Function::start(&around.stack).await;
    let valid = create_event("default", Some("application/json"), &body("x@example.com").to_string(), false);
    let bad_base64 = create_event("default", None, "%%%", true);
    let mut bad_path = valid.clone();
    bad_path["rawPath"] = "/ <%zz>\u{0}\n".into();
    let mut bad_headers = valid.clone();
    bad_headers["headers"]["bad name\n"] = "bad\r\nvalue".into();
    bad_headers["body"] = with(body("y@example.com"), serde_json::json!({ "expiresAt": 1 })).to_string().into();
    let nested = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
    for (event, reason) in [
        ("{}", "an empty object"),
        ("null", "null"),
        ("[1]", "an array"),
        (nested.as_str(), "deeply nested"),
        (r#"{"source":"aws.s3","detail-type":"Object Created","detail":{}}"#, "an event of another kind"),
    ] {
        let error = function.try_invoke(event).await.unwrap_err();
        assert!(error.contains("unknown kind of event"), "the error is reported, {reason}: {error}");
    }
    for (event, status, reason) in [
        (&bad_base64.to_string(), 400, "a body that is not base64"),
        (&bad_path.to_string(), 404, "a path that is not valid in a URI"),
        (&bad_headers.to_string(), 400, "a header that HTTP does not allow"),
        (&valid.to_string(), 201, "a valid event, after the malformed ones"),
    ] {
        let answer = function.invoke(event).await;
        assert_eq!(answer.status, status, "{reason}: {answer:?}");
    }
    function.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_release_binary_handles_hostile_events_within_its_memory_and_time() {
    let around = Surroundings::start().await;
    let mut function = Function::start(&around.stack).await;
    let mut complaints = Vec::new();
    for Row { reason, event, status } in hostile_events::rows() {
        let started = Instant::now();
        let found = function.try_invoke(&event).await.map(|answer| answer.status).ok();
        let (took, used) = (started.elapsed(), function.most_memory_mib());
        // An event that is no API request fails the invocation.
        let expected = event.contains("requestContext").then_some(status);
        if found != expected || took > hostile_events::PATIENCE || used > memory_mib() {
            complaints.push(format!("{reason}: {found:?}, {took:?}, {used} MiB"));
        }
    }
    function.stop().await;
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_release_binary_logs_no_personal_data_at_the_level_trace() {
    let around = Surroundings::start().await;
    let mut function =
        Function::start_with(&around.stack.dynamodb_url, &around.stack.ses_url, &[("RUST_LOG", "trace")]).await;
    let (mut secrets, events) = (BTreeSet::new(), events::all());
    for (_, event) in &events {
        secrets.extend(log::secrets(&serde_json::from_str(event).unwrap()));
        function.invoke(event).await;
    }
    secrets.extend(around.stack.ses.mails().iter().flat_map(log::words));
    let log = function.stop().await;
    log::assert_names_nobody(&log, events.len(), &secrets, "RUST_LOG=trace");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_release_binary_ignores_a_deadline_in_1970() {
    let around = Surroundings::start().await;
    let mut function = Function::start(&around.stack).await;
    let event = create_event("default", None, &body("x@example.com").to_string(), false).to_string();
    let answer = function.invoke_with_deadline(&event, 1).await;
    assert_eq!(answer.status, 201, "{answer:?}");
    function.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_release_binary_does_not_start_with_an_invalid_setting() {
    for (name, value) in [("TABLE_NAME", ""), ("MESSAGE_RATE_LIMIT", "many")] {
        let runtime = RuntimeApi::start().await;
        let output = command(&runtime.address, &[]).env(name, value).output();
        let output = timeout(PATIENCE, output).await.unwrap().unwrap();
        assert!(!output.status.success(), "{name}");
        assert!(text(&output).contains(name), "the error names {name}: {}", text(&output));
    }
}

fn text(output: &Output) -> String {
    [&output.stdout, &output.stderr].map(|stream| String::from_utf8_lossy(stream)).concat()
}

/// The memory of the deployed function: the default of the template's parameter.
fn memory_mib() -> u64 {
    let (_, parameter) =
        include_str!("../../template.yaml").split_once("\n  MemorySize:\n").expect("the parameter exists");
    let size =
        parameter.lines().find_map(|line| line.trim().strip_prefix("Default:")).expect("the parameter has a default");
    size.trim().parse().unwrap()
}

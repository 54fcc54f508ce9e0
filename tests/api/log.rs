//! The log line of each request: its fields, and the metrics that CloudWatch extracts from it.

use std::{
    collections::BTreeSet,
    io::{self, Write},
    sync::Arc,
};

use lambda_runtime::{Context, LambdaEvent};
use organization_invitations::{
    local::ses::SesFault,
    store::items,
    telemetry::{Log, NAMESPACE},
    trigger,
};
use serde_json::{Value, json};

use crate::{
    helpers::{Call, NOW, TestApp, body, body_with_mail, log::Logged, ses_faults, with},
    proxy::Intervention,
};

/// Makes one request of every kind for an invitation with mail, and returns its identifier.
async fn make_every_request(app: &TestApp) -> String {
    let id = app.invite(&body_with_mail("ada@example.com")).await;
    for call in [
        Call::create(&body_with_mail("ada@example.com")),
        Call::list("invitee=ada@example.com"),
        Call::get(&id),
        Call::message(&id, &json!({ "code": "top-secret" })),
        Call::change(&id, &json!({ "organizationRoleIds": [] })),
        Call::accept(&id, "ada"),
        Call::delete(&id),
        Call::new("PUT", "/ada@example.com"),
    ] {
        app.call(call).await;
    }
    id
}

#[tokio::test]
async fn each_request_is_one_line_with_its_operation_and_its_invitation() {
    let mut app = TestApp::start().await;
    let logged = Logged::by(&mut app);
    let id = make_every_request(&app).await;
    let told: Vec<_> = logged.lines().iter().map(line_summary).collect();
    let expected = [
        ("create", "ok", 201, Some(&id)),
        ("create", "refused", 422, Some(&id)),
        ("list", "ok", 200, None),
        ("get", "ok", 200, Some(&id)),
        ("message", "ok", 204, Some(&id)),
        ("change", "ok", 200, Some(&id)),
        ("status", "ok", 200, Some(&id)),
        ("delete", "ok", 204, Some(&id)),
        ("unknown", "refused", 405, None),
    ];
    let expected = expected.map(|(operation, outcome, status, id)| {
        (operation.to_owned(), outcome.to_owned(), status, id.cloned(), "default".to_owned(), "test".to_owned())
    });
    assert_eq!(told, expected);
}

type Summary = (String, String, u64, Option<String>, String, String);

fn line_summary(line: &Value) -> Summary {
    let text = |name: &str| line[name].as_str().map(str::to_owned);
    let of = |name: &str| text(name).unwrap_or_else(|| panic!("{name}: {line}"));
    let id = text("invitationId");
    (of("operation"), of("outcome"), line["status"].as_u64().unwrap(), id, of("tenant"), of("requestId"))
}

#[tokio::test]
async fn no_line_names_a_person() {
    let mut app = TestApp::start().await;
    let logged = Logged::by(&mut app);
    make_every_request(&app).await;
    app.stack.ses.fail_next(SesFault::MessageRejected);
    app.create_at(NOW, &body_with_mail("bob@example.com")).await.assert_error(400, "connector.invalid_response");
    assert_eq!(logged.lines().len(), 10);
    for word in ["@", "example.com", "ada", "bob", "Lovelace", "secret", "authorization", "Join"] {
        assert!(!logged.text().contains(word), "{word}: {}", logged.text());
    }
}

/// The rules of "Specification: Embedded metric format" (Amazon CloudWatch user guide).
fn assert_is_embedded_metrics(line: &Value) {
    const UNITS: [&str; 2] = ["Count", "Milliseconds"];
    let members = line.as_object().unwrap();
    let meta = line["_aws"].as_object().unwrap();
    assert_eq!(meta.keys().collect::<BTreeSet<_>>().len(), 2, "only members of the specification: {line}");
    assert_eq!(meta["Timestamp"], NOW, "milliseconds since 1970");
    for directive in meta["CloudWatchMetrics"].as_array().unwrap() {
        assert_eq!(directive.as_object().unwrap().len(), 3, "{line}");
        assert!(directive["Namespace"].as_str().is_some_and(|name| (1..=1024).contains(&name.len())), "{line}");
        let dimension_sets = directive["Dimensions"].as_array().unwrap();
        assert!(!dimension_sets.is_empty(), "{line}");
        for name in dimension_sets.iter().flat_map(|set| set.as_array().unwrap()) {
            let value = members[name.as_str().unwrap()].as_str();
            assert!(value.is_some_and(|value| (1..=1024).contains(&value.len())), "{name}: {line}");
        }
        assert!(dimension_sets.iter().all(|set| set.as_array().unwrap().len() <= 30), "{line}");
        let metrics = directive["Metrics"].as_array().unwrap();
        assert!((1..=100).contains(&metrics.len()), "{line}");
        for metric in metrics {
            let (name, unit) = (metric["Name"].as_str().unwrap(), metric["Unit"].as_str().unwrap());
            assert!(members[name].is_number() && (1..=1024).contains(&name.len()), "{name}: {line}");
            assert!(UNITS.contains(&unit), "{unit}: {line}");
        }
    }
}

#[tokio::test]
async fn cloudwatch_can_make_the_metrics_of_every_line() {
    let mut app = TestApp::start().await;
    let logged = Logged::by(&mut app);
    make_every_request(&app).await;
    app.invoke_at(NOW, "{}").await.assert_error(401, "auth.unauthorized");
    let lines = logged.lines();
    lines.iter().for_each(assert_is_embedded_metrics);
    let times = |names: &[&str]| {
        let metrics: Vec<_> = names.iter().map(|name| json!({ "Name": name, "Unit": "Milliseconds" })).collect();
        json!({ "Namespace": NAMESPACE, "Dimensions": [["function", "operation"]], "Metrics": metrics })
    };
    let requests = json!({
        "Namespace": NAMESPACE,
        "Dimensions": [["function", "outcome"], ["function", "operation", "outcome"]],
        "Metrics": [{ "Name": "Requests", "Unit": "Count" }],
    });
    for (line, names, reason) in [
        (&lines[0], &["Duration", "DynamoDbDuration", "SesDuration"][..], "a create with mail"),
        (&lines[2], &["Duration", "DynamoDbDuration"], "a list"),
        (&lines[8], &["Duration"], "a caller without permission"),
    ] {
        assert_eq!(line["_aws"]["CloudWatchMetrics"], json!([times(names), requests]), "{reason}");
        assert_eq!((&line["function"], &line["Requests"]), (&json!("f"), &json!(1)), "{reason}");
        for (metric, field) in
            [("Duration", "duration"), ("DynamoDbDuration", "dynamoDbDuration"), ("SesDuration", "sesDuration")]
        {
            assert_eq!(line[metric], line[field], "{metric}: {reason}");
        }
    }
}

#[tokio::test]
async fn every_failure_has_its_outcome() {
    for (fault, times, (status, code, _), _) in ses_faults::FAULTS {
        let mut app = TestApp::start().await.with_time_limits();
        let logged = Logged::by(&mut app);
        (0..times).for_each(|_| app.stack.ses.fail_next(fault));
        app.create_at(NOW, &body_with_mail("a@example.com")).await;
        let outcome = match status {
            400 => "mail_refused",
            429 => "mail_throttled",
            _ => "mail_unavailable",
        };
        let line = logged.last();
        assert_eq!((&line["outcome"], &line["code"]), (&json!(outcome), &json!(code)), "{fault:?}");
        assert!(line["cause"].as_str().is_some_and(|cause| cause.starts_with("SES: ")), "{fault:?}: {line}");
        assert_eq!(line["level"], if status < 500 { "INFO" } else { "ERROR" }, "{fault:?}");
    }
    let mut app = TestApp::start_with_unreachable_dynamodb().await;
    let logged = Logged::by(&mut app);
    app.call(Call::list("")).await.assert_error(503, "service.unavailable");
    let line = logged.last();
    assert_eq!((&line["outcome"], &line["level"]), (&json!("unavailable"), &json!("ERROR")));
    assert!(line["cause"].as_str().is_some_and(|cause| cause.starts_with("DynamoDB: ")), "{line}");
}

#[tokio::test]
async fn a_bulk_create_is_one_line_that_counts_its_items_and_has_the_gravest_of_their_outcomes() {
    let mut app = TestApp::start_with(&[("MAIL_RATE_PER_SECOND", "1000")]).await;
    let logged = Logged::by(&mut app);
    let items = json!([body("a@example.com"), body_with_mail("b@example.com"), body("A@example.com"), 5]);
    let call = Call::bulk(&json!({ "invitations": items }));
    app.call(call.clone()).await;
    let line = logged.last();
    assert_is_embedded_metrics(&line);
    assert_eq!((&line["operation"], &line["outcome"], &line["level"]), (&json!("bulk"), &json!("ok"), &json!("INFO")));
    assert_eq!((&line["results"], &line["status"]), (&json!({ "ok": 2, "refused": 2 }), &json!(200)));
    assert_eq!(line["invitationId"], Value::Null, "of several");
    app.stack.ses.fail_next(SesFault::MessageRejected);
    let items = json!([body_with_mail("c@example.com"), body("d@example.com"), body("a@example.com")]);
    app.call(Call::bulk(&json!({ "invitations": items }))).await;
    let line = logged.last();
    assert_eq!((&line["outcome"], &line["cause"]), (&json!("mail_refused"), &json!("SES: MessageRejected")));
    assert_eq!(line["results"], json!({ "mail_refused": 1, "ok": 1, "refused": 1 }));
    assert!(!logged.text().contains('@'), "{}", logged.text());
    app.call(Call::bulk(&json!({}))).await.assert_error(400, "guard.invalid_input");
    assert_eq!((&logged.last()["outcome"], &logged.last()["results"]), (&json!("refused"), &Value::Null));
}

#[tokio::test]
async fn a_rate_limited_recipient_has_its_own_outcome() {
    let mut app = TestApp::start_with(&[("MESSAGE_RATE_LIMIT", "1")]).await;
    let logged = Logged::by(&mut app);
    app.invite(&body_with_mail("a@example.com")).await;
    let elsewhere = with(body_with_mail("a@example.com"), json!({ "organizationId": "string" }));
    app.create_at(NOW, &elsewhere).await.assert_error(429, "request.message_rate_limited");
    assert_eq!(logged.last()["outcome"], "rate_limited");
}

/// The numbers of DynamoDB calls, SES calls and retries.
fn counts(line: &Value) -> [u64; 3] {
    ["dynamoDbCalls", "sesCalls", "retries"].map(|name| line[name].as_u64().unwrap_or_else(|| panic!("{name}: {line}")))
}

#[tokio::test]
async fn calls_of_aws_and_retries_are_counted() {
    let mut app = TestApp::start_behind_proxy(&[]).await;
    let logged = Logged::by(&mut app);
    let conflict = Intervention::CancelWith("TransactionConflict");
    for (position, (intervention, ses, expected, reason)) in [
        (None, None, [2, 1, 0], "one read, one transaction, one email"),
        (Some(("TransactWriteItems", conflict)), None, [3, 1, 1], "the function retries a conflict"),
        (Some(("TransactWriteItems", Intervention::LoseAnswer)), None, [3, 1, 1], "the SDK retries a lost response"),
        (
            Some(("BatchGetItem", Intervention::LeaveUnprocessed)),
            None,
            [3, 1, 1],
            "the function retries unprocessed keys",
        ),
        (None, Some(SesFault::TooManyRequests), [2, 2, 1], "the function retries a throttled email"),
        (None, Some(SesFault::MessageRejected), [3, 1, 0], "an invitation that is rolled back"),
    ]
    .into_iter()
    .enumerate()
    {
        if let Some((operation, intervention)) = intervention {
            app.proxy().next(operation, intervention);
        }
        if let Some(fault) = ses {
            app.stack.ses.fail_next(fault);
        }
        app.create_at(NOW, &body_with_mail(&format!("person{position}@example.com"))).await;
        let line = logged.last();
        assert_eq!(counts(&line), expected, "{reason}");
        let time = |name: &str| line[name].as_f64().unwrap();
        let (dynamodb, ses) = (time("dynamoDbDuration"), time("sesDuration"));
        assert!(dynamodb > 0.0 && ses > 0.0 && dynamodb + ses <= time("duration"), "{reason}: {line}");
    }
}

#[tokio::test]
async fn a_message_that_ses_may_have_accepted_has_its_own_outcome_with_the_cause_and_the_time() {
    let mut app = TestApp::start().await.with_time_limits();
    let logged = Logged::by(&mut app);
    app.stack.ses.fail_next(SesFault::Silence { accepts: false });
    let created = app.call_within(ses_faults::SHORT, Call::create(&body_with_mail("a@example.com"))).await;
    assert_eq!(created.status, 201, "{created:?}");
    let line = logged.last();
    let told = ["outcome", "level", "cause", "status", "code"].map(|name| line[name].clone());
    let expected = [json!("mail_unknown"), json!("WARN"), json!("SES: no response in time"), json!(201), json!(null)];
    assert_eq!(told, expected, "{line}");
    assert_eq!(counts(&line)[1], 1);
    assert!(line["SesDuration"].as_f64().is_some_and(|millis| millis >= 1000.0), "{line}");
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_requests_count_their_own_calls() {
    let mut app = TestApp::start().await;
    let logged = Logged::by(&mut app);
    let app = Arc::new(app);
    let creates = (0..50).map(|n| Call::create(&body_with_mail(&format!("person{n}@example.com"))));
    let others = (0..50).flat_map(|_| [Call::list(""), Call::new("PUT", "")]);
    let calls = creates.chain(others).map(|call| (NOW, call)).collect();
    app.call_all_at_once(calls).await;
    let lines = logged.lines();
    assert_eq!(lines.len(), 150);
    for line in &lines {
        let expected = match line["operation"].as_str().unwrap() {
            "create" => [2, 1, 0],
            "list" => [1, 0, 0],
            _ => [0, 0, 0],
        };
        assert_eq!(counts(line), expected, "{line}");
        assert_eq!(line["invitationId"].is_string(), line["operation"] == "create", "{line}");
    }
    assert_eq!(lines.iter().filter(|line| line["coldStart"] == true).count(), 1, "exactly one request is a cold start");
}

#[tokio::test]
async fn only_the_first_request_of_a_process_is_a_cold_start_and_has_the_version() {
    let mut app = TestApp::start().await;
    let logged = Logged::by(&mut app);
    for _ in 0..3 {
        app.call(Call::list("")).await;
    }
    let lines = logged.lines();
    let told: Vec<_> = lines.iter().map(|line| (line["coldStart"].clone(), line["version"].clone())).collect();
    let version = json!(env!("CARGO_PKG_VERSION"));
    assert_eq!(told, [(json!(true), version), (json!(false), json!(null)), (json!(false), json!(null))]);
}

#[tokio::test]
async fn the_trace_id_is_the_one_of_the_invocation() {
    let mut app = TestApp::start().await;
    let logged = Logged::by(&mut app);
    for (header, told) in [
        (
            Some("Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700;Parent=9a9197af755a6419;Sampled=1"),
            json!("1-5bef4de7-ad49b0e87f6ef6c87fc2e700"),
        ),
        (Some("Parent=9a9197af755a6419"), json!(null)),
        (None, json!(null)),
    ] {
        let mut context = Context::default();
        context.xray_trace_id = header.map(str::to_owned);
        context.deadline = u64::MAX;
        let event = serde_json::value::to_raw_value(&Call::list("").event()).unwrap();
        trigger::handle(&app.app, LambdaEvent::new(event, context)).await.unwrap();
        assert_eq!(logged.last()["traceId"], told, "{header:?}");
    }
}

#[tokio::test]
async fn a_log_that_cannot_be_written_fails_no_request() {
    struct Broken;
    impl Write for Broken {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::BrokenPipe.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let mut app = TestApp::start().await;
    app.app.log = Log::metrics("f".to_owned(), Broken);
    assert_eq!(app.create_at(NOW, &body("a@example.com")).await.status, 201);
}

#[tokio::test]
async fn a_fault_that_no_retry_helps_has_the_outcome_internal_with_its_cause_and_a_metric() {
    let mut app = TestApp::start().await;
    let logged = Logged::by(&mut app);
    app.put_rows([items::from_json(json!({ "pk": "TENANT#default", "sk": "ORGANIZATION#acme", "name": 5 }))]).await;
    app.create_at(NOW, &body("a@example.com")).await.assert_error(500, "service.internal");
    let line = logged.last();
    assert_eq!((&line["outcome"], &line["level"], &line["Requests"]), (&json!("internal"), &json!("ERROR"), &json!(1)));
    assert_eq!(line["cause"], "unreadable organization row: name");
}

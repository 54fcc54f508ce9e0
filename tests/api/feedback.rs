//! Mail feedback: the row that SES's events write, in any order, with duplicates, and while DynamoDB fails. An API
//! request is never handled as feedback.

use std::{sync::Arc, time::Duration};

use organization_invitations::{
    clock::RequestClock,
    domain::timestamp::Timestamp,
    feedback::{DETAIL_TYPES, SOURCE},
    http,
    local::stack::{Stack, StackOptions},
    trigger::Output,
};
use serde_json::{Value, json};
use tokio::{
    sync::{Semaphore, mpsc::UnboundedReceiver},
    task::JoinSet,
    time::{Instant, sleep},
};

use crate::{
    helpers::{Answer, Call, NOW, TestApp, body, body_with_mail},
    proxy::Intervention::{self, Disconnect, DisconnectAfter, Fail, LoseAnswer, Silence},
};

/// The invitation that the events of `events/feedback/` name.
const ID: &str = "0mjuohs00k3x9abp7q2rs";
const SORT_KEY: &str = "DELIVERY#0mjuohs00k3x9abp7q2rs";
/// The stack that these events name.
const STACK: &str = "organization-invitations";

/// An event of `events/feedback/`.
pub fn read(file: &str) -> Value {
    let path = format!("{}/events/feedback/{file}.json", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_str(&std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"))).unwrap()
}

/// Each event of `events/feedback/`, and the status that it writes, or `None` if it writes nothing.
#[rustfmt::skip]
const EVENTS: &[(&str, Option<&str>, &str)] = &[
    ("sent", Some("Sent"), "SES accepted the mail"),
    ("delayed", Some("Delayed"), "SES retries the delivery"),
    ("delivered", Some("Delivered"), "the recipient's server accepted the mail"),
    ("bounced", Some("Bounced"), "the mailbox does not exist"),
    ("mailbox-full", Some("Bounced"), "SES gave up retrying"),
    ("out-of-office", Some("Bounced"), "an automatic reply, which SES reports as a bounce"),
    ("suppressed", Some("Suppressed"), "the address is on the suppression list"),
    ("rejected", Some("Rejected"), "a virus"),
    ("rendering-failed", Some("Failed"), "a variable was missing"),
    ("complained", Some("Complained"), "the recipient reported the mail as spam"),
    ("not-spam", None, "the opposite of a complaint"),
    ("opened", None, "an event type that the rule excludes"),
    ("another-stack", None, "a mail of another stack of the account"),
    ("tenant-with-a-separator", None, "a tenant that contains the separator of keys"),
];

#[tokio::test]
async fn every_event_of_the_folder_writes_its_status_and_nothing_else() {
    let app = TestApp::start_with(&[("STACK_NAME", STACK)]).await;
    let before = app.rows().await;
    for (file, status, reason) in EVENTS {
        let output = app.trigger(&read(file)).await.unwrap();
        assert_eq!(serde_json::to_value(output).unwrap(), Value::Null, "{file}: the response is empty");
        let row = app.row("default", SORT_KEY).await;
        assert_eq!(row.as_ref().map(|row| row["status"].as_str().unwrap()), *status, "{file}: {reason}");
        assert!(!row.unwrap_or_default().to_string().contains('@'), "{file}: the row holds no address");
        app.delete_row("default", SORT_KEY).await;
        assert_eq!(app.rows().await, before, "{file}: nothing else is written");
    }
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/events/feedback");
    assert_eq!(std::fs::read_dir(folder).unwrap().count(), EVENTS.len(), "every file has a row");
}

#[tokio::test]
async fn the_row_has_the_time_to_live_of_the_invitation_and_is_in_no_index() {
    let app = TestApp::start().await;
    app.trigger(&read("bounced")).await.unwrap();
    let row = app.row("default", SORT_KEY).await.unwrap();
    let order = "1767605400123#0107019b8d1e4c3b-5d0c1f6e-7a53-4f0e-9c1d-2f6b8a4e7d10-000000#4#0001767605401456#Bounced#1#NoEmail#5.1.1";
    let expected = json!({
        "pk": "TENANT#default",
        "sk": SORT_KEY,
        "status": "Bounced",
        "permanent": true,
        "reason": "NoEmail",
        "smtpStatus": "5.1.1",
        "messageId": "0107019b8d1e4c3b-5d0c1f6e-7a53-4f0e-9c1d-2f6b8a4e7d10-000000",
        "sentAt": 1_767_605_400_123_i64,
        "updatedAt": 1_767_605_401_456_i64,
        "order": format!("000{order}"),
        "ttl": 4_102_444_800_i64,
    });
    assert_eq!(row, expected);
    app.trigger(&read("complained")).await.unwrap();
    let row = app.row("default", SORT_KEY).await.unwrap();
    assert_eq!((&row["status"], &row["reason"]), (&json!("Complained"), &json!("abuse")));
    assert_eq!(row.get("smtpStatus"), None, "an attribute that the new event lacks is removed");
}

// ---- Order and duplicates -------------------------------------------------------------------------------------------

/// An event about one of two messages, of which the second was sent later. `at` sets the seconds of the event's time.
fn about(message: usize, file: &str, at: u32) -> Value {
    let mut event = read(file);
    let detail = &mut event["detail"];
    detail["mail"]["messageId"] = ["message-b", "message-a"][message].into();
    detail["mail"]["timestamp"] = ["2026-01-05T09:30:00.123Z", "2026-01-05T09:31:00Z"][message].into();
    let part = ["delivery", "deliveryDelay", "bounce", "complaint"].into_iter().find(|part| detail[*part].is_object());
    if let Some(part) = part {
        detail[part]["timestamp"] = format!("2026-01-05T10:00:{at:02}.000Z").into();
    }
    event
}

/// The permutation of `count` elements with this number.
fn permutation(mut number: usize, count: usize) -> Vec<usize> {
    let mut rest: Vec<usize> = (0..count).collect();
    let mut chosen = Vec::new();
    for left in (1..=count).rev() {
        chosen.push(rest.remove(number % left));
        number /= left;
    }
    chosen
}

/// Events of the first and of the second message, the position of the event that determines the row, and the reason.
type Case = (&'static [(usize, &'static str, u32)], usize, &'static str);

#[rustfmt::skip]
const CASES: &[Case] = &[
    (&[(0, "sent", 0), (0, "delayed", 1), (0, "delayed", 2), (0, "delivered", 3), (0, "out-of-office", 4), (0, "bounced", 2)],
        5, "a permanent bounce outranks a delivery and an automatic reply, independent of their times"),
    (&[(0, "sent", 0), (0, "delivered", 1), (0, "complained", 2), (1, "sent", 0), (1, "delivered", 1), (1, "out-of-office", 9)],
        4, "the later message wins over a complaint about the earlier one"),
    (&[(0, "bounced", 1), (0, "suppressed", 2), (0, "complained", 3), (1, "sent", 0), (1, "delayed", 4), (1, "delayed", 5)],
        5, "within a rank, the later event wins"),
    (&[(0, "sent", 0), (0, "bounced", 3), (0, "suppressed", 3), (0, "suppressed", 2), (0, "rejected", 0), (0, "rendering-failed", 0)],
        2, "between events of the same rank and time, the winner is deterministic"),
];

#[tokio::test(flavor = "multi_thread")]
async fn the_outcome_depends_neither_on_the_order_nor_on_repetitions() {
    let app = Arc::new(TestApp::start().await);
    let at_once = Arc::new(Semaphore::new(8));
    let mut running = JoinSet::new();
    for (case, (events, stays, reason)) in CASES.iter().enumerate() {
        let events: Vec<Value> = events.iter().map(|(message, file, at)| about(*message, file, *at)).collect();
        // Every thirtieth of the 720 permutations: each event comes first and last in some, and twice in half of them.
        for number in (0..720).step_by(30).map(|number| number + case) {
            let (app, at_once, events, stays) = (Arc::clone(&app), Arc::clone(&at_once), events.clone(), *stays);
            running.spawn(async move {
                let _permit = at_once.acquire().await.unwrap();
                let id = format!("0{case}permutation{number:08}");
                let named = |position: usize| {
                    let mut event = events[position].clone();
                    event["detail"]["mail"]["tags"]["invitation"] = json!([id]);
                    event
                };
                let order = permutation(number, events.len());
                let again = order.iter().rev().filter(|position| (number >> *position) & 1 == 1);
                for position in order.iter().chain(again) {
                    app.trigger(&named(*position)).await.unwrap();
                }
                let stays = named(stays);
                (case, order, id, stays, reason)
            });
        }
    }
    let done = running.join_all().await;
    let rows = app.rows_of("default").await;
    let row = |id: &str| rows.iter().find(|row| row["sk"] == format!("DELIVERY#{id}")).cloned().unwrap();
    let mut expected = vec![None; CASES.len()];
    for (case, order, id, stays, reason) in done {
        if expected[case].is_none() {
            app.delete_row("default", &format!("DELIVERY#{id}")).await;
            app.trigger(&stays).await.unwrap();
            let alone = app.row("default", &format!("DELIVERY#{id}")).await.unwrap();
            expected[case] = Some(without_key(alone));
        }
        assert_eq!(Some(without_key(row(&id))), expected[case], "{reason}: {order:?}");
    }
}

fn without_key(mut row: Value) -> Value {
    row["sk"] = Value::Null;
    row
}

// ---- Faults of DynamoDB ---------------------------------------------------------------------------------------------

#[tokio::test]
async fn an_event_that_cannot_be_recorded_fails_and_succeeds_when_it_is_handed_over_again() {
    let faults: [(Intervention, &str); 6] = [
        (Fail(400, "ThrottlingException"), "throttled"),
        (Fail(400, "ProvisionedThroughputExceededException"), "throttled because of a hot partition"),
        (Fail(400, "ResourceNotFoundException"), "the table does not exist"),
        (Fail(400, "AccessDeniedException"), "the role lacks the permission"),
        (Fail(500, "InternalServerError"), "DynamoDB fails"),
        (Disconnect, "the connection closes"),
    ];
    let app = TestApp::start_behind_proxy(&[]).await;
    let event = read("delivered");
    for (fault, reason) in faults {
        app.proxy().always("UpdateItem", fault);
        let failure = app.trigger_within(Duration::from_secs(2), &event).await.unwrap_err();
        assert_eq!(failure.to_string(), "mail feedback not recorded", "{reason}");
        assert!(app.row("default", SORT_KEY).await.is_none(), "{reason}");
        app.proxy().stop_faults();
        app.trigger(&event).await.unwrap();
        assert_eq!(app.row("default", SORT_KEY).await.unwrap()["status"], "Delivered", "{reason}");
        app.delete_row("default", SORT_KEY).await;
    }
}

#[tokio::test]
async fn an_event_is_recorded_although_the_response_of_dynamodb_is_lost() {
    let app = TestApp::start_behind_proxy(&[]).await.with_time_limits();
    for (fault, reason) in [
        (LoseAnswer, "DynamoDB executes the update, but responds with an error"),
        (DisconnectAfter, "the connection closes before the response"),
        (Silence, "no response to the first attempt"),
        (Fail(400, "ThrottlingException"), "throttled once"),
    ] {
        app.proxy().next("UpdateItem", fault);
        app.trigger(&read("bounced")).await.unwrap();
        assert_eq!(app.row("default", SORT_KEY).await.unwrap()["status"], "Bounced", "{reason}");
        app.delete_row("default", SORT_KEY).await;
    }
}

#[tokio::test]
async fn an_event_costs_one_call_and_one_write_unit_also_when_it_comes_too_late() {
    let app = TestApp::start_behind_proxy(&[]).await;
    for (file, reason) in [("delivered", "new"), ("delivered", "again"), ("sent", "late"), ("bounced", "later")] {
        app.proxy().take_requests();
        let (_, consumed) = app.proxy().measure(app.trigger(&read(file))).await;
        let asked: Vec<_> = app.proxy().take_requests().into_iter().map(|asked| asked.operation).collect();
        assert_eq!(asked, ["UpdateItem"], "{reason}");
        // DynamoDB reports no capacity for a failed condition, but charges the same for it.
        let units = if ["again", "late"].contains(&reason) { Value::Null } else { json!(1.0) };
        assert!(consumed.iter().all(|(_, told)| told["CapacityUnits"] == units), "{reason}: {consumed:?}");
    }
}

// ---- Kinds of events ------------------------------------------------------------------------------------------------

#[tokio::test]
async fn no_request_to_the_api_is_taken_for_feedback() {
    let app = TestApp::start().await;
    let before = app.rows().await;
    let event = read("bounced");
    let text = event.to_string();
    let query: String = form_urlencoded::Serializer::new(String::new())
        .extend_pairs([("source", SOURCE), ("detail-type", "Email Bounced"), ("detail", &event["detail"].to_string())])
        .finish();
    let unknown = "/0mjuohs00k3x9abp7q2rx";
    for (method, path) in [
        ("POST", ""),
        ("GET", ""),
        ("POST", "/bulk"),
        ("POST", &format!("{unknown}/message")),
        ("PUT", "/../x"),
        ("PATCH", unknown),
    ] {
        let calls = [
            Call::new(method, path).json(&event),
            Call { is_base64: true, ..Call::new(method, path).text("application/json", &base64(&text)) },
            Call { query: query.clone(), ..Call::new(method, path).text("text/plain", &text) },
        ];
        for form in calls.iter().flat_map(|call| [call.event(), call.rest_event()]) {
            let mut requests = vec![form.clone()];
            let mut with_headers = form.clone();
            for name in ["source", "detail-type", "detail", "x-amz-source", "version", "account"] {
                with_headers["headers"][name] = event[name].to_string().into();
            }
            let mut without_authorizer = form;
            without_authorizer["requestContext"] = json!({});
            requests.extend([with_headers, without_authorizer]);
            for request in requests {
                let output = app.trigger(&request).await.unwrap();
                assert!(matches!(output, Output::Api(_)), "{request}");
                let status = Answer::from_lambda(&serde_json::to_value(&output).unwrap()).status;
                assert!((400..500).contains(&status) || method == "GET", "{status}: {request}");
            }
        }
    }
    assert_eq!(app.rows().await, before);
}

fn base64(text: &str) -> String {
    use base64::{Engine, prelude::BASE64_STANDARD};
    BASE64_STANDARD.encode(text)
}

#[tokio::test]
async fn no_event_is_taken_for_a_request_to_the_api() {
    let app = TestApp::start().await;
    let request = Call::create(&body("grace@example.com")).event();
    for detail in [request.clone(), json!({ "requestContext": request["requestContext"], "mail": {} })] {
        for detail_type in DETAIL_TYPES.into_iter().chain(["Email Opened"]) {
            let mut event = read("sent");
            event["detail"] = detail.clone();
            event["detail-type"] = detail_type.into();
            // EventBridge never adds these fields.
            for part in ["rawPath", "headers", "body", "isBase64Encoded", "routeKey"] {
                event[part] = request[part].clone();
            }
            assert!(matches!(app.trigger(&event).await, Ok(Output::Nothing)), "{event}");
        }
    }
    let rows = app.rows_of("default").await;
    assert!(!rows.iter().any(|row| row["sk"].as_str().unwrap().starts_with("INVITATION#")), "nobody was invited");
}

#[tokio::test]
async fn a_dead_letter_that_is_handed_over_with_its_wrapping_is_an_error_and_not_a_401() {
    let app = TestApp::start().await;
    let event = read("delivered");
    let record = json!({
        "version": "1.0",
        "timestamp": "2026-01-05T09:33:00.123Z",
        "requestContext": { "requestId": "e4b46cbf-b738-xmpl-8880-a18cdf61200e", "functionArn": "arn:aws:lambda:…:live",
            "condition": "RetriesExhausted", "approximateInvokeCount": 3 },
        "requestPayload": event,
        "responseContext": { "statusCode": 200, "executedVersion": "7", "functionError": "Unhandled" },
        "responsePayload": { "errorType": "…", "errorMessage": "mail feedback not recorded" },
    });
    let failure = app.trigger(&record).await.unwrap_err();
    assert_eq!(failure.to_string(), "unknown kind of event: requestPayload");
    app.trigger(&record["requestPayload"]).await.unwrap();
    assert_eq!(app.row("default", SORT_KEY).await.unwrap()["status"], "Delivered");
}

#[tokio::test]
async fn feedback_reaches_the_tenant_that_its_mail_names_and_no_other() {
    let app = TestApp::start().await;
    let id = app.invite(&body("grace@example.com")).await;
    let mut event = read("bounced");
    event["detail"]["mail"]["tags"]["invitation"] = json!([id]);
    event["detail"]["mail"]["tags"]["tenant"] = json!(["other"]);
    app.trigger(&event).await.unwrap();
    let include = Call { query: "include=delivery".to_owned(), ..Call::get(&id) };
    assert_eq!(
        app.call(include.clone()).await.json()["delivery"],
        Value::Null,
        "feedback of another tenant is not shown"
    );
    app.call(include.clone().by("other")).await.assert_error(404, "entity.not_found");
    event["detail"]["mail"]["tags"]["tenant"] = json!(["default"]);
    app.trigger(&event).await.unwrap();
    assert_eq!(app.call(include.clone()).await.json()["delivery"]["status"], "Bounced");
    app.call(include.by("other")).await.assert_error(404, "entity.not_found");
    assert_eq!(app.call(Call::list("page_size=100&include=delivery").by("other")).await.text, "[]");
}

// ---- The rule in the template ---------------------------------------------------------------------------------------

/// The pattern of the rule for a stack of this name.
fn pattern(stack: &str) -> Value {
    let text = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/template.yaml")).unwrap();
    let template: serde_yaml_ng::Value = serde_yaml_ng::from_str(&text).unwrap();
    let pattern = &template["Resources"]["MailFeedbackRule"]["Properties"]["EventPattern"];
    serde_json::from_str(&without_tags(pattern, stack).to_string()).unwrap()
}

/// The pattern with its references resolved. All of them refer to the stack's name.
fn without_tags(value: &serde_yaml_ng::Value, stack: &str) -> Value {
    use serde_yaml_ng::Value as Yaml;
    match value {
        Yaml::Mapping(fields) => {
            fields.iter().map(|(name, value)| (name.as_str().unwrap().to_owned(), without_tags(value, stack))).collect()
        }
        Yaml::Sequence(values) => values.iter().map(|value| without_tags(value, stack)).collect(),
        Yaml::Tagged(reference) => {
            assert_eq!((reference.tag.to_string().as_str(), &reference.value), ("!Ref", &"AWS::StackName".into()));
            stack.into()
        }
        text => text.as_str().unwrap().into(),
    }
}

/// Matches like `EventBridge`, as far as the pattern needs it: a list of texts matches a value in the list, and a list
/// with an element in it ("Amazon `EventBridge` event patterns", user guide).
fn matches(pattern: &Value, event: &Value) -> bool {
    match pattern {
        Value::Object(fields) => fields.iter().all(|(name, pattern)| matches(pattern, &event[name])),
        Value::Array(allowed) => match event {
            Value::Array(values) => values.iter().any(|value| allowed.contains(value)),
            value => allowed.contains(value),
        },
        other => panic!("{other}: not part of a pattern"),
    }
}

#[test]
fn the_rule_lets_through_the_kinds_that_the_function_knows_of_its_own_stack() {
    let pattern = pattern(STACK);
    assert_eq!(pattern["source"], json!([SOURCE]));
    let mut types: Vec<_> =
        pattern["detail-type"].as_array().unwrap().iter().map(|name| name.as_str().unwrap()).collect();
    let mut known = DETAIL_TYPES;
    types.sort_unstable();
    known.sort_unstable();
    assert_eq!(types, known);
    for (file, _, reason) in EVENTS {
        let passes = !["opened", "another-stack"].contains(file);
        assert_eq!(matches(&pattern, &read(file)), passes, "{file}: {reason}");
    }
    let mut request = Call::create(&read("sent")).event();
    assert!(!matches(&pattern, &request));
    request["source"] = SOURCE.into();
    assert!(!matches(&pattern, &request), "the source alone does not match");
}

// ---- The SES stand-in -----------------------------------------------------------------------------------------------

/// The events that the stand-in has published since the last call.
fn published(events: &mut UnboundedReceiver<Value>) -> Vec<Value> {
    std::iter::from_fn(|| events.try_recv().ok()).collect()
}

#[tokio::test]
async fn the_stand_in_publishes_what_ses_would_for_the_addresses_of_its_simulator() {
    let app = TestApp::start_with(&[("STACK_NAME", STACK)]).await;
    let mut events = app.stack.ses.events();
    for (recipient, kinds, status, reason) in [
        ("success@simulator.amazonses.com", &["Sent", "Delivered"][..], "Delivered", None),
        ("bounce@simulator.amazonses.com", &["Sent", "Bounced"], "Bounced", Some("General")),
        ("bounce+label@simulator.amazonses.com", &["Sent", "Bounced"], "Bounced", Some("General")),
        ("ooto@simulator.amazonses.com", &["Sent", "Delivered", "Bounced"], "Delivered", None),
        (
            "complaint@simulator.amazonses.com",
            &["Sent", "Delivered", "Complaint Received"],
            "Complained",
            Some("abuse"),
        ),
        ("suppressionlist@simulator.amazonses.com", &["Sent", "Bounced"], "Suppressed", Some("Suppressed")),
        ("bounce@example.com", &["Sent", "Delivered"], "Delivered", None),
    ] {
        let id = app.invite(&body_with_mail(recipient)).await;
        let published = published(&mut events);
        let names: Vec<_> = published.iter().map(|event| event["detail-type"].as_str().unwrap()).collect();
        assert_eq!(names, kinds.iter().map(|kind| format!("Email {kind}")).collect::<Vec<_>>(), "{recipient}");
        for event in &published {
            assert!(matches(&pattern(STACK), event), "{event}");
            app.trigger(event).await.unwrap();
        }
        let include = Call { query: "include=delivery".to_owned(), ..Call::get(&id) };
        let delivery = app.call(include).await.json()["delivery"].clone();
        assert_eq!((&delivery["status"], &delivery["reason"]), (&json!(status), &json!(reason)), "{recipient}");
        assert_eq!(delivery["messageId"], app.mails()[0].id, "{recipient}");
        assert_eq!(delivery["sentAt"], json!(app.mails()[0].at), "{recipient}");
    }
}

#[tokio::test]
async fn the_development_server_shows_the_delivery_of_a_mail() {
    let mut stack = Stack::start(StackOptions::default()).await.unwrap();
    let app = Arc::new(stack.app(|_| None).await.unwrap());
    stack.deliver_feedback(Arc::clone(&app), Arc::default());
    let call = async |call: Call| {
        let answer =
            http::handle(&app, &call.event().to_string(), RequestClock::with_budget(Duration::from_secs(20))).await;
        Answer::from_lambda(&serde_json::to_value(answer).unwrap())
    };
    for (mailbox, status, permanent) in
        [("success", "Delivered", false), ("bounce", "Bounced", true), ("complaint", "Complained", false)]
    {
        let created = call(Call::create(&body_with_mail(&format!("{mailbox}@simulator.amazonses.com")))).await;
        assert_eq!(created.status, 201, "{created:?}");
        let id = created.json()["id"].as_str().unwrap().to_owned();
        let started = Instant::now();
        loop {
            let include = Call { query: "include=delivery".to_owned(), ..Call::get(&id) };
            let delivery = call(include).await.json()["delivery"].clone();
            if delivery["status"] == status {
                assert_eq!(delivery["permanent"], permanent, "{mailbox}");
                break;
            }
            assert!(started.elapsed() < Duration::from_secs(5), "{mailbox}: {delivery}");
            sleep(Duration::from_millis(20)).await;
        }
        println!("{mailbox}: {:?}", started.elapsed());
    }
    drop(app);
    stack.stop().await;
}

#[tokio::test]
async fn feedback_about_a_deleted_or_expired_invitation_is_harmless() {
    let app = TestApp::start().await;
    let id = app.invite(&body("grace@example.com")).await;
    let mut event = read("delivered");
    event["detail"]["mail"]["tags"]["invitation"] = json!([id]);
    app.trigger(&event).await.unwrap();
    assert_eq!(app.call(Call::delete(&id)).await.status, 204);
    app.trigger(&event).await.unwrap();
    let include = Call { query: "include=delivery".to_owned(), ..Call::get(&id) };
    app.call(include).await.assert_error(404, "entity.not_found");
    assert_eq!(
        app.invite_at(NOW + 1, &body("grace@example.com")).await.len(),
        ID.len(),
        "the invitee can be invited again"
    );
    // The invitation's time to live has passed, so that DynamoDB may delete its row at any time.
    let past = Timestamp::now().as_millis() / 1000 - 1;
    event["detail"]["mail"]["tags"]["invitation"] = json!([ID]);
    event["detail"]["mail"]["tags"]["ttl"] = json!([past.to_string()]);
    app.trigger(&event).await.unwrap();
    assert!(app.row("default", SORT_KEY).await.is_none(), "no row is written for an expired time to live");
}

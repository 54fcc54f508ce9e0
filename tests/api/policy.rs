//! The function's permissions, compared with its requests: a run through all operations and failures records every
//! request, and the tests compare them with the role in `template.yaml` and the policy in `docs/tenant-isolation.md`.

use std::{collections::BTreeSet, time::Duration};

use organization_invitations::{
    app::App,
    domain::directory::{EmailConnector, EmailTemplate},
    http::{caller::Caller, event::Event},
    local::{ses::SesFault, stack},
};
use serde_json::{Value, json};
use serde_yaml_ng::Value as Yaml;
use tokio::time::timeout;

use crate::{
    common::{
        events,
        operation::{INVITEE, Operation, TOKEN},
        rows::set_token,
    },
    feedback,
    helpers::{Answer, Call, FAR_FUTURE, NOW, TestApp, body, connector, inline, with},
    proxy::{Proxy, RecordedRequest},
};

/// An action on a resource: `table`, `table/index/byInvitee`, `identity/*`.
type Permission = (String, String);

/// The function, and its requests to AWS.
struct Observed {
    app: TestApp,
    dynamodb: Proxy,
    ses: Proxy,
    /// Each request, and the tenant of the caller.
    asked: Vec<(String, RecordedRequest)>,
}

impl Observed {
    async fn start() -> Self {
        let mut app = TestApp::start_with(&[("MESSAGE_RATE_LIMIT", "2")]).await;
        app.stack.ses.put_template("greeting", "Join", "<p>Join</p>", "Join");
        app.set_connector(&connector_of_both_kinds()).await;
        let (dynamodb, ses) = (Proxy::start(&app.stack.dynamodb_url).await, Proxy::start(&app.stack.ses_url).await);
        app.app = App::new(app.app.config.clone(), &stack::sdk_config(dynamodb.url(), ses.url())).unwrap();
        Self { app, dynamodb, ses, asked: Vec::new() }
    }

    /// Hands an event to the function, and records its requests.
    async fn invoke(&mut self, event: &str) -> Answer {
        let answer = self.app.invoke_at(NOW, event).await;
        self.record(event);
        answer
    }

    /// Records the requests that `event` caused.
    fn record(&mut self, event: &str) {
        let caller = Caller::of(&Event::read(event), &self.app.app.config);
        let asked = self.dynamodb.take_requests().into_iter().chain(self.ses.take_requests());
        for asked in asked.filter(|asked| !asked.is_empty()) {
            let caller = caller.as_ref().expect("only an admitted caller causes requests");
            self.asked.push((caller.tenant.to_string(), asked));
        }
    }

    /// Hands feedback about a mail of the tenant `default` to the function, and records its requests.
    async fn invoke_with_feedback(&mut self, file: &str) {
        self.app.trigger(&feedback::read(file)).await.unwrap();
        let asked = self.dynamodb.take_requests().into_iter().chain(self.ses.take_requests());
        self.asked.extend(asked.map(|asked| ("default".to_owned(), asked)));
    }

    async fn call(&mut self, status: u16, call: Call) -> Value {
        let answer = self.invoke(&call.event().to_string()).await;
        assert_eq!(answer.status, status, "{} {}: {answer:?}", call.method, call.path);
        serde_json::from_str(&answer.text).unwrap_or_default()
    }

    async fn invite(&mut self, body: &Value) -> String {
        self.call(201, Call::create(body)).await["id"].as_str().unwrap().to_owned()
    }

    /// Runs every operation, and every case with different AWS calls.
    async fn run(mut self) -> Vec<(String, RecordedRequest)> {
        for operation in Operation::ALL {
            let id = self.invite(&body(INVITEE)).await;
            set_token(&self.app.client(), self.app.table(), &id, TOKEN).await;
            self.call(operation.success(), operation.call(&id)).await;
            self.app.delete_all_but_directory().await;
        }
        let mail = |invitee: &str, payload: Value| with(body(invitee), json!({ "messagePayload": payload }));
        let id = self.invite(&body(INVITEE)).await;
        self.call(422, Call::create(&body("ada@example.com"))).await;
        for query in ["", "page_size=1", "organizationId=acme", "inviterId=ada", "invitee=ada@example.com"] {
            self.call(200, Call::list(query)).await;
        }
        self.call(200, Call::get(&id)).await;
        let include = |call, query: &str| Call { query: query.to_owned(), ..call };
        self.call(200, include(Call::get(&id), "include=delivery")).await;
        self.call(200, Call::list("page_size=1&include=delivery")).await;
        self.invoke_with_feedback("delivered").await;
        let change = json!({ "expiresAt": FAR_FUTURE + 1, "organizationRoleIds": ["admin"] });
        self.call(200, Call::change(&id, &change)).await;
        self.call(204, Call::message(&id, &json!({}))).await;
        self.call(204, Call::message(&id, &json!({ "locale": "x-stored" }))).await;
        self.call(429, Call::message(&id, &json!({}))).await;
        self.call(200, Call::accept(&id, "ada")).await;
        self.call(204, Call::delete(&id)).await;
        let id = self.invite(&mail("bob@example.com", json!({ "locale": "x-stored" }))).await;
        self.call(200, Call::revoke(&id)).await;
        self.call(422, Call::create(&with(mail("eve@example.com", json!({})), json!({ "organizationId": "none" }))))
            .await;
        for fault in [SesFault::MessageRejected, SesFault::ServiceUnavailable] {
            self.app.stack.ses.fail_next(fault);
            let status = if matches!(fault, SesFault::MessageRejected) { 400 } else { 503 };
            self.call(status, Call::create(&mail("eve@example.com", json!({})))).await;
        }
        let id = self.invite(&mail("eve@example.com", json!({}))).await;
        self.app.stack.ses.fail_next(SesFault::MessageRejected);
        self.call(400, Call::message(&id, &json!({}))).await;
        for (key, invitee) in [("a", "kim@example.com"), ("a", "kim@example.com"), ("a", "lee@example.com")] {
            self.invoke(&with_key(key, &mail(invitee, json!({})))).await;
        }
        self.app.stack.ses.fail_next(SesFault::ServiceUnavailable);
        self.invoke(&with_key("b", &mail("sam@example.com", json!({})))).await;
        self.create_across_a_crash(&with_key("c", &mail("max@example.com", json!({})))).await;
        self.replay_events().await;
        self.asked
    }

    /// The process dies before the mail is sent, and the caller retries an hour later.
    async fn create_across_a_crash(&mut self, event: &str) {
        self.app.stack.ses.fail_next(SesFault::Silence { accepts: false });
        let dies = timeout(Duration::from_millis(500), self.app.invoke_at(NOW, event)).await;
        assert!(dies.is_err(), "the attempt was still waiting for SES");
        self.app.invoke_at(NOW + 3_600_000, event).await;
        self.record(event);
    }

    /// Replays `events/`, which has every kind of API, authorizer, body and failure.
    async fn replay_events(&mut self) {
        for (_, event) in events::all() {
            self.invoke(&event).await;
        }
    }
}

/// A create with an idempotency key.
fn with_key(key: &str, body: &Value) -> String {
    let mut event = Call::create(body).event();
    event["headers"]["idempotency-key"] = key.into();
    event.to_string()
}

/// A connector with a configuration set, and with an inline and a stored template.
fn connector_of_both_kinds() -> EmailConnector {
    let greeting = EmailTemplate::Stored { name: "greeting".to_owned(), variables: Vec::new(), escape_html: true };
    let english = inline("Join", "<p>Join</p>", "Join");
    EmailConnector {
        configuration_set_name: Some("invitations".to_owned()),
        templates: [("en".to_owned(), english), ("x-stored".to_owned(), greeting)].into(),
        ..connector()
    }
}

/// The permissions that a request needs (service authorization reference: Amazon DynamoDB, Amazon SES v2).
fn permissions(asked: &RecordedRequest) -> BTreeSet<Permission> {
    let request = asked.body();
    let on_table = |action: &str| (format!("dynamodb:{action}"), "table".to_owned());
    match asked.operation.as_str() {
        "/v2/email/outbound-emails" => {
            let is_stored = request["Content"]["Template"].is_object();
            let action = if is_stored { "ses:SendTemplatedEmail" } else { "ses:SendEmail" };
            let resources = [
                (true, "identity/*"),
                (request["ConfigurationSetName"].is_string(), "configuration-set/*"),
                (is_stored, "template/*"),
            ];
            let used = resources.into_iter().filter(|(is_used, _)| *is_used);
            used.map(|(_, resource)| (action.to_owned(), resource.to_owned())).collect()
        }
        // A transaction has no action of its own: IAM checks each of its parts.
        "TransactWriteItems" => parts(&request).map(|(part, _)| on_table(action_of(part))).collect(),
        "Query" => {
            let (action, table) = on_table("Query");
            let index = request["IndexName"].as_str();
            let resource = index.map_or(table.clone(), |index| format!("{table}/index/{index}"));
            [(action, resource)].into()
        }
        operation => [on_table(operation)].into(),
    }
}

/// The parts of a transaction, each with its kind.
fn parts(request: &Value) -> impl Iterator<Item = (&str, &Value)> {
    let parts = request["TransactItems"].as_array().unwrap().iter().flat_map(|part| part.as_object().unwrap());
    parts.map(|(kind, part)| (kind.as_str(), part))
}

fn action_of(part: &str) -> &'static str {
    match part {
        "ConditionCheck" => "ConditionCheckItem",
        "Delete" => "DeleteItem",
        "Put" => "PutItem",
        "Update" => "UpdateItem",
        other => panic!("{other} is no part of a transaction"),
    }
}

/// A statement of the role: its actions, and its resources.
struct Statement {
    actions: BTreeSet<String>,
    resources: BTreeSet<String>,
}

impl Statement {
    fn grants(&self, (action, resource): &Permission) -> bool {
        self.actions.contains(action) && self.resources.contains(resource)
    }
}

/// The statements of the function's role in the template for the services that the function itself calls.
fn statements() -> Vec<Statement> {
    let text = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/template.yaml")).unwrap();
    let template: Yaml = serde_yaml_ng::from_str(&text).unwrap();
    let role = &template["Resources"]["OrganizationInvitationsRole"]["Properties"];
    let policies = role["Policies"].as_sequence().unwrap().iter();
    let statements = policies.flat_map(|policy| policy["PolicyDocument"]["Statement"].as_sequence().unwrap());
    // A conditional statement is the second element of an `!If`.
    let statements = statements.map(|statement| match statement {
        Yaml::Tagged(tagged) => &tagged.value.as_sequence().unwrap()[1],
        statement => statement,
    });
    let statements = statements.map(|statement| {
        assert_eq!(statement["Effect"], "Allow");
        Statement { actions: texts(&statement["Action"]), resources: texts(&statement["Resource"]) }
    });
    let is_ours = |action: &String| action.starts_with("dynamodb:") || action.starts_with("ses:");
    let (ours, others): (Vec<_>, Vec<_>) = statements.partition(|statement| statement.actions.iter().all(is_ours));
    for action in others.iter().flat_map(|statement| &statement.actions) {
        // Lambda itself writes logs and traces, and sends discarded events to the dead-letter queue.
        let is_of_lambda = ["logs", "sqs", "xray"].contains(&action.split(':').next().unwrap());
        assert!(is_of_lambda, "{action}: unused permission");
    }
    ours
}

/// One text, or a list of them.
fn texts(value: &Yaml) -> BTreeSet<String> {
    match value {
        Yaml::Sequence(values) => values.iter().map(name).collect(),
        one => [name(one)].into(),
    }
}

/// An action, or the name of a resource in these tests, independent of how the template composes its ARN.
fn name(value: &Yaml) -> String {
    let value = match value {
        // An external table replaces the stack's own.
        Yaml::Tagged(tagged) if tagged.tag == "If" => return name(tagged.value.as_sequence().unwrap().last().unwrap()),
        Yaml::Tagged(tagged) => &tagged.value,
        value => value,
    };
    let text = value.as_sequence().map_or(value, |parts| &parts[0]).as_str().unwrap();
    let of = |service: &str| format!("arn:${{AWS::Partition}}:{service}:${{AWS::Region}}:${{AWS::AccountId}}:");
    let text = text.replace(&of("dynamodb"), "").replace(&of("ses"), "");
    ["table/${TableName}", "${InvitationsTable.Arn}", "InvitationsTable.Arn"]
        .iter()
        .fold(text, |text, arn| text.replace(arn, "table"))
}

#[tokio::test]
async fn the_role_allows_exactly_the_functions_calls() {
    let asked = Observed::start().await.run().await;
    let needed: BTreeSet<Permission> = asked.iter().flat_map(|(_, asked)| permissions(asked)).collect();
    let statements = statements();
    let granted = |permission: &&Permission| statements.iter().any(|statement| statement.grants(permission));
    let missing: Vec<_> = needed.iter().filter(|permission| !granted(permission)).collect();
    assert!(missing.is_empty(), "missing in template.yaml: {missing:?}");
    for statement in &statements {
        let used: Vec<_> = needed.iter().filter(|permission| statement.grants(permission)).collect();
        let used_actions: BTreeSet<_> = used.iter().map(|(action, _)| action.clone()).collect();
        let used_resources: BTreeSet<_> = used.iter().map(|(_, resource)| resource.clone()).collect();
        assert_eq!(
            statement.actions, used_actions,
            "actions in template.yaml (left), and those that the function uses"
        );
        assert_eq!(
            statement.resources, used_resources,
            "resources in template.yaml (left), and those that the function uses"
        );
    }
}

/// The partition keys of a request to DynamoDB: those that IAM checks as `dynamodb:LeadingKeys`, and the index keys of
/// written items.
fn partition_keys(asked: &RecordedRequest) -> Vec<String> {
    const KEYS: [&str; 4] = ["pk", "organizationKey", "inviteeKey", "inviterKey"];
    let request = asked.body();
    let of_row = |row: &Value| KEYS.iter().filter_map(|key| row[*key]["S"].as_str().map(str::to_owned)).collect();
    let of_part =
        |part: &Value| -> Vec<String> { of_row(if part["Item"].is_object() { &part["Item"] } else { &part["Key"] }) };
    match asked.operation.as_str() {
        "TransactWriteItems" => parts(&request).flat_map(|(_, part)| of_part(part)).collect(),
        "BatchGetItem" => {
            let tables = request["RequestItems"].as_object().unwrap().values();
            tables.flat_map(|table| table["Keys"].as_array().unwrap()).flat_map(of_row).collect()
        }
        "Query" => {
            let condition = request["KeyConditionExpression"].as_str().unwrap();
            let placeholder = condition.split(" = ").nth(1).unwrap().split(' ').next().unwrap();
            vec![request["ExpressionAttributeValues"][placeholder]["S"].as_str().unwrap().to_owned()]
        }
        _ => of_part(&request),
    }
}

/// The policy that `docs/tenant-isolation.md` recommends.
fn fence() -> Value {
    let text = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/tenant-isolation.md")).unwrap();
    let (_, policy) = text.split_once("```json\n").unwrap();
    serde_json::from_str(policy.split_once("```").unwrap().0).unwrap()
}

/// IAM's `StringLike`, as far as the policy uses it: a star at the end matches any text.
fn is_like(text: &str, pattern: &str) -> bool {
    pattern.strip_suffix('*').map_or(text == pattern, |start| text.starts_with(start))
}

#[tokio::test]
async fn the_recommended_policy_allows_every_request_for_its_tenant_and_none_for_another() {
    let fence = fence();
    let [statement] = &fence["Statement"].as_array().unwrap()[..] else { panic!("{fence}") };
    let patterns = statement["Condition"]["ForAllValues:StringLike"]["dynamodb:LeadingKeys"].as_array().unwrap();
    let lets_through = |tenant: &str, key: &str| {
        let patterns = patterns.iter().map(|pattern| pattern.as_str().unwrap());
        patterns
            .map(|pattern| pattern.replace("${aws:PrincipalTag/tenant}", tenant))
            .any(|pattern| is_like(key, &pattern))
    };
    let asked = Observed::start().await.run().await;
    let mut tenants = BTreeSet::new();
    for (tenant, asked) in asked.iter().filter(|(_, asked)| !asked.operation.starts_with('/')) {
        let keys = partition_keys(asked);
        assert!(!keys.is_empty(), "{asked:?}");
        for key in keys {
            assert!(lets_through(tenant, &key), "{tenant}: {key} in {asked:?}");
            // Names with a common prefix or suffix are other tenants as well.
            for other in ["other", &tenant[1..], &tenant[..tenant.len() - 1], &format!("{tenant}x")] {
                assert!(!lets_through(other, &key), "{other}: {key} in {asked:?}");
            }
        }
        tenants.insert(tenant.as_str());
    }
    assert!(tenants.len() > 1, "the requests are of several tenants: {tenants:?}");
    let table = "arn:aws:dynamodb:eu-central-1:123456789012:table/organization-invitations";
    assert_eq!(statement["Resource"], json!([table, format!("{table}/index/*")]));
    let of_role = statements().into_iter().flat_map(|statement| statement.actions);
    let of_role: BTreeSet<_> = of_role.filter(|action| action.starts_with("dynamodb:")).collect();
    let fenced: BTreeSet<_> =
        statement["Action"].as_array().unwrap().iter().map(|action| action.as_str().unwrap().to_owned()).collect();
    assert_eq!(fenced, of_role, "the recommended policy (left), and the role in template.yaml");
}

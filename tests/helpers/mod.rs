//! Helpers of the test targets that run the function in the test's process: they start it with its own emulator, SES
//! stand-in and demo directory, and can put proxies between them.

pub mod bulk;
pub mod changes;
mod connector;
#[cfg(feature = "cli")]
pub mod directory;
mod emulator;
pub mod invariant;
pub mod log;
pub mod proxy;
pub mod relay;
pub mod rows;
pub mod ses_faults;

use std::{sync::Arc, time::Duration};

use aws_sdk_dynamodb::{Client, types::AttributeValue};
use aws_types::{SdkConfig, sdk_config::Builder};
use lambda_runtime::{Context, LambdaEvent};
use organization_invitations::{
    app::{App, time_limits},
    clock::RequestClock,
    domain::{
        directory::{EmailConnector, Organization, OrganizationRole, User},
        ids::{DirectoryId, TenantId},
        timestamp::Timestamp,
    },
    http,
    local::{
        ses::Mail,
        stack::{self, Stack, StackOptions},
    },
    store::{Item, items},
    trigger::{self, InvocationError, Output},
};
use serde_json::{Map, Value, value::to_raw_value};
use tokio::{sync::Barrier, task::JoinSet};

pub use self::connector::{connector, connector_with, inline};
use self::{emulator::Emulator, proxy::Proxy, relay::Relay};
use crate::common::operation::TOKEN;
pub use crate::common::{
    answer::Answer,
    body::{FAR_FUTURE, body, body_with_mail, with},
    call::{Call, create_event},
};

/// The time of tests that set the clock: 2026-01-01T00:00:00Z, in milliseconds.
pub const NOW: i64 = 1_767_225_600_000;

/// More time than any test needs for a response.
pub const BUDGET: Duration = Duration::from_secs(20);

/// The function and the services that it calls.
pub struct TestApp {
    pub app: App,
    pub stack: Stack,
    /// The SDK configuration of the function's clients.
    sdk: SdkConfig,
    proxy: Option<Proxy>,
    /// The endpoints that replace the stack's own emulator and stand-in, if any.
    emulator: Option<Emulator>,
}

impl TestApp {
    /// Starts with the default settings, except that the directory cache is off, since tests change the directory, and
    /// that the self-service routes are on.
    pub async fn start() -> Self {
        Self::start_with(&[]).await
    }

    /// Starts with these settings in addition.
    pub async fn start_with(settings: &[(&str, &str)]) -> Self {
        Self::start_on(StackOptions::default(), settings).await
    }

    /// Starts with these settings in addition, and with a stream of the table.
    pub async fn start_with_stream(settings: &[(&str, &str)]) -> Self {
        Self::start_on(StackOptions { has_stream: true, ..StackOptions::default() }, settings).await
    }

    async fn start_on(options: StackOptions, settings: &[(&str, &str)]) -> Self {
        let mut stack = Stack::start(options).await.unwrap();
        let emulator = Emulator::from_env();
        if let Some(emulator) = &emulator {
            (stack.dynamodb_url, stack.ses_url) = (emulator.url.clone(), emulator.url.clone());
            stack.sdk = emulator.sign_in(stack::sdk_config(&emulator.url, &emulator.url));
        }
        let app = stack.app(lookup(settings)).await.unwrap();
        if let Some(emulator) = &emulator {
            emulator.prepare(&stack.sdk, &app.config.table_name).await;
        }
        let sdk = stack.sdk.clone();
        Self { app, stack, sdk, proxy: None, emulator }.with_reference_ids().await
    }

    /// Starts with a proxy in front of DynamoDB that can inject faults.
    pub async fn start_behind_proxy(settings: &[(&str, &str)]) -> Self {
        let mut app = Self::start_with(settings).await;
        let proxy = Proxy::start(&app.stack.dynamodb_url).await;
        app.sdk = app.sdk_config(proxy.url(), &app.stack.ses_url);
        app.proxy = Some(proxy);
        app.rebuilt()
    }

    /// Starts with this endpoint for DynamoDB.
    pub async fn start_behind(url: &str) -> Self {
        let mut app = Self::start().await;
        app.sdk = app.sdk_config(url, &app.stack.ses_url);
        app.rebuilt()
    }

    /// Starts with a DynamoDB endpoint that refuses connections.
    pub async fn start_with_unreachable_dynamodb() -> Self {
        Self::start_behind(&refusing_url().await).await
    }

    /// Starts with an SES endpoint that refuses connections.
    pub async fn start_with_unreachable_ses() -> Self {
        let mut app = Self::start().await;
        app.sdk = app.sdk_config(&app.stack.dynamodb_url, &refusing_url().await);
        app.rebuilt()
    }

    /// Starts with a relay in front of SES that can kill connections.
    pub async fn start_behind_relay(settings: &[(&str, &str)]) -> (Self, Relay) {
        let app = Self::start_with(settings).await;
        let relay = Relay::start(&app.stack.ses_url).await;
        (app.behind_ses_proxy(relay.url()), relay)
    }

    /// Replaces the endpoint for SES.
    pub fn behind_ses_proxy(mut self, url: &str) -> Self {
        self.sdk = self.sdk_config(&self.stack.dynamodb_url, url);
        self.rebuilt()
    }

    /// Applies the time limits of a deployed function. Most tests have longer ones, because the machine may be busy.
    pub fn with_time_limits(self) -> Self {
        self.with_sdk(|sdk| sdk.timeout_config(time_limits()))
    }

    /// Changes the settings of the SDK.
    pub fn with_sdk(mut self, change: impl FnOnce(Builder) -> Builder) -> Self {
        self.sdk = change(self.sdk.into_builder()).build();
        self.rebuilt()
    }

    /// The SDK configuration with these endpoints for DynamoDB and SES.
    fn sdk_config(&self, dynamodb_url: &str, ses_url: &str) -> SdkConfig {
        let sdk = stack::sdk_config(dynamodb_url, ses_url);
        match &self.emulator {
            Some(emulator) => emulator.sign_in(sdk),
            None => sdk,
        }
    }

    /// Builds the clients again.
    fn rebuilt(mut self) -> Self {
        self.app = App::new(self.app.config.clone(), &self.sdk).unwrap();
        self
    }

    pub fn proxy(&self) -> &Proxy {
        self.proxy.as_ref().expect("started behind a proxy")
    }

    /// The URL of the proxy, if there is one.
    #[cfg(feature = "cli")]
    pub fn proxy_url(&self) -> Option<&str> {
        self.proxy.as_ref().map(Proxy::url)
    }

    /// Hands an event to the function at the current time.
    pub async fn invoke(&self, event: &str) -> Answer {
        self.invoke_at(Timestamp::now().as_millis(), event).await
    }

    /// Hands an event to the function at the time `now`, in milliseconds.
    pub async fn invoke_at(&self, now: i64, event: &str) -> Answer {
        self.invoke_within(BUDGET, now, event).await
    }

    /// Hands an event to the function at the time `now`, with this budget for the response.
    pub async fn invoke_within(&self, budget: Duration, now: i64, event: &str) -> Answer {
        let clock = RequestClock { now: Timestamp::from_millis(now), ..RequestClock::with_budget(budget) };
        let answer = http::handle(&self.app, event, clock).await;
        Answer::from_lambda(&serde_json::to_value(answer).unwrap())
    }

    /// Hands an event of any kind to the function as Lambda does.
    pub async fn trigger(&self, event: &Value) -> Result<Output, InvocationError> {
        self.trigger_within(BUDGET, event).await
    }

    /// Hands an event to the function as Lambda does, with this time left until the timeout.
    pub async fn trigger_within(&self, timeout: Duration, event: &Value) -> Result<Output, InvocationError> {
        let mut context = Context::default();
        context.deadline =
            u64::try_from(Timestamp::now().plus_millis(i64::try_from(timeout.as_millis()).unwrap()).as_millis())
                .unwrap();
        trigger::handle(&self.app, LambdaEvent::new(to_raw_value(event).unwrap(), context)).await
    }

    /// Makes a request through an HTTP API, at [`NOW`].
    pub async fn call(&self, call: Call) -> Answer {
        self.call_at(NOW, call).await
    }

    /// Makes a request through an HTTP API, as if it were the time `now`.
    pub async fn call_at(&self, now: i64, call: Call) -> Answer {
        self.invoke_at(now, &call.event().to_string()).await
    }

    /// Makes a request through an HTTP API, at [`NOW`], with this budget for the response.
    pub async fn call_within(&self, budget: Duration, call: Call) -> Answer {
        self.invoke_within(budget, NOW, &call.event().to_string()).await
    }

    /// Makes requests concurrently, each at its own time `now`. The responses are in the order of the calls.
    pub async fn call_all_at_once(self: &Arc<Self>, calls: Vec<(i64, Call)>) -> Vec<Answer> {
        let start = Arc::new(Barrier::new(calls.len()));
        let mut running = JoinSet::new();
        for (position, (now, call)) in calls.into_iter().enumerate() {
            let (app, start) = (Arc::clone(self), Arc::clone(&start));
            running.spawn(async move {
                start.wait().await;
                (position, app.call_at(now, call).await)
            });
        }
        let mut answers = running.join_all().await;
        answers.sort_by_key(|(position, _)| *position);
        answers.into_iter().map(|(_, answer)| answer).collect()
    }

    /// Creates an invitation in the tenant `default`, at [`NOW`], and returns its identifier.
    pub async fn invite(&self, body: &Value) -> String {
        self.invite_at(NOW, body).await
    }

    /// Creates an invitation in the tenant `default`, as if it were the time `now`, and returns its identifier.
    pub async fn invite_at(&self, now: i64, body: &Value) -> String {
        let answer = self.create_at(now, body).await;
        assert_eq!(answer.status, 201, "{answer:?}");
        answer.json()["id"].as_str().unwrap().to_owned()
    }

    /// Like [`TestApp::invite`], with [`TOKEN`] as the token of the invitation's latest message.
    pub async fn invite_with_token(&self, body: &Value) -> String {
        let id = self.invite(body).await;
        rows::set_token(&self.client(), self.table(), &id, TOKEN).await;
        id
    }

    /// Creates an invitation in the tenant `default`, as if it were the time `now`.
    pub async fn create_at(&self, now: i64, body: &Value) -> Answer {
        let event = create_event("default", Some("application/json"), &body.to_string(), false);
        self.invoke_at(now, &event.to_string()).await
    }

    /// Creates an invitation in the tenant `tenant`, at [`NOW`].
    pub async fn create_as(&self, tenant: &str, body: &Value) -> Answer {
        let event = create_event(tenant, Some("application/json"), &body.to_string(), false);
        self.invoke_at(NOW, &event.to_string()).await
    }

    /// Creates with exactly these bytes as the body. API Gateway encodes them if they are not text.
    pub async fn create_bytes(&self, content_type: Option<&str>, body: &[u8]) -> Answer {
        match str::from_utf8(body) {
            Ok(text) => self.invoke(&create_event("default", content_type, text, false).to_string()).await,
            Err(_) => self.create_base64(content_type, body).await,
        }
    }

    /// Creates with exactly these bytes as the body, encoded in base64.
    pub async fn create_base64(&self, content_type: Option<&str>, body: &[u8]) -> Answer {
        use base64::{Engine, prelude::BASE64_STANDARD};
        let body = BASE64_STANDARD.encode(body);
        self.invoke(&create_event("default", content_type, &body, true).to_string()).await
    }

    /// The mail that was delivered, newest first.
    pub fn mails(&self) -> Vec<Mail> {
        self.emulator.as_ref().map_or_else(|| self.stack.ses.mails(), Emulator::mails)
    }

    /// Stores a template with SES.
    pub async fn put_template(&self, name: &str, subject: &str, html: &str, text: &str) {
        match &self.emulator {
            Some(emulator) => emulator.put_template(&self.stack.sdk, name, [subject, html, text]).await,
            None => self.stack.ses.put_template(name, subject, html, text),
        }
    }

    /// Adds an organization to the tenant `default`.
    pub async fn add_organization(&self, id: &str) {
        let organization = Organization { id: directory_id(id), name: id.to_owned(), branding: Map::new() };
        self.app.store.put_organization(&tenant("default"), &organization).await.unwrap();
    }

    /// Gives an organization of the tenant `default` this `branding`, and its identifier as its name.
    pub async fn brand_organization(&self, id: &str, branding: Value) {
        let Value::Object(branding) = branding else { panic!("{branding}") };
        let organization = Organization { id: directory_id(id), name: id.to_owned(), branding };
        self.app.store.put_organization(&tenant("default"), &organization).await.unwrap();
    }

    /// Adds a user to the tenant `default`, or changes the address of an existing user.
    pub async fn add_user(&self, id: &str, email: Option<&str>) {
        let user = User { id: directory_id(id), name: None, primary_email: email.map(str::to_owned), avatar: None };
        self.app.store.put_user(&tenant("default"), &user).await.unwrap();
    }

    /// Replaces the email connector of the tenant `default`.
    pub async fn set_connector(&self, connector: &EmailConnector) {
        self.app.store.put_connector(&tenant("default"), connector).await.unwrap();
    }

    /// Makes an address a member of an organization of the tenant `default`, as accepting does.
    pub async fn make_member(&self, organization: &str, normalized_address: &str) {
        let put = self.client().put_item().table_name(self.table());
        let put = put.item("pk", AttributeValue::S("TENANT#default".to_owned()));
        let put = put.item("sk", AttributeValue::S(format!("ORG#{organization}#INVITEE#{normalized_address}")));
        let put = put.item("state", AttributeValue::S("member".to_owned()));
        put.item("userId", AttributeValue::S("somebody".to_owned())).send().await.unwrap();
    }

    /// A row of the table, as JSON.
    pub async fn row(&self, tenant: &str, sk: &str) -> Option<Value> {
        let rows = self.rows_of(tenant).await;
        rows.into_iter().find(|row| row["sk"] == sk)
    }

    /// The rows of a tenant, as JSON, in the order of their keys.
    pub async fn rows_of(&self, tenant: &str) -> Vec<Value> {
        let rows = self.rows().await;
        rows.into_iter().filter(|row| row["pk"] == format!("TENANT#{tenant}")).collect()
    }

    /// The whole table, as JSON, in the order of its keys.
    pub async fn rows(&self) -> Vec<Value> {
        rows::scan(&self.client(), self.table()).await
    }

    /// The rows of an index under a key, as JSON.
    pub async fn query_index(&self, index: &str, attribute: &str, key: &str) -> Vec<Value> {
        let query = self.client().query().table_name(self.table()).index_name(index);
        let query = query.key_condition_expression("#key = :key").expression_attribute_names("#key", attribute);
        let query = query.expression_attribute_values(":key", AttributeValue::S(key.to_owned()));
        query.send().await.unwrap().items.unwrap_or_default().into_iter().map(items::to_json).collect()
    }

    /// Deletes a row of the table.
    pub async fn delete_row(&self, tenant: &str, sk: &str) {
        let delete = self.client().delete_item().table_name(self.table());
        let delete = delete.key("pk", AttributeValue::S(format!("TENANT#{tenant}")));
        delete.key("sk", AttributeValue::S(sk.to_owned())).send().await.unwrap();
    }

    /// Deletes all rows of the tenant `default` except its directory.
    pub async fn delete_all_but_directory(&self) {
        for row in self.rows_of("default").await {
            if !matches!(rows::kind(&row), "CONNECTOR" | "ROLE" | "USER" | "ORGANIZATION") {
                self.delete_row("default", row["sk"].as_str().unwrap()).await;
            }
        }
    }

    /// Writes rows unchanged, in batches.
    pub async fn put_rows(&self, rows: impl IntoIterator<Item = Item>) {
        rows::put_rows(&self.client(), self.table(), rows).await;
    }

    /// A client of the emulator that bypasses any proxy in front of it.
    pub fn client(&self) -> Client {
        Client::new(&self.stack.sdk)
    }

    pub fn table(&self) -> &str {
        &self.app.config.table_name
    }

    /// Adds the identifiers of the example in Logto's reference.
    async fn with_reference_ids(self) -> Self {
        self.add_organization("string").await;
        let (tenant, id) = (tenant("default"), directory_id("string"));
        let role = OrganizationRole { id: id.clone(), name: id.to_string() };
        self.app.store.put_role(&tenant, &role).await.unwrap();
        let user = User { id, name: None, primary_email: None, avatar: None };
        self.app.store.put_user(&tenant, &user).await.unwrap();
        self
    }
}

impl Call {
    /// The same request by the caller `subject` of the tenant.
    pub fn by_subject(self, subject: &str) -> Self {
        Self { subject: subject.to_owned(), ..self }
    }
}

pub fn tenant(name: &str) -> TenantId {
    TenantId::parse(name).unwrap()
}

pub fn directory_id(text: &str) -> DirectoryId {
    DirectoryId::stored(text).unwrap()
}

/// A URL that refuses connections.
async fn refusing_url() -> String {
    stack::listen(0, "").await.unwrap().1
}

fn lookup(settings: &[(&str, &str)]) -> impl Fn(&str) -> Option<String> {
    |name| {
        let own = settings.iter().find(|(setting, _)| *setting == name).map(|(_, value)| (*value).to_owned());
        let usual = [("DIRECTORY_CACHE_SECONDS", "0"), ("SELF_SERVICE", "on")];
        own.or_else(|| usual.iter().find(|(setting, _)| *setting == name).map(|(_, value)| (*value).to_owned()))
    }
}

//! From an event to a response: for every input, the function responds correctly and stays ready for the next one.
//!
//! The input is the text of an event. The handler and the SDK's clients are real; they call the DynamoDB emulator and the
//! SES stand-in of `cargo dev`.

#![no_main]

mod mutate;

use std::{cell::RefCell, time::Duration};

use libfuzzer_sys::{fuzz_mutator, fuzz_target};
use organization_invitations::{
    app::App,
    clock::RequestClock,
    http,
    local::stack::{Stack, StackOptions},
};
use serde_json::{Value, json};
use tokio::runtime::{Builder, Runtime};

/// The placeholder for an existing invitation: the identifier that the example events use.
const ANY_INVITATION: &str = "0mjuohs00k3x9abp7q2rs";

/// The number of inputs for one table. A small number keeps lists short and makes a failing input easy to find.
const INPUTS_PER_TABLE: usize = 200;

/// The time budget of a request.
const BUDGET: Duration = Duration::from_secs(29);

/// The function and its services.
struct Function {
    runtime: Runtime,
    app: App,
    stack: Stack,
    inputs: usize,
}

thread_local! {
    static FUNCTION: RefCell<Option<Function>> = const { RefCell::new(None) };
}

fuzz_target!(|input: &[u8]| {
    // Lambda's events are always UTF-8.
    let Ok(input) = str::from_utf8(input) else { return };
    FUNCTION.with_borrow_mut(|function| {
        if function.as_ref().is_none_or(|function| function.inputs >= INPUTS_PER_TABLE) {
            *function = Some(Function::start());
        }
        function.as_mut().expect("the function is started").check(input);
    });
});

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| { mutate::event(data, size, max_size, seed) });

/// The number of created invitations in the response to a bulk create; 0 for any other response.
fn created_items(body: &Value) -> usize {
    let response: Value = body.as_str().and_then(|body| serde_json::from_str(body).ok()).unwrap_or_default();
    response["results"].as_array().into_iter().flatten().filter(|result| result["status"] == 201).count()
}

impl Function {
    fn start() -> Self {
        let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
        let (stack, app) = runtime.block_on(async {
            let stack = Stack::start(StackOptions::default()).await.expect("the stack starts");
            // The mail rate does not slow down bulk creates, and self-service is on.
            let settings = [("MAIL_RATE_PER_SECOND", "10000"), ("SELF_SERVICE", "on")];
            let lookup = |name: &str| {
                settings.iter().find(|(setting, _)| *setting == name).map(|(_, value)| (*value).to_owned())
            };
            let app = stack.app(lookup).await.expect("the settings are valid");
            (stack, app)
        });
        Self { runtime, app, stack, inputs: 0 }
    }

    fn check(&mut self, input: &str) {
        self.inputs += 1;
        let event = if input.contains(ANY_INVITATION) {
            input.replace(ANY_INVITATION, &self.invite())
        } else {
            input.to_owned()
        };
        let sent = self.stack.ses.mails().len();
        let (status, body) = self.handle(&event);
        // 501 is the correct response for a tenant without a connector.
        assert!((200..500).contains(&status) || status == 501, "{status}: {body}");
        assert!(body.is_null() || body.as_str().is_some_and(is_json), "{status}: {body}");
        let mails = self.stack.ses.mails();
        let may_send = match status {
            201 | 204 => 1,
            _ => created_items(&body),
        };
        assert!(mails.len() - sent <= may_send, "{status}, with {} mails", mails.len() - sent);
        let headers = mails.iter().take(mails.len() - sent).flat_map(|mail| mail.headers.values());
        assert!(!headers.into_iter().any(|value| value.contains(char::is_control)), "a header of more than a line");
    }

    fn handle(&self, event: &str) -> (i64, Value) {
        let response = self.runtime.block_on(http::handle(&self.app, event, RequestClock::with_budget(BUDGET)));
        let response = serde_json::to_value(response).expect("responses serialize");
        (response["statusCode"].as_i64().expect("a status"), response["body"].clone())
    }

    /// Creates a pending invitation, and returns its identifier.
    fn invite(&self) -> String {
        let body = json!({
            "inviterId": "ada",
            "invitee": format!("invited-{}@example.com", self.inputs),
            "organizationId": "acme",
            "expiresAt": 4_102_444_800_000_u64,
            "organizationRoleIds": ["member"],
        });
        let event = json!({
            "version": "2.0",
            "rawPath": http::INVITATIONS_PATH,
            "requestContext": {
                "http": { "method": "POST" },
                "authorizer": { "jwt": { "claims": { "tenant_id": "default", "scope": "all" } } },
            },
            "body": body.to_string(),
        });
        let (status, body) = self.handle(&event.to_string());
        let entity: Value = body.as_str().and_then(|body| serde_json::from_str(body).ok()).unwrap_or_default();
        assert_eq!(status, 201, "{body}");
        entity["id"].as_str().expect("an identifier").to_owned()
    }
}

fn is_json(text: &str) -> bool {
    serde_json::from_str::<Value>(text).is_ok()
}

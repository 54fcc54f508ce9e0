//! The services that the function calls: the emulator with the demo directory, and the SES stand-in.

use std::time::Duration;

use aws_sdk_dynamodb::Client;
use organization_invitations::{
    app::App,
    clock::RequestClock,
    domain::timestamp::Timestamp,
    http,
    local::stack::{Stack, StackOptions},
};
use serde_json::Value;

use crate::common::{answer::Answer, body::body, call::Call, invariant, operation::TOKEN, rows};

/// The services, and an in-process function that creates the invitations that a test starts with.
pub struct Surroundings {
    pub stack: Stack,
    app: App,
}

impl Surroundings {
    pub async fn start() -> Self {
        let stack = Stack::start(StackOptions::default()).await.unwrap();
        let app = stack.app(|_| None).await.unwrap();
        Self { stack, app }
    }

    /// Invites this address, sets the token of the invitation to [`TOKEN`], and returns the identifier.
    pub async fn invite(&self, invitee: &str) -> String {
        let clock = RequestClock::with_budget(Duration::from_secs(20));
        let answer = http::handle(&self.app, &Call::create(&body(invitee)).event().to_string(), clock).await;
        let answer = Answer::from_lambda(&serde_json::to_value(answer).unwrap());
        assert_eq!(answer.status, 201, "{answer:?}");
        let id = answer.json()["id"].as_str().unwrap().to_owned();
        rows::set_token(&Client::new(&self.stack.sdk), &self.app.config.table_name, &id, TOKEN).await;
        id
    }

    /// Returns all rows of the table, and asserts their invariant.
    pub async fn rows(&self) -> Vec<Value> {
        let rows = rows::scan(&Client::new(&self.stack.sdk), &self.app.config.table_name).await;
        invariant::assert_holds(&self.app.config, &rows, now(), &[]);
        rows
    }
}

/// Milliseconds since 1970.
pub fn now() -> i64 {
    Timestamp::now().as_millis()
}

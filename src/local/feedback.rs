//! `EventBridge` between the SES stand-in and the function: it hands over each event as the rule in `template.yaml` does,
//! and lists it at `/events`.
//!
//! It keeps the order of the events and hands each over once, which AWS does not promise. It does not try again.

use std::sync::Arc;

use lambda_runtime::{Context, LambdaEvent};
use serde_json::{Value, value::to_raw_value};
use tokio::sync::mpsc::UnboundedReceiver;

use super::events::EventList;
use crate::{app::App, trigger};

/// Hands the events to the function, until there can be no more.
pub(super) async fn deliver(app: Arc<App>, mut published: UnboundedReceiver<Value>, events: Arc<EventList>) {
    while let Some(event) = published.recv().await {
        let Ok(raw) = to_raw_value(&event) else { continue };
        // The function logs its failure itself.
        let _ = trigger::handle(&app, LambdaEvent::new(raw, Context::default())).await;
        events.record_incoming(event["detail"].clone());
    }
}

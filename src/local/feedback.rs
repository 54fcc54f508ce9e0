//! `EventBridge` between the SES stand-in and the function: delivers each event as the rule in `template.yaml` does,
//! and lists it at `/events`.
//!
//! Unlike AWS, it delivers each event exactly once and in order, and does not retry.

use std::sync::Arc;

use lambda_runtime::{Context, LambdaEvent};
use serde_json::{Value, value::to_raw_value};
use tokio::sync::mpsc::UnboundedReceiver;

use super::events::EventList;
use crate::{app::App, trigger};

/// Delivers the events to the function until the sender is dropped.
pub(super) async fn deliver(app: Arc<App>, mut published: UnboundedReceiver<Value>, events: Arc<EventList>) {
    while let Some(event) = published.recv().await {
        let Ok(raw) = to_raw_value(&event) else { continue };
        // The function logs its failure itself.
        let _ = trigger::handle(&app, LambdaEvent::new(raw, Context::default())).await;
        events.record_incoming(event["detail"].clone());
    }
}

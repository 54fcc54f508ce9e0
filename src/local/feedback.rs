//! `EventBridge` between the SES stand-in and the function: it hands over each event as the rule in `template.yaml` does.
//!
//! It keeps the order of the events and hands each over once, which AWS does not promise. It does not try again.

use std::sync::Arc;

use lambda_runtime::{Context, LambdaEvent};
use serde_json::{Value, value::to_raw_value};
use tokio::sync::mpsc::UnboundedReceiver;

use crate::{app::App, trigger};

/// Hands the events to the function, until there can be no more.
pub async fn deliver(app: Arc<App>, mut events: UnboundedReceiver<Value>) {
    while let Some(event) = events.recv().await {
        let Ok(event) = to_raw_value(&event) else { continue };
        // The function logs its failure itself.
        let _ = trigger::handle(&app, LambdaEvent::new(event, Context::default())).await;
    }
}

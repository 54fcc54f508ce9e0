//! The Lambda function.

use std::sync::Arc;

use lambda_runtime::{LambdaEvent, service_fn};
use organization_invitations::{
    app::App,
    config::{self, Config},
    handler,
};
use serde_json::value::RawValue;
use tracing_subscriber::{layer::SubscriberExt, util::SubscriberInitExt};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    log();
    let app = Config::from_env().and_then(App::connect);
    let app = Arc::new(app.inspect_err(|error| tracing::error!(%error, "invalid configuration"))?);
    app.warm_up().await;
    lambda_runtime::run(service_fn(move |event: LambdaEvent<Box<RawValue>>| {
        let app = Arc::clone(&app);
        // Boxed, because the SDK's futures are too deeply nested for the compiler to lay out as one.
        Box::pin(async move { Ok::<_, lambda_runtime::Error>(handler::handle_invocation(&app, event).await) })
    }))
    .await
}

/// Logs JSON to the standard output, as much as `RUST_LOG` says.
fn log() {
    let lines = tracing_subscriber::fmt::layer()
        .json()
        .flatten_event(true)
        // CloudWatch adds the time, and the handler's one line names the request.
        .without_time()
        .with_target(false)
        .with_current_span(false)
        .with_span_list(false);
    tracing_subscriber::registry().with(lines).with(config::log_filter("info")).init();
}

//! The Lambda function.

use std::sync::Arc;

use lambda_runtime::{LambdaEvent, service_fn};
use organization_invitations::{
    app::App,
    config::Config,
    domain::timestamp::Timestamp,
    http::caller::GROUPS_NOTE,
    telemetry::{self, Log},
    trigger,
};
use serde_json::value::RawValue;
use tracing_subscriber::util::SubscriberInitExt;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    telemetry::subscriber(std::env::var("RUST_LOG").ok().as_deref(), std::io::stdout).init();
    let app = Config::from_env().and_then(App::connect);
    let app = app.inspect_err(|error| tracing::error!(%error, "invalid configuration"))?;
    if !app.config.allowed_groups.is_empty() {
        tracing::info!("{GROUPS_NOTE}");
    }
    let function = std::env::var("AWS_LAMBDA_FUNCTION_NAME").unwrap_or_default();
    let app = Arc::new(App { log: Log::metrics(function, std::io::stdout()), ..app });
    app.warm_up(Timestamp::now()).await;
    lambda_runtime::run(service_fn(move |event: LambdaEvent<Box<RawValue>>| {
        let app = Arc::clone(&app);
        // Boxed, because the SDK's futures are too deeply nested for the compiler to lay out as one.
        Box::pin(async move { trigger::handle(&app, event).await.map_err(lambda_runtime::Error::from) })
    }))
    .await
}

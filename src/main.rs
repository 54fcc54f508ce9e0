//! The Lambda function.

use std::sync::Arc;

use lambda_runtime::{LambdaEvent, service_fn};
use organization_invitations::{app::App, config::Config, handler, log::Log};
use serde_json::value::RawValue;
use tracing_subscriber::EnvFilter;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .with_env_filter(EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info")))
        // CloudWatch adds the time, and the handler's one line names the request.
        .without_time()
        .with_target(false)
        .with_current_span(false)
        .with_span_list(false)
        .init();
    let app = App::connect(Config::from_env().inspect_err(|error| tracing::error!(%error, "invalid configuration"))?);
    let function = std::env::var("AWS_LAMBDA_FUNCTION_NAME").unwrap_or_default();
    let app = Arc::new(App { log: Log::metrics(function, std::io::stdout()), ..app.await });
    lambda_runtime::run(service_fn(move |event: LambdaEvent<Box<RawValue>>| {
        let app = Arc::clone(&app);
        // Boxed, because the SDK's futures are too deeply nested for the compiler to lay out as one.
        Box::pin(async move { Ok::<_, lambda_runtime::Error>(handler::handle_invocation(&app, event).await) })
    }))
    .await
}

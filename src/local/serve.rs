//! `cargo dev`: runs the whole stack until it is interrupted.

use std::{io::IsTerminal, path::PathBuf, sync::Arc, time::Duration};

use axum::Router;

use super::{
    banner::{Addresses, banner},
    cors::Cors,
    events::{self, EventList},
    gateway, inbox, issuer, overview, pages, reference,
    ses::SesStandIn,
    stack::{Stack, StackError, StackOptions, listen},
};
use crate::{app::App, domain::timestamp::Timestamp};

/// The interval of deleting expired rows, short enough to watch invitations expire. DynamoDB takes up to a few days.
const SWEEP_PERIOD: Duration = Duration::from_secs(5);

/// The options of the command line.
#[derive(Clone, Debug)]
pub struct ServeOptions {
    /// The port of the gateway.
    pub port: u16,
    /// The origins whose pages may call the API.
    pub cors: Cors,
    /// The options of the services.
    pub stack: StackOptions,
}

/// Starts the stack, prints the banner, and waits for Ctrl-C or SIGTERM.
#[expect(clippy::print_stdout, reason = "the banner is the command's output")]
pub async fn serve(options: ServeOptions) -> Result<(), StackError> {
    // First, so that a second `cargo dev` fails before it opens the data of the first.
    let (listener, gateway) = listen(options.port, "--port").await?;
    let storage = storage(options.stack.persist.as_ref());
    let mut stack = Stack::start(options.stack).await?;
    stack.call_services_in_process();
    let app = Arc::new(stack.app(setting).await?);
    let addresses = Addresses {
        gateway: gateway.clone(),
        dynamodb: stack.dynamodb_url.clone(),
        ses: stack.ses_url.clone(),
        table: app.config.table_name.clone(),
        storage,
    };
    let events = stack.publish_events(&app)?;
    stack.deliver_feedback(Arc::clone(&app), Arc::clone(&events));
    let served = Gateway { app, ses: Arc::clone(&stack.ses), events, url: gateway, cors: options.cors.clone() };
    stack.serve(listener, served.router(), &options.cors);
    stack.sweep_every(SWEEP_PERIOD);
    println!("{}", banner(&addresses, Timestamp::now(), is_colored(&std::io::stdout())));
    interrupted().await;
    stack.stop().await;
    println!("\nGoodbye.");
    Ok(())
}

/// The gateway with its pages.
pub struct Gateway {
    /// The function.
    pub app: Arc<App>,
    /// The SES stand-in, whose mail is in the inbox.
    pub ses: Arc<SesStandIn>,
    /// The events on the page `/events`.
    pub events: Arc<EventList>,
    /// The URL of the gateway.
    pub url: String,
    /// The origins whose pages may call the API and the token issuer.
    pub cors: Cors,
}

impl Gateway {
    /// The API, the token issuer and the pages: the overview, the inbox, the events and the API reference.
    pub fn router(self) -> Router {
        let Self { app, ses, events, url, cors } = self;
        let inbox = inbox::router(Arc::clone(&ses), url.clone());
        let overview = overview::router(Arc::clone(&app), ses, url.clone());
        let pages = pages::router().merge(inbox).merge(overview).merge(events::router(events));
        let issuer = cors.around(issuer::router(url));
        gateway::router(app, cors, issuer.merge(pages).merge(reference::router()))
    }
}

/// The settings of the function, from the environment. `SELF_SERVICE` is on by default.
pub(super) fn setting(name: &str) -> Option<String> {
    std::env::var(name).ok().or_else(|| (name == "SELF_SERVICE").then(|| "on".to_owned()))
}

/// `true` for a terminal, unless `NO_COLOR` is set (<https://no-color.org>).
pub fn is_colored(output: &impl IsTerminal) -> bool {
    output.is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

fn storage(persist: Option<&PathBuf>) -> String {
    persist.map_or_else(|| "in memory".to_owned(), |path| format!("in {}", path.display()))
}

/// Waits for Ctrl-C or SIGTERM.
async fn interrupted() {
    let ctrl_c = async {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    };
    tokio::select! {
        () = ctrl_c => {}
        () = terminated() => {}
    }
}

#[cfg(unix)]
async fn terminated() {
    use tokio::signal::unix::{SignalKind, signal};
    match signal(SignalKind::terminate()) {
        Ok(mut signals) => {
            signals.recv().await;
        }
        Err(_) => std::future::pending().await,
    }
}

#[cfg(not(unix))]
async fn terminated() {
    std::future::pending().await
}

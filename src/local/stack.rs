//! The services of the function, each on a loopback port, and the function's clients for them.
//!
//! This module reads none of the process's AWS settings, so that the stack never uses the developer's account.

use std::{
    future::Future,
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use aws_sdk_dynamodb::config::{BehaviorVersion, Credentials, Region, SharedCredentialsProvider};
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use aws_types::{
    SdkConfig,
    service_config::{LoadServiceConfig, ServiceConfigKey},
};
use dynoxide::Database;
use tokio::{net::TcpListener, sync::watch, task::JoinSet, time::Instant};

use super::{
    cors::Cors,
    demo,
    direct::{self, Services},
    events::EventList,
    feedback,
    guard::{Names, guarded},
    pipe::{Pipe, PipeError},
    relay,
    ses::SesStandIn,
    stream::{self, StreamReader},
    table::{self, TableError},
};
use crate::{
    app::{self, App},
    config::{Config, ConfigError},
    store::StoreError,
};

/// The region of the services.
pub const REGION: &str = "us-east-1";
/// The access key and the secret of the clients; the services accept any.
pub const ACCESS_KEY: &str = "local";
/// The default of `TABLE_NAME`.
pub const TABLE_NAME: &str = "organization-invitations";

/// The time that requests in flight get when the stack stops.
const PATIENCE: Duration = Duration::from_secs(2);

/// The ports of the services and the location of the data. Default: free ports, and data in memory.
#[derive(Clone, Debug, Default)]
pub struct StackOptions {
    /// The file with DynamoDB's data. Mail and SES templates are never persisted.
    pub persist: Option<PathBuf>,
    /// The port of DynamoDB; 0 selects a free one.
    pub dynamodb_port: u16,
    /// The port of SES; 0 selects a free one.
    pub ses_port: u16,
    /// `true` puts the guard in front of DynamoDB too, by a proxy. Tests do not need it, because their ports are
    /// unknown to web pages.
    pub guards_dynamodb: bool,
    /// `true` gives the table a stream, as `Events` does in the template.
    pub has_stream: bool,
}

/// The running services. Dropping the stack stops them.
pub struct Stack {
    /// The configuration of the function's clients.
    pub sdk: SdkConfig,
    /// The SES stand-in, with its mail, templates and faults.
    pub ses: Arc<SesStandIn>,
    /// The data of the DynamoDB emulator.
    pub database: Database,
    /// The URL of DynamoDB.
    pub dynamodb_url: String,
    /// The URL of SES.
    pub ses_url: String,
    has_stream: bool,
    servers: Servers,
}

/// A failure to start the stack.
#[derive(Debug, thiserror::Error)]
pub enum StackError {
    /// A port is not available.
    #[error("cannot listen on port {port}: {reason}; choose another with {option} (0 takes a free one)")]
    Port {
        /// The port.
        port: u16,
        /// The command-line option for it.
        option: &'static str,
        /// The error.
        reason: String,
    },
    /// The file for the data cannot be used.
    #[error("cannot keep the data in {}: {reason}", path.display())]
    Database {
        /// The file.
        path: PathBuf,
        /// The error.
        reason: String,
    },
    /// The table cannot be created.
    #[error(transparent)]
    Table(#[from] TableError),
    /// The demo tenants cannot be written.
    #[error(transparent)]
    Demo(#[from] StoreError),
    /// A setting is invalid.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The pipe of the template has another form.
    #[error(transparent)]
    Pipe(#[from] PipeError),
    /// The table's stream cannot be read.
    #[error("the table's stream: {0}")]
    Stream(String),
}

impl Stack {
    /// Starts the services.
    pub async fn start(options: StackOptions) -> Result<Self, StackError> {
        let database = open(options.persist.as_deref(), options.has_stream)?;
        let ses = SesStandIn::new();
        let (dynamodb, dynamodb_url) = listen(options.dynamodb_port, "--dynamodb-port").await?;
        let (outbound, ses_url) = listen(options.ses_port, "--ses-port").await?;
        let mut servers = Servers::default();
        let shutdown = servers.shutdown();
        let listener = if options.guards_dynamodb { servers.serve_relay(dynamodb).await? } else { dynamodb };
        let emulator = dynoxide::server::serve_with_shutdown(listener, database.clone(), shutdown);
        servers.spawn(async {
            emulator.await.unwrap_or_else(|error| tracing::error!(error, "the DynamoDB emulator stopped"));
        });
        servers.serve(outbound, guarded(Arc::clone(&ses).router(), Names::LoopbackAndContainers, &Cors::default()));
        let sdk = sdk_config(&dynamodb_url, &ses_url);
        Ok(Self { sdk, ses, database, dynamodb_url, ses_url, has_stream: options.has_stream, servers })
    }

    /// Makes the function call the services inside the process if possible, which saves a sixth of the CPU time. Tests
    /// use the network, where more can fail.
    pub(crate) fn call_services_in_process(&mut self) {
        let services = Services {
            database: self.database.clone(),
            dynamodb_url: self.dynamodb_url.clone(),
            ses: Arc::clone(&self.ses),
            ses_url: self.ses_url.clone(),
        };
        self.sdk = self.sdk.to_builder().http_client(direct::client(services, network())).build();
    }

    /// The function with these services, its table and the demo tenants. `lookup` returns the settings.
    pub async fn app(&self, lookup: impl Fn(&str) -> Option<String>) -> Result<App, StackError> {
        let config = Config::from_lookup(|name| lookup(name).or_else(|| default_setting(name)))?;
        let dynamodb = aws_sdk_dynamodb::Client::new(&self.sdk);
        table::create(&dynamodb, &config.table_name).await?;
        if self.has_stream {
            table::turn_stream_on(&dynamodb, &config.table_name).await?;
        }
        let app = App::new(config, &self.sdk)?;
        demo::load(&app.store, &self.ses).await?;
        Ok(app)
    }

    /// Serves `router` behind the guard until the stack stops.
    pub fn serve(&mut self, listener: TcpListener, router: axum::Router, cors: &Cors) {
        self.servers.serve(listener, guarded(router, Names::Loopback, cors));
    }

    /// Delivers the events of the SES stand-in to the function, as `EventBridge` does.
    pub fn deliver_feedback(&mut self, app: Arc<App>, events: Arc<EventList>) {
        self.servers.spawn_until_shutdown(feedback::deliver(app, self.ses.events(), events));
    }

    /// Delivers all further changes of the table to `app`, as the pipe of a deployed stack does. Returns the events.
    pub fn publish_events(&mut self, app: &Arc<App>) -> Result<Arc<EventList>, StackError> {
        let (pipe, events) = (Pipe::of_template()?, Arc::new(EventList::default()));
        let reader = StreamReader::of_changes_from_now(self.database.clone(), &app.config.table_name);
        let reader = reader.map_err(|error| StackError::Stream(error.to_string()))?;
        self.servers.spawn_until_shutdown(pipe.run(Arc::clone(app), reader, Arc::clone(&events)));
        Ok(events)
    }

    /// Deletes expired rows every `period`; DynamoDB does so within days. A sweep reads the whole table, so that the
    /// next one comes later after a long sweep.
    pub fn sweep_every(&mut self, period: Duration) {
        /// The minimum pause as a multiple of the sweep's duration: sweeps take at most a twentieth of the time.
        const REST: u32 = 19;
        let database = self.database.clone();
        self.servers.spawn_until_shutdown(async move {
            loop {
                let (database, started) = (database.clone(), Instant::now());
                let swept = tokio::task::spawn_blocking(move || database.sweep_ttl()).await;
                if let Ok(Err(error)) = swept {
                    tracing::warn!(%error, "expired rows could not be deleted");
                }
                tokio::time::sleep(period.max(started.elapsed() * REST)).await;
            }
        });
    }

    /// Stops the services after the requests in flight, and closes the database.
    pub async fn stop(self) {
        let Self { servers, database, sdk, .. } = self;
        // Otherwise the servers would wait for the clients' idle connections.
        drop(sdk);
        servers.stop().await;
        drop(database);
    }
}

/// Listens on a loopback port, and returns its URL. `option` is the command-line option for the port.
pub async fn listen(port: u16, option: &'static str) -> Result<(TcpListener, String), StackError> {
    let failed = |error: std::io::Error| {
        let reason = match error.kind() {
            std::io::ErrorKind::AddrInUse => "it is already in use".to_owned(),
            _ => error.to_string(),
        };
        StackError::Port { port, option, reason }
    };
    let listener = TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, port))).await.map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    Ok((listener, format!("http://{address}")))
}

/// The defaults that differ from the function's own.
fn default_setting(name: &str) -> Option<String> {
    match name {
        "TABLE_NAME" => Some(TABLE_NAME.to_owned()),
        "ALLOWED_GROUPS" => Some("inviters".to_owned()),
        _ => None,
    }
}

fn open(persist: Option<&Path>, has_stream: bool) -> Result<Database, StackError> {
    let path = persist.unwrap_or(Path::new(":memory:"));
    // The emulator goes on with advice for the programs that use it.
    let told = |reason: &str| reason.split(". If encrypted").next().unwrap_or_default().to_owned();
    let failed = |reason: String| StackError::Database { path: path.to_owned(), reason: told(&reason) };
    let opened = if has_stream { stream::open(persist) } else { open_without_stream(persist) };
    let database = opened.map_err(failed)?;
    // Sets SQLite to synchronize with the disk at checkpoints instead of every write. A power failure may lose the last
    // writes but does not corrupt the file.
    database.disable_bulk_loading().map_err(|error| failed(error.to_string()))?;
    Ok(database)
}

fn open_without_stream(persist: Option<&Path>) -> Result<Database, String> {
    let opened = match persist {
        None => Database::memory(),
        Some(path) => Database::new(path.to_str().ok_or("its name is not UTF-8")?),
    };
    opened.map_err(|error| error.to_string())
}

/// An HTTP client without TLS.
pub(super) fn network() -> SharedHttpClient {
    aws_smithy_http_client::Builder::new().build_http()
}

/// The configuration of clients for DynamoDB and SES at these URLs, independent of any account.
pub fn sdk_config(dynamodb_url: &str, ses_url: &str) -> SdkConfig {
    let endpoints = Endpoints { dynamodb: dynamodb_url.to_owned(), ses: ses_url.to_owned() };
    SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::from_static(REGION))
        .credentials_provider(SharedCredentialsProvider::new(Credentials::new(
            ACCESS_KEY, ACCESS_KEY, None, None, "local",
        )))
        .http_client(network())
        .retry_config(app::retries())
        .service_config(endpoints)
        .build()
}

/// The URLs of the services for the clients, as `AWS_ENDPOINT_URL_DYNAMODB` and `AWS_ENDPOINT_URL_SESV2` would set
/// them.
#[derive(Debug)]
struct Endpoints {
    dynamodb: String,
    ses: String,
}

impl LoadServiceConfig for Endpoints {
    fn load_config(&self, key: ServiceConfigKey<'_>) -> Option<String> {
        match (key.service_id(), key.env()) {
            ("DynamoDB", "AWS_ENDPOINT_URL") => Some(self.dynamodb.clone()),
            ("SESv2", "AWS_ENDPOINT_URL") => Some(self.ses.clone()),
            _ => None,
        }
    }
}

/// A set of servers with a common shutdown.
#[derive(Debug, Default)]
struct Servers {
    running: JoinSet<()>,
    /// Dropping the sender signals the shutdown.
    shutdown: watch::Sender<()>,
}

impl Servers {
    fn shutdown(&self) -> impl Future<Output = ()> + Send + 'static {
        let mut receiver = self.shutdown.subscribe();
        async move { while receiver.changed().await.is_ok() {} }
    }

    fn spawn(&mut self, task: impl Future<Output = ()> + Send + 'static) {
        self.running.spawn(task);
    }

    fn spawn_until_shutdown(&mut self, task: impl Future<Output = ()> + Send + 'static) {
        let shutdown = self.shutdown();
        self.spawn(async {
            tokio::select! {
                () = task => {}
                () = shutdown => {}
            }
        });
    }

    fn serve(&mut self, listener: TcpListener, router: axum::Router) {
        let shutdown = self.shutdown();
        self.spawn(async {
            let served = axum::serve(listener, router).with_graceful_shutdown(shutdown).await;
            served.unwrap_or_else(|error| tracing::error!(%error, "a server stopped"));
        });
    }

    /// Serves the proxy to DynamoDB on `listener`. Returns the listener for the emulator itself.
    async fn serve_relay(&mut self, listener: TcpListener) -> Result<TcpListener, StackError> {
        let failed =
            |error: std::io::Error| StackError::Port { port: 0, option: "--dynamodb-port", reason: error.to_string() };
        let (hidden, url) = relay::hidden_listener().await.map_err(failed)?;
        self.serve(listener, guarded(relay::router(url), Names::LoopbackAndContainers, &Cors::default()));
        Ok(hidden)
    }

    async fn stop(self) {
        let Self { mut running, shutdown } = self;
        drop(shutdown);
        let finished = async { while running.join_next().await.is_some() {} };
        // Dropping `running` aborts the requests that take longer.
        let _ = tokio::time::timeout(PATIENCE, finished).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn stacks_are_independent_and_loading_the_demo_twice_changes_nothing() {
        let (one, other) = (StackOptions::default(), StackOptions::default());
        let (one, other) = (Stack::start(one).await.unwrap(), Stack::start(other).await.unwrap());
        let app = one.app(|_| None).await.unwrap();
        one.app(|_| None).await.unwrap();
        assert_eq!(app.config.table_name, TABLE_NAME);
        assert_eq!(one.database.table_count().unwrap(), 1);
        assert_eq!(other.database.table_count().unwrap(), 0);
    }

    #[tokio::test]
    async fn the_error_of_a_used_port_names_the_option_for_it() {
        let stack = Stack::start(StackOptions::default()).await.unwrap();
        let taken: u16 = stack.ses_url.rsplit_once(':').unwrap().1.parse().unwrap();
        let options = StackOptions { ses_port: taken, ..StackOptions::default() };
        let message = Stack::start(options).await.err().unwrap().to_string();
        assert_eq!(
            message,
            format!(
                "cannot listen on port {taken}: it is already in use; choose another with --ses-port (0 takes a free one)"
            )
        );
    }

    #[tokio::test]
    async fn data_outlives_the_stack_in_a_file() {
        let directory = std::env::temp_dir().join(format!("stack-{}", std::process::id()));
        std::fs::create_dir_all(&directory).unwrap();
        let options = StackOptions { persist: Some(directory.join("data.db")), ..StackOptions::default() };
        let stack = Stack::start(options.clone()).await.unwrap();
        stack.app(|_| None).await.unwrap();
        stack.stop().await;
        let stack = Stack::start(options).await.unwrap();
        assert_eq!(stack.database.table_count().unwrap(), 1);
        stack.app(|_| None).await.unwrap();
        stack.stop().await;
        std::fs::remove_dir_all(&directory).unwrap();
    }
}

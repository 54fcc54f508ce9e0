//! `cargo dev`: the development stack.

use std::{num::NonZero, path::PathBuf, process::ExitCode};

use clap::{Args, Parser, Subcommand, builder::NonEmptyStringValueParser};
use mimalloc::MiMalloc;
use organization_invitations::{
    domain::{email_address::EmailAddress, ids::TenantId, timestamp::Timestamp},
    local::{
        banner::{CLIENT, LIFETIME_SECONDS},
        cors::Cors,
        demo,
        invoke::invoke,
        issuer::{self, Holder, Person},
        log,
        serve::{self, ServeOptions, serve},
        stack::StackOptions,
    },
};
use tokio::runtime::Builder;
use tracing_subscriber::util::SubscriberInitExt;

/// The AWS SDK and the emulator allocate much: the system's allocator would take a fifth of the CPU time.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// Organization invitations on this machine: the API, DynamoDB, SES and an inbox, in one process. The function's
/// settings are read from the environment; AWS credentials and endpoints are not.
#[derive(Debug, Parser)]
#[command(name = "organization-invitations", bin_name = "cargo dev", version, args_conflicts_with_subcommands = true)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    serve: Serve,
}

#[derive(Debug, Args)]
struct Serve {
    /// The port of the API and the pages
    #[arg(long, value_name = "PORT", default_value_t = 3000)]
    port: u16,
    /// The port of DynamoDB
    #[arg(long, value_name = "PORT", default_value_t = 8000)]
    dynamodb_port: u16,
    /// The port of SES
    #[arg(long, value_name = "PORT", default_value_t = 8025)]
    ses_port: u16,
    /// Keep DynamoDB's data in this file; mail is not kept
    #[arg(long, value_name = "FILE")]
    persist: Option<PathBuf>,
    /// The origins, separated by commas, whose pages may call the API, such as `http://localhost:5173`
    #[arg(long, value_name = "ORIGINS", env = "CORS_ORIGINS", default_value = "", value_parser = Cors::parse)]
    cors_origins: Cors,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Replay one event over a fresh stack, and print the response and the mail
    Invoke {
        /// A file with an event as JSON, such as events/create.json or events/feedback/bounced.json
        event: PathBuf,
    },
    /// Print a token that is valid for seven days
    Token {
        /// The tenant of the token
        #[arg(long, default_value = demo::TENANT, value_parser = tenant)]
        tenant: TenantId,
        /// The scopes of the token, separated by spaces
        #[arg(long, default_value = "all")]
        scope: String,
        /// Print a person's token instead, without scopes: this verified email address
        #[arg(long, value_name = "ADDRESS", value_parser = address, conflicts_with = "scope")]
        person: Option<EmailAddress>,
        /// The user id of the person [default: derived from the address]
        #[arg(long, value_name = "ID", value_parser = NonEmptyStringValueParser::new(), requires = "person")]
        sub: Option<String>,
    },
}

fn main() -> ExitCode {
    // One thread more than there are cores: one of the threads that use the database waits for the disk.
    let threads = std::thread::available_parallelism().map_or(1, NonZero::get) + 1;
    let runtime = Builder::new_multi_thread().worker_threads(threads).enable_all().build();
    runtime.expect("threads can be started").block_on(start())
}

async fn start() -> ExitCode {
    let directives = std::env::var("RUST_LOG").ok();
    log::subscriber(directives.as_deref(), serve::is_colored(&std::io::stderr()), std::io::stderr).init();
    match run(Cli::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("error: {message}");
            ExitCode::FAILURE
        }
    }
}

async fn run(cli: Cli) -> Result<(), String> {
    match cli.command {
        None => serve(cli.serve.into()).await.map_err(|error| error.to_string()),
        Some(Command::Invoke { event }) => {
            let shown = invoke(&event).await.map_err(|error| error.to_string())?;
            print!("{shown}");
            Ok(())
        }
        Some(Command::Token { tenant, scope, person, sub }) => {
            let person = person.map(|email| Person::new(email, sub));
            let client = Holder::Client { id: CLIENT, scope: &scope };
            let holder = person.as_ref().map_or(client, Holder::Person);
            println!("{}", issuer::token(&tenant, holder, Timestamp::now(), LIFETIME_SECONDS));
            Ok(())
        }
    }
}

impl From<Serve> for ServeOptions {
    fn from(options: Serve) -> Self {
        let Serve { port, dynamodb_port, ses_port, persist, cors_origins: cors } = options;
        Self {
            port,
            cors,
            stack: StackOptions { persist, dynamodb_port, ses_port, guards_dynamodb: true, has_stream: true },
        }
    }
}

fn tenant(text: &str) -> Result<TenantId, String> {
    TenantId::parse(text)
        .ok_or_else(|| "a tenant's name has up to 64 letters, digits, underscores and hyphens".to_owned())
}

fn address(text: &str) -> Result<EmailAddress, String> {
    EmailAddress::parse(text).map_err(|_| "this is not an email address".to_owned())
}

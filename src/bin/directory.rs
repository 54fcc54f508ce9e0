//! The `directory` command, with which operators fill and inspect a tenant's directory.

use std::{
    io::{self, BufWriter, Write},
    process::ExitCode,
    sync::Arc,
};

use clap::Parser;
use organization_invitations::{
    app::App,
    directory_command::{self, CommandError, cli::Cli},
};

#[tokio::main]
async fn main() -> ExitCode {
    match run(Cli::parse()).await {
        // The reader of the output closed the pipe, which is no failure.
        Err(CommandError::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
        Ok(()) => ExitCode::SUCCESS,
    }
}

async fn run(cli: Cli) -> Result<(), CommandError> {
    let app = Arc::new(App::connect_patiently(directory_command::config(&cli)?).await);
    let mut out = BufWriter::new(io::stdout());
    // Boxed, because the SDK's futures are too deeply nested for the compiler to lay out as one.
    let done = Box::pin(directory_command::run(&app, cli, &mut out)).await;
    out.flush()?;
    done
}

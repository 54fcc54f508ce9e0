//! The `directory` command, with which operators fill and inspect a tenant's directory.

use std::{
    env,
    io::{self, BufReader, BufWriter, IsTerminal, Write},
    process::ExitCode,
};

use organization_invitations::directory_command::{
    self, CommandError, Operator, Streams,
    cli::{self, Cli, Invocation},
};

#[tokio::main]
async fn main() -> ExitCode {
    let done = match cli::parse(env::args_os()) {
        Ok(Invocation::Run(cli)) => run(*cli).await,
        Ok(Invocation::Invite(options)) => directory_command::invite::invite(*options, &mut io::stdout()).await,
        Ok(Invocation::Completions { shell }) => io::stdout().write_all(&cli::completions(shell)).map_err(Into::into),
        Err(error) => error.exit(),
    };
    match done {
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
    let app = directory_command::connect(&cli).await?;
    let (mut out, mut questions) = (BufWriter::new(io::stdout()), io::stderr());
    let mut answers = BufReader::new(io::stdin());
    let is_attended = io::stdin().is_terminal() && questions.is_terminal();
    let operator = is_attended.then_some(Operator { questions: &mut questions, answers: &mut answers });
    // Boxed, because the SDK's futures are too deeply nested for the compiler to lay out as one.
    let done = Box::pin(directory_command::run(&app, cli, Streams { out: &mut out, operator })).await;
    out.flush()?;
    done
}

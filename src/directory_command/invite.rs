//! Invites the people of a file through the API: reads and checks the file, creates the invitations in calls of up to a
//! hundred, and writes the rejected rows to a file of the same form.
//!
//! | module | owns |
//! |---|---|
//! | `file` | the rows of a CSV or JSON file |
//! | `row` | from a row to the body of a create |
//! | `expiry` | the expiry, which a repeated command reuses, and the idempotency key |
//! | `api` | the calls of the API |
//! | `run` | the order of the calls, and the retries |
//! | `rejected` | the file of rejected rows |
//!
//! All calls of a run carry one idempotency key, a digest of the file, the options and the expiry. The API derives a
//! key for each row from it, so that a repeated command creates and mails nothing twice, however the rows are split
//! into calls.

mod api;
mod expiry;
mod file;
mod rejected;
mod row;
mod run;

use std::{
    collections::BTreeMap,
    fmt,
    io::{Read, Write},
    path::PathBuf,
    time::Duration,
};

use clap::Args;
use serde::Serialize;
use tokio::time::Instant;

use self::{api::Api, expiry::Expiry, row::Defaults, run::Run};
use super::{CommandError, display_name, import, open, show};
use crate::domain::timestamp::Timestamp;

/// The options of an invite.
#[derive(Clone, Debug, Args)]
pub struct Options {
    /// A CSV file with a header row, or JSON objects, one per line (NDJSON) or in an array; `-` is the standard input
    ///
    /// Columns: `invitee` (or `email`), `organizationId`, `roles` (identifiers, separated by spaces or semicolons),
    /// `inviterId`, `expiresAt`. Any other column is a variable of the mail, such as `locale` and `link`. A column
    /// overrides the option; an empty cell counts as absent.
    file: PathBuf,
    /// The base URL of the API: the stack's output `ApiUrl`, or `http://localhost:3000` for `cargo dev`
    #[arg(long, value_name = "URL")]
    api: String,
    /// The bearer token; better given by the variable, since other users of the machine can see arguments
    #[arg(long, env = "API_TOKEN", hide_env_values = true, value_parser = Token::new)]
    token: Token,
    /// The organization
    #[arg(long, value_name = "ORGANIZATION")]
    organization: Option<String>,
    /// The time until the invitations expire, such as 7d, 12h or 30m; 7d unless --expires-at is given
    #[arg(long, value_name = "DURATION", value_parser = expiry::duration, conflicts_with = "expires_at")]
    expires_in: Option<Duration>,
    /// The expiry: RFC 3339, or milliseconds since 1970
    #[arg(long, value_name = "TIME", value_parser = expiry::time)]
    expires_at: Option<Timestamp>,
    /// A role that the invited get; can be given more than once
    #[arg(long = "role", value_name = "ROLE")]
    roles: Vec<String>,
    /// The user who invites
    #[arg(long, value_name = "USER")]
    inviter: Option<String>,
    /// The link in the mail; `{invitationId}` in it is replaced
    #[arg(long, value_name = "URL")]
    link: Option<String>,
    /// The language of the mail
    #[arg(long)]
    locale: Option<String>,
    /// Create the invitations without mail
    #[arg(long)]
    no_mail: bool,
    /// The file for rejected rows; by default the name of FILE with `.rejected` before its extension
    #[arg(long, value_name = "FILE")]
    rejected: Option<PathBuf>,
    /// A name for this run: a new name starts from the beginning, instead of continuing an earlier command
    #[arg(long, value_name = "NAME", default_value = "")]
    run: String,
}

/// A bearer token. `Debug` masks it.
#[derive(Clone)]
struct Token(String);

impl Token {
    /// Accepts any text, because clap's error for an invalid value would show it.
    #[expect(clippy::unnecessary_wraps, reason = "a parser of clap returns a result")]
    fn new(text: &str) -> Result<Self, std::convert::Infallible> {
        Ok(Self(text.trim().to_owned()))
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(***)")
    }
}

/// A run that did not create every invitation. The text is for the operator.
#[derive(Debug, thiserror::Error)]
pub enum InviteError {
    /// An option or a row of the file is invalid. Nothing was sent.
    #[error("{0}")]
    Invalid(String),
    /// The run ended early.
    #[error("{reason}\nrows left: {left}. Give the same command again to continue: what is done is not done again.")]
    Stopped {
        /// The reason.
        reason: String,
        /// The number of rows without a final answer.
        left: usize,
    },
    /// The API rejected rows.
    #[error("rejected rows: {rows}; see {file}")]
    Rejected {
        /// The number of rows.
        rows: usize,
        /// The file of rejected rows.
        file: String,
    },
}

/// The result of a run.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct Summary {
    /// The rows of the file.
    rows: usize,
    /// The invitations that this run created.
    created: usize,
    /// The invitations that an earlier command with the same file and options created.
    replayed: usize,
    rejected: usize,
    rejected_by_code: BTreeMap<String, usize>,
    /// The rows without a final answer.
    left: usize,
    calls: usize,
    seconds: f64,
}

/// Invites the people of the file, and writes a summary to `out`.
pub async fn invite(options: Options, out: &mut (dyn Write + Send)) -> Result<(), CommandError> {
    let begun = Instant::now();
    let name = display_name(&options.file);
    let content = read(&options)?;
    let api = Api::new(&options.api, &options.token).map_err(InviteError::Invalid)?;
    let input = file::read(&content, &options.file).map_err(|bad| bad.of(&name))?;
    let defaults = Defaults { expires_at: Expiry::of(&options).resolve(&options, &content)?, options: &options };
    let (rows, duplicates) = row::distinct(&input.rows, &defaults).map_err(|bad| bad.of(&name))?;
    let rejected_file = rejected::path(&options, input.form.extension())?;

    let progress = import::progress(Some(input.rows.len() as u64));
    let mut run = Run::new(&api, &defaults, expiry::key(&options, &content, defaults.expires_at), &progress);
    run.reject_all(duplicates);
    let ended = run.run(rows).await;
    progress.finish_and_clear();

    let (mut summary, rejected) = run.finish();
    summary.rows = input.rows.len();
    summary.left = summary.rows - summary.created - summary.replayed - summary.rejected;
    summary.seconds = begun.elapsed().as_secs_f64();
    if ended.is_ok() || !rejected.is_empty() {
        rejected::write(&rejected_file, &input.form, &rejected)?;
    }
    show(out, &summary)?;
    match ended {
        Err(reason) => Err(InviteError::Stopped { reason, left: summary.left }.into()),
        Ok(()) if summary.rejected > 0 => {
            Err(InviteError::Rejected { rows: summary.rejected, file: display_name(&rejected_file) }.into())
        }
        Ok(()) => Ok(()),
    }
}

/// Reads the whole file: the key contains its digest, and invalid rows are reported before the first call.
fn read(options: &Options) -> Result<Vec<u8>, CommandError> {
    let mut content = Vec::new();
    let read = open(&options.file)?.reader.read_to_end(&mut content);
    read.map_err(|reason| CommandError::File { name: display_name(&options.file), reason })?;
    Ok(content)
}

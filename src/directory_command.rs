//! The `directory` command, with which operators fill and inspect a tenant's directory.
//!
//! | module | owns |
//! |---|---|
//! | [`cli`] | the command line |
//! | [`entry`] | one row as operators write it, and its rules |
//! | [`reader`] | the rows of a file |
//! | [`import`] | writing a file of rows to the table |
//! | `member` | the lookups before a member is written: references and address |
//! | [`invite`] | inviting the people of a file through the API |
//! | [`person`] | showing and deleting one person's data |
//! | [`connector`] | the check and the preview of an email connector's templates |
//! | `failure` | failures of DynamoDB, with advice for operators |
//!
//! Input and output are JSON in one form: `import` reads what `list` prints.

pub mod cli;
pub(crate) mod connector;
pub(crate) mod entry;
mod failure;
pub(crate) mod import;
pub mod invite;
mod member;
pub(crate) mod person;
pub(crate) mod reader;

use std::{
    fs::File,
    io::{self, BufRead, BufReader, Read, Write},
    path::Path,
    sync::Arc,
    time::Duration,
};

use serde::Serialize;
use serde_json::{Map, Value};

use self::{
    cli::{Action, Cli, PutRow},
    entry::{Entry, Kind, Rules},
};
use crate::{
    app::App,
    clock::RequestClock,
    config::{Config, ConfigError},
    domain::{directory::EmailConnector, ids::TenantId},
    store::{
        StoreError,
        directory_rows::{RowName, RowSet},
    },
};

/// The timeout of a single operation, retries included.
const BUDGET: Duration = Duration::from_mins(1);

/// A failure of the command. The text is for the operator.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// A setting is invalid.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The row or its name breaks a rule.
    #[error("{0}")]
    Input(String),
    /// The row does not exist.
    #[error("tenant `{tenant}` has no {what}")]
    Missing {
        /// The tenant.
        tenant: TenantId,
        /// The row.
        what: String,
    },
    /// The email connector is invalid.
    #[error(transparent)]
    Connector(#[from] connector::ConnectorError),
    /// An import ended early.
    #[error(transparent)]
    Import(#[from] import::ImportError),
    /// An invite did not create every invitation.
    #[error(transparent)]
    Invite(#[from] invite::InviteError),
    /// Another program writes rows about a person while they are deleted.
    #[error("another program keeps writing rows about this person: stop it, and delete again")]
    StillWritten,
    /// The operator did not confirm a deletion.
    #[error("nothing is deleted")]
    NotConfirmed,
    /// A deletion needs a confirmation, but there is no terminal.
    #[error("person delete: no terminal to ask at: confirm with --yes, or show the rows with --dry-run")]
    NobodyToAsk,
    /// DynamoDB rejected the request or could not be reached.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The same, with the table, the region and advice.
    #[error("{0}")]
    Table(String),
    /// A file cannot be read.
    #[error("{name}: {reason}")]
    File {
        /// Its name.
        name: String,
        /// The error of the file system.
        reason: io::Error,
    },
    /// The output cannot be written.
    #[error("cannot write the output: {0}")]
    Output(#[from] io::Error),
}

/// The streams of the command.
pub struct Streams<'a> {
    /// The output.
    pub out: &'a mut (dyn Write + Send),
    /// The operator, if there is one at a terminal.
    pub operator: Option<Operator<'a>>,
}

/// An operator who can be asked.
pub struct Operator<'a> {
    /// The stream for questions.
    pub questions: &'a mut (dyn Write + Send),
    /// The stream of answers, one per line.
    pub answers: &'a mut (dyn BufRead + Send),
}

/// One run of the command: the tenant's directory, the rules and the streams.
struct Session<'a> {
    app: &'a Arc<App>,
    tenant: TenantId,
    rules: Rules,
    out: &'a mut (dyn Write + Send),
    operator: Option<Operator<'a>>,
}

/// A row in the output.
#[derive(Serialize)]
struct Shown {
    kind: Kind,
    #[serde(flatten)]
    row: Value,
}

/// The settings that the command shares with the function: the table and the maximum length of an identifier.
pub fn config(cli: &Cli) -> Result<Config, ConfigError> {
    Config::from_lookup(|name| match name {
        "TABLE_NAME" => Some(cli.table.clone()),
        "ID_MAX_LENGTH" => std::env::var(name).ok(),
        _ => None,
    })
}

/// Builds the clients and checks that DynamoDB can be reached.
pub async fn connect(cli: &Cli) -> Result<Arc<App>, CommandError> {
    let app = App::connect_patiently(config(cli)?).await?;
    app.store.check_connection().await.map_err(|error| located(&app, error.into()))?;
    Ok(Arc::new(app))
}

/// Runs the command line and writes its result to the output.
pub async fn run<'a>(app: &'a Arc<App>, cli: Cli, streams: Streams<'a>) -> Result<(), CommandError> {
    let rules = Rules { id_max_length: app.config.id_max_length };
    let action = cli.command.into_action(rules)?;
    let Streams { out, operator } = streams;
    let session = Session { app, tenant: cli.tenant, rules, out, operator };
    session.run(action).await.map_err(|error| located(app, error))
}

/// Adds the table, the region and advice to a failure of DynamoDB.
fn located(app: &App, error: CommandError) -> CommandError {
    match error {
        CommandError::Store(error) => CommandError::Table(failure::describe(app, &error)),
        other => other,
    }
}

impl Session<'_> {
    async fn run(mut self, action: Action) -> Result<(), CommandError> {
        let session = &mut self;
        match action {
            Action::Put(kind, row) => session.put(kind, row).await,
            Action::Get(name) => session.get(&name).await,
            Action::List(set) => session.list(&set).await,
            Action::Delete(name) => session.delete(name).await,
            Action::Import(options) => session.import(options).await,
            Action::GetPerson(address) => session.get_person(&address).await,
            Action::DeletePerson { address, is_confirmed } => session.delete_person(&address, is_confirmed).await,
        }
    }

    async fn put(&mut self, kind: Kind, row: PutRow) -> Result<(), CommandError> {
        let PutRow { fields, source, skips_check } = row;
        let put = self.put_fields(kind, fields, skips_check).await;
        let name = put.map_err(|error| match error {
            CommandError::Input(reason) => CommandError::Input(source.blame(&reason)),
            CommandError::Connector(error) => CommandError::Input(source.blame(&error.to_string())),
            other => other,
        })?;
        self.get(&name).await
    }

    async fn put_fields(
        &mut self,
        kind: Kind,
        mut fields: Map<String, Value>,
        skips_check: bool,
    ) -> Result<RowName, CommandError> {
        if kind == Kind::Member && !skips_check {
            self.check_references(&fields).await?;
        }
        if kind == Kind::Member && !fields.contains_key("email") {
            fields.extend(self.email_of(&fields).await?.map(|email| ("email".to_owned(), email)));
        }
        let entry = self.rules.entry(kind, fields).map_err(CommandError::Input)?;
        let name = entry.name();
        let (store, tenant) = (&self.app.store, &self.tenant);
        match entry {
            Entry::Organization(organization) => store.put_organization(tenant, &organization).await?,
            Entry::Role(role) => store.put_role(tenant, &role).await?,
            Entry::User(user) => store.put_user(tenant, &user).await?,
            Entry::Member(member) => store.put_member(tenant, &member, RequestClock::with_budget(BUDGET)).await?,
            Entry::Connector(connector) => self.put_connector(*connector).await?,
        }
        Ok(name)
    }

    async fn put_connector(&mut self, connector: EmailConnector) -> Result<(), CommandError> {
        let checked = connector::check(&self.app.mailer, connector).await?;
        for preview in &checked.previews {
            show(self.out, preview)?;
        }
        Ok(self.app.store.put_connector(&self.tenant, &checked.connector).await?)
    }

    async fn get(&mut self, name: &RowName) -> Result<(), CommandError> {
        let row = self.app.store.directory_row(&self.tenant, name).await?;
        let row = row.ok_or_else(|| self.missing(name))?;
        show(self.out, &Shown { kind: Kind::of(name), row })
    }

    async fn list(&mut self, set: &RowSet) -> Result<(), CommandError> {
        let mut start = None;
        loop {
            let page = self.app.store.directory_rows(&self.tenant, set, start).await?;
            for row in page.rows {
                show(self.out, &Shown { kind: Kind::of_all(set), row })?;
            }
            start = page.next;
            if start.is_none() {
                return Ok(());
            }
        }
    }

    async fn delete(&mut self, name: RowName) -> Result<(), CommandError> {
        let (store, tenant) = (&self.app.store, &self.tenant);
        let deleted = match &name {
            RowName::Member(organization_id, user_id) => {
                store.delete_member(tenant, organization_id, user_id, RequestClock::with_budget(BUDGET)).await?
            }
            _ => store.delete_directory_row(tenant, &name).await?,
        };
        if deleted { Ok(()) } else { Err(self.missing(&name)) }
    }

    async fn import(&mut self, options: import::Options) -> Result<(), CommandError> {
        let source = open(&options.file)?;
        let progress = import::progress(source.length);
        let target = import::Target { app: Arc::clone(self.app), tenant: self.tenant.clone(), rules: self.rules };
        let summary = import::import(target, source.reader, &options, &progress).await?;
        show(self.out, &summary)
    }

    fn missing(&self, name: &RowName) -> CommandError {
        let what = match name {
            RowName::Organization(id) => format!("organization `{id}`"),
            RowName::Role(id) => format!("role `{id}`"),
            RowName::User(id) => format!("user `{id}`"),
            RowName::Member(organization_id, user_id) => {
                format!("member `{user_id}` of organization `{organization_id}`")
            }
            RowName::Connector => "email connector".to_owned(),
        };
        CommandError::Missing { tenant: self.tenant.clone(), what }
    }
}

/// A file or the standard input.
struct Source {
    reader: Box<dyn BufRead + Send>,
    /// In bytes; `None` for the standard input.
    length: Option<u64>,
}

/// Opens a file; `-` is the standard input.
fn open(path: &Path) -> Result<Source, CommandError> {
    if path == Path::new("-") {
        return Ok(Source { reader: Box::new(BufReader::new(io::stdin())), length: None });
    }
    let failed = |reason| CommandError::File { name: display_name(path), reason };
    let file = File::open(path).map_err(failed)?;
    let length = file.metadata().map_err(failed)?.len();
    Ok(Source { reader: Box::new(BufReader::with_capacity(1 << 16, file)), length: Some(length) })
}

/// Reads a file that holds one row, at most [`reader::MAX_ROW_BYTES`] of it.
fn read(path: &Path) -> Result<String, CommandError> {
    let mut text = String::new();
    let read = open(path)?.reader.take(reader::MAX_ROW_BYTES as u64).read_to_string(&mut text);
    read.map_err(|reason| CommandError::File { name: display_name(path), reason })?;
    Ok(text)
}

/// The name of a file in an error.
fn display_name(path: &Path) -> String {
    if path == Path::new("-") { "standard input".to_owned() } else { path.display().to_string() }
}

/// Writes one line of JSON.
fn show(out: &mut (dyn Write + Send), value: &impl Serialize) -> Result<(), CommandError> {
    let line = serde_json::to_string(value).map_err(io::Error::from)?;
    Ok(writeln!(out, "{line}")?)
}

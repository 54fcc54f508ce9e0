//! The `directory` command, with which operators fill and inspect a tenant's directory.
//!
//! | module | owns |
//! |---|---|
//! | [`cli`] | the command line |
//! | [`entry`] | one row as operators write it, and its rules |
//! | [`reader`] | the rows of a file |
//! | [`import`] | writing a file of rows to the table |
//! | [`person`] | showing and deleting one person's data |
//! | [`connector`] | the check and the preview of an email connector's templates |
//!
//! Input and output are JSON in one form: `import` reads what `list` prints.

pub mod cli;
pub(crate) mod connector;
pub(crate) mod entry;
pub(crate) mod import;
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
    cli::{Action, Cli},
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
    /// Other writers add rows about a person as fast as they are deleted.
    #[error("another program keeps writing rows about this person: stop it, and delete again")]
    StillWritten,
    /// DynamoDB rejected the request or could not be reached.
    #[error(transparent)]
    Store(#[from] StoreError),
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

/// One run of the command: the tenant's directory, the rules and the output.
struct Session<'a> {
    app: &'a Arc<App>,
    tenant: TenantId,
    rules: Rules,
    out: &'a mut (dyn Write + Send),
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

/// Runs the command line and writes its result to `out`.
pub async fn run(app: &Arc<App>, cli: Cli, out: &mut (dyn Write + Send)) -> Result<(), CommandError> {
    let rules = Rules { id_max_length: app.config.id_max_length };
    let action = cli.command.into_action(rules)?;
    let mut session = Session { app, tenant: cli.tenant, rules, out };
    match action {
        Action::Put(kind, fields) => session.put(kind, fields).await,
        Action::Get(name) => session.get(&name).await,
        Action::List(set) => session.list(&set).await,
        Action::Delete(name) => session.delete(name).await,
        Action::Import(options) => session.import(options).await,
        Action::GetPerson(address) => session.get_person(&address).await,
        Action::DeletePerson(address) => session.delete_person(&address).await,
    }
}

impl Session<'_> {
    async fn put(&mut self, kind: Kind, mut fields: Map<String, Value>) -> Result<(), CommandError> {
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
        self.get(&name).await
    }

    /// The address in the user's row, for a member without an `email` field.
    async fn email_of(&self, member: &Map<String, Value>) -> Result<Option<Value>, CommandError> {
        let Some(user_id) = member.get("userId").and_then(Value::as_str) else { return Ok(None) };
        self.rules.id("userId", user_id).map_err(CommandError::Input)?;
        let user = self.app.store.directory_row(&self.tenant, &RowName::User(user_id.to_owned())).await?;
        let email = user.as_ref().and_then(|user| user.get("primaryEmail")).filter(|email| email.is_string());
        let reason = || format!("user `{user_id}` has no address in the directory: give one with --email");
        email.cloned().map(Some).ok_or_else(|| CommandError::Input(reason()))
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
    let failed = |reason| CommandError::File { name: path.display().to_string(), reason };
    let file = File::open(path).map_err(failed)?;
    let length = file.metadata().map_err(failed)?.len();
    Ok(Source { reader: Box::new(BufReader::with_capacity(1 << 16, file)), length: Some(length) })
}

/// Reads a file that holds one row.
fn read(path: &Path) -> Result<String, CommandError> {
    let mut text = String::new();
    let read = open(path)?.reader.take(reader::MAX_ROW_BYTES as u64).read_to_string(&mut text);
    read.map_err(|reason| CommandError::File { name: path.display().to_string(), reason })?;
    Ok(text)
}

/// Writes one line of JSON.
fn show(out: &mut (dyn Write + Send), value: &impl Serialize) -> Result<(), CommandError> {
    let line = serde_json::to_string(value).map_err(io::Error::from)?;
    Ok(writeln!(out, "{line}")?)
}

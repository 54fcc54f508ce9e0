//! The directory command: operators fill and inspect a tenant's directory with it.
//!
//! | module | owns |
//! |---|---|
//! | [`cli`] | the command line |
//! | [`entry`] | one row as operators write it, and the rules that it has to keep |
//! | [`reader`] | a file of rows, one after the other |
//! | [`import`] | a file of rows into the table |
//! | [`person`] | one person's data: shown, or deleted |
//! | [`connector`] | what an email connector's templates need, and how they look |
//!
//! What is read and shown is JSON in one form: what `list` prints, `import` takes.

pub mod cli;
pub mod connector;
pub mod entry;
pub mod import;
pub mod person;
pub mod reader;

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

/// How long a single operation may take, its repetitions included.
const BUDGET: Duration = Duration::from_mins(1);

/// Why the command did not do as it was asked. The text is for the person who asked.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// A setting cannot be used.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The row, or the name of one, breaks a rule.
    #[error("{0}")]
    Input(String),
    /// There is no such row.
    #[error("tenant `{tenant}` has no {what}")]
    Missing {
        /// The tenant.
        tenant: TenantId,
        /// The row.
        what: String,
    },
    /// The email connector cannot be used.
    #[error(transparent)]
    Connector(#[from] connector::ConnectorError),
    /// An import ended early.
    #[error(transparent)]
    Import(#[from] import::ImportError),
    /// Others write rows about a person as quickly as they are deleted.
    #[error("there are new rows about this person all the time: find out who writes them, and delete again")]
    StillWritten,
    /// DynamoDB refused, or could not be reached.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A file cannot be read.
    #[error("{name}: {reason}")]
    File {
        /// Its name.
        name: String,
        /// What stands in the way.
        reason: io::Error,
    },
    /// What is to be shown cannot be written.
    #[error("the output: {0}")]
    Output(#[from] io::Error),
}

/// The tenant's directory, and where what is found in it is shown.
struct Session<'a> {
    app: &'a Arc<App>,
    tenant: TenantId,
    rules: Rules,
    out: &'a mut (dyn Write + Send),
}

/// A row as it is shown.
#[derive(Serialize)]
struct Shown {
    kind: Kind,
    #[serde(flatten)]
    row: Value,
}

/// The settings of the function that the command shares: the table, and how long an identifier may be.
pub fn config(cli: &Cli) -> Result<Config, ConfigError> {
    Config::from_lookup(|name| match name {
        "TABLE_NAME" => Some(cli.table.clone()),
        "ID_MAX_LENGTH" => std::env::var(name).ok(),
        _ => None,
    })
}

/// Does what the command line says, and shows what comes of it on `out`.
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

    /// The address in the row of the user who is to be a member, where there is one.
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

/// A file, or what is piped into the command.
struct Source {
    reader: Box<dyn BufRead + Send>,
    /// In bytes, where it is known beforehand.
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

/// The whole of a file that holds one row.
fn read(path: &Path) -> Result<String, CommandError> {
    let mut text = String::new();
    let read = open(path)?.reader.take(reader::MAX_ROW_BYTES as u64).read_to_string(&mut text);
    read.map_err(|reason| CommandError::File { name: path.display().to_string(), reason })?;
    Ok(text)
}

/// One line of JSON.
fn show(out: &mut (dyn Write + Send), value: &impl Serialize) -> Result<(), CommandError> {
    let line = serde_json::to_string(value).map_err(io::Error::from)?;
    Ok(writeln!(out, "{line}")?)
}

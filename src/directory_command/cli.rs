//! The command line.

mod action;
mod examples;
mod usage;

use std::{env, ffi::OsString, path::PathBuf};

use clap::{
    Args, CommandFactory, FromArgMatches, Parser, Subcommand, builder::NonEmptyStringValueParser, error::ErrorKind,
};
use clap_complete::Shell;
use serde::Serialize;
use serde_json::{Map, Value};

pub(super) use self::action::{Action, PutRow};
use super::{import, invite};
use crate::domain::ids::TenantId;

/// Fills and inspects the directory of a tenant: its organizations, roles, users, members and email connector. Also
/// shows and deletes the data about one person.
///
/// Region, profile and credentials are found as by the AWS CLI; `AWS_ENDPOINT_URL_DYNAMODB` and
/// `AWS_ENDPOINT_URL_SESV2` select other endpoints. Rows are read and shown as JSON, one per line. A warm function may
/// cache a changed row for `DIRECTORY_CACHE_SECONDS`.
#[derive(Debug, Parser)]
#[command(name = "directory", version)]
pub struct Cli {
    /// The tenant
    #[arg(long, value_parser = tenant)]
    pub tenant: TenantId,
    /// The DynamoDB table
    #[arg(long, env = "TABLE_NAME")]
    pub table: String,
    #[command(subcommand)]
    pub(super) command: Command,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Organizations
    #[command(subcommand)]
    Organization(Verb<Put<OrganizationFields>, Id, All>),
    /// Roles that members of organizations can have
    #[command(subcommand)]
    Role(Verb<Put<RoleFields>, Id, All>),
    /// Users
    #[command(subcommand)]
    User(Verb<Put<UserFields>, Id, All>),
    /// Members of organizations
    #[command(subcommand)]
    Member(Verb<PutMember, MemberName, OfOrganization>),
    /// The email connector
    #[command(subcommand)]
    Connector(Verb<PutConnector, All, All>),
    /// The tenant's data about one person, found by an email address
    ///
    /// Users, invitations, memberships, standings, the recipient's rate limit, and the idempotency records of requests
    /// that invited the person.
    #[command(subcommand)]
    Person(PersonVerb),
    /// Write a file of rows, each a JSON object with a `kind` and the fields that `list` shows
    ///
    /// An invalid row ends the import; rows before it are written, rows after it are not. Importing a file again
    /// changes nothing, so that a corrected file can be imported from its beginning.
    Import(import::Options),
}

#[derive(Debug, Subcommand)]
#[expect(missing_docs, reason = "a doc comment would become the program's description")]
pub enum Invocation {
    /// Any command that needs a tenant and a table.
    #[command(skip)]
    Run(Box<Cli>),
    /// Invite the people of a file through the API, as the caller that a token names
    ///
    /// Needs neither --tenant nor --table: the token names the tenant. The file is checked before the first call. After
    /// Ctrl-C, which ends it after the call in flight, or a failure, the same command continues: nobody is invited or
    /// mailed twice. Rejected rows are written to a file, with the columns `errorCode` and `errorMessage`; corrected,
    /// it can be given to the next command.
    Invite(Box<invite::Options>),
    /// Write a shell's completions of this command to the standard output
    Completions {
        /// The shell
        shell: Shell,
    },
}

/// Parses a command line, which begins with the program's name.
///
/// # Errors
/// An invalid command line, or one that requests help.
pub fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Invocation, clap::Error> {
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    let mut command = command(program());
    if arguments.get(1).and_then(|argument| argument.to_str()).is_some_and(Invocation::has_subcommand) {
        command = command.mut_args(|argument| argument.required(false));
    }
    let matches = command.try_get_matches_from_mut(arguments)?;
    let invocation = if matches.subcommand_name().is_some_and(Invocation::has_subcommand) {
        Invocation::from_arg_matches(&matches)
    } else {
        Cli::from_arg_matches(&matches).map(|cli| Invocation::Run(Box::new(cli)))
    };
    match invocation.map_err(|error| error.format(&mut command))? {
        Invocation::Invite(_) if matches.contains_id("tenant") => {
            Err(command.error(ErrorKind::ArgumentConflict, "invite: the token names the tenant, not --tenant"))
        }
        invocation => Ok(invocation),
    }
}

/// The script that makes `shell` complete the command.
pub fn completions(shell: Shell) -> Vec<u8> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut grammar(), NAME, &mut script);
    script
}

const NAME: &str = "directory";

/// The program as the operator called it. cargo sets `CARGO` for the programs that it runs.
fn program() -> &'static str {
    if env::var_os("CARGO").is_some() { "cargo directory" } else { NAME }
}

/// The grammar of all commands.
fn grammar() -> clap::Command {
    Invocation::augment_subcommands(Cli::command())
}

/// The grammar, with usage and examples in the help of each subcommand.
fn command(program: &'static str) -> clap::Command {
    with_help(grammar().bin_name(program), &[], program)
}

fn with_help(command: clap::Command, path: &[String], program: &str) -> clap::Command {
    let names: Vec<String> = command.get_subcommands().map(|it| it.get_name().to_owned()).collect();
    let command = usage::add(examples::add(command, path, program), path, program);
    names.into_iter().fold(command, |command, name| {
        let path = [path, std::slice::from_ref(&name)].concat();
        command.mut_subcommand(name, |subcommand| with_help(subcommand, &path, program))
    })
}

/// An operation on the rows of one kind, with the types of its arguments.
#[derive(Debug, Subcommand)]
pub(super) enum Verb<P: Args, N: Args, S: Args> {
    /// Write a row, or replace it
    Put(P),
    /// Show a row
    Get(N),
    /// Show all rows
    List(S),
    /// Delete a row
    Delete(N),
}

/// An operation on a person's data.
#[derive(Debug, Subcommand)]
pub(super) enum PersonVerb {
    /// Show the data, each row with its kind and its sort key
    Get(Address),
    /// Delete all rows that `get` shows
    Delete(DeletePerson),
}

#[derive(Debug, Args)]
pub(super) struct DeletePerson {
    #[command(flatten)]
    person: Address,
    /// Delete without asking
    #[arg(long)]
    yes: bool,
    /// Show what would be deleted, as `get` does, and delete nothing
    #[arg(long, conflicts_with = "yes")]
    dry_run: bool,
}

/// A row from its fields, a JSON object, or both. The fields override the object.
#[derive(Debug, Args)]
pub(super) struct Put<F: Args> {
    #[command(flatten)]
    fields: F,
    /// The row as a JSON object
    #[arg(long, value_name = "OBJECT", conflicts_with = "file")]
    json: Option<String>,
    /// A file with the row as a JSON object; `-` is the standard input
    #[arg(long)]
    file: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(super) struct PutMember {
    #[command(flatten)]
    row: Put<MemberFields>,
    /// Write the member even if the organization, the user or a role is not in the directory
    #[arg(long)]
    force: bool,
}

#[derive(Debug, Args)]
pub(super) struct PutConnector {
    /// A file with the connector as a JSON object; `-` is the standard input
    #[arg(required_unless_present = "json")]
    file: Option<PathBuf>,
    /// The connector as a JSON object
    #[arg(long, value_name = "OBJECT", conflicts_with = "file")]
    json: Option<String>,
}

#[derive(Debug, Args, Serialize)]
pub(super) struct OrganizationFields {
    /// Its identifier
    #[arg(required_unless_present_any = ["json", "file"])]
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    /// Its display name
    #[arg(long, required_unless_present_any = ["json", "file"])]
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    /// A JSON object: `primaryColor` (`#rrggbb`) and `logoUrl` (`https`) for the built-in mail, and what templates need
    #[arg(long, value_name = "OBJECT", value_parser = object)]
    #[serde(skip_serializing_if = "Option::is_none")]
    branding: Option<Value>,
}

#[derive(Debug, Args, Serialize)]
pub(super) struct RoleFields {
    /// Its identifier
    #[arg(required_unless_present_any = ["json", "file"])]
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    /// Its display name
    #[arg(long, required_unless_present_any = ["json", "file"])]
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
}

#[derive(Debug, Args, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct UserFields {
    /// Their identifier
    #[arg(required_unless_present_any = ["json", "file"])]
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    /// Their display name
    #[arg(long)]
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    /// The address that an invitation to them must carry
    #[arg(long, visible_alias = "email", value_name = "ADDRESS")]
    #[serde(skip_serializing_if = "Option::is_none")]
    primary_email: Option<String>,
    /// The URL of a picture
    #[arg(long, value_name = "URL")]
    #[serde(skip_serializing_if = "Option::is_none")]
    avatar: Option<String>,
}

#[derive(Debug, Args, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct MemberFields {
    /// The organization
    #[arg(value_name = "ORGANIZATION", required_unless_present_any = ["json", "file"])]
    #[serde(skip_serializing_if = "Option::is_none")]
    organization_id: Option<String>,
    /// The user
    #[arg(value_name = "USER", required_unless_present_any = ["json", "file"])]
    #[serde(skip_serializing_if = "Option::is_none")]
    user_id: Option<String>,
    /// The member's address, if it differs from the one in the user's row
    #[arg(long, value_name = "ADDRESS")]
    #[serde(skip_serializing_if = "Option::is_none")]
    email: Option<String>,
    /// A role that the member has; can be given more than once
    #[arg(long = "role", value_name = "ROLE")]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    organization_role_ids: Vec<String>,
    /// The time of joining, in milliseconds since 1970; by default the stored time, or now for a new member
    #[arg(long, value_name = "MILLISECONDS")]
    #[serde(skip_serializing_if = "Option::is_none")]
    joined_at: Option<i64>,
}

#[derive(Debug, Args)]
pub(super) struct Id {
    /// Its identifier
    id: String,
}

#[derive(Debug, Args)]
pub(super) struct MemberName {
    /// The organization
    organization: String,
    /// The user
    user: String,
}

#[derive(Debug, Args)]
pub(super) struct Address {
    /// The address; case does not matter
    #[arg(value_parser = NonEmptyStringValueParser::new())]
    address: String,
}

#[derive(Debug, Args)]
pub(super) struct All {}

#[derive(Debug, Args)]
pub(super) struct OfOrganization {
    /// Only the members of this organization
    #[arg(long, value_name = "ORGANIZATION")]
    organization: Option<String>,
}

fn object(text: &str) -> Result<Value, String> {
    let object: Map<String, Value> =
        serde_json::from_str(text).map_err(|error| format!("not a JSON object: {error}"))?;
    Ok(Value::Object(object))
}

fn tenant(text: &str) -> Result<TenantId, String> {
    TenantId::parse(text)
        .ok_or_else(|| "a tenant's name has up to 64 letters, digits, underscores and hyphens".to_owned())
}

//! The conversion of the command line into an action.

use std::path::PathBuf;

use clap::Args;
use serde::Serialize;
use serde_json::{Map, Value};

use super::{Command, Id, MemberName, OfOrganization, PersonVerb, Put, PutConnector, PutMember, Verb};
use crate::{
    directory_command::{
        CommandError, display_name,
        entry::{Kind, Rules},
        import, read,
    },
    domain::ids::DirectoryId,
    store::directory_rows::{RowName, RowSet},
};

/// An action of the command.
#[derive(Debug)]
pub(in crate::directory_command) enum Action {
    Put(Kind, PutRow),
    Get(RowName),
    List(RowSet),
    Delete(RowName),
    Import(import::Options),
    GetPerson(String),
    DeletePerson { address: String, is_confirmed: bool },
}

/// A row to put.
#[derive(Debug)]
pub(in crate::directory_command) struct PutRow {
    pub(in crate::directory_command) fields: Map<String, Value>,
    pub(in crate::directory_command) source: Origin,
    /// Skips the check that the referenced rows exist.
    pub(in crate::directory_command) skips_check: bool,
}

/// The sources of a row's fields, for errors.
#[derive(Debug, Default)]
pub(in crate::directory_command) struct Origin {
    /// The name of the JSON document: a file, or `--json`.
    document: Option<String>,
    /// The names of the fields that were set by arguments.
    arguments: Vec<String>,
}

impl Origin {
    /// Puts the argument or the document in front of an error. The error begins with a field's name, or concerns the
    /// whole document.
    pub(in crate::directory_command) fn blame(&self, reason: &str) -> String {
        let field = reason.split_once(':').map_or("", |(field, _)| field);
        if let Some((_, argument)) = ARGUMENTS.iter().find(|(name, _)| *name == field)
            && self.arguments.iter().any(|name| name == field)
        {
            return format!("{argument}{}", &reason[field.len()..]);
        }
        match &self.document {
            Some(document) => format!("{document}: {reason}"),
            None => reason.to_owned(),
        }
    }
}

/// The argument of each field, as the usage shows it.
const ARGUMENTS: [(&str, &str); 9] = [
    ("id", "<ID>"),
    ("name", "--name"),
    ("primaryEmail", "--primary-email"),
    ("avatar", "--avatar"),
    ("organizationId", "<ORGANIZATION>"),
    ("userId", "<USER>"),
    ("email", "--email"),
    ("organizationRoleIds", "--role"),
    ("joinedAt", "--joined-at"),
];

impl Command {
    /// # Errors
    /// An invalid name, an unreadable file or invalid JSON.
    pub(in crate::directory_command) fn into_action(self, rules: Rules) -> Result<Action, CommandError> {
        let id = |name: fn(DirectoryId) -> RowName| {
            move |Id { id }: Id| rules.id("<ID>", &id).map(name).map_err(CommandError::Input)
        };
        match self {
            Self::Organization(verb) => {
                verb.into_action(Kind::Organization, id(RowName::Organization), |_| Ok(RowSet::Organizations))
            }
            Self::Role(verb) => verb.into_action(Kind::Role, id(RowName::Role), |_| Ok(RowSet::Roles)),
            Self::User(verb) => verb.into_action(Kind::User, id(RowName::User), |_| Ok(RowSet::Users)),
            Self::Member(verb) => verb.into_action(
                Kind::Member,
                |name| member_name(rules, &name),
                |OfOrganization { organization }| members_of(rules, organization),
            ),
            Self::Connector(verb) => {
                verb.into_action(Kind::Connector, |_| Ok(RowName::Connector), |_| Ok(RowSet::Connectors))
            }
            Self::Person(PersonVerb::Get(it)) => Ok(Action::GetPerson(it.address)),
            Self::Person(PersonVerb::Delete(it)) if it.dry_run => Ok(Action::GetPerson(it.person.address)),
            Self::Person(PersonVerb::Delete(it)) => {
                Ok(Action::DeletePerson { address: it.person.address, is_confirmed: it.yes })
            }
            Self::Import(options) => Ok(Action::Import(options)),
        }
    }
}

fn member_name(rules: Rules, name: &MemberName) -> Result<RowName, CommandError> {
    let organization_id = rules.id("<ORGANIZATION>", &name.organization).map_err(CommandError::Input)?;
    let user_id = rules.id("<USER>", &name.user).map_err(CommandError::Input)?;
    Ok(RowName::Member(organization_id, user_id))
}

fn members_of(rules: Rules, organization: Option<String>) -> Result<RowSet, CommandError> {
    let organization_id = organization.map(|id| rules.id("--organization", &id)).transpose();
    organization_id.map(RowSet::Members).map_err(CommandError::Input)
}

impl<P: Args + Row, N: Args, S: Args> Verb<P, N, S> {
    fn into_action(
        self,
        kind: Kind,
        name: impl FnOnce(N) -> Result<RowName, CommandError>,
        set: impl FnOnce(S) -> Result<RowSet, CommandError>,
    ) -> Result<Action, CommandError> {
        Ok(match self {
            Self::Put(row) => Action::Put(kind, of_kind(kind, row.into_row()?)?),
            Self::Get(it) => Action::Get(name(it)?),
            Self::List(it) => Action::List(set(it)?),
            Self::Delete(it) => Action::Delete(name(it)?),
        })
    }
}

/// The arguments that describe a row to put.
pub(in crate::directory_command) trait Row {
    fn into_row(self) -> Result<PutRow, CommandError>;
}

impl<F: Args + Serialize> Row for Put<F> {
    fn into_row(self) -> Result<PutRow, CommandError> {
        let mut row = document(self.json, self.file)?;
        let fields = serde_json::to_value(self.fields).map_err(|error| CommandError::Input(error.to_string()))?;
        let fields = fields.as_object().cloned().unwrap_or_default();
        row.source.arguments = fields.keys().cloned().collect();
        row.fields.extend(fields);
        Ok(row)
    }
}

impl Row for PutMember {
    fn into_row(self) -> Result<PutRow, CommandError> {
        Ok(PutRow { skips_check: self.force, ..self.row.into_row()? })
    }
}

impl Row for PutConnector {
    fn into_row(self) -> Result<PutRow, CommandError> {
        document(self.json, self.file)
    }
}

fn document(json: Option<String>, file: Option<PathBuf>) -> Result<PutRow, CommandError> {
    let (json, name) = match (json, file) {
        (Some(json), _) => (json, "--json".to_owned()),
        (None, Some(file)) => (read(&file)?, display_name(&file)),
        (None, None) => return Ok(PutRow { fields: Map::new(), source: Origin::default(), skips_check: false }),
    };
    let fields = serde_json::from_str(&json);
    let fields = fields.map_err(|error| CommandError::Input(format!("{name}: not a JSON object: {error}")))?;
    let source = Origin { document: Some(name), arguments: Vec::new() };
    Ok(PutRow { fields, source, skips_check: false })
}

/// Removes the field `kind`, which `list` shows. It must match the command's kind.
fn of_kind(kind: Kind, mut row: PutRow) -> Result<PutRow, CommandError> {
    match row.fields.remove("kind") {
        Some(other) if serde_json::to_value(kind).ok().as_ref() != Some(&other) => {
            Err(CommandError::Input(row.source.blame(&format!("kind: the row is of kind {other}"))))
        }
        _ => Ok(row),
    }
}

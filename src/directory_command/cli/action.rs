//! The conversion of the command line into an action.

use std::path::PathBuf;

use clap::Args;
use serde::Serialize;
use serde_json::{Map, Value};

use super::{Command, Id, MemberName, OfOrganization, PersonVerb, Put, PutConnector, Verb};
use crate::{
    directory_command::{
        CommandError,
        entry::{Kind, Rules},
        import, read,
    },
    store::directory_rows::{RowName, RowSet},
};

/// An action of the command.
#[derive(Debug)]
pub(in crate::directory_command) enum Action {
    Put(Kind, Map<String, Value>),
    Get(RowName),
    List(RowSet),
    Delete(RowName),
    Import(import::Options),
    GetPerson(String),
    DeletePerson(String),
}

impl Command {
    /// # Errors
    /// An invalid name, an unreadable file or invalid JSON.
    pub(in crate::directory_command) fn into_action(self, rules: Rules) -> Result<Action, CommandError> {
        let id = |name: fn(String) -> RowName| {
            move |Id { id }: Id| rules.id("id", &id).map(|()| name(id)).map_err(CommandError::Input)
        };
        match self {
            Self::Organization(verb) => {
                verb.into_action(Kind::Organization, id(RowName::Organization), |_| Ok(RowSet::Organizations))
            }
            Self::Role(verb) => verb.into_action(Kind::Role, id(RowName::Role), |_| Ok(RowSet::Roles)),
            Self::User(verb) => verb.into_action(Kind::User, id(RowName::User), |_| Ok(RowSet::Users)),
            Self::Member(verb) => verb.into_action(
                Kind::Member,
                |name| member_name(rules, name),
                |OfOrganization { organization }| members_of(rules, organization),
            ),
            Self::Connector(verb) => {
                verb.into_action(Kind::Connector, |_| Ok(RowName::Connector), |_| Ok(RowSet::Connectors))
            }
            Self::Person(PersonVerb::Get(it)) => Ok(Action::GetPerson(it.address)),
            Self::Person(PersonVerb::Delete(it)) => Ok(Action::DeletePerson(it.address)),
            Self::Import(options) => Ok(Action::Import(options)),
        }
    }
}

fn member_name(rules: Rules, name: MemberName) -> Result<RowName, CommandError> {
    rules.id("organization", &name.organization).map_err(CommandError::Input)?;
    rules.id("user", &name.user).map_err(CommandError::Input)?;
    Ok(RowName::Member(name.organization, name.user))
}

fn members_of(rules: Rules, organization: Option<String>) -> Result<RowSet, CommandError> {
    organization.iter().try_for_each(|id| rules.id("organization", id)).map_err(CommandError::Input)?;
    Ok(RowSet::Members(organization))
}

impl<P: Args + Row, N: Args, S: Args> Verb<P, N, S> {
    fn into_action(
        self,
        kind: Kind,
        name: impl FnOnce(N) -> Result<RowName, CommandError>,
        set: impl FnOnce(S) -> Result<RowSet, CommandError>,
    ) -> Result<Action, CommandError> {
        Ok(match self {
            Self::Put(row) => Action::Put(kind, of_kind(kind, row.fields()?)?),
            Self::Get(it) => Action::Get(name(it)?),
            Self::List(it) => Action::List(set(it)?),
            Self::Delete(it) => Action::Delete(name(it)?),
        })
    }
}

/// The arguments that describe a row to put.
pub(in crate::directory_command) trait Row {
    fn fields(self) -> Result<Map<String, Value>, CommandError>;
}

impl<F: Args + Serialize> Row for Put<F> {
    fn fields(self) -> Result<Map<String, Value>, CommandError> {
        let mut row = document(self.json, self.file)?;
        let fields = serde_json::to_value(self.fields).map_err(|error| CommandError::Input(error.to_string()))?;
        row.extend(fields.as_object().cloned().unwrap_or_default());
        Ok(row)
    }
}

impl Row for PutConnector {
    fn fields(self) -> Result<Map<String, Value>, CommandError> {
        document(self.json, self.file)
    }
}

fn document(json: Option<String>, file: Option<PathBuf>) -> Result<Map<String, Value>, CommandError> {
    let (json, name) = match (json, file) {
        (Some(json), _) => (json, "--json".to_owned()),
        (None, Some(file)) => (read(&file)?, file.display().to_string()),
        (None, None) => return Ok(Map::new()),
    };
    serde_json::from_str(&json).map_err(|error| CommandError::Input(format!("{name}: not a JSON object: {error}")))
}

/// Removes the field `kind`, which `list` shows. It must match the command's kind.
fn of_kind(kind: Kind, mut row: Map<String, Value>) -> Result<Map<String, Value>, CommandError> {
    match row.remove("kind") {
        Some(other) if serde_json::to_value(kind).ok().as_ref() != Some(&other) => {
            Err(CommandError::Input(format!("kind: the row is of kind {other}")))
        }
        _ => Ok(row),
    }
}

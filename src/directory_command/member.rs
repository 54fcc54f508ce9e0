//! The lookups before a member is written: the references and the address.

use serde_json::{Map, Value};

use super::{CommandError, Session};
use crate::{domain::ids::DirectoryId, store::directory_rows::RowName};

impl Session<'_> {
    /// Checks that the organization, the user and the roles of a member exist.
    ///
    /// # Errors
    /// [`CommandError::Input`] names all that are missing.
    pub(super) async fn check_references(&self, member: &Map<String, Value>) -> Result<(), CommandError> {
        let mut missing = Vec::new();
        for (what, name) in self.references(member)? {
            if self.app.store.directory_row(&self.tenant, &name).await?.is_none() {
                missing.push(what);
            }
        }
        if missing.is_empty() {
            return Ok(());
        }
        let (missing, tenant) = (missing.join(", "), &self.tenant);
        let advice = "put what is missing first, or skip this check with --force";
        Err(CommandError::Input(format!("tenant `{tenant}` has no {missing}: {advice}")))
    }

    /// The rows that a member refers to, with their names for the operator. Omits fields of a wrong type, which parsing
    /// the member reports.
    fn references(&self, member: &Map<String, Value>) -> Result<Vec<(String, RowName)>, CommandError> {
        let text = |field| member.get(field).and_then(Value::as_str);
        let roles = member.get("organizationRoleIds").and_then(Value::as_array);
        let roles = roles.into_iter().flatten().filter_map(Value::as_str);
        let references = [
            (
                "organizationId",
                "organization",
                text("organizationId"),
                RowName::Organization as fn(DirectoryId) -> RowName,
            ),
            ("userId", "user", text("userId"), RowName::User),
        ];
        let references = references.into_iter().filter_map(|(field, kind, id, name)| Some((field, kind, id?, name)));
        let roles = roles.map(|id| ("organizationRoleIds", "role", id, RowName::Role as fn(DirectoryId) -> RowName));
        let mut found = Vec::new();
        for (field, kind, id, name) in references.chain(roles) {
            let id = self.rules.id(field, id).map_err(CommandError::Input)?;
            found.push((format!("{kind} `{id}`"), name(id)));
        }
        Ok(found)
    }

    /// The address in the user's row, for a member without an `email` field.
    pub(super) async fn email_of(&self, member: &Map<String, Value>) -> Result<Option<Value>, CommandError> {
        let Some(user_id) = member.get("userId").and_then(Value::as_str) else { return Ok(None) };
        let user_id = self.rules.id("userId", user_id).map_err(CommandError::Input)?;
        let user = self.app.store.directory_row(&self.tenant, &RowName::User(user_id.clone())).await?;
        let email = user.as_ref().and_then(|user| user.get("primaryEmail")).filter(|email| email.is_string());
        let reason = || format!("user `{user_id}` has no address in the directory: give one with --email");
        email.cloned().map(Some).ok_or_else(|| CommandError::Input(reason()))
    }
}

//! The roles that an invitation grants, from the directory.

use crate::{
    domain::directory::OrganizationRole,
    store::{StoreError, directory::DirectorySnapshot},
};

/// The roles with these identifiers, and the identifiers of those that do not exist.
///
/// # Errors
/// A permanent one for a row that exists and cannot be read.
pub(super) fn find(
    directory: &DirectorySnapshot,
    ids: &[String],
) -> Result<(Vec<OrganizationRole>, Vec<String>), StoreError> {
    let (mut roles, mut unknown) = (Vec::new(), Vec::new());
    for id in ids {
        match directory.role(id)? {
            Some(role) => roles.push(role),
            None => unknown.push(id.clone()),
        }
    }
    Ok((roles, unknown))
}

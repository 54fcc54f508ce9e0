//! The email of an invitation.

use crate::{
    app::App,
    clock::RequestClock,
    config::Config,
    domain::{
        directory::{EmailConnector, Organization, User, connector_row::UnusableConnector},
        error::Error,
        ids::DirectoryId,
        invitation::Invitation,
    },
    mail::{Email, EmailContext, MessagePayload, compose},
    store::{
        StoreError,
        directory::{DirectoryLookup, DirectorySnapshot},
    },
};

/// Composes the email of an existing invitation from the current directory.
///
/// # Errors
/// Those of [`compose()`], [`Error::NoConnector`] or [`Error::InvalidConnector`].
pub(super) async fn of_existing(
    app: &App,
    invitation: &Invitation,
    payload: &MessagePayload,
    clock: RequestClock,
) -> Result<Email, Error> {
    let lookup = DirectoryLookup {
        organization_id: Some(invitation.organization_id.as_str()),
        user_id: invitation.inviter_id.as_ref().map(DirectoryId::as_str),
        connector: true,
        ..DirectoryLookup::default()
    };
    let directory = app.store.directory(&invitation.tenant, lookup, clock).await?;
    let connector = connector(&directory, &app.config)?;
    // An organization or user that was deleted from the directory is named by its identifier.
    let organization = directory.organization(invitation.organization_id.as_str())?;
    let organization = organization.unwrap_or_else(|| Organization::unnamed(invitation.organization_id.clone()));
    let named = |id: &DirectoryId| Ok(directory.user(id.as_str())?.unwrap_or_else(|| User::unnamed(id.clone())));
    let inviter = invitation.inviter_id.as_ref().map(named).transpose();
    let inviter = inviter.map_err(|error: StoreError| Error::from(error))?;
    compose(connector, payload, EmailContext { invitation, organization: &organization, inviter: inviter.as_ref() })
}

/// The tenant's email connector, or else the stack's, with its configuration set. An invalid connector of the tenant is
/// an error: the stack's connector would ignore the tenant's rules.
///
/// # Errors
/// [`Error::NoConnector`] or [`Error::InvalidConnector`].
pub(super) fn connector(directory: &DirectorySnapshot, config: &Config) -> Result<EmailConnector, Error> {
    let own = directory.connector().map_err(|UnusableConnector { cause }| Error::InvalidConnector { cause })?;
    let connector = own.or_else(|| config.default_connector.clone()).ok_or(Error::NoConnector)?;
    let named = connector.configuration_set_name.or_else(|| config.default_configuration_set_name.clone());
    // An empty name means no configuration set.
    Ok(EmailConnector { configuration_set_name: named.filter(|name| !name.is_empty()), ..connector })
}

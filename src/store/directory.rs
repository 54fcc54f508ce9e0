//! Reads the directory rows of a request in one strongly consistent `BatchGetItem`, except rows in a warm function's
//! cache. Absence is never cached: a missing row may be written any moment, and the next request must find it.

use std::{
    collections::{BTreeSet, HashMap},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

use super::{Item, Store, StoreError, call::call, items, keys, read::MAX_LOGGED_ROWS};
use crate::{
    clock::{Deadline, RequestClock, budgets::OPERATOR_CALL},
    config::Config,
    domain::{
        directory::{
            EmailConnector, Organization, OrganizationRole, ReferenceChecks, User,
            connector_row::{self, UnusableConnector},
        },
        ids::{DirectoryId, TenantId},
        invitation::NewInvitation,
        timestamp::Timestamp,
    },
    telemetry::statistics,
};

/// The maximum number of cached rows, and of their bytes as estimated by [`row_bytes`]: one tenant's connector may have
/// 400 KB, and a function with 128 MB serves any number of tenants.
const CACHE_CAPACITY: usize = 1_000;
const CACHE_BYTES: usize = 8 << 20;

/// The directory rows that a request needs.
#[derive(Clone, Copy, Debug, Default)]
pub struct DirectoryLookup<'a> {
    /// The organization, by its identifier.
    pub organization_id: Option<&'a str>,
    /// The user, by their identifier.
    pub user_id: Option<&'a str>,
    /// The roles, by their identifiers.
    pub role_ids: &'a [String],
    /// `true` to read the tenant's email connector.
    pub connector: bool,
}

impl<'a> DirectoryLookup<'a> {
    /// The rows that a new invitation needs, with the connector if it is mailed.
    pub(crate) fn of_new(new: &'a NewInvitation, is_mailed: bool) -> Self {
        Self {
            organization_id: Some(&new.organization_id),
            user_id: new.inviter_id.as_deref(),
            role_ids: &new.organization_role_ids,
            connector: is_mailed,
        }
    }
}

/// The directory rows of a request, read or cached.
#[derive(Debug)]
pub struct DirectorySnapshot {
    rows: HashMap<String, Arc<Value>>,
    rules: Rules,
}

/// The settings of a lookup.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rules {
    checks: ReferenceChecks,
    id_max_length: usize,
}

/// The cached rows, by tenant and sort key.
#[derive(Debug)]
pub(super) struct Cache {
    lifetime: Duration,
    rows: Mutex<HashMap<(TenantId, String), CachedRow>>,
}

/// A row with the time of its read.
#[derive(Debug)]
struct CachedRow {
    read_at: Timestamp,
    row: Arc<Value>,
    bytes: usize,
}

impl DirectorySnapshot {
    /// The organization with this identifier.
    ///
    /// # Errors
    /// A permanent error if the row is unreadable.
    pub(crate) fn organization(&self, id: &str) -> Result<Option<Organization>, StoreError> {
        self.reference(id, keys::organization, Organization::unnamed)
    }

    /// The role with that identifier.
    ///
    /// # Errors
    /// As of [`DirectorySnapshot::organization`].
    pub fn role(&self, id: &str) -> Result<Option<OrganizationRole>, StoreError> {
        self.reference(id, keys::role, OrganizationRole::unnamed)
    }

    /// The user with that identifier.
    ///
    /// # Errors
    /// As of [`DirectorySnapshot::organization`].
    pub(crate) fn user(&self, id: &str) -> Result<Option<User>, StoreError> {
        self.reference(id, keys::user, User::unnamed)
    }

    /// The tenant's email connector, if there is one.
    ///
    /// # Errors
    /// The connector's row is invalid, which is not the same as missing.
    pub fn connector(&self) -> Result<Option<EmailConnector>, UnusableConnector> {
        self.rows.get(keys::EMAIL_CONNECTOR).map(|row| connector_row::read(row)).transpose()
    }

    fn reference<T: DeserializeOwned>(
        &self,
        id: &str,
        sort_key: impl FnOnce(&DirectoryId) -> String,
        trusted: impl FnOnce(DirectoryId) -> T,
    ) -> Result<Option<T>, StoreError> {
        let Some(id) = DirectoryId::parse(id, self.rules.id_max_length) else { return Ok(None) };
        match self.rules.checks {
            ReferenceChecks::Enforce => {
                let sk = sort_key(&id);
                let read = |row: &Arc<Value>| T::deserialize(row.as_ref()).map_err(|_| unreadable(&sk, row));
                self.rows.get(&sk).map(read).transpose()
            }
            ReferenceChecks::Trust => Ok(Some(trusted(id))),
        }
    }
}

impl Rules {
    pub(super) fn new(config: &Config) -> Self {
        Self { checks: config.reference_checks, id_max_length: config.id_max_length }
    }

    /// The sort keys of the rows to read. Invalid identifiers are skipped, because their keys could be those of other
    /// rows.
    fn sort_keys(self, lookup: DirectoryLookup<'_>) -> Vec<String> {
        let is_read = self.checks == ReferenceChecks::Enforce;
        let read = |id: &str| DirectoryId::parse(id, self.id_max_length).filter(|_| is_read);
        let organization = lookup.organization_id.and_then(read).as_ref().map(keys::organization);
        let user = lookup.user_id.and_then(read).as_ref().map(keys::user);
        let roles = lookup.role_ids.iter().filter_map(|id| read(id).as_ref().map(keys::role));
        let connector = lookup.connector.then(|| keys::EMAIL_CONNECTOR.to_owned());
        organization.into_iter().chain(user).chain(roles).chain(connector).collect()
    }
}

impl Store {
    /// Reads the existing rows of `lookup`.
    pub async fn directory(
        &self,
        tenant: &TenantId,
        lookup: DirectoryLookup<'_>,
        clock: RequestClock,
    ) -> Result<DirectorySnapshot, StoreError> {
        self.directory_of_all(tenant, &[lookup], clock).await
    }

    /// Reads the existing rows of all `lookups`, each row once.
    pub async fn directory_of_all(
        &self,
        tenant: &TenantId,
        lookups: &[DirectoryLookup<'_>],
        clock: RequestClock,
    ) -> Result<DirectorySnapshot, StoreError> {
        let mut directory = self.no_directory();
        let wanted: BTreeSet<String> = lookups.iter().flat_map(|lookup| self.rules.sort_keys(*lookup)).collect();
        let mut wanted: Vec<String> = wanted.into_iter().collect();
        wanted.retain(|sk| match self.directory_cache.get(tenant, sk, clock.now) {
            Some(row) => directory.rows.insert(sk.clone(), row).is_some(),
            None => true,
        });
        for item in self.batch_get(tenant, wanted, clock.deadline).await? {
            let Some(sk) = items::text(&item, keys::SK).map(str::to_owned) else { continue };
            let row = Arc::new(identified(&sk, items::to_json(item)));
            self.directory_cache.put(tenant, &sk, &row, clock.now);
            directory.rows.insert(sk, row);
        }
        Ok(directory)
    }

    /// Reads the names of the organizations that exist in the directory. A projection leaves out their other
    /// attributes, which may be large; nothing is cached. An organization with an unreadable name is skipped, logged
    /// and counted.
    pub(crate) async fn organization_names(
        &self,
        tenant: &TenantId,
        ids: &BTreeSet<&str>,
        clock: RequestClock,
    ) -> Result<HashMap<String, String>, StoreError> {
        let lookup = |id: &&'_ str| -> Vec<String> {
            self.rules.sort_keys(DirectoryLookup { organization_id: Some(id), ..DirectoryLookup::default() })
        };
        let wanted = ids.iter().flat_map(lookup).collect();
        let rows = self.batch_get_attributes(tenant, wanted, &[keys::SK, "name"], clock.deadline).await?;
        let name = |row: &Item| {
            let id = items::text(row, keys::SK).and_then(keys::directory_id)?;
            let name = items::text(row, "name");
            if name.is_none() && statistics::unreadable_row() <= MAX_LOGGED_ROWS {
                tracing::error!(%tenant, "an organization's row cannot be read");
            }
            Some((id.to_owned(), name?.to_owned()))
        };
        Ok(rows.iter().filter_map(name).collect())
    }

    /// An empty snapshot.
    pub fn no_directory(&self) -> DirectorySnapshot {
        DirectorySnapshot { rows: HashMap::new(), rules: self.rules }
    }

    /// Writes an organization into the directory.
    pub async fn put_organization(&self, tenant: &TenantId, organization: &Organization) -> Result<(), StoreError> {
        self.put_row(tenant, &keys::organization(&organization.id), organization).await
    }

    /// Writes a role into the directory.
    pub async fn put_role(&self, tenant: &TenantId, role: &OrganizationRole) -> Result<(), StoreError> {
        self.put_row(tenant, &keys::role(&role.id), role).await
    }

    /// Writes a user into the directory.
    pub async fn put_user(&self, tenant: &TenantId, user: &User) -> Result<(), StoreError> {
        self.put_row(tenant, &keys::user(&user.id), user).await
    }

    /// Writes the tenant's email connector.
    pub async fn put_connector(&self, tenant: &TenantId, connector: &EmailConnector) -> Result<(), StoreError> {
        self.put_row(tenant, keys::EMAIL_CONNECTOR, connector).await
    }

    async fn put_row(&self, tenant: &TenantId, sk: &str, row: &impl Serialize) -> Result<(), StoreError> {
        let item = to_item(tenant, sk, row)?;
        let request = self.client.put_item().table_name(&self.table).set_item(Some(item));
        call(Deadline::within(OPERATOR_CALL), || request.clone().send()).await.map(drop)
    }
}

impl Cache {
    pub(super) fn new(lifetime: Duration) -> Self {
        Self { lifetime, rows: Mutex::default() }
    }

    fn get(&self, tenant: &TenantId, sk: &str, now: Timestamp) -> Option<Arc<Value>> {
        if self.lifetime.is_zero() {
            return None;
        }
        let rows = self.rows.lock().unwrap_or_else(PoisonError::into_inner);
        let cached = rows.get(&(tenant.clone(), sk.to_owned()))?;
        self.is_fresh(cached.read_at, now).then(|| Arc::clone(&cached.row))
    }

    /// A row with a read time after `now` is not fresh: the clock was set back.
    fn is_fresh(&self, read_at: Timestamp, now: Timestamp) -> bool {
        (read_at..read_at.plus(self.lifetime)).contains(&now)
    }

    fn put(&self, tenant: &TenantId, sk: &str, row: &Arc<Value>, now: Timestamp) {
        if self.lifetime.is_zero() {
            return;
        }
        let mut rows = self.rows.lock().unwrap_or_else(PoisonError::into_inner);
        let bytes = row_bytes(row);
        let is_full = |rows: &HashMap<_, CachedRow>| {
            rows.len() >= CACHE_CAPACITY || bytes + rows.values().map(|it| it.bytes).sum::<usize>() > CACHE_BYTES
        };
        if is_full(&rows) {
            rows.retain(|_, cached| self.is_fresh(cached.read_at, now));
        }
        if is_full(&rows) {
            rows.clear();
        }
        rows.insert((tenant.clone(), sk.to_owned()), CachedRow { read_at: now, row: Arc::clone(row), bytes });
    }
}

/// Converts `row` to an item with the sort key `sk`.
pub(super) fn to_item(tenant: &TenantId, sk: &str, row: &impl Serialize) -> Result<Item, StoreError> {
    let row =
        serde_json::to_value(row).map_err(|error| StoreError::nothing_written(format!("{} row: {error}", kind(sk))))?;
    let mut item = items::from_json(row);
    item.extend(keys::primary(tenant, sk));
    Ok(item)
}

/// Sets the `id` of a directory row to the identifier in its key, which references use.
pub(super) fn identified(sk: &str, mut row: Value) -> Value {
    if let (Some(id), Some(fields)) = (keys::directory_id(sk), row.as_object_mut()) {
        fields.insert("id".to_owned(), id.into());
    }
    row
}

/// The error of an unreadable row. It names the invalid attribute, but not its value.
fn unreadable(sk: &str, row: &Value) -> StoreError {
    const TEXTS: [&str; 3] = ["name", "primaryEmail", "avatar"];
    let is_no_text = |name: &&&str| row.get(**name).is_some_and(|value| !value.is_string());
    let is_no_map = row.get("branding").is_some_and(|branding| !branding.is_object());
    let missing = if is_no_map { "branding" } else { "name" };
    StoreError::unreadable(&kind(sk).to_ascii_lowercase(), TEXTS.iter().find(is_no_text).unwrap_or(&missing))
}

/// An estimate of the memory that a row takes, in bytes: its texts, and a fixed size for each value.
fn row_bytes(row: &Value) -> usize {
    const VALUE: usize = 64;
    match row {
        Value::String(text) => VALUE + text.len(),
        Value::Array(values) => VALUE + values.iter().map(row_bytes).sum::<usize>(),
        Value::Object(fields) => {
            VALUE + fields.iter().map(|(name, value)| VALUE + name.len() + row_bytes(value)).sum::<usize>()
        }
        _ => VALUE,
    }
}

/// The kind of a row: the prefix of its sort key.
fn kind(sk: &str) -> &str {
    sk.split('#').next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cache_stays_within_its_maximum_bytes_however_large_the_rows_are() {
        let cache = Cache::new(Duration::from_secs(30));
        let now = Timestamp::from_millis(1_767_225_600_000);
        let row = Arc::new(serde_json::json!({ "templates": { "en": { "html": "x".repeat(390_000) } } }));
        for tenant in 0..100 {
            let tenant = TenantId::parse(&format!("t{tenant}")).unwrap();
            cache.put(&tenant, keys::EMAIL_CONNECTOR, &row, now);
            assert!(cache.get(&tenant, keys::EMAIL_CONNECTOR, now).is_some(), "the newest is cached");
            let bytes: usize = cache.rows.lock().unwrap().values().map(|it| it.bytes).sum();
            assert!(bytes <= CACHE_BYTES, "{bytes}");
        }
    }
}

//! The settings of the function, read once from the environment at startup.
//!
//! An invalid setting fails the startup with an error that names its variable; it never falls back to the default.

use std::{collections::BTreeMap, fmt::Display, str::FromStr, time::Duration};

use crate::domain::{
    directory::{EmailConnector, ReferenceChecks, is_host_name},
    rate_limit::MessageRate,
};

/// The maximum length of a message tag's value in SES, in characters (API reference, `MessageTag`).
const MAX_TAG_LENGTH: usize = 256;

/// The function's settings.
#[derive(Clone, Debug)]
pub struct Config {
    /// `TABLE_NAME` (required): the DynamoDB table.
    pub table_name: String,
    /// `ID_MAX_LENGTH` (21; 1 to 128): the maximum length of an organization, role or user identifier, in UTF-16 units.
    /// Logto's have 21, a Cognito `sub` 36.
    pub id_max_length: usize,
    /// `REFERENCE_CHECKS` (`enforce`): `enforce` requires organization, inviter and roles to exist in the directory,
    /// `trust` does not.
    pub reference_checks: ReferenceChecks,
    /// `DIRECTORY_CACHE_SECONDS` (30; 0 to 3600; 0 turns it off): the time for which a warm function caches an existing
    /// directory row.
    pub directory_cache: Duration,
    /// `RETENTION_DAYS` (30; 0 to 3650): the time for which an invitation is kept after its `expiresAt`. Stored in
    /// **seconds**.
    pub retention_seconds: i64,
    /// `ALLOWED_SCOPES` (`all`): the scopes, separated by white space, any of which admits a caller.
    pub allowed_scopes: Vec<String>,
    /// `ALLOWED_GROUPS` (none): the groups, separated by commas, any of which admits a caller.
    pub allowed_groups: Vec<String>,
    /// `TENANT_CLAIMS` (`tenant_id,custom:tenant_id`): the claims that may name the tenant. The first one present
    /// decides.
    pub tenant_claims: Vec<String>,
    /// `MESSAGE_RATE_LIMIT` and `MESSAGE_RATE_WINDOW_SECONDS`: the rate limit of messages to one recipient.
    pub message_rate: MessageRate,
    /// `MAIL_RATE_PER_SECOND` (10; 1 to 10000): the rate at which a bulk create sends emails. SES throttles emails
    /// above the account's own sending rate.
    pub mail_rate_per_second: u32,
    /// `DEFAULT_FROM_EMAIL_ADDRESS`, `DEFAULT_REPLY_TO`, `DEFAULT_LOCALE` and `DEFAULT_ALLOWED_LINK_HOSTS` (separated
    /// by commas; empty allows any host): the email connector of tenants that have none. `None` if the first variable
    /// is not set.
    pub default_connector: Option<EmailConnector>,
    /// `DEFAULT_CONFIGURATION_SET_NAME` (none): the SES configuration set of every connector that names none, including
    /// tenants' own connectors.
    pub default_configuration_set_name: Option<String>,
    /// `SELF_SERVICE` (`off`): `on` lets invitees list, accept and decline their own invitations with their own access
    /// tokens.
    pub self_service: bool,
    /// `STACK_NAME` (none): the stack's name, of `[A-Za-z0-9_.@-]`, which becomes a tag of each email. Feedback with
    /// another stack's tag is ignored. Without the setting, emails have no such tag and no feedback is ignored.
    pub stack_name: Option<String>,
}

/// An error in the settings.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum ConfigError {
    /// A required variable is absent or empty.
    #[error("{0} is not set")]
    Missing(&'static str),
    /// A variable has an invalid value.
    #[error("{name} is `{value}`, but must be {expected}")]
    Invalid {
        /// The variable.
        name: &'static str,
        /// Its value.
        value: String,
        /// A description of the valid values.
        expected: String,
    },
}

impl Config {
    /// Reads the settings from the process's environment.
    pub fn from_env() -> Result<Self, ConfigError> {
        Self::from_lookup(|name| std::env::var(name).ok())
    }

    /// Reads the settings that `lookup` returns by variable name. An empty value counts as absent, except for a list,
    /// where it means the empty list.
    pub fn from_lookup(lookup: impl Fn(&str) -> Option<String>) -> Result<Self, ConfigError> {
        let settings = Settings { lookup };
        let table_name = settings.text("TABLE_NAME").ok_or(ConfigError::Missing("TABLE_NAME"))?;
        let config = Self {
            table_name,
            id_max_length: settings.number("ID_MAX_LENGTH", 21, 1, 128)?,
            reference_checks: settings.reference_checks()?,
            directory_cache: Duration::from_secs(settings.number("DIRECTORY_CACHE_SECONDS", 30, 0, 3600)?),
            retention_seconds: 86_400 * settings.number("RETENTION_DAYS", 30, 0, 3650)?,
            allowed_scopes: settings.list("ALLOWED_SCOPES", "all", char::is_whitespace),
            allowed_groups: settings.list("ALLOWED_GROUPS", "", |c| c == ','),
            tenant_claims: settings.list("TENANT_CLAIMS", "tenant_id,custom:tenant_id", |c| c == ','),
            message_rate: MessageRate {
                limit: settings.number("MESSAGE_RATE_LIMIT", 10, 1, 100)?,
                window: Duration::from_secs(settings.number("MESSAGE_RATE_WINDOW_SECONDS", 600, 1, 86_400)?),
            },
            mail_rate_per_second: settings.number("MAIL_RATE_PER_SECOND", 10, 1, 10_000)?,
            default_connector: settings.default_connector()?,
            default_configuration_set_name: settings.text("DEFAULT_CONFIGURATION_SET_NAME"),
            self_service: settings.switch("SELF_SERVICE")?,
            stack_name: settings.stack_name()?,
        };
        if config.tenant_claims.is_empty() {
            return Err(invalid("TENANT_CLAIMS", &settings, "a list of claim names separated by commas"));
        }
        if config.allowed_scopes.is_empty() && config.allowed_groups.is_empty() {
            return Err(invalid("ALLOWED_SCOPES", &settings, "a list of scopes, unless there are ALLOWED_GROUPS"));
        }
        Ok(config)
    }
}

/// Reads single settings.
struct Settings<F> {
    lookup: F,
}

impl<F: Fn(&str) -> Option<String>> Settings<F> {
    fn text(&self, name: &str) -> Option<String> {
        (self.lookup)(name).filter(|value| !value.is_empty())
    }

    fn number<N>(&self, name: &'static str, default: N, least: N, most: N) -> Result<N, ConfigError>
    where
        N: FromStr + PartialOrd + Display + Copy,
    {
        let Some(value) = self.text(name) else { return Ok(default) };
        let number = value.parse().ok().filter(|number| (least..=most).contains(number));
        number.ok_or_else(|| invalid(name, self, &format!("a whole number from {least} to {most}")))
    }

    fn list(&self, name: &str, default: &str, separator: impl Fn(char) -> bool) -> Vec<String> {
        let value = (self.lookup)(name).unwrap_or_else(|| default.to_owned());
        value.split(separator).map(str::trim).filter(|entry| !entry.is_empty()).map(str::to_owned).collect()
    }

    fn stack_name(&self) -> Result<Option<String>, ConfigError> {
        const NAME: &str = "STACK_NAME";
        let allowed = |c: char| c.is_ascii_alphanumeric() || "_.@-".contains(c);
        let is_tag = |name: &String| name.len() <= MAX_TAG_LENGTH && name.chars().all(allowed);
        let name = self.text(NAME);
        if name.as_ref().is_none_or(is_tag) {
            return Ok(name);
        }
        Err(invalid(NAME, self, "at most 256 letters, digits and `_.@-`, the characters that SES allows in a tag"))
    }

    /// Reads an `on`/`off` setting; off by default.
    fn switch(&self, name: &'static str) -> Result<bool, ConfigError> {
        match self.text(name).as_deref() {
            None | Some("off") => Ok(false),
            Some("on") => Ok(true),
            Some(_) => Err(invalid(name, self, "`on` or `off`")),
        }
    }

    fn reference_checks(&self) -> Result<ReferenceChecks, ConfigError> {
        match self.text("REFERENCE_CHECKS").as_deref() {
            None | Some("enforce") => Ok(ReferenceChecks::Enforce),
            Some("trust") => Ok(ReferenceChecks::Trust),
            Some(_) => Err(invalid("REFERENCE_CHECKS", self, "`enforce` or `trust`")),
        }
    }

    fn link_hosts(&self) -> Result<Vec<String>, ConfigError> {
        const NAME: &str = "DEFAULT_ALLOWED_LINK_HOSTS";
        let hosts = self.list(NAME, "", |c| c == ',');
        let are_plain = hosts.iter().all(|host| is_host_name(host));
        let expected = "a list of host names such as `app.example.com`, separated by commas";
        if are_plain { Ok(hosts) } else { Err(invalid(NAME, self, expected)) }
    }

    fn default_connector(&self) -> Result<Option<EmailConnector>, ConfigError> {
        let allowed_link_hosts = self.link_hosts()?;
        Ok(self.text("DEFAULT_FROM_EMAIL_ADDRESS").map(|from_email_address| EmailConnector {
            from_email_address,
            from_email_address_identity_arn: None,
            reply_to: self.text("DEFAULT_REPLY_TO").into_iter().collect(),
            feedback_forwarding_email_address: None,
            configuration_set_name: None,
            default_locale: self.text("DEFAULT_LOCALE").unwrap_or_else(|| "en".to_owned()),
            templates: BTreeMap::new(),
            allowed_link_hosts,
            allow_token_in_any_link: false,
        }))
    }
}

fn invalid<F: Fn(&str) -> Option<String>>(name: &'static str, settings: &Settings<F>, expected: &str) -> ConfigError {
    let value = (settings.lookup)(name).unwrap_or_default();
    ConfigError::Invalid { name, value, expected: expected.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(variables: &[(&str, &str)]) -> Result<Config, ConfigError> {
        Config::from_lookup(|name| {
            let found = variables.iter().find(|(variable, _)| *variable == name);
            let given = found.map(|(_, value)| (*value).to_owned());
            given.or_else(|| ["TABLE_NAME", "DEFAULT_FROM_EMAIL_ADDRESS"].contains(&name).then(|| "t".to_owned()))
        })
    }

    #[test]
    fn an_invalid_setting_is_an_error_that_names_its_variable() {
        for (name, value) in [
            ("TABLE_NAME", ""),
            ("ID_MAX_LENGTH", "0"),
            ("ID_MAX_LENGTH", "129"),
            ("ID_MAX_LENGTH", "twenty"),
            ("REFERENCE_CHECKS", "maybe"),
            ("DIRECTORY_CACHE_SECONDS", "-1"),
            ("RETENTION_DAYS", "1.5"),
            ("MESSAGE_RATE_LIMIT", "0"),
            ("MESSAGE_RATE_WINDOW_SECONDS", "86401"),
            ("MAIL_RATE_PER_SECOND", "0"),
            ("MAIL_RATE_PER_SECOND", "10001"),
            ("TENANT_CLAIMS", " , "),
            ("ALLOWED_SCOPES", ""),
            ("DEFAULT_ALLOWED_LINK_HOSTS", "https://app.example.com"),
            ("DEFAULT_ALLOWED_LINK_HOSTS", "app.example.com/join"),
            ("SELF_SERVICE", "true"),
            ("STACK_NAME", "two words"),
            ("STACK_NAME", "a#b"),
        ] {
            let message = config(&[(name, value)]).unwrap_err().to_string();
            assert!(message.contains(name), "{name}={value}: {message}");
        }
    }

    #[test]
    fn defaults_are_those_of_the_contract() {
        let config = config(&[]).unwrap();
        assert_eq!(config.id_max_length, 21);
        assert_eq!(config.message_rate, MessageRate { limit: 10, window: Duration::from_mins(10) });
        assert_eq!(config.tenant_claims, ["tenant_id", "custom:tenant_id"]);
        assert_eq!(config.allowed_scopes, ["all"]);
    }

    #[test]
    fn with_an_empty_list_of_scopes_only_groups_admit_a_caller() {
        let config = config(&[("ALLOWED_SCOPES", ""), ("ALLOWED_GROUPS", "admins, inviters")]).unwrap();
        assert!(config.allowed_scopes.is_empty());
        assert_eq!(config.allowed_groups, ["admins", "inviters"]);
    }

    #[test]
    fn the_configuration_set_needs_no_default_connector_and_the_link_hosts_are_part_of_it() {
        let settings = [
            ("DEFAULT_CONFIGURATION_SET_NAME", "set"),
            ("DEFAULT_ALLOWED_LINK_HOSTS", "app.example.com, www.example.com"),
            ("DEFAULT_FROM_EMAIL_ADDRESS", ""),
        ];
        let config = |settings: &[(&str, &str)]| super::tests::config(settings).unwrap();
        assert_eq!(config(&settings).default_configuration_set_name.as_deref(), Some("set"));
        assert!(config(&settings).default_connector.is_none());
        let connector = config(&settings[..2]).default_connector.unwrap();
        assert_eq!(connector.allowed_link_hosts, ["app.example.com", "www.example.com"]);
    }
}

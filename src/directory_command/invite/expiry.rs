//! The expiry of the invitations, and the idempotency key that depends on it.
//!
//! The API replays a create only for the same body, which contains the expiry. The first command with `--expires-in`
//! therefore writes the time to a file beside the input, and a repeated command reads it from there.

use std::{fs, path::PathBuf, time::Duration};

use aws_smithy_types::{DateTime, date_time::Format};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};
use serde_json::json;
use sha2::{Digest, Sha256};

use super::{InviteError, Options};
use crate::domain::{idempotency::KEPT_MILLIS, timestamp::Timestamp};

const DEFAULT: Duration = Duration::from_hours(7 * 24);

/// The expiry as the operator gave it.
pub(super) enum Expiry {
    At(Timestamp),
    In(Duration),
}

/// The record of a run, a file beside the input.
#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
struct Record {
    /// The digest of the file and the options.
    input: String,
    expires_at: i64,
    /// In milliseconds. The API keeps idempotency keys for a day.
    started_at: i64,
}

impl Expiry {
    pub(super) fn of(options: &Options) -> Self {
        options.expires_at.map_or_else(|| Self::In(options.expires_in.unwrap_or(DEFAULT)), Self::At)
    }

    /// The time of expiry: that of an earlier command with the same file and options, if it is less than a day old.
    ///
    /// # Errors
    /// The record cannot be written.
    pub(super) fn resolve(&self, options: &Options, content: &[u8]) -> Result<Timestamp, InviteError> {
        let duration = match self {
            Self::At(time) => return Ok(*time),
            Self::In(duration) => *duration,
        };
        let now = Timestamp::now();
        let Some(file) = record_file(options) else { return Ok(now.plus(duration)) };
        let input = digest(&[b"input", content, &shape(options), duration.as_secs().to_string().as_bytes()]);
        let earlier = fs::read(&file).ok().and_then(|json| serde_json::from_slice::<Record>(&json).ok());
        let is_same = |record: &Record| record.input == input && now.as_millis() - record.started_at < KEPT_MILLIS;
        if let Some(record) = earlier.filter(is_same) {
            return Ok(Timestamp::from_millis(record.expires_at));
        }
        let expires_at = now.plus(duration);
        let record = Record { input, expires_at: expires_at.as_millis(), started_at: now.as_millis() };
        fs::write(&file, json!(record).to_string()).map_err(|error| {
            let file = file.display();
            InviteError::Invalid(format!("{file}: {error}: the run cannot be continued without it; use --expires-at"))
        })?;
        Ok(expires_at)
    }
}

/// The file of the record; `None` for the standard input.
fn record_file(options: &Options) -> Option<PathBuf> {
    let mut name = options.file.file_name().filter(|name| *name != "-")?.to_owned();
    name.push(".run");
    Some(options.file.with_file_name(name))
}

/// The idempotency key of all calls of a run. It depends on everything that the bodies depend on.
pub(super) fn key(options: &Options, content: &[u8], expires_at: Timestamp) -> String {
    let expires_at = expires_at.as_millis().to_string();
    format!("invite-{}", digest(&[b"key", content, &shape(options), expires_at.as_bytes()]))
}

/// The options that the bodies depend on, and the name of the run.
fn shape(options: &Options) -> Vec<u8> {
    let Options { organization, roles, inviter, link, locale, no_mail, run, .. } = options;
    json!([organization, roles, inviter, link, locale, no_mail, run]).to_string().into_bytes()
}

fn digest(parts: &[&[u8]]) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    BASE64_URL_SAFE_NO_PAD.encode(hash.finalize())
}

/// Parses a number of days, hours or minutes.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let expected = || "expected a number of days, hours or minutes, such as 7d, 12h or 30m".to_owned();
    let unit = text.chars().last().ok_or_else(expected)?;
    let seconds = match unit {
        'd' => 86_400,
        'h' => 3_600,
        'm' => 60,
        _ => return Err(expected()),
    };
    let number: u32 = text[..text.len() - 1].parse().map_err(|_| expected())?;
    if number == 0 { Err(expected()) } else { Ok(Duration::from_secs(u64::from(number) * seconds)) }
}

/// Parses a time: RFC 3339, or milliseconds since 1970.
pub(super) fn time(text: &str) -> Result<Timestamp, String> {
    if let Ok(millis) = text.parse() {
        return Ok(Timestamp::from_millis(millis));
    }
    let time = DateTime::from_str(text, Format::DateTimeWithOffset).ok().and_then(|time| time.to_millis().ok());
    let expected =
        || "not a time: expected RFC 3339, such as 2030-01-31T00:00:00Z, or milliseconds since 1970".to_owned();
    time.map(Timestamp::from_millis).ok_or_else(expected)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_and_times_are_read_in_their_forms_only() {
        for (text, seconds) in [
            ("7d", Some(604_800)),
            ("12h", Some(43_200)),
            ("30m", Some(1_800)),
            ("4294967295d", Some(371_085_174_288_000)),
        ] {
            assert_eq!(duration(text).ok().map(|it| it.as_secs()), seconds, "{text}");
        }
        for text in ["", "d", "7", "0d", "-1d", "1.5h", "7 d", "7ä", "4294967296d"] {
            assert!(duration(text).is_err(), "{text}");
        }
        for (text, millis) in [
            ("1000", Some(1_000)),
            ("1970-01-01T00:00:01Z", Some(1_000)),
            ("1970-01-01T02:00:01+02:00", Some(1_000)),
            ("tomorrow", None),
            ("2030-01-01", None),
            ("", None),
        ] {
            assert_eq!(time(text).ok().map(Timestamp::as_millis), millis, "{text}");
        }
    }
}

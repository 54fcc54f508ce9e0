//! The rate limit of a recipient: an exact sliding window, stored as the times of the last sends.
//!
//! A recipient usually has no send in the window, so the first attempt to reserve a send assumes an empty row. If the
//! assumption is wrong, the failed condition returns the row, and the next attempt adds to its list, conditioned on its
//! version. So the usual case needs no read, and concurrent sends are all counted.

use std::fmt;

use aws_sdk_dynamodb::types::AttributeValue;

use super::{
    Item, Store, StoreError,
    end::check_readable,
    items::{TTL, millis, named, number, string, ttl},
    keys,
    token::MessageToken,
    transaction::{PartRole, TransactionOutcome, TransactionPart},
};
use crate::{
    clock::{RequestClock, budgets::TIME_AFTER_WRITING},
    domain::{
        email_address::NormalizedAddress, ids::TenantId, invitation::Invitation, rate_limit::MessageRate,
        timestamp::Timestamp,
    },
};

/// The sends to one recipient of one tenant. `Debug` omits the recipient.
#[derive(Clone)]
pub struct RecipientRateLimit {
    tenant: TenantId,
    address: NormalizedAddress,
    rate: MessageRate,
    /// The times of the sends, oldest first.
    sends: Vec<Timestamp>,
    version: Version,
}

/// The version of the row that a [`RecipientRateLimit`] was read from. A write is conditioned on it.
#[derive(Clone, Debug)]
enum Version {
    /// The row was not read. It is assumed not to exist, or to have no send in the window.
    Assumed,
    /// The row has no version, because another program wrote it.
    Missing,
    /// The stored version, which changes with every write.
    Read(String),
}

impl fmt::Debug for RecipientRateLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { tenant, sends, version, .. } = self;
        let mut limit = f.debug_struct("RecipientRateLimit");
        limit.field("tenant", tenant).field("sends", sends).field("version", version).finish_non_exhaustive()
    }
}

/// The outcome of reserving a send.
#[derive(Debug)]
pub enum ReserveOutcome {
    /// The send is reserved. Holds the rate limit with it.
    Reserved(RecipientRateLimit),
    /// The recipient has reached the rate limit.
    RateLimited {
        /// Seconds until one more message may be sent.
        retry_after: u64,
    },
    /// The invitation was accepted or revoked in the meantime.
    Ended,
    /// The invitation was deleted in the meantime.
    Deleted,
}

impl RecipientRateLimit {
    /// The rate limit of a recipient whose row was not read, assumed to have no send in the window.
    pub(crate) fn assumed_empty(tenant: &TenantId, address: &NormalizedAddress, rate: MessageRate) -> Self {
        let (tenant, address) = (tenant.clone(), address.clone());
        Self { tenant, address, rate, sends: Vec::new(), version: Version::Assumed }
    }

    /// As [`Self::assumed_empty`], for the invitee of an invitation.
    pub fn of_invitee(invitation: &Invitation, rate: MessageRate) -> Self {
        Self::assumed_empty(&invitation.tenant, &invitation.invitee.normalized(), rate)
    }

    /// The same recipient's rate limit with the sends of `row`. An empty row has none.
    ///
    /// # Errors
    /// A permanent error if the row is unreadable.
    pub(crate) fn with_row(&self, row: &Item) -> Result<Self, StoreError> {
        if row.is_empty() {
            return Ok(Self { sends: Vec::new(), version: Version::Assumed, ..self.clone() });
        }
        let unreadable = |attribute| move || StoreError::unreadable("recipient rate limit", attribute);
        let sends = row.get("sends").and_then(|list| list.as_l().ok());
        let sends = sends.and_then(|sends| sends.iter().map(millis).collect::<Option<Vec<Timestamp>>>());
        let mut sends = sends.ok_or_else(unreadable("sends"))?;
        sends.sort_unstable();
        let version = match row.get("version").map(AttributeValue::as_s) {
            None => Version::Missing,
            Some(version) => Version::Read(version.map_err(|_| unreadable("version")())?.clone()),
        };
        Ok(Self { sends, version, ..self.clone() })
    }

    /// The seconds until one more message may be sent; `None` if one may be sent now.
    pub(crate) fn seconds_until_free(&self, now: Timestamp) -> Option<u64> {
        let recent = self.sends_within(now);
        let blocking = recent.get(recent.len().checked_sub(self.rate.limit)?)?;
        let wait = blocking.plus(self.rate.window).as_millis() - now.as_millis();
        Some(u64::try_from(wait).unwrap_or_default().div_ceil(1000).max(1))
    }

    /// The rate limit with a send added at `now`, without sends before the window. `version` must be new to the row.
    #[must_use]
    pub(crate) fn reserve(&self, now: Timestamp, version: &str) -> Self {
        let mut sends = self.sends_within(now);
        sends.push(now);
        sends.sort_unstable();
        Self { sends, version: Version::Read(version.to_owned()), ..self.clone() }
    }

    /// The rate limit without the send reserved at `reserved_at`, which did not happen.
    #[must_use]
    pub(crate) fn release(&self, reserved_at: Timestamp) -> Self {
        let mut sends = self.sends.clone();
        if let Some(index) = sends.iter().position(|send| *send == reserved_at) {
            sends.remove(index);
        }
        // Longer than all earlier versions, and therefore new.
        Self { sends, version: Version::Read(format!("{}-", self.version.as_str())), ..self.clone() }
    }

    /// The rate limit with the sends of `row`; `None` if the send reserved at `reserved_at` is not among them, or the
    /// row is unreadable, which must not prevent a roll-back.
    pub(super) fn still_reserved(&self, row: &Item, reserved_at: Timestamp) -> Option<Self> {
        self.with_row(row).ok().filter(|found| found.sends.contains(&reserved_at))
    }

    /// The primary key of the row.
    pub(super) fn key(&self) -> Item {
        Item::from(keys::primary(&self.tenant, keys::recipient_rate_limit(&self.address)))
    }

    fn sends_within(&self, now: Timestamp) -> Vec<Timestamp> {
        let start = self.start(now);
        self.sends.iter().copied().filter(|send| *send > start).collect()
    }

    fn start(&self, now: Timestamp) -> Timestamp {
        now.minus(self.rate.window)
    }

    /// The row to write at `now`. DynamoDB ignores a TTL more than five years in the past, so a row without sends
    /// expires one window after `now`.
    fn row(&self, now: Timestamp) -> Item {
        let latest = self.sends.last().copied();
        let sends = self.sends.iter().map(|send| number(send.as_millis())).collect();
        let mut row = self.key();
        let attributes = [
            ("sends", AttributeValue::L(sends)),
            ("latestSend", number(latest.map_or(0, Timestamp::as_millis))),
            ("version", string(self.version.as_str())),
            (TTL, ttl(latest.map_or(now, |latest| latest.max(now)).plus(self.rate.window), 0)),
        ];
        row.extend(named(attributes));
        row
    }
}

impl Version {
    fn as_str(&self) -> &str {
        match self {
            Self::Assumed | Self::Missing => "",
            Self::Read(version) => version,
        }
    }
}

impl Store {
    /// Reserves a send of an invitation's message and writes the message's token, if the invitation is still pending.
    /// If the outcome is unknown, releases the send.
    pub async fn reserve_send(
        &self,
        message: MessageToken<'_>,
        mut rate_limit: RecipientRateLimit,
        version: &str,
        clock: RequestClock,
    ) -> Result<ReserveOutcome, StoreError> {
        loop {
            let reserved = rate_limit.reserve(clock.now, version);
            let parts = [self.replace_rate_limit(&rate_limit, &reserved, clock.now), self.replace_token(&message)];
            let failed = match self.transact(&parts, clock.leaving(TIME_AFTER_WRITING)).await {
                Ok(TransactionOutcome::Committed) => return Ok(ReserveOutcome::Reserved(reserved)),
                Ok(TransactionOutcome::ConditionFailed(failed)) => failed,
                Err(error) => {
                    if error.may_have_committed
                        && let Err(error) = self.release_send(message, reserved, clock).await
                    {
                        let invitation_id = &message.invitation.id;
                        tracing::error!(%error, %invitation_id, "reserved send of unknown outcome not released");
                    }
                    return Err(error);
                }
            };
            if let Some(row) = failed.row(PartRole::Invitation) {
                check_readable(&message.invitation.tenant, row)?;
                return Ok(if row.is_empty() { ReserveOutcome::Deleted } else { ReserveOutcome::Ended });
            }
            rate_limit = rate_limit.with_row(failed.row(PartRole::RecipientRateLimit).unwrap_or(&Item::new()))?;
            if let Some(retry_after) = rate_limit.seconds_until_free(clock.now) {
                return Ok(ReserveOutcome::RateLimited { retry_after });
            }
        }
    }

    /// Reads the seconds until one more message may be sent; `None` if one may be sent now.
    pub(crate) async fn seconds_until_free(
        &self,
        rate_limit: &RecipientRateLimit,
        clock: RequestClock,
    ) -> Result<Option<u64>, StoreError> {
        let sk = keys::recipient_rate_limit(&rate_limit.address);
        let row = self.row(&rate_limit.tenant, &sk, clock.deadline).await?;
        let found = row.map(|row| rate_limit.with_row(&row)).transpose()?;
        Ok(found.and_then(|found| found.seconds_until_free(clock.now)))
    }

    /// Releases the send that this request reserved in `rate_limit`, because nothing was sent, and restores the
    /// previous message's token, even if the rate limit has become unreadable.
    pub(crate) async fn release_send(
        &self,
        message: MessageToken<'_>,
        rate_limit: RecipientRateLimit,
        clock: RequestClock,
    ) -> Result<(), StoreError> {
        let reserved_at = clock.now;
        let release =
            |limit: &RecipientRateLimit| self.replace_rate_limit(limit, &limit.release(reserved_at), clock.now);
        let mut parts = vec![release(&rate_limit)];
        parts.extend(self.restore_token(&message, None));
        while !parts.is_empty() {
            let TransactionOutcome::ConditionFailed(failed) = self.transact(&parts, clock.deadline).await? else {
                break;
            };
            parts = failed.rebuild(parts, |role, row| match role {
                PartRole::RecipientRateLimit => Ok(rate_limit.still_reserved(row, reserved_at).as_ref().map(release)),
                // Another message has replaced the token.
                _ => Ok(self.restore_token(&message, Some(row))),
            })?;
        }
        Ok(())
    }

    /// The part that replaces `old` with `new`, conditioned on the version of `old`.
    pub(super) fn replace_rate_limit(
        &self,
        old: &RecipientRateLimit,
        new: &RecipientRateLimit,
        now: Timestamp,
    ) -> TransactionPart {
        let put = self.put(new.row(now));
        let put = match &old.version {
            Version::Missing => put
                .condition_expression("attribute_not_exists(#version)")
                .expression_attribute_names("#version", "version"),
            Version::Read(version) => put
                .condition_expression("#version = :version")
                .expression_attribute_names("#version", "version")
                .expression_attribute_values(":version", string(version)),
            Version::Assumed => put
                .condition_expression("attribute_not_exists(pk) OR latestSend <= :windowStart")
                .expression_attribute_values(":windowStart", number(old.start(now).as_millis())),
        };
        TransactionPart::put(PartRole::RecipientRateLimit, put)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn rate_limit(sends: &[i64]) -> RecipientRateLimit {
        let rate = MessageRate { limit: 3, window: Duration::from_secs(10) };
        let sends = sends.iter().map(|millis| Timestamp::from_millis(*millis)).collect();
        let tenant = TenantId::parse("t").unwrap();
        RecipientRateLimit {
            sends,
            ..RecipientRateLimit::assumed_empty(&tenant, &NormalizedAddress::of("a@example.com"), rate)
        }
    }

    #[test]
    fn a_send_has_to_wait_until_fewer_than_the_limit_are_in_the_window() {
        for (sends, wait, reason) in [
            (&[][..], None, "nothing sent"),
            (&[99_000, 99_500], None, "one below the limit"),
            (&[91_000, 99_000, 99_500], Some(1), "the oldest leaves in a second"),
            (&[90_001, 99_000, 99_500], Some(1), "it leaves in a millisecond, but a header counts seconds"),
            (&[90_000, 99_000, 99_500], None, "the oldest has just left"),
            (&[92_000, 93_000, 99_000, 99_500], Some(3), "more than the limit: the second has to leave too"),
            (&[100_500, 101_000, 102_000], Some(11), "another machine's clock is ahead"),
        ] {
            assert_eq!(rate_limit(sends).seconds_until_free(Timestamp::from_millis(100_000)), wait, "{reason}");
        }
    }

    #[test]
    fn a_send_that_did_not_happen_is_released() {
        let now = Timestamp::from_millis(100_000);
        let reserved = rate_limit(&[80_000, 95_000]).reserve(now, "v1");
        assert_eq!(reserved.sends, rate_limit(&[95_000, 100_000]).sends, "what left the window is dropped");
        assert_eq!(reserved.release(now).sends, rate_limit(&[95_000]).sends);
    }
}

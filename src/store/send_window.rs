//! How much mail a recipient has had: an exact sliding window, kept as the times of the last sends.
//!
//! The usual recipient has had nothing in the window, so the first attempt to count a send assumes that, and fails
//! where it is not so. The failure brings the row along, from which the next attempt computes the new list,
//! conditioned on the row's version. So the usual case needs no read, and no two sends are counted as one.

use std::fmt;

use aws_sdk_dynamodb::types::{AttributeValue, TransactWriteItem};

use super::{
    Item, Store, StoreError,
    create::TIME_AFTER_WRITING,
    end::{GoneOrEnded, gone_or_ended},
    items::{TTL, millis, named, number, string, ttl},
    keys,
    transaction::{Transacted, put_part},
};
use crate::{
    clock::RequestClock,
    domain::{ids::TenantId, invitation::Invitation, rate_limit::MessageRate, timestamp::Timestamp},
};

/// The sends to one recipient of one tenant. Its `Debug` form leaves the recipient out.
#[derive(Clone)]
pub struct SendWindow {
    tenant: TenantId,
    folded_address: String,
    rate: MessageRate,
    /// The times of the sends, oldest first.
    sends: Vec<Timestamp>,
    /// Changes with every write of the row; none as long as the row has not been seen, and empty where it has none.
    version: Option<String>,
}

impl fmt::Debug for SendWindow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { tenant, sends, version, .. } = self;
        let mut window = f.debug_struct("SendWindow");
        window.field("tenant", tenant).field("sends", sends).field("version", version).finish_non_exhaustive()
    }
}

/// What became of counting a send.
#[derive(Debug)]
pub enum Counted {
    /// It is counted, in this window.
    Within(SendWindow),
    /// The recipient has had as much as one may get.
    Full {
        /// Seconds until one more message may be sent.
        retry_after: u64,
    },
    /// The invitation has been accepted or revoked in the meantime.
    Ended,
    /// The invitation has been deleted in the meantime.
    Deleted,
}

impl SendWindow {
    /// The window of a recipient of whom nothing is known yet.
    pub fn unseen(tenant: &TenantId, folded_address: &str, rate: MessageRate) -> Self {
        let (tenant, folded_address) = (tenant.clone(), folded_address.to_owned());
        Self { tenant, folded_address, rate, sends: Vec::new(), version: None }
    }

    /// The same recipient's window, as `row` tells it. An empty row tells of nothing.
    ///
    /// # Errors
    /// A permanent one for a row that cannot be read: it does not tell that nothing was sent.
    pub fn seen(&self, row: &Item) -> Result<Self, StoreError> {
        if row.is_empty() {
            return Ok(Self { sends: Vec::new(), version: None, ..self.clone() });
        }
        let unreadable = |attribute| move || StoreError::unreadable("send window", attribute);
        let sends = row.get("sends").and_then(|list| list.as_l().ok());
        let sends = sends.and_then(|sends| sends.iter().map(millis).collect::<Option<Vec<Timestamp>>>());
        let mut sends = sends.ok_or_else(unreadable("sends"))?;
        sends.sort_unstable();
        let version = match row.get("version") {
            None => String::new(),
            Some(version) => version.as_s().map_err(|_| unreadable("version")())?.clone(),
        };
        Ok(Self { sends, version: Some(version), ..self.clone() })
    }

    /// The seconds until one more message may be sent; `None` when one may be sent now.
    pub fn seconds_until_free(&self, now: Timestamp) -> Option<u64> {
        let recent = self.sends_within(now);
        let blocking = recent.get(recent.len().checked_sub(self.rate.limit)?)?;
        let wait = blocking.as_millis() + self.rate.window_millis - now.as_millis();
        Some(u64::try_from(wait).unwrap_or_default().div_ceil(1000).max(1))
    }

    /// The window after one more send, at `now`.
    #[must_use]
    pub fn with_send(&self, now: Timestamp, version: &str) -> Self {
        let mut sends = self.sends_within(now);
        sends.push(now);
        sends.sort_unstable();
        Self { sends, version: Some(version.to_owned()), ..self.clone() }
    }

    /// The window without the send that was counted at `sent`, because nothing was sent after all.
    #[must_use]
    pub fn without_send(&self, sent: Timestamp) -> Self {
        let mut sends = self.sends.clone();
        if let Some(index) = sends.iter().position(|send| *send == sent) {
            sends.remove(index);
        }
        // Longer than any version before, and so another.
        let version = self.version.as_deref().unwrap_or_default();
        Self { sends, version: Some(format!("{version}-")), ..self.clone() }
    }

    /// Whether a send at that time is counted.
    pub fn counts(&self, sent: Timestamp) -> bool {
        self.sends.contains(&sent)
    }

    /// The primary key of the row.
    pub(super) fn key(&self) -> Item {
        Item::from(keys::primary(&self.tenant, keys::send_window(&self.folded_address)))
    }

    fn sends_within(&self, now: Timestamp) -> Vec<Timestamp> {
        let start = self.start(now);
        self.sends.iter().copied().filter(|send| *send > start).collect()
    }

    fn start(&self, now: Timestamp) -> Timestamp {
        now.plus_millis(-self.rate.window_millis)
    }

    /// The row as it is written at `now`. DynamoDB deletes nothing by a time that is more than five years past, so a
    /// row without sends goes a window after its writing.
    fn row(&self, now: Timestamp) -> Item {
        let latest = self.sends.last().copied();
        let sends = self.sends.iter().map(|send| number(send.as_millis())).collect();
        let mut row = self.key();
        let attributes = [
            ("sends", AttributeValue::L(sends)),
            ("latestSend", number(latest.map_or(0, Timestamp::as_millis))),
            ("version", string(self.version.as_deref().unwrap_or_default())),
            (TTL, ttl(latest.map_or(now, |latest| latest.max(now)).plus_millis(self.rate.window_millis), 0)),
        ];
        row.extend(named(attributes));
        row
    }
}

impl Store {
    /// Counts a send of `invitation` to its invitee, of whom nothing is known yet, if it still is pending. Where it remains
    /// unknown whether that was done, it is given back.
    pub async fn count_send(
        &self,
        invitation: &Invitation,
        mut window: SendWindow,
        version: &str,
        clock: RequestClock,
    ) -> Result<Counted, StoreError> {
        loop {
            let counted = window.with_send(clock.now, version);
            let parts = [self.replace_send_window(&window, &counted, clock.now), self.check_pending(invitation)];
            let failed = match self.transact(&parts, clock.leaving(TIME_AFTER_WRITING)).await {
                Ok(Transacted::Committed) => return Ok(Counted::Within(counted)),
                Ok(Transacted::Refused(failed)) => failed,
                Err(error) => {
                    if error.may_be_done && self.give_back_send(counted, clock.now, clock).await.is_err() {
                        tracing::error!("a message that was not sent may stay counted");
                    }
                    return Err(error);
                }
            };
            match failed.at(1) {
                Some(row) => {
                    return gone_or_ended(&invitation.tenant, row).map(|found| match found {
                        GoneOrEnded::Gone => Counted::Deleted,
                        GoneOrEnded::Ended => Counted::Ended,
                    });
                }
                None => window = window.seen(failed.at(0).unwrap_or(&Item::new()))?,
            }
            if let Some(retry_after) = window.seconds_until_free(clock.now) {
                return Ok(Counted::Full { retry_after });
            }
        }
    }

    /// The seconds until one more message may be sent; `None` when one may be sent now.
    pub async fn seconds_until_free(
        &self,
        window: &SendWindow,
        clock: RequestClock,
    ) -> Result<Option<u64>, StoreError> {
        let sk = keys::send_window(&window.folded_address);
        let rows = self.batch_get(&window.tenant, vec![sk], clock.deadline).await?;
        let seen = rows.first().map(|row| window.seen(row)).transpose()?;
        Ok(seen.and_then(|seen| seen.seconds_until_free(clock.now)))
    }

    /// Gives back the send that was counted in `window` at `sent`, because nothing was sent.
    pub async fn give_back_send(
        &self,
        mut window: SendWindow,
        sent: Timestamp,
        clock: RequestClock,
    ) -> Result<(), StoreError> {
        while window.counts(sent) {
            let restored = window.without_send(sent);
            let parts = [self.replace_send_window(&window, &restored, clock.now)];
            match self.transact(&parts, clock.deadline).await? {
                Transacted::Committed => return Ok(()),
                Transacted::Refused(failed) => window = window.seen(failed.at(0).unwrap_or(&Item::new()))?,
            }
        }
        Ok(())
    }

    /// The part of a transaction that turns the window `old` into `new`, if the row still is what `old` took it for.
    pub(super) fn replace_send_window(&self, old: &SendWindow, new: &SendWindow, now: Timestamp) -> TransactWriteItem {
        let put = self.put(new.row(now));
        let put = match &old.version {
            // Somebody else wrote the row.
            Some(version) if version.is_empty() => put
                .condition_expression("attribute_not_exists(#version)")
                .expression_attribute_names("#version", "version"),
            Some(version) => put
                .condition_expression("#version = :version")
                .expression_attribute_names("#version", "version")
                .expression_attribute_values(":version", string(version)),
            None => put
                .condition_expression("attribute_not_exists(pk) OR latestSend <= :windowStart")
                .expression_attribute_values(":windowStart", number(old.start(now).as_millis())),
        };
        put_part(put)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window(sends: &[i64]) -> SendWindow {
        let rate = MessageRate { limit: 3, window_millis: 10_000 };
        let sends = sends.iter().map(|millis| Timestamp::from_millis(*millis)).collect();
        let tenant = TenantId::parse("t").unwrap();
        SendWindow { sends, ..SendWindow::unseen(&tenant, "a@example.com", rate) }
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
            assert_eq!(window(sends).seconds_until_free(Timestamp::from_millis(100_000)), wait, "{reason}");
        }
    }

    #[test]
    fn a_send_that_did_not_happen_is_given_back() {
        let now = Timestamp::from_millis(100_000);
        let counted = window(&[80_000, 95_000]).with_send(now, "v1");
        assert_eq!(counted.sends, window(&[95_000, 100_000]).sends, "what left the window is dropped");
        assert_eq!(counted.without_send(now).sends, window(&[95_000]).sends);
    }
}

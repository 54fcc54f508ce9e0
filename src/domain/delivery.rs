//! The delivery of an invitation's latest message, as SES reports it.
//!
//! SES's events arrive at least once and in any order. [`Delivery::order`] maps each delivery to a sort key, and the
//! table keeps the delivery with the greatest one, so that reordered and repeated events do not change the outcome.

use serde::Serialize;

use crate::domain::{
    ids::{InvitationId, TenantId},
    timestamp::Timestamp,
};

/// The status of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
pub enum DeliveryStatus {
    /// SES has taken it.
    Sent,
    /// The recipient's server has not taken it yet; SES keeps trying.
    Delayed,
    /// The recipient's server has taken it.
    Delivered,
    /// The recipient's server returned it.
    Bounced,
    /// SES did not send it: the address is on a suppression list.
    Suppressed,
    /// SES did not send it: it found a virus.
    Rejected,
    /// SES could not render it.
    Failed,
    /// The recipient reported it as spam.
    Complained,
}

impl DeliveryStatus {
    /// All statuses.
    pub const ALL: [Self; 8] = [
        Self::Sent,
        Self::Delayed,
        Self::Delivered,
        Self::Bounced,
        Self::Suppressed,
        Self::Rejected,
        Self::Failed,
        Self::Complained,
    ];

    /// The name of the status, in the API and in the table.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Sent => "Sent",
            Self::Delayed => "Delayed",
            Self::Delivered => "Delivered",
            Self::Bounced => "Bounced",
            Self::Suppressed => "Suppressed",
            Self::Rejected => "Rejected",
            Self::Failed => "Failed",
            Self::Complained => "Complained",
        }
    }

    /// The status of that name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == name)
    }
}

/// The delivery of one message. The order of the fields is part of the contract.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Delivery {
    /// The status.
    pub status: DeliveryStatus,
    /// `true` if the address will never take mail.
    pub permanent: bool,
    /// The reason in SES's terms, such as `NoEmail`.
    pub reason: Option<String>,
    /// The enhanced status code of the recipient's server (RFC 3463), such as `5.1.1`.
    pub smtp_status: Option<String>,
    /// SES's id of the message.
    pub message_id: String,
    /// The time at which SES took the message.
    pub sent_at: Timestamp,
    /// The time of the event that set the status.
    pub updated_at: Timestamp,
}

/// A report of SES about a message of an invitation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeliveryReport {
    /// The tenant of the invitation.
    pub tenant: TenantId,
    /// The invitation.
    pub invitation_id: InvitationId,
    /// The reported delivery.
    pub delivery: Delivery,
    /// The time at which DynamoDB may delete the row, in epoch **seconds**: the invitation's TTL when the message was
    /// sent.
    pub ttl: i64,
}

impl Delivery {
    /// The rank of the status within one message. A higher rank replaces a lower one.
    ///
    /// An out-of-office reply arrives as a bounce that is not permanent, after the delivery, and must not hide it. A
    /// permanent bounce after the delivery is legitimate.
    pub const fn rank(&self) -> u8 {
        match self.status {
            DeliveryStatus::Sent => 0,
            DeliveryStatus::Delayed => 1,
            DeliveryStatus::Bounced if !self.permanent => 2,
            DeliveryStatus::Delivered => 3,
            DeliveryStatus::Bounced
            | DeliveryStatus::Suppressed
            | DeliveryStatus::Rejected
            | DeliveryStatus::Failed => 4,
            DeliveryStatus::Complained => 5,
        }
    }

    /// The sort key among all deliveries of an invitation, compared byte by byte: the later message is greater; within
    /// a message, the higher rank; within a rank, the later time. The remaining fields only break ties, so that
    /// different deliveries have different keys.
    pub fn order(&self) -> String {
        let Self { message_id, sent_at, updated_at, .. } = self;
        let (sent_at, updated_at, rank) = (sent_at.as_millis(), updated_at.as_millis(), self.rank());
        let (reason, smtp_status) = (self.reason.as_deref(), self.smtp_status.as_deref());
        format!(
            "{sent_at:016}#{message_id}#{rank}#{updated_at:016}#{}#{}#{}#{}",
            self.status.as_str(),
            u8::from(self.permanent),
            reason.unwrap_or_default(),
            smtp_status.unwrap_or_default(),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn delivery(status: DeliveryStatus, permanent: bool) -> Delivery {
        Delivery {
            status,
            permanent,
            reason: None,
            smtp_status: None,
            message_id: "m".to_owned(),
            sent_at: Timestamp::from_millis(1_000),
            updated_at: Timestamp::from_millis(5_000),
        }
    }

    /// The ranks of the contract, from the lowest to the highest. Deliveries of one element have the same rank.
    fn ranked() -> [Vec<Delivery>; 6] {
        use DeliveryStatus as S;
        let high = [S::Bounced, S::Suppressed, S::Rejected, S::Failed].map(|status| delivery(status, true));
        let high = high.into_iter().chain([delivery(S::Rejected, false), delivery(S::Failed, false)]);
        [
            vec![delivery(S::Sent, false)],
            vec![delivery(S::Delayed, false)],
            vec![delivery(S::Bounced, false)],
            vec![delivery(S::Delivered, false)],
            high.collect(),
            vec![delivery(S::Complained, false)],
        ]
    }

    #[test]
    fn within_a_message_the_rank_decides_and_within_a_rank_the_time() {
        let ranked = ranked();
        let named: Vec<_> = ranked.iter().flatten().map(|delivery| delivery.status).collect();
        assert!(DeliveryStatus::ALL.iter().all(|status| named.contains(status)), "{named:?}");
        for (rank, lower) in ranked.iter().enumerate() {
            for (higher_rank, higher) in ranked.iter().enumerate() {
                for (one, other) in lower.iter().flat_map(|one| higher.iter().map(move |other| (one, other))) {
                    for millis in [-4_000, -1, 0, 1, 999_999_999_999] {
                        let other = Delivery { updated_at: other.updated_at.plus_millis(millis), ..other.clone() };
                        let (before, after) = (one.order(), other.order());
                        let is_after = (higher_rank, millis) > (rank, 0);
                        let is_tie = (higher_rank, millis) == (rank, 0);
                        assert!(is_tie || (after > before) == is_after, "{before} {after}");
                    }
                }
            }
        }
    }

    #[test]
    fn a_later_message_replaces_an_earlier_one_whatever_their_ranks() {
        for (one, other) in ranked()
            .iter()
            .flatten()
            .flat_map(|one| ranked().concat().into_iter().map(move |other| (one.clone(), other)))
        {
            for (sent_at, message_id, reason) in [
                (1_001, "a", "a millisecond later"),
                (1_000_000_000_000, "a", "more digits"),
                (1_000, "n", "sent at the same time: the id breaks the tie"),
            ] {
                let (sent_at, message_id) = (Timestamp::from_millis(sent_at), message_id.to_owned());
                let later = Delivery { message_id, sent_at, ..other.clone() };
                assert!(later.order() > one.order(), "{reason}: {later:?} {one:?}");
            }
        }
    }

    #[test]
    fn different_deliveries_have_different_sort_keys() {
        let word = |text: &str| Some(text.to_owned());
        let mut all: Vec<_> = ranked().concat();
        for (reason, smtp_status) in [(word("General"), None), (None, word("5.1.1")), (word("NoEmail"), word("5.1.1"))]
        {
            all.extend(ranked().concat().into_iter().map(|one| Delivery {
                reason: reason.clone(),
                smtp_status: smtp_status.clone(),
                ..one
            }));
        }
        let mut keys: Vec<_> = all.iter().map(Delivery::order).collect();
        keys.sort();
        keys.dedup();
        assert_eq!(keys.len(), all.len());
    }

    #[test]
    fn the_json_has_the_contracts_keys_in_order() {
        let json = serde_json::to_string(&delivery(DeliveryStatus::Bounced, true)).unwrap();
        assert_eq!(
            json,
            r#"{"status":"Bounced","permanent":true,"reason":null,"smtpStatus":null,"messageId":"m","sentAt":1000,"updatedAt":5000}"#
        );
    }
}

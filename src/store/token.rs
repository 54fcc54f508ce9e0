//! The token of an invitation's latest message: the attribute `token` of the invitation's row, a map of `hash` and
//! `failures`. It is written in the transaction that creates the invitation or reserves the send. `formerToken` is the
//! previous message's token, which is restored if SES does not take the latest message.

use aws_sdk_dynamodb::{
    error::SdkError,
    types::{AttributeValue, builders::UpdateBuilder},
};

use super::{
    Item, Store, StoreError,
    call::call,
    end::invitation_key,
    items::{named, number, string, text},
    transaction::{PartRole, TransactionPart},
};
use crate::{
    clock::Deadline,
    domain::{
        invitation::{Invitation, Status},
        token::{MAX_FAILURES, StoredToken, TokenHash},
    },
};

/// The attributes of an invitation's row.
pub(super) const TOKEN: &str = "token";
const FORMER: &str = "formerToken";
/// The fields of a token.
const HASH: &str = "hash";
const FAILURES: &str = "failures";

/// The token of a message that is about to be sent. A message without a token invalidates the previous one.
#[derive(Clone, Copy, Debug)]
pub struct MessageToken<'a> {
    /// The invitation.
    pub invitation: &'a Invitation,
    /// `true` if the invitation had a token when it was read.
    pub replaces: bool,
    /// The hash of the message's token, if it has one.
    pub hash: Option<TokenHash>,
}

impl MessageToken<'_> {
    const fn changes_nothing(&self) -> bool {
        !self.replaces && self.hash.is_none()
    }
}

/// The attribute of a new token.
pub(super) fn attribute(hash: TokenHash) -> AttributeValue {
    let fields = [(HASH, string(&hash.to_text())), (FAILURES, number(0))];
    AttributeValue::M(named(fields).into())
}

/// Reads the token of an invitation's row. An unreadable token is `None`, because nothing can match it.
pub(super) fn read(row: &Item) -> Option<StoredToken> {
    let hash = |token: &Item| TokenHash::parse(text(token, HASH)?);
    let token = row.get(TOKEN)?.as_m().ok()?;
    let failures = token.get(FAILURES)?.as_n().ok()?.parse().ok()?;
    let former = row.get(FORMER).and_then(|former| former.as_m().ok()).and_then(hash);
    Some(StoredToken { hash: hash(token)?, failures, former })
}

/// Adds the condition that the presented token is the stored one, and that fewer than [`MAX_FAILURES`] wrong tokens
/// were presented.
pub(super) fn require(update: UpdateBuilder, presented: TokenHash) -> UpdateBuilder {
    let condition = update.get_condition_expression().clone().unwrap_or_default();
    update
        .condition_expression(format!("{condition} AND #token.#hash = :presented AND #token.#failures < :most"))
        .expression_attribute_names("#token", TOKEN)
        .expression_attribute_names("#hash", HASH)
        .expression_attribute_names("#failures", FAILURES)
        .expression_attribute_values(":presented", string(&presented.to_text()))
        .expression_attribute_values(":most", number(MAX_FAILURES.into()))
}

impl Store {
    /// The part that replaces the token of a pending invitation with that of a message. If neither has a token, it only
    /// checks that the invitation is pending, which saves writes to the indexes.
    pub(super) fn replace_token(&self, message: &MessageToken<'_>) -> TransactionPart {
        if message.changes_nothing() {
            return self.check_pending(message.invitation);
        }
        let update = self
            .update(invitation_key(message.invitation))
            .condition_expression("#status = :pending")
            .expression_attribute_names("#status", "status")
            .expression_attribute_values(":pending", string(Status::Pending.as_str()));
        let update = with_token_names(update);
        let update = match message.hash {
            Some(hash) => update
                .update_expression("SET #former = if_not_exists(#token, :none), #token = :token")
                .expression_attribute_values(":token", attribute(hash)),
            None => update.update_expression("SET #former = if_not_exists(#token, :none) REMOVE #token"),
        };
        TransactionPart::update(PartRole::Invitation, update)
    }

    /// The part that restores the previous message's token, if the token of `message` is still the latest. `None` if
    /// `message` changed no token.
    pub(super) fn restore_token(&self, message: &MessageToken<'_>) -> Option<TransactionPart> {
        if message.changes_nothing() {
            return None;
        }
        let update = self.update(invitation_key(message.invitation));
        let update =
            with_token_names(update).update_expression("SET #token = if_not_exists(#former, :none) REMOVE #former");
        let update = match message.hash {
            Some(hash) => update
                .condition_expression("#token.#hash = :replaced")
                .expression_attribute_names("#hash", HASH)
                .expression_attribute_values(":replaced", string(&hash.to_text())),
            None => update.condition_expression("attribute_exists(pk) AND attribute_not_exists(#token)"),
        };
        Some(TransactionPart::update(PartRole::Invitation, update))
    }

    /// Counts a wrong token that was presented for an invitation, up to [`MAX_FAILURES`], unless a message has replaced
    /// `token` since it was read. A retry after a lost response may count twice, which is safe.
    pub(crate) async fn count_wrong_token(
        &self,
        invitation: &Invitation,
        token: StoredToken,
        deadline: Deadline,
    ) -> Result<(), StoreError> {
        let update = self
            .client
            .update_item()
            .table_name(&self.table)
            .set_key(Some(invitation_key(invitation)))
            .update_expression("SET #token.#failures = #token.#failures + :one")
            .condition_expression("#token.#hash = :hash AND #token.#failures < :most")
            .expression_attribute_names("#token", TOKEN)
            .expression_attribute_names("#hash", HASH)
            .expression_attribute_names("#failures", FAILURES)
            .expression_attribute_values(":one", number(1))
            .expression_attribute_values(":hash", string(&token.hash.to_text()))
            .expression_attribute_values(":most", number(MAX_FAILURES.into()));
        let attempt = async || match update.clone().send().await {
            Err(SdkError::ServiceError(error)) if error.err().is_conditional_check_failed_exception() => Ok(()),
            result => result.map(drop),
        };
        call(deadline, attempt).await
    }
}

/// Defines the names of both tokens, and `:none`, the null that is written for a missing token: an update cannot copy
/// an attribute that does not exist.
fn with_token_names(update: UpdateBuilder) -> UpdateBuilder {
    update
        .expression_attribute_names("#token", TOKEN)
        .expression_attribute_names("#former", FORMER)
        .expression_attribute_values(":none", AttributeValue::Null(true))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_survives_a_round_trip_and_malformed_ones_are_none() {
        let (hash, former) = (TokenHash::of("a token"), TokenHash::of("the one before"));
        let row = |value| Item::from([(TOKEN.to_owned(), value)]);
        let mut both = row(attribute(hash));
        assert_eq!(read(&both), Some(StoredToken { hash, failures: 0, former: None }));
        both.insert(FORMER.to_owned(), attribute(former));
        assert_eq!(read(&both), Some(StoredToken { hash, failures: 0, former: Some(former) }));
        both.insert(FORMER.to_owned(), AttributeValue::Null(true));
        assert_eq!(read(&both), Some(StoredToken { hash, failures: 0, former: None }));
        let map = |fields: &[(&str, AttributeValue)]| {
            AttributeValue::M(fields.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect())
        };
        for (value, reason) in [
            (AttributeValue::Null(true), "null"),
            (string(&hash.to_text()), "a text"),
            (map(&[]), "an empty map"),
            (map(&[(HASH, string(&hash.to_text()))]), "no count"),
            (map(&[(HASH, string("short")), (FAILURES, number(0))]), "no hash"),
            (map(&[(HASH, string(&hash.to_text())), (FAILURES, string("0"))]), "a count that is a text"),
            (map(&[(HASH, string(&hash.to_text())), (FAILURES, number(-1))]), "a negative count"),
        ] {
            assert_eq!(read(&row(value)), None, "{reason}");
        }
        assert_eq!(read(&Item::new()), None, "no attribute");
    }
}

//! The token of an invitation's latest message: the attribute `token` of the invitation's row, a map of `hash` and
//! `failures`. It is written in the transaction that creates the invitation or reserves the send. `formerToken` is the
//! previous message's token, which is restored if SES does not take the latest message. If SES takes neither of two
//! concurrent messages, the token before both is restored, in whichever order they fail.

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
        token::{InvitationToken, MAX_FAILURES, StoredToken, TokenHash},
    },
};

/// The attributes of an invitation's row.
pub(super) const TOKEN: &str = "token";
const FORMER: &str = "formerToken";
/// The fields of a token.
const HASH: &str = "hash";
const FAILURES: &str = "failures";

/// The token of a message that is about to be sent.
#[derive(Clone, Copy, Debug)]
pub struct MessageToken<'a> {
    /// The invitation.
    pub invitation: &'a Invitation,
    /// The token of the invitation, as it was read.
    pub replaced: Option<StoredToken>,
    /// The hash of the message's token, if the message changes that of the invitation.
    pub hash: Option<TokenHash>,
}

impl<'a> MessageToken<'a> {
    /// The token with this `hash`. A message without a token invalidates the previous one: if there is one, a random
    /// token that nobody receives replaces it.
    ///
    /// # Errors
    /// The operating system provides no randomness.
    pub(crate) fn new(
        invitation: &'a Invitation,
        replaced: Option<StoredToken>,
        hash: Option<TokenHash>,
    ) -> Result<Self, getrandom::Error> {
        let hash = match hash {
            None if replaced.is_some() => Some(InvitationToken::generate()?.hash()),
            hash => hash,
        };
        Ok(Self { invitation, replaced, hash })
    }

    /// The attribute of the replaced token.
    fn before(&self) -> AttributeValue {
        self.replaced.map_or(AttributeValue::Null(true), |replaced| counted(replaced.hash, replaced.failures))
    }
}

/// The attribute of a new token.
pub(super) fn attribute(hash: TokenHash) -> AttributeValue {
    counted(hash, 0)
}

fn counted(hash: TokenHash, failures: u32) -> AttributeValue {
    let fields = [(HASH, string(&hash.to_text())), (FAILURES, number(failures.into()))];
    AttributeValue::M(named(fields).into())
}

/// Reads the token of an invitation's row. An unreadable token is `None`, because nothing can match it.
pub(super) fn read(row: &Item) -> Option<StoredToken> {
    let token = row.get(TOKEN)?.as_m().ok()?;
    let failures = token.get(FAILURES)?.as_n().ok()?.parse().ok()?;
    Some(StoredToken { hash: hash(row, TOKEN)?, failures, former: hash(row, FORMER) })
}

/// The hash of one of the two tokens of a row.
fn hash(row: &Item, name: &str) -> Option<TokenHash> {
    TokenHash::parse(text(row.get(name)?.as_m().ok()?, HASH)?)
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
        let Some(hash) = message.hash else { return self.check_pending(message.invitation) };
        // An update cannot copy an attribute that does not exist, so a null is written for a missing token.
        let update = self
            .update(invitation_key(message.invitation))
            .condition_expression("#status = :pending")
            .update_expression("SET #former = if_not_exists(#token, :none), #token = :token")
            .expression_attribute_names("#status", "status")
            .expression_attribute_names("#token", TOKEN)
            .expression_attribute_names("#former", FORMER)
            .expression_attribute_values(":pending", string(Status::Pending.as_str()))
            .expression_attribute_values(":none", AttributeValue::Null(true))
            .expression_attribute_values(":token", attribute(hash));
        TransactionPart::update(PartRole::Invitation, update)
    }

    /// The part that restores the token that `message` replaced. It assumes that the token of `message` is the latest,
    /// unless `found`, the row that failed this condition, shows that it is the former one: then the latest message
    /// stays, and restores the same token if it fails too. Of three concurrent messages that all fail, the restored
    /// token can be one of theirs. `None` if `message` changed no token, or the row no longer has it.
    pub(super) fn restore_token(&self, message: &MessageToken<'_>, found: Option<&Item>) -> Option<TransactionPart> {
        let ours = message.hash?;
        let is_at = |name| found.is_some_and(|row| hash(row, name) == Some(ours));
        let (name, update_expression) = if found.is_none() || is_at(TOKEN) {
            (TOKEN, "SET #ours = if_not_exists(#former, :before) REMOVE #former")
        } else if is_at(FORMER) {
            (FORMER, "SET #ours = :before")
        } else {
            return None;
        };
        let update = self
            .update(invitation_key(message.invitation))
            .update_expression(update_expression)
            .condition_expression("#ours.#hash = :ours")
            .expression_attribute_names("#ours", name)
            .expression_attribute_names("#hash", HASH)
            .expression_attribute_values(":ours", string(&ours.to_text()))
            .expression_attribute_values(":before", message.before());
        let names_former = name == TOKEN;
        let update = if names_former { update.expression_attribute_names("#former", FORMER) } else { update };
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

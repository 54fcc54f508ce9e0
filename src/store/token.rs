//! The token of an invitation's latest message: the attribute `token` of the invitation's row, a map of `hash` and
//! `failures`. It is written with the send that its message is counted in, and costs no write of its own.

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
        token::{MOST_FAILURES, StoredToken, TokenHash},
    },
};

/// The attribute of an invitation's row.
pub(super) const TOKEN: &str = "token";
const HASH: &str = "hash";
const FAILURES: &str = "failures";

/// The token of an invitation before a message, and the one of that message. A message without a token ends that of the
/// message before.
#[derive(Clone, Copy, Debug)]
pub struct TokenReplacement<'a> {
    /// The invitation.
    pub invitation: &'a Invitation,
    /// The token as it was read.
    pub old: Option<StoredToken>,
    /// The hash of the message's token.
    pub new: Option<TokenHash>,
}

impl TokenReplacement<'_> {
    const fn changes_nothing(&self) -> bool {
        self.old.is_none() && self.new.is_none()
    }
}

/// The attribute of a token.
pub(super) fn attribute(token: StoredToken) -> AttributeValue {
    let fields = [(HASH, string(&token.hash.to_text())), (FAILURES, number(token.failures.into()))];
    AttributeValue::M(named(fields).into())
}

/// Reads the token of an invitation's row. One that cannot be read counts as none, since it proves nothing.
pub(super) fn read(row: &Item) -> Option<StoredToken> {
    let token = row.get(TOKEN)?.as_m().ok()?;
    let hash = TokenHash::parse(text(token, HASH)?)?;
    Some(StoredToken { hash, failures: token.get(FAILURES)?.as_n().ok()?.parse().ok()? })
}

/// Adds the condition that the presented token is the row's, and that not too many wrong ones came before it.
pub(super) fn requires(update: UpdateBuilder, presented: TokenHash) -> UpdateBuilder {
    let condition = update.get_condition_expression().clone().unwrap_or_default();
    update
        .condition_expression(format!("{condition} AND #token.#hash = :presented AND #token.#failures < :most"))
        .expression_attribute_names("#token", TOKEN)
        .expression_attribute_names("#hash", HASH)
        .expression_attribute_names("#failures", FAILURES)
        .expression_attribute_values(":presented", string(&presented.to_text()))
        .expression_attribute_values(":most", number(MOST_FAILURES.into()))
}

impl Store {
    /// The part that replaces the token of an invitation, if the invitation is pending. It only checks that where there is
    /// no token to replace, which spares the indexes a write.
    pub(super) fn replace_token(&self, replacement: &TokenReplacement<'_>) -> TransactionPart {
        if replacement.changes_nothing() {
            return self.check_pending(replacement.invitation);
        }
        let update = self
            .update(invitation_key(replacement.invitation))
            .condition_expression("#status = :pending")
            .expression_attribute_names("#status", "status")
            .expression_attribute_values(":pending", string(Status::Pending.as_str()));
        let update = set_token(update, replacement.new.map(StoredToken::new));
        TransactionPart::update(PartRole::Invitation, update)
    }

    /// The part that gives an invitation its former token back, if it still has the one that replaced it. `None` if none
    /// did.
    pub(super) fn restore_token(&self, replacement: &TokenReplacement<'_>) -> Option<TransactionPart> {
        if replacement.changes_nothing() {
            return None;
        }
        let update = set_token(self.update(invitation_key(replacement.invitation)), replacement.old);
        let update = match replacement.new {
            Some(hash) => update
                .condition_expression("#token.#hash = :replaced")
                .expression_attribute_names("#hash", HASH)
                .expression_attribute_values(":replaced", string(&hash.to_text())),
            None => update.condition_expression("attribute_exists(pk) AND attribute_not_exists(#token)"),
        };
        Some(TransactionPart::update(PartRole::Invitation, update))
    }

    /// Counts a wrong token that was presented for an invitation, up to [`MOST_FAILURES`]. Counts nothing if a message has
    /// replaced `token` since it was read.
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
            .expression_attribute_values(":most", number(MOST_FAILURES.into()));
        let attempt = async || match update.clone().send().await {
            Err(SdkError::ServiceError(error)) if error.err().is_conditional_check_failed_exception() => Ok(()),
            result => result.map(drop),
        };
        call(deadline, attempt).await
    }
}

/// Sets or removes the token.
fn set_token(update: UpdateBuilder, token: Option<StoredToken>) -> UpdateBuilder {
    let update = update.expression_attribute_names("#token", TOKEN);
    match token {
        Some(token) => {
            update.update_expression("SET #token = :token").expression_attribute_values(":token", attribute(token))
        }
        None => update.update_expression("REMOVE #token"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_read_as_it_is_written_and_nothing_else_is_one() {
        let hash = TokenHash::of("a token");
        let stored = StoredToken { hash, failures: 3 };
        let row = |value| Item::from([(TOKEN.to_owned(), value)]);
        assert_eq!(read(&row(attribute(stored))), Some(stored));
        let map = |fields: &[(&str, AttributeValue)]| {
            AttributeValue::M(fields.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect())
        };
        for (value, reason) in [
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

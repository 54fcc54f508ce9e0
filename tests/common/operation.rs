//! The only list of operations. Tests of rules for all operations iterate [`Operation::ALL`] or match on the enum
//! without a wildcard, so that a new operation is either included or fails to compile.

use serde_json::json;

use super::{
    body::{FAR_FUTURE, body, body_with_mail, with},
    call::Call,
};

/// The invitee of the invitation that [`Operation::call`] is about: the demo's user `ada`.
pub const INVITEE: &str = "ada@example.com";

/// The token in the link of the invitation's message, if the link has one.
pub const TOKEN: &str = "dG9rZW4gdG9rZW4gdG9rZW4gdG9rZW4gdG9rZW4gdG9";

/// Defines the enum and the list of all its variants.
macro_rules! operations {
    ($($operation:ident),* $(,)?) => {
        /// An operation, with one variant for each use that makes different AWS calls.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Operation {
            $($operation),*
        }

        use Operation::{$($operation),*};

        impl Operation {
            /// All operations. `operations.rs` compares them with `openapi.yaml`.
            pub const ALL: [Self; [$($operation),*].len()] = [$($operation),*];
        }
    };
}

operations! {
    Create,
    CreateWithKey,
    CreateWithMail,
    CreateWithMailAndKey,
    Bulk,
    List,
    Get,
    GetWithDelivery,
    Change,
    Message,
    VerifyToken,
    Accept,
    AcceptByToken,
    Revoke,
    Delete,
    ListOwn,
    AcceptOwn,
}

impl Operation {
    /// A request that succeeds if `id` is a pending invitation of [`INVITEE`] whose message contains [`TOKEN`], and
    /// there is no other invitation.
    pub fn call(self, id: &str) -> Call {
        const ANOTHER: &str = "grace@example.com";
        // Each invitation has its own key, so that the table can be reused.
        let key = format!("key-{id}");
        let link = json!({ "link": "https://app.example.com/{invitationId}?token={invitationToken}" });
        match self {
            Create => Call::create(&body(ANOTHER)),
            CreateWithKey => Call::create(&body(ANOTHER)).with_key(&key),
            CreateWithMail => Call::create(&body_with_mail(ANOTHER)),
            CreateWithMailAndKey => {
                Call::create(&with(body(ANOTHER), json!({ "messagePayload": link }))).with_key(&key)
            }
            Bulk => Call::bulk(&json!({ "invitations": [body(ANOTHER)] })),
            List => Call::list(""),
            Get => Call::get(id),
            GetWithDelivery => Call { query: "include=delivery".to_owned(), ..Call::get(id) },
            Change => Call::change(id, &json!({ "expiresAt": FAR_FUTURE + 1, "organizationRoleIds": ["admin"] })),
            Message => Call::message(id, &link),
            VerifyToken => Call::verify(id, TOKEN),
            Accept => Call::accept(id, "ada"),
            AcceptByToken => Call::accept_by_token(id, "ada", TOKEN),
            Revoke => Call::revoke(id),
            Delete => Call::delete(id),
            ListOwn => Call::list_own("ada", INVITEE),
            AcceptOwn => Call::set_own_status(id, "Accepted", "ada", INVITEE),
        }
    }

    /// `true` if the request names an invitation by its identifier.
    pub fn names_invitation(self) -> bool {
        const ID: &str = "an-identifier";
        self.call(ID).path.contains(ID)
    }

    /// The status of a successful response.
    pub const fn success(self) -> u16 {
        match self {
            Create | CreateWithKey | CreateWithMail | CreateWithMailAndKey => 201,
            Bulk | List | Get | GetWithDelivery | Change | VerifyToken | Accept | AcceptByToken | Revoke | ListOwn
            | AcceptOwn => 200,
            Message | Delete => 204,
        }
    }

    /// The number of mails that a successful request sends.
    pub const fn mails(self) -> usize {
        match self {
            CreateWithMail | CreateWithMailAndKey | Message => 1,
            Create | CreateWithKey | Bulk | List | Get | GetWithDelivery | Change | VerifyToken | Accept
            | AcceptByToken | Revoke | Delete | ListOwn | AcceptOwn => 0,
        }
    }

    /// The AWS calls of a successful request, in order, without retries and with nothing cached.
    pub const fn aws_calls(self) -> &'static [&'static str] {
        match self {
            Create | CreateWithKey | Bulk => &["BatchGetItem", "TransactWriteItems"],
            CreateWithMail => &["BatchGetItem", "TransactWriteItems", "SendEmail"],
            CreateWithMailAndKey => &["BatchGetItem", "TransactWriteItems", "SendEmail", "UpdateItem"],
            List => &["Query"],
            Get | VerifyToken => &["GetItem"],
            GetWithDelivery => &["GetItem", "BatchGetItem"],
            Message => &["GetItem", "BatchGetItem", "TransactWriteItems", "SendEmail"],
            Accept | AcceptByToken | Change => &["GetItem", "BatchGetItem", "TransactWriteItems"],
            Revoke | Delete | AcceptOwn => &["GetItem", "TransactWriteItems"],
            ListOwn => &["Query", "BatchGetItem"],
        }
    }
}

//! The output of `cargo dev` at its start: the addresses and a first request.

use std::fmt::Write;

use super::{
    demo,
    issuer::{self, Holder},
    stack::{ACCESS_KEY, REGION},
};
use crate::{
    domain::{ids::TenantId, timestamp::Timestamp},
    http::INVITATIONS_PATH,
};

/// The lifetime of the tokens in the banner, in seconds: seven days.
pub const LIFETIME_SECONDS: i64 = 7 * 24 * 3600;
/// The client id of those tokens.
pub const CLIENT: &str = "cargo-dev";

/// The addresses of the stack.
#[derive(Clone, Debug)]
pub(crate) struct Addresses {
    /// The URL of the gateway and the pages.
    pub gateway: String,
    /// The URL of DynamoDB.
    pub dynamodb: String,
    /// The URL of SES.
    pub ses: String,
    /// The name of the table.
    pub table: String,
    /// The location of the data, for people.
    pub storage: String,
}

/// The banner. `color` adds terminal colours.
pub(crate) fn banner(addresses: &Addresses, now: Timestamp, color: bool) -> String {
    let (bold, dim, plain) = if color { ("\x1b[1m", "\x1b[2m", "\x1b[0m") } else { ("", "", "") };
    let Addresses { gateway, dynamodb, ses, table, storage } = addresses;
    let token = token(now);
    let curl = curl(gateway, now);
    let mut text = String::new();
    // Writing to a string cannot fail.
    let _ = write!(
        text,
        "
  {bold}Organization invitations{plain} {dim}on this machine; nothing reaches AWS{plain}

    API          {gateway}{INVITATIONS_PATH}
    Inbox        {bold}{gateway}/inbox{plain}
    Invitations  {bold}{gateway}/invitations{plain}
    Events       {bold}{gateway}/events{plain}
    Reference    {bold}{gateway}/docs{plain}
    DynamoDB     {dynamodb}  {dim}table {table}, {storage}{plain}
    SES          {ses}

  {bold}Invite somebody{plain}, then look into the inbox:

{curl}

  {bold}The token{plain} of that line {dim}(seven days; another: cargo dev token --tenant T --scope S,
  a person's own: cargo dev token --person ADDRESS){plain}

export TOKEN={token}

  {bold}For the aws CLI{plain}, cargo directory, cargo lambda watch or sam local:

export AWS_ACCESS_KEY_ID={ACCESS_KEY} AWS_SECRET_ACCESS_KEY={ACCESS_KEY} AWS_REGION={REGION} AWS_DEFAULT_REGION={REGION}
export AWS_ENDPOINT_URL_DYNAMODB={dynamodb} AWS_ENDPOINT_URL_SESV2={ses} TABLE_NAME={table}

  {dim}Ctrl-C ends it.{plain}
"
    );
    text
}

/// A curl command that creates an invitation and mails it, for bash and zsh.
pub(crate) fn curl(gateway: &str, now: Timestamp) -> String {
    let expires_at = now.plus_millis(LIFETIME_SECONDS * 1000).as_millis();
    let token = token(now);
    format!(
        "curl -iw '\\n' {gateway}{INVITATIONS_PATH} \\
  -H 'authorization: Bearer {token}' \\
  -H 'content-type: application/json' \\
  -d '{{
    \"inviterId\": \"ada\",
    \"invitee\": \"grace@example.com\",
    \"organizationId\": \"acme\",
    \"expiresAt\": {expires_at},
    \"organizationRoleIds\": [\"member\"],
    \"messagePayload\": {{ \"link\": \"https://app.example.com/invitations/{{invitationId}}\" }}
  }}'"
    )
}

fn token(now: Timestamp) -> String {
    let tenant = TenantId::parse(demo::TENANT).expect("the demo's tenants have valid names");
    issuer::token(&tenant, Holder::Client { id: CLIENT, scope: "all" }, now, LIFETIME_SECONDS)
}

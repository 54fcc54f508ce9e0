//! Tests that `Debug` output omits personal data and secrets.

use std::time::Duration;

use serde_json::json;

use crate::{
    domain::{
        directory::User,
        email_address::{EmailAddress, NormalizedAddress},
        ids::{DirectoryId, TenantId},
        message_payload::MessagePayload,
        person::Person,
        rate_limit::MessageRate,
    },
    http::{body::Field, event::Event},
    mail::Content,
    store::{list::Filters, recipient_rate_limit::RecipientRateLimit},
};

#[test]
fn debug_output_contains_no_addresses_texts_or_tokens() {
    let address = "secret@example.com";
    let event = json!({
        "version": "2.0",
        "rawPath": "/api/organization-invitations",
        "rawQueryString": "invitee=secret",
        "headers": { "authorization": "Bearer secret" },
        "requestContext": { "http": { "method": "POST" }, "authorizer": { "jwt": { "claims": { "email": address } } } },
        "body": json!({ "invitee": address }).to_string(),
    });
    let tenant = TenantId::parse("t").unwrap();
    let user_id = DirectoryId::stored("u").unwrap();
    let user = User {
        id: user_id.clone(),
        name: Some("secret".into()),
        primary_email: Some(address.into()),
        avatar: Some("secret".into()),
    };
    let payload = MessagePayload([("code".to_owned(), "secret".into())].into_iter().collect());
    let rate = MessageRate { limit: 1, window: Duration::from_millis(1) };
    let filters = Filters { invitee: Some(NormalizedAddress::of(address)), ..Filters::default() };
    let rendered = Content::Rendered { subject: "secret".into(), html: "secret".into(), text: "secret".into() };
    for printed in [
        format!("{:?}", Event::read(&event.to_string())),
        format!("{:?}", EmailAddress::parse(address)),
        format!("{user:?}"),
        format!("{:?}", Person { tenant: tenant.clone(), user_id, address: NormalizedAddress::of(address) }),
        format!("{payload:?}"),
        format!("{filters:?}"),
        format!("{:?}", RecipientRateLimit::assumed_empty(&tenant, &NormalizedAddress::of(address), rate)),
        format!("{rendered:?}"),
        format!("{:?}", Content::Stored { template: "t".into(), data: "secret".into() }),
        format!("{:?}", Field::Present(address)),
    ] {
        assert!(!printed.contains("secret"), "{printed}");
    }
}

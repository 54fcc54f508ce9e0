//! The parts of a create without I/O: `cargo bench --all-features --bench pure`.
#![allow(clippy::unwrap_used, missing_docs, reason = "a panic ends the benchmark")]

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use organization_invitations::{
    app::App,
    clock::RequestClock,
    config::Config,
    domain::{
        directory::{EmailConnector, Organization, OrganizationRole, User},
        email_address::EmailAddress,
        ids::{DirectoryId, InvitationId, TenantId},
        invitation::{Invitation, Status},
        timestamp::Timestamp,
    },
    http::{self, caller::Caller, event::Event},
    local::stack,
    mail::{self, EmailContext, MessagePayload, render::render},
    store::items,
};
use serde_json::{Map, json};

const CREATE: &str = include_str!("../events/create.json");
const VIOLATIONS: &str = include_str!("../events/fails-many-violations.json");

criterion_group!(benches, event, validation, rendering, item, response);
criterion_main!(benches);

fn config() -> Config {
    Config::from_lookup(|name| {
        let value = match name {
            "TABLE_NAME" => "table",
            "DEFAULT_FROM_EMAIL_ADDRESS" => "Acme <mail@acme.example>",
            _ => return None,
        };
        Some(value.to_owned())
    })
    .unwrap()
}

fn id(text: &str) -> DirectoryId {
    DirectoryId::stored(text).unwrap()
}

fn invitation() -> Invitation {
    let now = Timestamp::from_millis(1_767_225_600_000);
    Invitation {
        tenant: TenantId::parse("default").unwrap(),
        id: InvitationId::generate(now).unwrap(),
        inviter_id: Some(id("ada")),
        invitee: EmailAddress::parse("grace@example.com").unwrap(),
        accepted_user_id: None,
        organization_id: id("acme"),
        stored_status: Status::Pending,
        created_at: now,
        updated_at: now,
        expires_at: Timestamp::from_millis(4_102_444_800_000),
        organization_roles: vec![OrganizationRole { id: id("member"), name: "Member".to_owned() }],
    }
}

fn event(criterion: &mut Criterion) {
    let config = config();
    criterion.bench_function("event to request", |bencher| {
        bencher.iter(|| {
            let event = Event::read(black_box(CREATE));
            Caller::from_authorizer(&event.authorizer, &config).unwrap()
        });
    });
}

/// From an event to the client error for its body, without a call to AWS.
fn validation(criterion: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let nowhere = "http://127.0.0.1:1";
    let app = App::new(config(), &stack::sdk_config(nowhere, nowhere)).unwrap();
    criterion.bench_function("event to list of violations", |bencher| {
        bencher.iter(|| {
            let clock = RequestClock::with_budget(std::time::Duration::from_secs(10));
            runtime.block_on(http::handle(&app, black_box(VIOLATIONS), clock))
        });
    });
}

fn rendering(criterion: &mut Criterion) {
    let connector: EmailConnector = config().default_connector.unwrap();
    let payload = json!({ "link": "https://app.example.com/invitations/{invitationId}" });
    let payload = MessagePayload(payload.as_object().unwrap().clone());
    let invitation = invitation();
    let organization = Organization { id: id("acme"), name: "Acme".to_owned(), branding: Map::new() };
    let ada = User { id: id("ada"), name: Some("Ada".to_owned()), primary_email: None, avatar: None };
    let context = EmailContext { invitation: &invitation, organization: &organization, inviter: Some(&ada) };
    criterion.bench_function("mail from a known template", |bencher| {
        bencher.iter(|| mail::compose(connector.clone(), black_box(&payload), context).unwrap());
    });
    // Has the length of the built-in mail, and about as many tags.
    let html = format!("<p style=\"{}\">{{{{link}}}}</p>", "margin:0;".repeat(45)).repeat(39);
    let variables = json!({ "link": "l" });
    let mut number = 0;
    criterion.bench_function("template seen for the first time", |bencher| {
        bencher.iter(|| {
            number += 1;
            render("", &format!("{html}{number}"), "", black_box(&variables))
        });
    });
}

fn item(criterion: &mut Criterion) {
    let invitation = invitation();
    criterion.bench_function("rows of an invitation", |bencher| {
        bencher.iter(|| (items::invitation(black_box(&invitation), 0), items::pending_standing(&invitation)));
    });
}

fn response(criterion: &mut Criterion) {
    let invitation = invitation();
    criterion.bench_function("entity to JSON", |bencher| {
        bencher.iter(|| serde_json::to_string(&black_box(&invitation).entity(invitation.created_at)).unwrap());
    });
}

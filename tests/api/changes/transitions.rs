//! Every transition of an invitation, and its events.

use std::collections::BTreeMap;

use aws_sdk_dynamodb::types::AttributeValue;
use organization_invitations::{
    clock::RequestClock, domain::email_address::EmailAddress, local::ses::SesFault, store::members::Member,
};
use serde_json::{Value, json};

use crate::helpers::{
    BUDGET, Call, FAR_FUTURE, TestApp, body, body_with_mail,
    changes::{Changes, an_hour_ago, kind},
    directory_id, tenant, with,
};

const ADDRESS: &str = "ada@example.com";

#[derive(Clone, Copy, Debug)]
enum Step {
    /// Invites Ada: for a second if it is the first invitation and an [`Expire`] follows, else for long.
    Invite,
    /// Invites Ada with a mail that SES rejects.
    InviteRejected,
    Message,
    /// A message with a token in its link.
    MessageWithToken,
    WrongToken,
    /// Changes the expiry, as an edit does.
    Edit,
    /// Changes an attribute that callers never see.
    Touch,
    Accept,
    Revoke,
    Delete,
    /// Deletes the first of two invitations.
    DeleteFirst,
    /// Moves the clock past the expiry of the invitations so far.
    Expire,
    /// DynamoDB deletes the expired rows.
    Sweep,
    /// An operator makes Ada a member.
    PutMember,
    /// An operator deletes all data about Ada.
    ErasePerson,
}

use Step::{
    Accept, Delete, DeleteFirst, Edit, ErasePerson, Expire, Invite, InviteRejected, Message, MessageWithToken,
    PutMember, Revoke, Sweep, Touch, WrongToken,
};

struct Row {
    settings: &'static [(&'static str, &'static str)],
    steps: &'static [Step],
    /// The events in their order: the invitation, counted from the first, its event, and its status before.
    events: &'static [(usize, &'static str, Option<&'static str>)],
    reason: &'static str,
}

type Event = (usize, &'static str, Option<&'static str>);
const CREATED: Event = (0, "Created", None);
const ACCEPTED: Event = (0, "Accepted", Some("Pending"));
const REVOKED: Event = (0, "Revoked", Some("Pending"));
const EXPIRED: Event = (0, "Expired", Some("Pending"));
const CREATED_AGAIN: Event = (1, "Created", None);

const fn row(steps: &'static [Step], events: &'static [Event], reason: &'static str) -> Row {
    Row { settings: &[], steps, events, reason }
}

const fn without_retention(steps: &'static [Step], events: &'static [Event], reason: &'static str) -> Row {
    Row { settings: &[("RETENTION_DAYS", "0")], ..row(steps, events, reason) }
}

#[rustfmt::skip]
const ROWS: &[Row] = &[
    row(&[Invite], &[CREATED], "a create writes four rows and is one event"),
    row(&[Invite, Accept], &[CREATED, ACCEPTED], "an accept changes three rows"),
    row(&[Invite, Revoke], &[CREATED, REVOKED], "a revoke deletes the standing too"),
    row(&[Invite, Delete], &[CREATED, (0, "Deleted", Some("Pending"))], "pending"),
    row(&[Invite, Accept, Delete], &[CREATED, ACCEPTED, (0, "Deleted", Some("Accepted"))], "accepted"),
    row(&[Invite, Revoke, Delete], &[CREATED, REVOKED, (0, "Deleted", Some("Revoked"))], "revoked"),
    row(&[Invite, Message, Message], &[CREATED], "a message does not change it"),
    row(&[Invite, MessageWithToken, WrongToken, MessageWithToken, Message], &[CREATED], "tokens do not change it"),
    row(&[Invite, Edit], &[CREATED, (0, "Updated", None)], "edited while pending"),
    row(&[Invite, Touch], &[CREATED], "an internal attribute changes"),
    row(&[Invite, Accept, Touch], &[CREATED, ACCEPTED], "an internal attribute of an ended invitation changes"),
    row(&[Invite, InviteRejected], &[CREATED], "a create that conflicts"),
    row(&[InviteRejected], &[CREATED, (0, "Deleted", Some("Pending"))], "rolled back"),

    row(&[Invite, Expire], &[CREATED], "the expiry alone changes no row"),
    row(&[Invite, Expire, Sweep], &[CREATED, EXPIRED], "the deletion by time to live reveals the expiry"),
    row(&[Invite, Expire, Sweep, Sweep], &[CREATED, EXPIRED], "once"),
    row(&[Invite, Expire, Sweep, Delete], &[CREATED, EXPIRED, (0, "Deleted", Some("Expired"))], "deleted after the sweep"),
    row(&[Invite, Expire, Delete, Sweep], &[CREATED, (0, "Deleted", Some("Expired"))], "deleted before the sweep"),
    row(&[Invite, Expire, Invite], &[CREATED, EXPIRED, CREATED_AGAIN], "a new invitation takes over the standing"),
    row(&[Invite, Expire, Invite, Sweep], &[CREATED, EXPIRED, CREATED_AGAIN], "the sweep keeps the new standing"),
    row(&[Invite, Expire, Sweep, Invite], &[CREATED, EXPIRED, CREATED_AGAIN], "swept before the new one"),
    row(&[Invite, Expire, Invite, DeleteFirst], &[CREATED, EXPIRED, CREATED_AGAIN, (0, "Deleted", Some("Expired"))], "the new one owns the standing"),
    row(&[Invite, Expire, InviteRejected, Sweep], &[CREATED, EXPIRED, CREATED_AGAIN, (1, "Deleted", Some("Pending"))], "the standing is deleted by a rollback"),
    row(&[Invite, Accept, Expire, Sweep], &[CREATED, ACCEPTED], "an accepted invitation does not expire"),
    row(&[Invite, Revoke, Expire, Sweep], &[CREATED, REVOKED], "a revoked invitation does not expire"),

    without_retention(&[Invite, Expire, Sweep], &[CREATED, EXPIRED], "invitation and standing are deleted together"),
    without_retention(&[Invite, Accept, Expire, Sweep], &[CREATED, ACCEPTED], "the end of the retention is no event"),
    without_retention(&[Invite, Revoke, Expire, Sweep], &[CREATED, REVOKED], "the end of the retention is no event"),

    row(&[Invite, PutMember], &[CREATED], "a membership has no event"),
    row(&[Invite, PutMember, Accept], &[CREATED, ACCEPTED], "the member's standing names the invitation"),
    row(&[Invite, PutMember, Revoke], &[CREATED, REVOKED], "the member's standing names the invitation"),
    row(&[Invite, PutMember, Expire, Sweep], &[CREATED], "known limit: a member's standing is kept, so no event"),
    row(&[Invite, ErasePerson], &[CREATED, (0, "Deleted", Some("Pending"))], "erased row by row"),
    row(&[Invite, Expire, ErasePerson, Sweep], &[CREATED, (0, "Deleted", Some("Expired"))], "erased row by row"),
    row(&[Invite, Accept, ErasePerson], &[CREATED, ACCEPTED, (0, "Deleted", Some("Accepted"))], "erased row by row"),
];

#[tokio::test]
async fn every_transition_gives_exactly_its_events() {
    for Row { settings, steps, events: expected, reason } in ROWS {
        let app = TestApp::start_with_stream(settings).await;
        app.add_user("ada", Some(ADDRESS)).await;
        let changes = Changes::of(&app);
        let is_brief = steps.iter().any(|step| matches!(step, Expire));
        let mut story = Story { app: &app, now: an_hour_ago(), is_brief, ids: Vec::new(), answers: BTreeMap::new() };
        for step in *steps {
            story.take(*step).await;
        }
        let events = changes.events(&app).await;
        // A rolled back invitation appears only in its events.
        let mut ids: Vec<&str> = Vec::new();
        for event in &events {
            let id = event["data"]["id"].as_str().unwrap();
            if !ids.contains(&id) {
                ids.push(id);
            }
        }
        let found: Vec<(usize, &str, Option<&str>)> = events
            .iter()
            .map(|event| {
                let id = ids.iter().position(|id| event["data"]["id"] == *id).unwrap();
                (id, kind(event), event["previousStatus"].as_str())
            })
            .collect();
        assert_eq!(found, *expected, "{steps:?}: {reason}\n{events:#?}");
        assert!(events.is_sorted_by_key(|event| event["sequence"].as_str().unwrap().to_owned()), "{events:#?}");
        story.judge(&events);
    }
}

struct Story<'a> {
    app: &'a TestApp,
    now: i64,
    is_brief: bool,
    ids: Vec<String>,
    /// The expected entity, by invitation and event: the one in the response to the step.
    answers: BTreeMap<(String, &'static str), Value>,
}

impl Story<'_> {
    async fn take(&mut self, step: Step) {
        let id = self.ids.last().cloned().unwrap_or_default();
        match step {
            Invite | InviteRejected => self.invite(step).await,
            Message => self.call(Call::message(&id, &json!({})), 204).await,
            MessageWithToken => {
                let payload = json!({ "link": "https://app.example.com/{invitationToken}" });
                self.call(Call::message(&id, &payload), 204).await;
            }
            WrongToken => self.call(Call::verify(&id, "wrong"), 404).await,
            Accept => self.end("Accepted", Call::accept(&id, "ada")).await,
            Revoke => self.end("Revoked", Call::revoke(&id)).await,
            Delete => self.call(Call::delete(&id), 204).await,
            DeleteFirst => self.call(Call::delete(&self.ids[0]), 204).await,
            Edit => self.set(&id, "expiresAt", FAR_FUTURE + 1).await,
            Touch => self.set(&id, "note", 5).await,
            Expire => self.now += 2000,
            Sweep => drop(self.app.stack.database.sweep_ttl().unwrap()),
            PutMember => {
                let (organization_id, user_id) = (directory_id("acme"), directory_id("ada"));
                let email = EmailAddress::parse(ADDRESS).unwrap();
                let member =
                    Member { organization_id, user_id, email, organization_role_ids: [].into(), joined_at: None };
                let clock = RequestClock::with_budget(BUDGET);
                self.app.app.store.put_member(&tenant("default"), &member, clock).await.unwrap();
            }
            ErasePerson => {
                let (store, tenant) = (&self.app.app.store, tenant("default"));
                for row in store.person_rows(&tenant, ADDRESS).await.unwrap() {
                    assert!(store.delete_person_row(&tenant, &row).await.unwrap());
                }
            }
        }
    }

    async fn invite(&mut self, step: Step) {
        let is_brief = self.is_brief && self.ids.is_empty() && matches!(step, Invite);
        let changes = json!({ "expiresAt": if is_brief { self.now + 1000 } else { FAR_FUTURE } });
        if matches!(step, Invite) {
            let answer = self.app.create_at(self.now, &with(body("Ada@example.com"), changes)).await;
            assert_eq!(answer.status, 201, "{answer:?}");
            let entity = answer.json();
            let id = entity["id"].as_str().unwrap().to_owned();
            self.answers.insert((id.clone(), "Created"), entity);
            self.ids.push(id);
        } else {
            self.app.stack.ses.fail_next(SesFault::MessageRejected);
            let answer = self.app.create_at(self.now, &with(body_with_mail("Ada@example.com"), changes)).await;
            assert!(answer.status >= 400, "{answer:?}");
        }
    }

    async fn end(&mut self, event: &'static str, call: Call) {
        let answer = self.app.call_at(self.now, call).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        let entity = answer.json();
        self.answers.insert((entity["id"].as_str().unwrap().to_owned(), event), entity);
    }

    async fn call(&self, call: Call, status: u16) {
        let answer = self.app.call_at(self.now, call).await;
        assert_eq!(answer.status, status, "{answer:?}");
    }

    async fn set(&self, id: &str, attribute: &str, value: i64) {
        let update = self.app.client().update_item().table_name(self.app.table());
        let update = update.key("pk", AttributeValue::S("TENANT#default".to_owned()));
        let update = update.key("sk", AttributeValue::S(format!("INVITATION#{id}")));
        let update = update.update_expression("SET #name = :value").expression_attribute_names("#name", attribute);
        update.expression_attribute_values(":value", AttributeValue::N(value.to_string())).send().await.unwrap();
    }

    /// Asserts that an event contains the entity of the response, or the part of it that its row contains.
    fn judge(&self, events: &[Value]) {
        for event in events {
            let (data, id) = (&event["data"], event["data"]["id"].as_str().unwrap());
            assert_eq!(event["tenantId"], "default");
            assert_eq!(data["tenantId"], "default");
            if let Some(answer) = self.answers.get(&(id.to_owned(), event_name(kind(event)))) {
                assert_eq!(data, answer, "{event:#}");
                assert_eq!(event["timestamp"], answer["updatedAt"]);
            }
            if kind(event) == "Expired" {
                let keys: Vec<&str> = data.as_object().unwrap().keys().map(String::as_str).collect();
                assert_eq!(keys.len(), 6, "{keys:?}");
                let expected = json!([ADDRESS, "acme", "Expired"]);
                assert_eq!(json!([data["invitee"], data["organizationId"], data["status"]]), expected);
                assert_eq!(data["expiresAt"], self.answers[&(id.to_owned(), "Created")]["expiresAt"]);
                assert!(event["timestamp"].as_i64() >= data["expiresAt"].as_i64(), "{event:#}");
            }
        }
    }
}

fn event_name(kind: &str) -> &'static str {
    ["Created", "Accepted", "Revoked"].into_iter().find(|name| *name == kind).unwrap_or("another")
}

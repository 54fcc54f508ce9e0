//! Unusual records, alone and in a batch, and the data that no event may contain.

use organization_invitations::domain::directory::Organization;
use serde_json::{Map, Value, json};

use crate::helpers::{
    Call, TestApp, body, body_with_mail,
    changes::{Changes, details, kind},
    directory_id,
    log::Log,
    tenant, with,
};

const ID: &str = "0mwshl16meeoe2l4w0lik";

/// The record of a changed row, as a pipe delivers it.
fn record(number: usize, sk: &str, old: Value, new: Value) -> Value {
    let mut dynamodb = json!({
        "ApproximateCreationDateTime": 1_767_225_600, "Keys": { "pk": { "S": "TENANT#acme" }, "sk": { "S": sk } },
        "SequenceNumber": format!("{number}00000000000000000000"), "StreamViewType": "NEW_AND_OLD_IMAGES",
    });
    for (name, image) in [("OldImage", old), ("NewImage", new)] {
        if !image.is_null() {
            dynamodb[name] = image;
        }
    }
    json!({ "eventID": format!("e{number}"), "eventSource": "aws:dynamodb", "dynamodb": dynamodb })
}

fn by_time_to_live(mut record: Value) -> Value {
    record["userIdentity"] = json!({ "type": "Service", "principalId": "dynamodb.amazonaws.com" });
    record
}

fn invitation(status: &str) -> Value {
    json!({
        "id": { "S": ID }, "invitee": { "S": "Ada@example.com" }, "organizationId": { "S": "o" },
        "status": { "S": status }, "createdAt": { "N": "1767225600001" }, "updatedAt": { "N": "1767225600002" },
        "expiresAt": { "N": "4102444800000" }, "organizationRoles": { "L": [] },
    })
}

fn standing(id: &str) -> Value {
    json!({ "state": { "S": "pending" }, "invitationId": { "S": id }, "expiresAt": { "N": "1767225600000" } })
}

fn delivery(status: &str, at: &str) -> Value {
    json!({
        "status": { "S": status }, "permanent": { "BOOL": true }, "reason": { "S": "NoEmail" }, "rank": { "N": "4" },
        "messageId": { "S": "m" }, "sentAt": { "N": "1767225600000" }, "updatedAt": { "N": at }, "ttl": { "N": "5" },
    })
}

const STANDING: &str = "ORG#o#INVITEE#ada@example.com";

#[tokio::test]
async fn each_record_of_a_batch_is_judged_by_itself() {
    let app = TestApp::start().await;
    let (invitation_sk, delivery_sk) = (format!("INVITATION#{ID}"), format!("DELIVERY#{ID}"));
    let without = |name: &str| {
        let mut image = invitation("Pending");
        image.as_object_mut().unwrap().remove(name);
        image
    };
    let (none, pending) = (Value::Null, invitation("Pending"));
    let rows = [
        (record(10, &invitation_sk, none.clone(), pending.clone()), Some("Created"), "a valid record"),
        (record(11, &invitation_sk, none.clone(), without("invitee")), Some("Unreadable"), "no address"),
        (record(12, &invitation_sk, none.clone(), json!([])), Some("Unreadable"), "no image"),
        (
            record(13, &invitation_sk, without("status"), pending.clone()),
            Some("Unreadable"),
            "the old image is unreadable",
        ),
        (record(14, &invitation_sk, without("status"), none.clone()), Some("Unreadable"), "deleted, unreadable"),
        (
            by_time_to_live(record(15, &invitation_sk, without("status"), none.clone())),
            None,
            "the end of the retention",
        ),
        (record(16, &invitation_sk, pending.clone(), invitation("Reopened")), Some("Unreadable"), "an unknown status"),
        (record(17, &invitation_sk, invitation("Revoked"), pending), Some("Updated"), "reopened by an operator"),
        (json!(null), Some("Unreadable"), "not a record"),
        (json!({ "eventID": "e", "eventSource": "aws:dynamodb" }), Some("Unreadable"), "a record without a change"),
        (record(29, "", none.clone(), json!({})), Some("Unreadable"), "no sort key"),
        (by_time_to_live(record(18, STANDING, standing(ID), none.clone())), Some("Expired"), "a valid record"),
        (
            by_time_to_live(record(19, STANDING, standing("x"), none.clone())),
            Some("Unreadable"),
            "a standing without a valid invitation id",
        ),
        (record(20, STANDING, standing("x"), none.clone()), None, "deleted by an operator"),
        (record(21, STANDING, standing(ID), standing("x")), Some("Expired"), "replaced by an unreadable standing"),
        (record(22, STANDING, standing(ID), standing(ID)), None, "the same invitation"),
        (record(23, "ORGANIZATION#o", none.clone(), json!({})), None, "the directory"),
        (record(24, &delivery_sk, none.clone(), delivery("Bounced", "1767225600003")), Some("DeliveryUpdated"), "new"),
        (
            record(25, &delivery_sk, delivery("Sent", "1"), delivery("Bounced", "1767225600003")),
            Some("DeliveryUpdated"),
            "another outcome",
        ),
        (record(26, &delivery_sk, delivery("Sent", "1"), delivery("Sent", "1")), None, "the same outcome"),
        (record(27, &delivery_sk, delivery("Sent", "1"), none.clone()), None, "its invitation was deleted"),
        (record(28, &delivery_sk, none.clone(), json!({ "status": { "N": "5" } })), Some("Unreadable"), "no status"),
    ];
    let batch: Vec<Value> = rows.iter().map(|(record, ..)| record.clone()).collect();
    let events: Vec<Value> =
        details(&app, &batch).await.iter().map(|text| serde_json::from_str(text).unwrap()).collect();
    let mut found = events.iter();
    for (record, expected, reason) in &rows {
        let Some(expected) = expected else { continue };
        let event = found.next().unwrap();
        assert_eq!(kind(event), *expected, "{reason}: {record:#}\n{event:#}");
        let id = record.get("eventID").cloned().unwrap_or_else(|| json!(""));
        assert_eq!(event["id"], id, "{reason}");
        assert_eq!(event["sequence"].as_str().unwrap().len(), 40, "{reason}");
    }
    assert!(found.next().is_none());
}

#[tokio::test]
async fn an_event_has_its_keys_in_order_and_only_what_its_row_knows() {
    let app = TestApp::start().await;
    let entity = |status: &str| {
        format!(
            r#"{{"tenantId":"acme","id":"{ID}","inviterId":null,"invitee":"Ada@example.com","acceptedUserId":null,"organizationId":"o","status":"{status}","createdAt":1767225600001,"updatedAt":1767225600002,"expiresAt":4102444800000,"organizationRoles":[]}}"#
        )
    };
    let head = |number: usize, kind: &str, timestamp: i64| {
        let sequence = format!("{:0>40}", format!("{number}00000000000000000000"));
        format!(
            r#"{{"id":"e{number}","type":"OrganizationInvitation.{kind}","timestamp":{timestamp},"sequence":"{sequence}","tenantId":"acme""#
        )
    };
    let invitation_sk = format!("INVITATION#{ID}");
    for (record, expected) in [
        (
            record(1, &invitation_sk, Value::Null, invitation("Pending")),
            format!(r#"{},"data":{}}}"#, head(1, "Created", 1_767_225_600_001), entity("Pending")),
        ),
        (
            record(2, &invitation_sk, invitation("Pending"), invitation("Revoked")),
            format!(
                r#"{},"data":{},"previousStatus":"Pending"}}"#,
                head(2, "Revoked", 1_767_225_600_002),
                entity("Revoked")
            ),
        ),
        (
            by_time_to_live(record(3, STANDING, standing(ID), Value::Null)),
            format!(
                r#"{},"data":{{"tenantId":"acme","id":"{ID}","invitee":"ada@example.com","organizationId":"o","status":"Expired","expiresAt":1767225600000}},"previousStatus":"Pending"}}"#,
                head(3, "Expired", 1_767_225_600_000)
            ),
        ),
        (
            record(4, &format!("DELIVERY#{ID}"), Value::Null, delivery("Bounced", "1767225600003")),
            format!(
                r#"{},"data":{{"tenantId":"acme","id":"{ID}"}},"delivery":{{"status":"Bounced","permanent":true,"reason":"NoEmail","smtpStatus":null,"messageId":"m","sentAt":1767225600000,"updatedAt":1767225600003}}}}"#,
                head(4, "DeliveryUpdated", 1_767_225_600_003)
            ),
        ),
        (
            record(5, &invitation_sk, Value::Null, json!({})),
            format!(r#"{},"data":{{"tenantId":"acme","id":"{ID}"}}}}"#, head(5, "Unreadable", 1_767_225_600_000)),
        ),
    ] {
        assert_eq!(details(&app, &[record]).await, [expected]);
    }
}

#[tokio::test]
async fn no_event_holds_a_link_a_code_or_a_token_and_each_is_of_the_tenant_of_its_row() {
    let app = TestApp::start_with_stream(&[]).await;
    let changes = Changes::of(&app);
    let secrets =
        json!({ "link": "https://app.example.com/secret-link", "code": "secret-code", "token": "secret-token" });
    let mailed = with(body_with_mail("ada@example.com"), json!({ "messagePayload": secrets }));
    let call = Call::create(&mailed).with_key("secret-key");
    let id = app.call(call).await.json()["id"].as_str().unwrap().to_owned();
    assert_eq!(app.call(Call::message(&id, &secrets)).await.status, 204);
    let other = with(body("ada@example.com"), json!({ "organizationRoleIds": [] }));
    let acme = Organization { id: directory_id("acme"), name: "Acme".to_owned(), branding: Map::new() };
    app.app.store.put_organization(&tenant("globex"), &acme).await.unwrap();
    let of_other = app.call(Call::create(&with(other, json!({ "inviterId": null }))).by("globex")).await;
    assert_eq!(of_other.status, 201, "{of_other:?}");
    // A caller of another tenant tries to change the invitation.
    assert_eq!(app.call(Call::delete(&id).by("globex")).await.status, 404);
    let events = changes.events(&app).await;
    let told: Vec<_> = events.iter().map(|event| (event["tenantId"].as_str().unwrap(), kind(event))).collect();
    assert_eq!(told, [("default", "Created"), ("globex", "Created")]);
    assert!(events.iter().all(|event| event["data"]["tenantId"] == event["tenantId"]));
    let text = json!(events).to_string();
    assert!(!text.contains("secret"), "{text}");
}

#[tokio::test]
async fn an_unreadable_row_is_logged_without_an_address() {
    let app = TestApp::start().await;
    let log = Log::capture("info");
    let batch = [
        record(1, &format!("INVITATION#{ID}"), Value::Null, json!({ "invitee": { "S": "ada@example.com" } })),
        by_time_to_live(record(2, STANDING, standing("x"), Value::Null)),
    ];
    assert_eq!(details(&app, &batch).await.len(), 2);
    let text = log.take();
    assert_eq!(text.matches("unreadable row in the table's stream").count(), 2, "{text}");
    assert!(text.contains(ID) && !text.contains("ada@"), "{text}");
}

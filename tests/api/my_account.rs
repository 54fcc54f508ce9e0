//! A person's own invitations: the claims that make a caller a person, and the isolation of each person's invitations.

use organization_invitations::{domain::directory::OrganizationRole, store::items};
use serde_json::{Value, json};

use crate::{
    common::operation::{INVITEE, Operation},
    helpers::{Answer, Call, FAR_FUTURE, NOW, TestApp, body, body_with_mail, directory_id, log::Logged, rows, with},
    invariant,
};

const GRACE: &str = "grace@example.com";

#[tokio::test]
async fn a_person_whose_address_no_invitation_could_have_has_none_and_costs_no_read() {
    let app = TestApp::start_behind_proxy(&[]).await;
    for (address, reason) in [
        ("x".repeat(3000) + "@example.com", "longer than a key may be"),
        ("a#b@example.com".to_owned(), "a separator of keys"),
        ("\"quoted\"@example.com".to_owned(), "a form that cannot be invited"),
    ] {
        let answer = app.call(Call::list_own("grace", &address)).await;
        assert_eq!((answer.status, answer.text.as_str(), app.proxy().count("Query")), (200, "[]", 0), "{reason}");
    }
}

/// Lists the invitations of Grace.
fn graces_list() -> Call {
    Call::list_own("grace", GRACE)
}

fn accept(id: &str) -> Call {
    Call::set_own_status(id, "Accepted", "grace", GRACE)
}

fn decline(id: &str) -> Call {
    Call::set_own_status(id, "Revoked", "grace", GRACE)
}

/// Makes the call with these claims.
async fn call_with_claims(app: &TestApp, call: &Call, claims: &Value) -> Answer {
    let mut event = call.event();
    event["requestContext"]["authorizer"] = match claims {
        Value::Null => Value::Null,
        claims => json!({ "jwt": { "claims": claims } }),
    };
    app.invoke_at(NOW, &event.to_string()).await
}

/// The identifiers of a list.
fn ids(answer: &Answer) -> Vec<String> {
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json().as_array().unwrap().iter().map(|entity| entity["id"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn a_person_lists_their_pending_invitations_and_becomes_a_member_without_a_row_of_the_directory() {
    let app = TestApp::start().await;
    let id = app.invite(&body("Grace@Example.com")).await;
    let entity = app.call(Call::get(&id)).await.text;
    let listed = app.call(graces_list()).await;
    let organization = r#","organization":{"id":"acme","name":"Acme Corporation"}}"#;
    assert_eq!(listed.text, format!("[{}{organization}]", entity.strip_suffix('}').unwrap()));
    assert_eq!(listed.headers["content-type"], "application/json; charset=utf-8");
    let accepted = app.call_at(NOW + 7, accept(&id)).await;
    assert_eq!(accepted.status, 200, "{accepted:?}");
    let told = accepted.json();
    assert_eq!(
        (&told["status"], &told["acceptedUserId"], &told["updatedAt"]),
        (&json!("Accepted"), &json!("grace"), &json!(NOW + 7))
    );
    assert_eq!(
        app.call(Call::get(&id)).await.text,
        accepted.text,
        "the response is the same entity as that of the management API"
    );
    let membership = app.row("default", "MEMBER#acme#grace").await.unwrap();
    assert_eq!((&membership["email"], app.row("default", "USER#grace").await), (&json!(GRACE), None));
    assert_eq!(app.call(graces_list()).await.text, "[]");
    invariant::check(&app, NOW + 7).await;
}

#[tokio::test]
async fn a_person_declines_and_can_be_invited_again() {
    let app = TestApp::start().await;
    let id = app.invite(&body(GRACE)).await;
    let declined = app.call(decline(&id)).await;
    assert_eq!((declined.status, &declined.json()["status"]), (200, &json!("Revoked")));
    assert_eq!(app.call(graces_list()).await.text, "[]");
    for again in [accept(&id), decline(&id)] {
        app.call(again).await.assert_error(422, "request.invalid_input");
    }
    let next = app.invite(&body(GRACE)).await;
    assert_eq!(ids(&app.call(graces_list()).await), [next]);
    invariant::check(&app, NOW).await;
}

#[tokio::test]
async fn only_a_verified_address_makes_a_person() {
    let app = TestApp::start().await;
    let id = app.invite(&body(GRACE)).await;
    let person = json!({ "tenant_id": "default", "sub": "grace", "email": GRACE, "email_verified": "true" });
    let before = app.rows().await;
    for (changes, status, code, reason) in [
        (json!({ "email_verified": true }), 200, "", "a boolean, as other authorizers render it"),
        (json!({ "scope": "openid profile" }), 200, "", "scopes of another API"),
        (json!({ "email": "GRACE@example.COM" }), 200, "", "addresses are case-insensitive"),
        (json!({ "email_verified": "false" }), 403, "auth.forbidden", "not verified"),
        (json!({ "email_verified": false }), 403, "auth.forbidden", "not verified"),
        (json!({ "email_verified": null }), 403, "auth.forbidden", "unreadable"),
        (json!({ "email_verified": "True" }), 403, "auth.forbidden", "the text of the boolean is case-sensitive"),
        (json!({ "email_verified": 1 }), 403, "auth.forbidden", "a number"),
        (json!({ "email_verified": [true] }), 403, "auth.forbidden", "a list"),
        (json!({ "email_verified": "[true]" }), 403, "auth.forbidden", "a list as an HTTP API renders it"),
        (json!({ "email": null }), 403, "auth.forbidden", "no address"),
        (json!({ "email": "" }), 403, "auth.forbidden", "an empty address"),
        (json!({ "email": [GRACE] }), 403, "auth.forbidden", "several addresses"),
        (json!({ "sub": null }), 403, "auth.forbidden", "no subject"),
        (json!({ "sub": "" }), 403, "auth.forbidden", "an empty subject"),
        (json!({ "sub": 5 }), 403, "auth.forbidden", "a subject that is not a text"),
        (json!({ "sub": "a#b" }), 403, "auth.forbidden", "a subject that could be another row's key"),
        (json!({ "sub": "x".repeat(22) }), 403, "auth.forbidden", "a subject that is longer than an identifier"),
        (json!({ "tenant_id": null }), 403, "guard.can_not_get_tenant_id", "no tenant"),
        (json!({ "tenant_id": "a#b" }), 403, "guard.can_not_get_tenant_id", "an invalid tenant"),
    ] {
        let answer = call_with_claims(&app, &graces_list(), &with(person.clone(), changes.clone())).await;
        assert_eq!(answer.status, status, "{reason}: {answer:?}");
        if status == 403 {
            answer.assert_error(403, code);
            let claims = with(person.clone(), changes);
            call_with_claims(&app, &accept(&id), &claims).await.assert_error(403, code);
        }
    }
    for missing in ["email", "email_verified", "sub"] {
        let mut claims = person.clone();
        claims.as_object_mut().unwrap().remove(missing);
        for call in [graces_list(), accept(&id), decline(&id)] {
            call_with_claims(&app, &call, &claims).await.assert_error(403, "auth.forbidden");
        }
    }
    assert_eq!(app.rows().await, before);
}

#[tokio::test]
async fn nobody_reaches_anybody_elses_invitation() {
    let app = TestApp::start().await;
    let id = app.invite(&body(GRACE)).await;
    let before = app.rows().await;
    let nowhere = app.call(accept(&"0".repeat(21))).await;
    for (subject, address, tenant, reason) in [
        ("eve", "eve@example.com", "default", "another person"),
        ("grace", "grace@example.com.evil.example", "default", "a longer address"),
        ("grace", "race@example.com", "default", "a shorter address"),
        ("grace", "grace+x@example.com", "default", "a label makes another address"),
        ("grace", "gr\u{e4}ce@example.com", "default", "not ASCII"),
        ("grace", "grace@example.com\u{0}", "default", "a control character"),
        ("grace", "grace@example.com#", "default", "a separator of keys"),
        ("grace", " grace@example.com", "default", "a space"),
        ("grace", GRACE, "no-mail", "the same person in another tenant"),
    ] {
        let listed = app.call(Call::list_own(subject, address).by(tenant)).await;
        assert_eq!((listed.status, listed.text.as_str()), (200, "[]"), "{reason}");
        for status in ["Accepted", "Revoked"] {
            let answer = app.call(Call::set_own_status(&id, status, subject, address).by(tenant)).await;
            answer.assert_error(404, "entity.not_found");
            assert_eq!(answer.text, nowhere.text, "the same response as for an unknown invitation: {reason}");
        }
    }
    assert_eq!(app.rows().await, before);
}

#[tokio::test]
async fn a_management_token_is_no_person_and_a_person_is_no_manager() {
    let app = TestApp::start().await;
    let id = app.invite_with_token(&body(INVITEE)).await;
    let before = app.rows().await;
    let manager = json!({ "tenant_id": "default", "sub": "s", "scope": "all" });
    let person = json!({ "tenant_id": "default", "sub": "ada", "email": INVITEE, "email_verified": "true" });
    for operation in Operation::ALL {
        let call = operation.call(&id);
        let claims = if call.person.is_some() { &manager } else { &person };
        call_with_claims(&app, &call, claims).await.assert_error(403, "auth.forbidden");
    }
    assert_eq!((app.rows().await, app.mails().len()), (before, 0));
    let both = with(person, json!({ "scope": "openid all" }));
    for call in [Call::get(&id), Call::list_own("ada", INVITEE)] {
        assert_eq!(
            call_with_claims(&app, &call, &both).await.status,
            200,
            "a token with both a scope and an address is admitted"
        );
    }
}

#[tokio::test]
async fn without_self_service_these_paths_are_not_found() {
    for setting in ["", "off"] {
        let app = TestApp::start_with(&[("SELF_SERVICE", setting)]).await;
        let id = app.invite(&body(GRACE)).await;
        let before = app.rows().await;
        let manager = json!({ "tenant_id": "default", "scope": "all" });
        for call in [graces_list(), accept(&id), decline(&id), Call::own("PATCH", "/x/y", "grace", GRACE)] {
            app.call(call.clone()).await.assert_error(404, "entity.not_found");
            call_with_claims(&app, &call, &manager).await.assert_error(404, "entity.not_found");
            call_with_claims(&app, &call, &Value::Null).await.assert_error(401, "auth.unauthorized");
        }
        assert_eq!(app.rows().await, before);
    }
}

#[tokio::test]
async fn the_list_holds_what_is_pending_after_every_change() {
    let app = TestApp::start().await;
    for end in ["accept", "revoke", "delete", "expire", "resend", "change"] {
        let invitee = format!("{end}@example.com");
        let id = app.invite(&with(body_with_mail(&invitee), json!({ "expiresAt": NOW + 1000 }))).await;
        let own = Call::list_own(end, &invitee);
        let mut now = NOW;
        let (status, is_listed) = match end {
            "accept" => (app.call(Call::set_own_status(&id, "Accepted", end, &invitee)).await.status, false),
            "revoke" => (app.call(Call::revoke(&id)).await.status, false),
            "delete" => (app.call(Call::delete(&id)).await.status, false),
            "resend" => (app.call(Call::message(&id, &json!({}))).await.status, true),
            "change" => (app.call(Call::change(&id, &json!({ "expiresAt": FAR_FUTURE }))).await.status, true),
            _ => {
                now = NOW + 1000;
                (200, false)
            }
        };
        assert!(status < 300, "{end}");
        assert_eq!(ids(&app.call_at(now, own).await).contains(&id), is_listed, "{end}");
        let decided = app.call_at(now, Call::set_own_status(&id, "Accepted", end, &invitee)).await;
        let expected = if is_listed {
            200
        } else if end == "delete" {
            404
        } else {
            422
        };
        assert_eq!(decided.status, expected, "{end}: {decided:?}");
        invariant::check(&app, now).await;
    }
}

#[tokio::test]
async fn the_list_is_newest_first_and_names_organizations_that_the_directory_no_longer_has_by_their_id() {
    let app = TestApp::start().await;
    let mut expected = Vec::new();
    for n in 0..4 {
        app.add_organization(&format!("org{n}")).await;
        let changes = json!({ "organizationId": format!("org{n}") });
        expected.insert(0, app.invite_at(NOW + n, &with(body(GRACE), changes)).await);
    }
    app.delete_row("default", "ORGANIZATION#org1").await;
    let listed = app.call_at(NOW + 10, graces_list()).await;
    assert_eq!(ids(&listed), expected);
    assert_eq!(listed.json()[2]["organization"], json!({ "id": "org1", "name": "org1" }));
    // Without a directory, an organization's name is its identifier.
    let trusting = TestApp::start_with(&[("REFERENCE_CHECKS", "trust")]).await;
    let elsewhere = with(body(GRACE), json!({ "organizationId": "elsewhere", "organizationRoleIds": [] }));
    let id = trusting.invite(&elsewhere).await;
    let organization = trusting.call(graces_list()).await.json()[0]["organization"].clone();
    assert_eq!(organization, json!({ "id": "elsewhere", "name": "elsewhere" }));
    assert_eq!(trusting.call(accept(&id)).await.status, 200);
}

#[tokio::test]
async fn ended_invitations_however_many_hide_no_pending_one() {
    let app = TestApp::start().await;
    let pending = app.invite_at(NOW - 5000, &body(GRACE)).await;
    let ended = (0..1200).map(|n| {
        let mut invitation = rows::pending_invitation(GRACE, NOW - 2000 + n);
        invitation.stored_status = organization_invitations::domain::invitation::Status::Revoked;
        items::invitation(&invitation, 0)
    });
    app.put_rows(ended).await;
    assert_eq!(ids(&app.call(graces_list()).await), [pending]);
}

#[tokio::test]
async fn a_list_of_very_many_is_the_newest_thousand() {
    let app = TestApp::start().await;
    let many: Vec<_> = (0..1050).map(|n| rows::pending_invitation(GRACE, NOW - 2000 + n)).collect();
    app.put_rows(many.iter().map(|invitation| items::invitation(invitation, 0))).await;
    let newest: Vec<String> = many.iter().rev().take(1000).map(|invitation| invitation.id.to_string()).collect();
    assert_eq!(ids(&app.call(graces_list()).await), newest);
}

#[tokio::test]
async fn a_list_too_large_for_a_response_keeps_the_newest() {
    let app = TestApp::start().await;
    let long = |length| "\"".repeat(length);
    let many: Vec<_> = (0..6)
        .map(|n| {
            let mut invitation = rows::pending_invitation(GRACE, NOW - 2000 + n);
            invitation.organization_roles = vec![OrganizationRole { id: directory_id("r"), name: long(190_000) }];
            invitation
        })
        .collect();
    for invitation in &many {
        app.put_rows([items::invitation(invitation, 0)]).await;
    }
    let organization = json!({ "pk": "TENANT#default", "sk": "ORGANIZATION#acme", "name": long(380_000) });
    app.put_rows([items::from_json(organization)]).await;
    let listed = app.call(graces_list()).await;
    assert!(serde_json::to_string(&listed.text).unwrap().len() < 6 << 20, "Lambda's limit");
    let newest: Vec<String> = many.iter().rev().take(2).map(|invitation| invitation.id.to_string()).collect();
    assert_eq!(ids(&listed), newest);
}

#[tokio::test]
async fn a_body_sets_one_of_two_statuses() {
    let app = TestApp::start().await;
    let id = app.invite(&body(GRACE)).await;
    let before = app.rows().await;
    let call = |body: &Value| Call::own("PUT", &format!("/{id}/status"), "grace", GRACE).json(body);
    for (body, code) in [
        (json!({}), "invalid_type"),
        (json!({ "status": null }), "invalid_type"),
        (json!({ "status": "Pending" }), "invalid_enum_value"),
        (json!({ "status": "Declined" }), "invalid_enum_value"),
    ] {
        let answer = app.call(call(&body)).await;
        answer.assert_error(400, "guard.invalid_input");
        assert_eq!(answer.json()["data"]["issues"][0]["code"], code, "{body}");
    }
    app.call(call(&json!({})).text("text/plain", "x")).await.assert_error(400, "request.invalid_input");
    assert_eq!(app.rows().await, before);
    let somebody = json!({ "status": "Accepted", "acceptedUserId": "eve", "token": 5, "tenantId": "no-mail" });
    assert_eq!(
        app.call(call(&somebody)).await.json()["acceptedUserId"],
        "grace",
        "the token's subject, not the user in the body"
    );
}

#[tokio::test]
async fn an_unreadable_invitation_is_left_out_and_an_unreadable_organization_has_no_name() {
    let mut app = TestApp::start().await;
    let id = app.invite(&body(GRACE)).await;
    let mut row = items::invitation(&rows::pending_invitation(GRACE, NOW - 1), 0);
    row.remove("createdAt");
    app.put_rows([row]).await;
    let logged = Logged::by(&mut app);
    assert_eq!(ids(&app.call(graces_list()).await), [id]);
    assert_eq!(logged.last()["UnreadableRows"], 1);
    let organization = json!({ "pk": "TENANT#default", "sk": "ORGANIZATION#acme", "id": "acme", "name": 5 });
    app.put_rows([items::from_json(organization)]).await;
    assert_eq!(app.call(graces_list()).await.json()[0]["organization"], json!({ "id": "acme", "name": "acme" }));
    assert_eq!(logged.last()["UnreadableRows"], 2);
    assert!(!logged.text().contains("grace"), "{}", logged.text());
}

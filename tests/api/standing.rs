//! The standing of an address while operators write memberships: no pending invitation and no other member is lost.

use std::{sync::Arc, time::Duration};

use organization_invitations::local::ses::SesFault;
use serde_json::{Value, json};

use crate::{
    helpers::{
        Answer, Call, NOW, TestApp, body, body_with_mail,
        directory::{TestFile, directory},
        with,
    },
    invariant,
    proxy::Intervention,
};

const ADDRESS: &str = "ada@example.com";
const STANDING: &str = "ORG#acme#INVITEE#ada@example.com";

/// A step of an operator or a user. The users are members under [`ADDRESS`], except after [`Move`].
#[derive(Clone, Copy, Debug)]
enum Step {
    Invite,
    /// Invites until a time that is past by the clock of the directory command.
    InviteBriefly,
    Put(&'static str),
    /// Moves the membership to another address.
    Move(&'static str),
    Import(&'static str),
    Leave(&'static str),
    DeletePerson(&'static str),
    Accept(&'static str),
    Revoke,
    Delete,
}

use Step::{Accept, Delete, DeletePerson, Import, Invite, InviteBriefly, Leave, Move, Put, Revoke};

/// The outcome of a create for the same address and organization.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    Created,
    /// The create conflicts with the first invitation.
    Pending,
    Member,
}

use Next::{Created, Member, Pending};

/// Adds the users who accept with the address of the invitation.
async fn add_users(app: &TestApp) {
    for user in ["ada", "bob"] {
        app.add_user(user, Some(ADDRESS)).await;
    }
    app.add_user("eve", Some("eve@example.com")).await;
}

fn invitation() -> Value {
    with(body("Ada@example.com"), json!({ "inviterId": null }))
}

fn member(user: &str, email: &str) -> Value {
    json!({ "kind": "member", "organizationId": "acme", "userId": user, "email": email })
}

async fn take(app: &TestApp, step: Step, id: &mut String) {
    let done = match step {
        Invite => {
            *id = app.invite(&invitation()).await;
            Ok(vec![])
        }
        InviteBriefly => {
            *id = app.invite(&with(invitation(), json!({ "expiresAt": NOW + 1000 }))).await;
            Ok(vec![])
        }
        Put(user) => directory(app, &["member", "put", "acme", user, "--email", ADDRESS, "--force"]).await,
        Move(user) => {
            directory(app, &["member", "put", "acme", user, "--email", "elsewhere@example.com", "--force"]).await
        }
        Import(user) => directory(app, &["import", TestFile::lines(&[member(user, ADDRESS)]).path()]).await,
        Leave(user) => directory(app, &["member", "delete", "acme", user]).await,
        DeletePerson(address) => directory(app, &["person", "delete", address, "--yes"]).await,
        Accept(_) | Revoke | Delete => {
            let call = match step {
                Accept(user) => Call::accept(id, user),
                Revoke => Call::revoke(id),
                _ => Call::delete(id),
            };
            let answer = app.call(call).await;
            assert!(answer.status < 300, "{step:?}: {answer:?}");
            Ok(vec![])
        }
    };
    done.unwrap_or_else(|error| panic!("{step:?}: {error}"));
}

/// Waits until DynamoDB has received a further request for this operation.
async fn asked(app: &TestApp, operation: &str, had: usize) {
    while app.proxy().count(operation) == had {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    tokio::time::sleep(Duration::from_millis(100)).await;
}

#[track_caller]
fn assert_next(answer: &Answer, next: Next, id: &str, reason: &str) {
    match next {
        Created => assert_eq!(answer.status, 201, "{reason}: {answer:?}"),
        Member => assert_eq!((answer.status, &*answer.code()), (422, "request.invalid_input"), "{reason}: {answer:?}"),
        Pending => {
            assert_eq!(answer.code(), "entity.unique_integrity_violation", "{reason}: {answer:?}");
            assert_eq!(answer.json()["data"]["invitationId"], id, "{reason}");
        }
    }
}

#[tokio::test]
async fn deleting_a_membership_keeps_a_pending_invitation_and_other_members() {
    #[rustfmt::skip]
    let cases: &[(&[Step], Next, &str)] = &[
        (&[Invite, Put("ada"), Leave("ada")], Pending, "pending again"),
        (&[Invite, Import("ada"), Leave("ada")], Pending, "pending again, after an import"),
        (&[Invite, Import("ada"), Import("ada"), Import("bob"), Leave("bob"), Leave("ada")], Pending, "imported again"),
        (&[Invite, Put("ada"), Put("ada"), Leave("ada")], Pending, "put again"),
        (&[Invite, Put("ada"), Move("ada")], Pending, "the member has moved to another address"),
        (&[Invite, Put("eve"), DeletePerson("eve@example.com")], Pending, "a member under another's address"),
        (&[Invite, Put("ada"), Put("eve"), DeletePerson("eve@example.com")], Member, "ada remains"),
        (&[Invite, Put("ada"), DeletePerson(ADDRESS)], Created, "all data of the person is deleted"),
        (&[Invite, Put("ada"), Revoke], Member, "revoked meanwhile"),
        (&[Invite, Put("ada"), Revoke, Leave("ada")], Created, "revoked before the end"),
        (&[Invite, Put("ada"), Leave("ada"), Revoke], Created, "revoked after the end"),
        (&[Invite, Put("ada"), Delete, Leave("ada")], Created, "deleted before the end"),
        (&[Invite, Put("ada"), Leave("ada"), Delete], Created, "deleted after the end"),
        (&[Invite, Put("ada"), Accept("ada"), Leave("ada")], Created, "accepted by the member"),
        (&[Invite, Put("ada"), Leave("ada"), Accept("ada")], Member, "accepted after the end"),
        (&[InviteBriefly, Put("ada"), Leave("ada")], Created, "expired before the end"),
        (&[Put("ada"), Put("bob"), Leave("ada")], Member, "bob remains"),
        (&[Put("ada"), Put("bob"), Leave("bob"), Leave("ada")], Created, "no member remains"),
        (&[Import("ada"), Import("bob"), Leave("bob")], Member, "ada remains, after an import"),
        (&[Invite, Accept("ada"), Put("bob"), Leave("ada")], Member, "bob remains"),
        (&[Invite, Accept("ada"), Put("bob"), Leave("ada"), Leave("bob")], Created, "no member remains"),
        (&[Invite, Put("bob"), Accept("ada"), Leave("ada")], Member, "bob was a member before ada accepted"),
        (&[Invite, Put("bob"), Accept("ada"), Leave("bob")], Member, "ada accepted while bob was a member"),
        (&[Invite, Put("bob"), Accept("ada"), Leave("bob"), Leave("ada")], Created, "no member remains"),
        (&[Invite, Put("ada"), Put("bob"), Leave("ada"), Leave("bob")], Pending, "pending after the last member left"),
    ];
    for (steps, next, reason) in cases {
        let app = TestApp::start().await;
        add_users(&app).await;
        let (mut id, mut departed) = (String::new(), Vec::new());
        for step in *steps {
            take(&app, *step, &mut id).await;
            departed.extend(if let Leave(user) = step { Some(*user) } else { None });
            invariant::assert_holds_without(&app, &app.rows().await, NOW + 1000, &departed);
        }
        assert_next(&app.create_at(NOW + 1000, &invitation()).await, *next, &id, reason);
        invariant::assert_holds_without(&app, &app.rows().await, NOW + 1000, &departed);
    }
}

#[tokio::test]
async fn a_members_standing_in_the_documented_form_is_read_and_kept() {
    let app = TestApp::start().await;
    add_users(&app).await;
    app.make_member("acme", ADDRESS).await;
    assert_next(&app.create_at(NOW, &invitation()).await, Member, "", "written by an application");
    directory(&app, &["member", "put", "acme", "ada", "--email", ADDRESS]).await.unwrap();
    directory(&app, &["member", "delete", "acme", "ada"]).await.unwrap();
    let row = json!({ "pk": "TENANT#default", "sk": STANDING, "state": "member", "userId": "somebody" });
    assert_eq!(app.row("default", STANDING).await, Some(row), "the application's row is unchanged");
    directory(&app, &["member", "delete", "acme", "somebody"]).await.unwrap();
    assert_next(&app.create_at(NOW, &invitation()).await, Created, "", "the command deletes the application's row");
}

#[tokio::test]
async fn an_import_does_not_lose_a_concurrent_create() {
    let app = TestApp::start_behind_proxy(&[]).await;
    let reads = app.proxy().count("BatchGetItem");
    app.proxy().next("BatchGetItem", Intervention::Delay(Duration::from_millis(500)));
    let file = TestFile::lines(&[member("ada", ADDRESS), member("bob", "bob@example.com")]);
    let arguments = ["import", file.path()];
    let invited = async {
        // At this point the import's read has reached DynamoDB and found no standing; its response is delayed.
        asked(&app, "BatchGetItem", reads).await;
        app.invite(&invitation()).await
    };
    let (imported, id) = tokio::join!(directory(&app, &arguments), invited);
    imported.unwrap();
    invariant::check(&app, NOW).await;
    directory(&app, &["member", "delete", "acme", "ada"]).await.unwrap();
    assert_next(&app.create_at(NOW, &invitation()).await, Pending, &id, "created during the import");
    assert_eq!(directory(&app, &["member", "list"]).await.unwrap().len(), 1, "bob");
}

#[tokio::test]
async fn a_membership_deleted_during_an_accept_leaves_no_standing() {
    let app = TestApp::start_behind_proxy(&[]).await;
    directory(&app, &["member", "put", "acme", "ada"]).await.unwrap();
    let id = app.invite(&with(invitation(), json!({ "invitee": "second@example.com" }))).await;
    app.add_user("ada", Some("second@example.com")).await;
    let queries = app.proxy().count("Query");
    app.proxy().next("Query", Intervention::Delay(Duration::from_millis(500)));
    let accepted = async {
        // At this point the command's query for standings has reached DynamoDB; its response is delayed.
        asked(&app, "Query", queries).await;
        app.call(Call::accept(&id, "ada")).await
    };
    let (deleted, accepted) = tokio::join!(directory(&app, &["member", "delete", "acme", "ada"]), accepted);
    deleted.unwrap();
    assert_eq!(accepted.status, 200, "{accepted:?}");
    let rows = app.rows_of("default").await;
    let left: Vec<_> = rows.iter().filter(|row| row["userId"] == "ada").collect();
    assert!(left.is_empty(), "the deletion removes the standing of the accept: {left:?}");
}

#[tokio::test]
async fn an_invitation_whose_mail_fails_is_rolled_back_although_its_invitee_became_a_member() {
    let app = Arc::new(TestApp::start().await);
    // Three throttled attempts take long enough for the concurrent write.
    (0..3).for_each(|_| app.stack.ses.fail_next(SesFault::TooManyRequests));
    let creating = tokio::spawn({
        let app = Arc::clone(&app);
        async move { app.create_at(NOW, &with(body_with_mail("ada@example.com"), json!({ "inviterId": null }))).await }
    });
    while app.row("default", STANDING).await.is_none() {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    directory(&app, &["member", "put", "acme", "ada"]).await.unwrap();
    creating.await.unwrap().assert_error(429, "connector.rate_limit_exceeded");
    let rows = app.rows().await;
    invariant::assert_holds(&app, &rows, NOW);
    assert!(!rows.iter().any(|row| row["status"] == "Pending"), "{rows:#?}");
    let standing = app.row("default", STANDING).await.unwrap();
    assert_eq!((&standing["state"], &standing["pendingInvitationId"]), (&json!("member"), &Value::Null));
}

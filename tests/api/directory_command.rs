//! The directory command, row by row: the function reads what it writes.

use std::{process::Stdio, sync::Arc};

use clap::Parser;
use organization_invitations::{
    app::App,
    directory_command::{self, cli::Cli},
    local::stack,
};
use serde_json::{Value, json};
use tokio::{io::AsyncWriteExt, process::Command};

use crate::helpers::{NOW, TestApp, body, create_event, with};

/// Runs the command for the tenant `default`, and returns its output or its error.
pub async fn directory(app: &TestApp, arguments: &[&str]) -> Result<Vec<Value>, String> {
    let url = app.behind_proxy().unwrap_or(&app.stack.dynamodb_url);
    let app = App::new(app.app.config.clone(), &stack::sdk_config(url, &app.stack.ses_url)).unwrap();
    let start = ["directory", "--tenant", "default", "--table", &app.config.table_name];
    let cli = Cli::try_parse_from(start.iter().chain(arguments)).map_err(|error| error.to_string())?;
    let mut out = Vec::new();
    let done = directory_command::run(&Arc::new(app), cli, &mut out).await;
    done.map_err(|error| error.to_string())?;
    let lines = String::from_utf8(out).unwrap();
    Ok(lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect())
}

/// Changes the status of an invitation of the tenant `default`.
async fn set_status(app: &TestApp, id: &str, status: Value) -> u16 {
    let path = format!("/api/organization-invitations/{id}/status");
    let mut event = create_event("default", None, &status.to_string(), false);
    event["rawPath"] = path.clone().into();
    event["requestContext"]["http"]["method"] = "PUT".into();
    event["requestContext"]["http"]["path"] = path.into();
    app.invoke_at(NOW, &event.to_string()).await.status
}

#[tokio::test]
async fn every_kind_is_put_shown_listed_and_deleted() {
    let app = TestApp::start().await;
    for (kind, name, put, shown) in [
        (
            "organization",
            vec!["o"],
            vec!["--name", "O", "--branding", r#"{"x":1}"#],
            json!({ "id": "o", "name": "O", "branding": { "x": 1 } }),
        ),
        ("organization", vec!["o"], vec!["--json", r#"{"id":"p","name":"P"}"#], json!({ "id": "o", "name": "P" })),
        ("role", vec!["r"], vec!["--name", "R"], json!({ "id": "r", "name": "R" })),
        (
            "user",
            vec!["u"],
            vec!["--name", "U", "--email", "U@example.com"],
            json!({ "id": "u", "name": "U", "primaryEmail": "U@example.com" }),
        ),
        (
            "member",
            vec!["acme", "u"],
            vec!["--role", "r", "--role", "admin", "--joined-at", "5", "--email", "M@example.com"],
            json!({ "organizationId": "acme", "userId": "u", "email": "m@example.com", "joinedAt": 5, "organizationRoleIds": ["admin", "r"] }),
        ),
    ] {
        let call = |verb, more: &[&'static str]| [&[kind, verb][..], &name, more].concat();
        let shown = with(shown, json!({ "kind": kind }));
        assert_eq!(directory(&app, &call("put", &put)).await, Ok(vec![shown.clone()]), "{kind}");
        assert_eq!(directory(&app, &call("get", &[])).await, Ok(vec![shown.clone()]), "{kind}");
        assert!(directory(&app, &[kind, "list"]).await.unwrap().contains(&shown), "{kind}");
        assert_eq!(directory(&app, &call("delete", &[])).await, Ok(vec![]), "{kind}");
        for verb in ["get", "delete"] {
            let error = directory(&app, &call(verb, &[])).await.unwrap_err();
            assert!(error.contains("tenant `default` has no"), "{error}");
        }
    }
    assert_eq!(directory(&app, &["connector", "list"]).await.unwrap().len(), 1);
    directory(&app, &["connector", "delete"]).await.unwrap();
    assert!(directory(&app, &["connector", "get"]).await.unwrap_err().contains("no email connector"));
}

#[tokio::test]
async fn an_invalid_row_is_an_error_that_states_the_rule() {
    let app = TestApp::start().await;
    let before = app.rows().await;
    for (arguments, says) in [
        (vec!["organization", "put", "a#b", "--name", "x"], "id: has to be 1 to 21 characters"),
        (vec!["organization", "get", "a\u{1}"], "id: has to be 1 to 21 characters"),
        (vec!["organization", "put", "a"], "missing field `name`"),
        (vec!["organization", "put", "a", "--name", " "], "name: is empty"),
        (vec!["organization", "put", "--json", r#"{"id":"a","name":"b","nmae":"c"}"#], "unknown field `nmae`"),
        (vec!["organization", "put", "--json", r#"{"kind":"role","id":"a","name":"b"}"#], "of kind \"role\""),
        (vec!["role", "put", "--json", "[]"], "not a JSON object"),
        (vec!["user", "put", "u", "--email", "u@"], "primaryEmail: `u@` is not an e-mail address"),
        (vec!["user", "put", "--file", "/nowhere.json"], "/nowhere.json: "),
        (vec!["member", "put", "acme", "nobody"], "user `nobody` has no address in the directory"),
        (vec!["member", "put", "acme", "ada", "--role", "a#b"], "organizationRoleIds: "),
        (vec!["member", "put", "acme", "ada", "--joined-at=-1"], "joinedAt: "),
        (vec!["member", "list", "--organization", ""], "organization: "),
        (vec!["--tenant", "a#b", "role", "list"], "--tenant"),
    ] {
        let error = directory(&app, &arguments).await.unwrap_err();
        assert!(error.contains(says), "{arguments:?}: {error}");
    }
    assert_eq!(app.rows().await, before);
}

#[tokio::test]
async fn the_function_sees_what_the_command_wrote() {
    let app = TestApp::start().await;
    directory(&app, &["organization", "put", "o", "--name", "O"]).await.unwrap();
    directory(&app, &["role", "put", "r", "--name", "R"]).await.unwrap();
    directory(&app, &["user", "put", "u", "--email", "U@example.com"]).await.unwrap();
    let to =
        |invitee| with(body(invitee), json!({ "organizationId": "o", "organizationRoleIds": ["r"], "inviterId": "u" }));
    assert_eq!(app.create_at(NOW, &to("other@example.com")).await.status, 201);
    directory(&app, &["member", "put", "o", "u"]).await.unwrap();
    app.create_at(NOW, &to("u@EXAMPLE.com")).await.assert_error(422, "request.invalid_input");
    directory(&app, &["member", "delete", "o", "u"]).await.unwrap();
    assert_eq!(app.create_at(NOW, &to("u@example.com")).await.status, 201, "no member any more");
}

#[tokio::test]
async fn an_invitation_of_a_new_member_can_still_be_ended() {
    let app = TestApp::start().await;
    let invitation = app.create_at(NOW, &body("ada@example.com")).await.json();
    directory(&app, &["member", "put", "acme", "ada", "--role", "admin"]).await.unwrap();
    let accepted = json!({ "status": "Accepted", "acceptedUserId": "ada" });
    assert_eq!(set_status(&app, invitation["id"].as_str().unwrap(), accepted).await, 200);
    let member = directory(&app, &["member", "get", "acme", "ada"]).await.unwrap();
    assert_eq!(member[0]["organizationRoleIds"], json!(["admin", "member"]));
    let other = app.create_at(NOW, &body("bob@example.com")).await.json();
    directory(&app, &["member", "put", "acme", "bob", "--email", "bob@example.com"]).await.unwrap();
    assert_eq!(set_status(&app, other["id"].as_str().unwrap(), json!({ "status": "Revoked" })).await, 200);
    app.create_at(NOW, &body("bob@example.com")).await.assert_error(422, "request.invalid_input");
}

#[tokio::test]
async fn a_member_is_one_membership_and_one_standing_for_every_writer() {
    let app = TestApp::start().await;
    let invitation = app.create_at(NOW, &body("ada@example.com")).await.json();
    let accepted = json!({ "status": "Accepted", "acceptedUserId": "ada" });
    assert_eq!(set_status(&app, invitation["id"].as_str().unwrap(), accepted).await, 200);
    let moved = directory(&app, &["member", "put", "acme", "ada", "--email", "new@example.com"]).await.unwrap();
    assert_eq!(moved[0]["joinedAt"], NOW, "still a member since then");
    assert!(app.row("default", "ORG#acme#INVITEE#ada@example.com").await.is_none());
    assert_eq!(app.row("default", "ORG#acme#INVITEE#new@example.com").await.unwrap()["userId"], "ada");
    // The address becomes another member's: it is not ada's to give up.
    directory(&app, &["member", "put", "acme", "bob", "--email", "new@example.com"]).await.unwrap();
    directory(&app, &["member", "delete", "acme", "ada"]).await.unwrap();
    assert_eq!(app.row("default", "ORG#acme#INVITEE#new@example.com").await.unwrap()["userId"], "bob");
}

#[tokio::test]
async fn another_tenants_rows_are_neither_shown_nor_deleted() {
    let app = TestApp::start().await;
    let before = app.rows_of("no-mail").await;
    directory(&app, &["organization", "put", "only-default", "--name", "x"]).await.unwrap();
    for id in ["acme", "only-default", "string"] {
        directory(&app, &["organization", "delete", id]).await.unwrap();
    }
    assert_eq!(directory(&app, &["organization", "list"]).await, Ok(vec![]));
    assert_eq!(app.rows_of("no-mail").await, before);
}

#[tokio::test]
async fn a_connectors_templates_are_read_from_files_checked_and_shown() {
    let app = TestApp::start().await;
    app.stack.ses.put_template(
        "welcome",
        "Join {{organization.name}}",
        "<a href=\"{{link}}\">{{#if note}}{{note}}{{/if}}</a>",
        "{{greeting}} {{link}}",
    );
    let connector = json!({
        "fromEmailAddress": "Acme <a@acme.example>", "defaultLocale": "en", "allowedLinkHosts": ["acme.example"],
        "templates": {
            "de": { "kind": "inline", "subject": "{{organization.name}}", "html": "<p>{{inviter.name}}</p>", "text": "{{code}} {{link}}" },
            "en": { "kind": "stored", "name": "welcome", "variables": ["outdated"] },
            "fr": { "kind": "builtIn" },
        },
    });
    let shown = directory(&app, &["connector", "put", "--json", &connector.to_string()]).await.unwrap();
    let [german, english, french, written] = &shown[..] else { panic!("{shown:?}") };
    assert_eq!(german["subject"], "Acme Corporation");
    assert_eq!(english["variables"], json!(["greeting", "link", "organization.name"]));
    assert_eq!(english["text"], "greeting https://acme.example/join/00000000000000sample0");
    assert_eq!(french["subject"], "Ada Lovelace vous invite à rejoindre Acme Corporation");
    assert_eq!(written["templates"]["fr"], json!({ "kind": "builtIn" }));
    assert_eq!(written["templates"]["en"]["variables"], english["variables"]);
    let mail = |payload: Value| with(body("a@example.com"), json!({ "messagePayload": payload }));
    let answer = app.create_at(NOW, &mail(json!({ "link": "https://acme.example/" }))).await;
    answer.assert_error(400, "connector.insufficient_request_parameters");
    let answer = app.create_at(NOW, &mail(json!({ "link": "https://acme.example/", "greeting": "Hello" }))).await;
    assert_eq!((answer.status, app.mails().len()), (201, 1));
}

#[tokio::test]
async fn an_unusable_connector_is_not_written() {
    let app = TestApp::start().await;
    let before = app.rows().await;
    let with_template = |locale: &str, template: Value| json!({ "fromEmailAddress": "a@b.example", "defaultLocale": locale, "templates": { locale: template } });
    let inline = |text: &str| json!({ "kind": "inline", "subject": "s", "html": "h", "text": text });
    for (connector, says) in [
        (with_template("fr", json!({ "kind": "stored", "name": "none" })), "templates.fr: SES has no template `none`"),
        (with_template("fr", inline("{{#if a}}")), "templates.fr: "),
        (with_template("fr", inline("{{> partial}}")), "templates.fr: text: a template can only use variables"),
        (with_template("fr", inline("{{shout a}}")), "templates.fr: "),
        (
            with_template("fr", inline(&"x".repeat(102_401))),
            "templates.fr: text: a part of a template can have at most 102,400",
        ),
        (
            with_template("fr", inline(&"{{link}}".repeat(501))),
            "templates.fr: text: a part of a template can have at most 500 tags",
        ),
        (
            with(with_template("fr", inline("t")), json!({ "allowedLinkHosts": ["https://acme.example"] })),
            "allowedLinkHosts: `https://acme.example` is not a host name",
        ),
        (with_template("fr", inline("{{organization.nmae}}")), "needs organization.nmae, which nothing supplies"),
        (
            with_template("fr", json!({ "kind": "stored", "name": "n", "subject": "s" })),
            "templates.fr: unknown field `subject`",
        ),
        (with_template("fr", json!({ "kind": "other" })), "unknown variant `other`"),
        (with_template("xx", json!({ "kind": "builtIn" })), "templates.xx: there are no built-in phrases for it"),
        (with_template("fr", json!({ "kind": "builtIn", "name": "n" })), "templates.fr: unknown field `name`"),
        (with(with_template("fr", inline("")), json!({ "defaultLocale": "it" })), "there is no template for `it`"),
        (with(with_template("fr", inline("")), json!({ "replyto": [] })), "unknown field `replyto`"),
        (
            with(with_template("fr", inline("")), json!({ "fromEmailAddress": "Acme a@b.example" })),
            "fromEmailAddress: ",
        ),
    ] {
        let error = directory(&app, &["connector", "put", "--json", &connector.to_string()]).await.unwrap_err();
        assert!(error.contains(says), "{connector}: {error}");
    }
    assert_eq!(app.rows().await, before);
}

#[tokio::test]
async fn the_command_uses_the_endpoint_variables_of_aws() {
    let app = TestApp::start().await;
    let run = |arguments: &'static [&'static str], input: &'static str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_directory"));
        command.args(["--tenant", "default"]).args(arguments).env_clear();
        command.env("TABLE_NAME", &app.app.config.table_name).env("AWS_REGION", stack::REGION);
        command.env("AWS_ACCESS_KEY_ID", "local").env("AWS_SECRET_ACCESS_KEY", "local");
        command.env("AWS_ENDPOINT_URL_DYNAMODB", &app.stack.dynamodb_url);
        command.env("AWS_ENDPOINT_URL_SESV2", &app.stack.ses_url);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        async move {
            child.stdin.take().unwrap().write_all(input.as_bytes()).await.unwrap();
            let output = child.wait_with_output().await.unwrap();
            let text = |bytes| String::from_utf8(bytes).unwrap();
            (output.status.code(), text(output.stdout), text(output.stderr))
        }
    };
    let (status, shown, _) = run(&["import", "-"], r#"{"kind":"role","id":"r","name":"R"}"#).await;
    assert_eq!(status, Some(0));
    assert!(shown.starts_with(r#"{"rows":1,"rowsByKind":{"role":1},"seconds":"#), "{shown}");
    assert_eq!(
        run(&["role", "get", "r"], "").await,
        (Some(0), "{\"kind\":\"role\",\"id\":\"r\",\"name\":\"R\"}\n".to_owned(), String::new())
    );
    let (status, shown, error) = run(&["role", "get", "none"], "").await;
    assert_eq!((status, &*shown, &*error), (Some(1), "", "error: tenant `default` has no role `none`\n"));
}

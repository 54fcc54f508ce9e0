//! The directory command for single rows: the function reads the rows that the command writes.

use std::{process::Stdio, time::Instant};

use organization_invitations::local::stack;
use serde_json::{Value, json};
use tokio::{io::AsyncWriteExt, process::Command};

use crate::{
    helpers::{NOW, TestApp, body, create_event, directory::directory, with},
    proxy::Intervention::Fail,
};

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
            vec!["--role", "r", "--role", "admin", "--joined-at", "5", "--email", "M@example.com", "--force"],
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
        (vec!["organization", "put", "a#b", "--name", "x"], "<ID>: has to be 1 to 21 characters"),
        (vec!["organization", "get", "a\u{1}"], "<ID>: has to be 1 to 21 characters"),
        (vec!["organization", "put", "a"], "--name <NAME>"),
        (vec!["organization", "put"], "--name <NAME>\n  <ID>"),
        (vec!["member", "put", "acme"], "<USER>"),
        (vec!["organization", "put", "a", "--name", " "], "--name: is empty"),
        (vec!["organization", "put", "--json", r#"{"id":"a","name":" "}"#], "--json: name: is empty"),
        (vec!["organization", "put", "b#", "--json", r#"{"id":"a","name":"b"}"#], "<ID>: has to be"),
        (vec!["organization", "put", "--json", r#"{"id":"a"}"#], "--json: missing field `name`"),
        (vec!["organization", "put", "--json", r#"{"id":"a","name":"b","nmae":"c"}"#], "--json: unknown field `nmae`"),
        (vec!["organization", "put", "--json", r#"{"kind":"role","id":"a","name":"b"}"#], "of kind \"role\""),
        (vec!["role", "put", "--json", "[]"], "not a JSON object"),
        (vec!["user", "put", "u", "--email", "u@"], "--primary-email: `u@` is not an e-mail address"),
        (vec!["user", "put", "--file", "/nowhere.json"], "/nowhere.json: "),
        (
            vec!["member", "put", "acme", "nobody"],
            "tenant `default` has no user `nobody`: put what is missing first, or skip this check with --force",
        ),
        (vec!["member", "put", "acme", "ada", "--role", "a#b"], "--role: has to be"),
        (vec!["member", "put", "acme", "ada", "--joined-at=-1"], "--joined-at: "),
        (vec!["member", "list", "--organization", ""], "--organization: "),
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
    assert_eq!(app.create_at(NOW, &to("u@example.com")).await.status, 201, "no longer a member");
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
    directory(&app, &["member", "put", "acme", "bob", "--email", "bob@example.com", "--force"]).await.unwrap();
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
    assert_eq!(moved[0]["joinedAt"], NOW, "the joining time is kept");
    assert!(app.row("default", "ORG#acme#INVITEE#ada@example.com").await.is_none());
    assert_eq!(app.row("default", "ORG#acme#INVITEE#new@example.com").await.unwrap()["userId"], "ada");
    // Another member takes over the address, so deleting ada keeps its standing.
    directory(&app, &["member", "put", "acme", "bob", "--email", "new@example.com", "--force"]).await.unwrap();
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
async fn a_member_is_put_only_where_organization_user_and_roles_exist() {
    let app = TestApp::start().await;
    app.add_organization("other").await;
    let before = app.rows().await;
    for (arguments, missing) in [
        (&["nowhere", "ada"][..], "organization `nowhere`"),
        (&["acme", "nobody"], "user `nobody`"),
        (&["acme", "ada", "--role", "admin", "--role", "none"], "role `none`"),
        (&["nowhere", "nobody", "--role", "none"], "organization `nowhere`, user `nobody`, role `none`"),
    ] {
        let put = [&["member", "put"], arguments].concat();
        let error = directory(&app, &put).await.unwrap_err();
        assert!(error.starts_with(&format!("tenant `default` has no {missing}: ")), "{error}");
    }
    assert_eq!(app.rows().await, before);
    // Another tenant has an organization `acme` and a role `member`, but no user `ada`.
    let mut command = program(&app);
    command.args(["--tenant", "no-mail", "member", "put", "acme", "ada", "--role", "member", "--role", "admin"]);
    let (_, _, error) = outcome(command, "").await;
    assert!(error.starts_with("error: tenant `no-mail` has no user `ada`, role `admin`: "), "{error}");
    let forced = ["member", "put", "nowhere", "nobody", "--role", "none", "--email", "n@example.com", "--force"];
    assert_eq!(directory(&app, &forced).await.unwrap()[0]["organizationRoleIds"], json!(["none"]));
    let without_address = ["member", "put", "acme", "nobody", "--force"];
    assert!(directory(&app, &without_address).await.unwrap_err().contains("give one with --email"));
    let put = ["member", "put", "other", "ada", "--role", "admin"];
    assert_eq!(directory(&app, &put).await.unwrap()[0]["organizationRoleIds"], json!(["admin"]));
}

/// The program, with only the environment variables that it needs to find the services of `app`.
fn program(app: &TestApp) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_directory"));
    command.env_clear().env("TABLE_NAME", &app.app.config.table_name).env("AWS_REGION", stack::REGION);
    command.env("AWS_ACCESS_KEY_ID", "local").env("AWS_SECRET_ACCESS_KEY", "local");
    command.env("AWS_EC2_METADATA_DISABLED", "true");
    command.env("AWS_ENDPOINT_URL_DYNAMODB", app.proxy_url().unwrap_or(&app.stack.dynamodb_url));
    command.env("AWS_ENDPOINT_URL_SESV2", &app.stack.ses_url);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Runs the program with `input`, and returns its exit status, its output and its errors.
async fn outcome(mut command: Command, input: &str) -> (Option<i32>, String, String) {
    let mut child = command.spawn().unwrap();
    // A program that does not read its input may already have exited.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes()).await;
    let output = child.wait_with_output().await.unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

#[tokio::test]
async fn the_command_uses_the_endpoint_variables_of_aws() {
    let app = TestApp::start().await;
    let run = |arguments: &[&str], input: &'static str| {
        let mut command = program(&app);
        command.args(["--tenant", "default"]).args(arguments);
        outcome(command, input)
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
    let (status, shown, error) = run(&["person", "delete", "ada@example.com"], "y\n").await;
    assert_eq!((status, &*shown), (Some(1), ""), "a pipe is not a terminal");
    assert!(error.contains("--yes"), "{error}");
    let (status, _, error) = run(&["import", "-"], "{}").await;
    assert_eq!(status, Some(1));
    assert!(error.starts_with("error: standard input: line 1: missing field `kind`"), "{error}");
}

/// The URL of a port without a listener.
async fn closed_port() -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    format!("http://{}", listener.local_addr().unwrap())
}

#[tokio::test]
async fn a_missing_region_is_reported_although_an_endpoint_is_set() {
    let app = TestApp::start_behind_proxy(&[]).await;
    let mut command = program(&app);
    command.args(["--tenant", "default", "role", "list"]).env_remove("AWS_REGION");
    let (status, _, error) = outcome(command, "").await;
    assert_eq!(status, Some(1));
    assert!(error.contains("no region is set: set AWS_REGION"), "{error}");
}

#[tokio::test]
async fn an_aws_error_is_reported_with_table_region_endpoint_and_advice_and_without_internals() {
    let app = TestApp::start_behind_proxy(&[]).await;
    let (closed, proxy) = (closed_port().await, app.proxy_url().unwrap().to_owned());
    for (change, value, code, says) in [
        ("TABLE_NAME", Some("nope"), None, format!("table `nope` in us-east-1 at {proxy}: there is no such table")),
        ("AWS_ENDPOINT_URL_DYNAMODB", Some(closed.as_str()), None, format!("at {closed}: cannot reach DynamoDB (")),
        (
            "AWS_ENDPOINT_URL_DYNAMODB",
            Some("localhost:8000"),
            None,
            "localhost:8000: the endpoint is not a URL".to_owned(),
        ),
        ("AWS_ACCESS_KEY_ID", None, None, format!("in us-east-1 at {proxy}: no credentials were found")),
        ("AWS_REGION", None, None, "no region is set: set AWS_REGION".to_owned()),
        ("X", None, Some("AccessDeniedException"), "these credentials have no right".to_owned()),
        ("X", None, Some("UnrecognizedClientException"), "AWS does not accept these credentials".to_owned()),
        ("X", None, Some("ExpiredTokenException"), "the credentials have expired".to_owned()),
        ("X", None, Some("ValidationException"), "in us-east-1 at".to_owned()),
    ] {
        app.proxy().stop_faults();
        if let Some(code) = code {
            app.proxy().next("Query", Fail(400, code));
        }
        let mut command = program(&app);
        command.args(["--tenant", "default", "role", "list"]);
        // Without an endpoint, the SDK derives one from the region.
        match value {
            Some(value) => command.env(change, value),
            None if change == "AWS_REGION" => command.env_remove(change).env_remove("AWS_ENDPOINT_URL_DYNAMODB"),
            None => command.env_remove(change),
        };
        let begun = Instant::now();
        let (status, shown, error) = outcome(command, "").await;
        assert_eq!((status, shown.as_str()), (Some(1), ""), "{says}: {error}");
        assert!(error.starts_with("error: table `") && error.contains(&says), "{says}: {error}");
        assert!(code.is_none_or(|code| error.contains(code)), "{error}");
        assert!(!error.contains(" { ") && !error.contains("Failure(") && error.lines().count() == 1, "{error}");
        assert!(begun.elapsed().as_secs() < 30, "{says}: the retries end within half a minute");
    }
}

#[tokio::test]
async fn usage_names_the_program_as_it_was_called_and_what_it_requires() {
    let app = TestApp::start().await;
    for (cargo, called) in [(None, "directory"), (Some("/usr/bin/cargo"), "cargo directory")] {
        for arguments in [&["--help"][..], &["organization", "put", "--help"], &["person", "delete"]] {
            let mut command = program(&app);
            command.args(arguments).envs(cargo.map(|path| ("CARGO", path)));
            let (_, shown, error) = outcome(command, "").await;
            let usage = format!("Usage: {called} ");
            let text = if shown.is_empty() { error } else { shown };
            let line = text.lines().find(|line| line.starts_with(&usage)).unwrap_or_else(|| panic!("{text}"));
            assert!(
                !arguments.contains(&"organization") || line.ends_with("put <ID> --name <NAME> [OPTIONS]"),
                "{text}"
            );
            assert!(line.contains("--tenant <TENANT>") && line.contains("--table <TABLE>"), "{arguments:?}: {text}");
        }
    }
}

#[tokio::test]
async fn every_shell_gets_its_completions_without_a_tenant_and_a_table() {
    let app = TestApp::start().await;
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let mut command = program(&app);
        command.args(["completions", shell]).env_remove("TABLE_NAME");
        let (status, shown, error) = outcome(command, "").await;
        assert_eq!((status, error.as_str()), (Some(0), ""), "{shell}");
        for part in ["organization", "connector", "dry-run"] {
            assert!(shown.contains(part), "{shell} lacks {part}");
        }
    }
    let mut command = program(&app);
    command.args(["completions", "cmd"]);
    assert_eq!(outcome(command, "").await.0, Some(2));
}

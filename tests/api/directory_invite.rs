//! `directory invite`: runs of the program against the API of `cargo dev`.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::{Output, Stdio},
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use aws_sdk_dynamodb::Client;
use organization_invitations::local::{
    ses::{Mail, SesFault},
    stack::{StackOptions, TABLE_NAME},
};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional},
    net::{TcpListener, TcpStream},
    process::Command,
};

use crate::{gateway::Gateway, helpers::rows};

/// An API, a token for it, and a directory for the files.
struct Setting {
    gateway: Gateway,
    token: String,
    folder: PathBuf,
}

/// The outcome of a run of the program.
#[derive(Debug)]
struct Ended {
    is_success: bool,
    summary: Value,
    error: String,
}

impl Setting {
    async fn start() -> Self {
        Self::start_with(&[("MAIL_RATE_PER_SECOND", "1000")]).await
    }

    async fn start_with(settings: &[(&str, &str)]) -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let gateway = Gateway::start_with_settings(StackOptions::default(), settings).await;
        let token = gateway.default_token().await;
        let name = format!("invite-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let folder = std::env::temp_dir().join(name);
        fs::create_dir_all(&folder).unwrap();
        Self { gateway, token, folder }
    }

    fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.folder.join(name);
        fs::write(&path, text).unwrap();
        path
    }

    /// The program with a token, the file, the API and these arguments.
    fn program(&self, file: &Path, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_directory"));
        command.env_clear().env("API_TOKEN", &self.token).arg("invite").arg(file);
        command.args(["--api", &self.gateway.url]).args(arguments);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        command
    }

    async fn invite(&self, file: &Path, arguments: &[&str]) -> Ended {
        let ended = Ended::of(self.program(file, arguments).output().await.unwrap());
        assert!(!format!("{ended:?}").contains(&self.token), "{ended:?}");
        ended
    }

    /// The invitations in the table.
    async fn invitations(&self) -> Vec<Value> {
        let all = rows::scan(&Client::new(&self.gateway.stack.sdk), TABLE_NAME).await;
        rows::of_kind(&all, "INVITATION").cloned().collect()
    }

    fn mails(&self) -> Vec<Mail> {
        self.gateway.stack.ses.mails()
    }

    /// Asserts that each of `people` has exactly one invitation and one mail, and that nobody else has any.
    async fn assert_invited_once(&self, people: usize) {
        let expected: BTreeSet<String> = (0..people).map(address).collect();
        let invitations = self.invitations().await;
        let invited: BTreeSet<String> =
            invitations.iter().map(|row| row["invitee"].as_str().unwrap().to_owned()).collect();
        let mailed: BTreeSet<String> = self.mails().into_iter().map(|mail| mail.to).collect();
        assert_eq!((invitations.len(), self.mails().len()), (people, people));
        assert_eq!((&invited, &mailed), (&expected, &expected));
    }
}

impl Drop for Setting {
    fn drop(&mut self) {
        // A folder that cannot be deleted stays in the temporary directory.
        let _ = fs::remove_dir_all(&self.folder);
    }
}

impl Ended {
    fn of(output: Output) -> Self {
        Self {
            is_success: output.status.success(),
            summary: serde_json::from_slice(&output.stdout).unwrap_or_default(),
            error: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// The numbers of all rows, and of created, replayed, rejected and remaining ones.
    fn counts(&self) -> [u64; 5] {
        ["rows", "created", "replayed", "rejected", "left"]
            .map(|key| self.summary[key].as_u64().unwrap_or_else(|| panic!("{self:?}")))
    }
}

fn address(number: usize) -> String {
    format!("person{number}@example.com")
}

fn csv_of(people: usize) -> String {
    let rows = (0..people).map(|number| format!("{}\r\n", address(number)));
    format!("email\r\n{}", rows.collect::<String>())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_columns_of_a_row_and_the_options_become_its_invitation_and_its_mail() {
    let setting = Setting::start().await;
    let csv = "invitee,organizationId,roles,locale,inviterId,expiresAt,link,note\n\
               a@example.com,,,,,,,\n\
               b@example.com,acme,member; admin,de,ada,2100-01-01T00:00:00Z,https://app.example.com/b,\"x, y\"\n";
    let ndjson = "{\"email\":\"c@example.com\",\"organization\":\"acme\",\"organizationRoleIds\":[\"admin\"],\"expiresAt\":4102444800000,\"messagePayload\":false}\n";
    let options = ["--role", "member", "--expires-at", "2099-01-01T00:00:00Z"];
    let link = ["--link", "https://app.example.com/{invitationId}"];
    for (name, text, people, organization) in [("f.csv", csv, 2, "acme"), ("f.ndjson", ndjson, 1, "nowhere")] {
        let ended = setting
            .invite(&setting.file(name, text), &[&options[..], &link, &["--organization", organization]].concat())
            .await;
        assert!(ended.is_success && ended.error.is_empty(), "{ended:?}");
        assert_eq!(ended.counts(), [people, people, 0, 0, 0], "{name}");
    }
    let mut found = setting.invitations().await;
    found.sort_by_key(|row| row["invitee"].to_string());
    let shown: Vec<Value> = found
        .iter()
        .map(|row| {
            let roles = row["organizationRoles"].as_array().unwrap().iter().map(|role| role["id"].clone());
            json!([
                row["invitee"],
                row["organizationId"],
                roles.collect::<Vec<_>>(),
                row["inviterId"],
                row["expiresAt"]
            ])
        })
        .collect();
    assert_eq!(
        shown,
        [
            json!(["a@example.com", "acme", ["member"], null, 4_070_908_800_000_i64]),
            json!(["b@example.com", "acme", ["admin", "member"], "ada", 4_102_444_800_000_i64]),
            json!(["c@example.com", "acme", ["admin"], null, 4_102_444_800_000_i64]),
        ]
    );
    let mut mails = setting.mails();
    mails.sort_by_key(|mail| mail.to.clone());
    assert_eq!(mails.iter().map(|mail| mail.to.as_str()).collect::<Vec<_>>(), ["a@example.com", "b@example.com"]);
    let id = found[0]["id"].as_str().unwrap();
    assert!(mails[0].text.contains(&format!("https://app.example.com/{id}")), "{:?}", mails[0]);
    assert!(mails[1].text.contains("https://app.example.com/b"), "{:?}", mails[1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn rejected_rows_go_to_a_file_that_can_be_corrected_and_given_again() {
    let setting = Setting::start().await;
    let file = setting.file(
        "people.csv",
        "email;roles;code\r\n\
         a@example.com;;1\r\n\
         nobody;;2\r\n\
         b@example.com;emperor;\"3;\"\"x\"\r\n\
         A@EXAMPLE.com;;4\r\n",
    );
    let arguments = ["--organization", "acme"];
    let rejected = setting.folder.join("people.rejected.csv");
    for (counts, reason) in [([4, 1, 0, 3, 0], "the first time"), ([4, 0, 1, 3, 0], "again")] {
        let ended = setting.invite(&file, &arguments).await;
        assert_eq!(ended.counts(), counts, "{reason}");
        let codes = json!({ "entity.relation_foreign_key_not_found": 1, "entity.unique_integrity_violation": 1, "guard.invalid_input": 1 });
        assert_eq!(ended.summary["rejectedByCode"], codes, "{reason}");
        assert!(!ended.is_success && ended.error.contains("rejected rows: 3; see "), "{reason}: {ended:?}");
        let text = fs::read_to_string(&rejected).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], "email;roles;code;errorCode;errorMessage", "{reason}");
        assert!(lines[1].starts_with("nobody;;2;guard.invalid_input;"), "{text}");
        assert!(lines[1].contains("key path \"\"invitee\"\""), "{text}");
        assert!(
            lines[2].starts_with("b@example.com;emperor;\"3;\"\"x\";entity.relation_foreign_key_not_found;"),
            "{text}"
        );
        assert!(lines[2].contains("emperor"), "{text}");
        assert_eq!(
            lines[3],
            "A@EXAMPLE.com;;4;entity.unique_integrity_violation;Line 2 has the same organization and address."
        );
    }
    let corrected =
        fs::read_to_string(&rejected).unwrap().replace("nobody", "n@example.com").replace("emperor", "admin");
    fs::write(&rejected, corrected).unwrap();
    let rest = setting.folder.join("rest.csv");
    let ended = setting.invite(&rejected, &["--organization", "acme", "--rejected", rest.to_str().unwrap()]).await;
    assert_eq!(ended.counts(), [3, 2, 0, 1, 0]);
    let text = fs::read_to_string(&rest).unwrap();
    assert_eq!(text.lines().next(), Some("email;roles;code;errorCode;errorMessage"), "no duplicate column");
    assert_eq!((setting.invitations().await.len(), setting.mails().len()), (3, 3));

    let lines = setting.file("people", "{\"email\":\"a@example.com\",\"x\":[1]}");
    assert_eq!(setting.invite(&lines, &arguments).await.counts(), [1, 0, 0, 1, 0]);
    let row: Value =
        serde_json::from_str(&fs::read_to_string(setting.folder.join("people.rejected.ndjson")).unwrap()).unwrap();
    assert_eq!((&row["x"], &row["errorCode"]), (&json!([1]), &json!("entity.unique_integrity_violation")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_is_interrupted_ends_after_its_call_and_is_continued_by_the_same_command() {
    const PEOPLE: usize = 120;
    // The first call takes a second.
    let setting = Setting::start_with(&[("MAIL_RATE_PER_SECOND", "100")]).await;
    let file = setting.file("people.csv", &csv_of(PEOPLE));
    let arguments = ["--organization", "acme", "--expires-in", "3d"];
    let child = setting.program(&file, &arguments).spawn().unwrap();
    while setting.mails().is_empty() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let pid = rustix::process::Pid::from_raw(child.id().unwrap().try_into().unwrap()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    let ended = Ended::of(child.wait_with_output().await.unwrap());
    assert_eq!(ended.counts(), [120, 100, 0, 0, 20], "{ended:?}");
    assert!(!ended.is_success && ended.error.contains("interrupted\nrows left: 20"), "{ended:?}");
    assert_eq!(setting.mails().len(), 100, "the call in flight was completed");

    let ended = setting.invite(&file, &arguments).await;
    assert_eq!(ended.counts(), [120, 20, 100, 0, 0], "{ended:?}");
    setting.assert_invited_once(PEOPLE).await;
    let expiries: BTreeSet<String> =
        setting.invitations().await.iter().map(|row| row["expiresAt"].to_string()).collect();
    assert_eq!(expiries.len(), 1, "the continued run uses the expiry of the first");
    assert!(!setting.folder.join("people.rejected.csv").exists());

    let ended = setting.invite(&file, &[&arguments[..], &["--run", "another"]].concat()).await;
    assert_eq!(ended.counts(), [120, 0, 0, 120, 0], "a run with another key: {ended:?}");
    setting.assert_invited_once(PEOPLE).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_with_a_retry_after_are_sent_again() {
    let setting = Setting::start().await;
    let file = setting.file("people.csv", &csv_of(30));
    (0..3).for_each(|_| setting.gateway.stack.ses.fail_next(SesFault::ServiceUnavailable));
    let ended = setting.invite(&file, &["--organization", "acme"]).await;
    assert!(ended.is_success, "{ended:?}");
    assert_eq!(ended.counts(), [30, 30, 0, 0, 0], "{ended:?}");
    assert_eq!(ended.summary["calls"], 2);
    setting.assert_invited_once(30).await;
}

/// Forwards connections to `to`, except the first two: the first gets the response of a throttling API Gateway, and the
/// second is closed without a response.
async fn throttling_front(to: String) -> String {
    const TOO_MANY: &[u8] = b"HTTP/1.1 429 Too Many Requests\r\nretry-after: 1\r\ncontent-length: 31\r\n\
        connection: close\r\n\r\n{\"message\":\"Too Many Requests\"}";
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        for number in 0.. {
            let (mut client, _) = listener.accept().await.unwrap();
            if number < 2 {
                assert!(client.read(&mut [0; 4096]).await.unwrap() > 0);
                client.write_all(if number == 0 { TOO_MANY } else { b"" }).await.unwrap();
                continue;
            }
            let mut server = TcpStream::connect(&to).await.unwrap();
            tokio::spawn(async move { copy_bidirectional(&mut client, &mut server).await });
        }
    });
    url
}

#[tokio::test(flavor = "multi_thread")]
async fn a_throttled_or_lost_call_is_retried() {
    let setting = Setting::start().await;
    let file = setting.file("people.csv", &csv_of(3));
    let front = throttling_front(setting.gateway.url.replace("http://", "")).await;
    let mut command = Command::new(env!("CARGO_BIN_EXE_directory"));
    command.env_clear().env("API_TOKEN", &setting.token).arg("invite").arg(&file);
    let ended = Ended::of(command.args(["--organization", "acme", "--api", &front]).output().await.unwrap());
    assert!(ended.is_success, "{ended:?}");
    assert_eq!((ended.counts(), &ended.summary["calls"]), ([3, 3, 0, 0, 0], &json!(3)), "{ended:?}");
    assert!(ended.summary["seconds"].as_f64().unwrap() >= 1.0, "the program obeys `Retry-After`: {ended:?}");
    setting.assert_invited_once(3).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_or_an_address_that_is_wrong_ends_the_run_at_once_and_is_not_shown() {
    let setting = Setting::start().await;
    let file = setting.file("people.csv", &csv_of(2));
    let elsewhere = "http://127.0.0.1:1";
    let nowhere = format!("{}/elsewhere", setting.gateway.url);
    for (token, api, says) in [
        ("wrong-secret", setting.gateway.url.as_str(), "--token: the API does not accept the token (401 Unauthorized)"),
        ("wrong secret", setting.gateway.url.as_str(), "--token: not a bearer token"),
        ("", setting.gateway.url.as_str(), "--token: not a bearer token"),
        (&setting.token, nowhere.as_str(), "--api: the API is not at this URL (404"),
        (&setting.token, elsewhere, "cannot reach the API: "),
        (&setting.token, "http://example.com", "--api: without https the token is sent to this machine only"),
    ] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_directory"));
        command.env_clear().env("API_TOKEN", token).arg("invite").arg(&file);
        let ended = Ended::of(command.args(["--organization", "acme", "--api", api]).output().await.unwrap());
        assert!(!ended.is_success && ended.error.contains(says), "{ended:?}");
        assert!(token.is_empty() || !format!("{ended:?}").contains(token), "{ended:?}");
    }
    assert_eq!(setting.invitations().await.len(), 0);
    for arguments in [&["invite", "--help"][..], &["invite", "f", "--tenant"], &["invite", "--tenant", "t"]] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_directory"));
        let output = command.env_clear().env("API_TOKEN", "secret-token").args(arguments).output().await.unwrap();
        let shown = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap()).concat();
        assert!(!shown.contains("secret-token"), "{shown}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_in_the_file_has_its_line_and_column_and_nothing_is_sent() {
    let setting = Setting::start().await;
    let with = ["--organization", "acme"];
    for (name, text, arguments, says) in [
        ("a.csv", "email\na@example.com\nb@example.com,x\n", &with[..], "a.csv: line 3: it has 2 cells"),
        (
            "b.csv",
            "email,expiresAt\na@example.com,\nb@example.com,soon\n",
            &with,
            "b.csv: line 3, column `expiresAt`: not a time",
        ),
        ("c.csv", "email,roles\na@example.com,\"x\n", &with, "c.csv: line 2: a quotation mark is not closed"),
        ("d.csv", "name\nAda\n", &with, "d.csv: line 2: `invitee` is missing"),
        (
            "e.csv",
            "email,organizationId\na@example.com,acme\nb@example.com,\n",
            &[],
            "e.csv: line 3: `organizationId` is missing",
        ),
        (
            "f.ndjson",
            "{\"email\":\"a@example.com\"}\n{\"email\":5}\n",
            &with,
            "f.ndjson: line 2, column `email`: not a text",
        ),
        (
            "g.ndjson",
            "{\"email\":\"a@example.com\"}\n{\"email\":x}\n",
            &with,
            "g.ndjson: line 2, column 10: not a JSON object",
        ),
        (
            "h.ndjson",
            "{\"email\":\"a@example.com\",\"messagePayload\":true}",
            &with,
            "h.ndjson: line 1, column `messagePayload`: ",
        ),
        ("i.csv", "email\na@example.com\n", &["--organization", "acme", "--expires-in", "1w"], "--expires-in"),
    ] {
        let ended = setting.invite(&setting.file(name, text), arguments).await;
        assert!(!ended.is_success && ended.error.contains(says), "{says}: {ended:?}");
        assert_eq!(ended.summary, Value::Null, "{says}");
    }
    let long = format!("email,note\na@example.com,{}\n", "x".repeat(1 << 20));
    let ended = setting.invite(&setting.file("long.csv", &long), &with).await;
    assert!(ended.error.contains("long.csv: line 2: the row is longer than a call can be"), "{ended:?}");
    let ended = setting.invite(Path::new("/nowhere.csv"), &with).await;
    assert!(ended.error.contains("/nowhere.csv: "), "{ended:?}");
    let file = setting.file("j.csv", "email\na@example.com\n");
    let by_another_path = setting.folder.join("..").join(setting.folder.file_name().unwrap()).join("j.csv");
    for rejected in [&file, &by_another_path] {
        let ended = setting.invite(&file, &[&with[..], &["--rejected", rejected.to_str().unwrap()]].concat()).await;
        assert!(ended.error.contains("--rejected: the input would be overwritten"), "{rejected:?}: {ended:?}");
    }
    assert_eq!(setting.invitations().await.len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn another_tenants_token_invites_into_its_own_tenant_only() {
    let setting = Setting::start().await;
    let file = setting.file("people.csv", &csv_of(2));
    assert_eq!(setting.invite(&file, &["--organization", "acme", "--no-mail"]).await.counts(), [2, 2, 0, 0, 0]);
    let token =
        Command::new(env!("CARGO_BIN_EXE_local")).args(["token", "--tenant", "no-mail"]).output().await.unwrap();
    let token = String::from_utf8(token.stdout).unwrap();
    let output =
        setting.program(&file, &["--organization", "acme", "--no-mail"]).env("API_TOKEN", token.trim()).output();
    let ended = Ended::of(output.await.unwrap());
    assert_eq!(
        ended.counts(),
        [2, 2, 0, 0, 0],
        "nothing of the other tenant is replayed for the same file and key: {ended:?}"
    );
    let invitations = setting.invitations().await;
    let of = |tenant: &str| invitations.iter().filter(|row| row["pk"] == format!("TENANT#{tenant}")).count();
    assert_eq!((of("default"), of("no-mail")), (2, 2));
}

//! `cargo dev` with its data on disk, as a separate process.

use std::{
    path::{Path, PathBuf},
    process::Stdio,
    time::{Duration, Instant},
};

use aws_sdk_dynamodb::types::AttributeValue;
use dynoxide::{Database, ImportOptions};
use organization_invitations::{
    domain::{
        email_address::EmailAddress,
        ids::{DirectoryId, InvitationId, TenantId},
        invitation::{Invitation, Status},
        timestamp::Timestamp,
    },
    local::stack::{self, Stack, StackOptions, TABLE_NAME},
    store::{Item, items},
};
use serde::Serialize;
use serde_json::json;
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
};

/// The expiry of the invitations: 2100-01-01T00:00:00Z, in milliseconds since the epoch.
const FAR_FUTURE: i64 = 4_102_444_800_000;

/// The running process. Its data is in a file that is deleted with it.
pub struct Dev {
    process: Child,
    client: reqwest::Client,
    token: String,
    url: String,
    dynamodb: String,
    file: PathBuf,
    pub started: Instant,
}

/// The ids of the first `count` of the 50 roles in a filled tenant.
pub fn role_ids(count: usize) -> Vec<String> {
    (0..count).map(|role| format!("role-{role}")).collect()
}

/// A filled tenant: an id and an invitee to read, the time that filling took, and the size of the file in bytes.
#[derive(Default)]
pub struct Filled {
    pub an_id: String,
    pub an_invitee: String,
    pub took: Duration,
    pub bytes: usize,
}

impl Dev {
    /// Starts `cargo dev` without data.
    pub async fn start() -> Self {
        let file = data_file();
        remove(&file);
        Self::start_on(file).await
    }

    /// Starts `cargo dev` with this many invitations in the tenant, each for a different person, and with the roles that
    /// creates refer to.
    pub async fn start_filled(invitations: usize) -> (Self, Filled) {
        let (file, began) = (data_file(), Instant::now());
        remove(&file);
        let stack =
            Stack::start(StackOptions { persist: Some(file.clone()), ..StackOptions::default() }).await.unwrap();
        // Creates the table and the tenant.
        stack.app(|_| None).await.unwrap();
        let filled = fill(&stack.database, invitations);
        stack.stop().await;
        let took = began.elapsed();
        let bytes = usize::try_from(std::fs::metadata(&file).unwrap().len()).unwrap();
        (Self::start_on(file).await, Filled { took, bytes, ..filled })
    }

    async fn start_on(file: PathBuf) -> Self {
        let token = Command::new(env!("CARGO_BIN_EXE_local")).arg("token").output().await.unwrap().stdout;
        let started = Instant::now();
        let mut command = Command::new(env!("CARGO_BIN_EXE_local"));
        command.args(["--port", "0", "--dynamodb-port", "0", "--ses-port", "0", "--persist"]).arg(&file);
        let mut process = command
            .env("RUST_LOG", "warn")
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let (mut url, mut dynamodb) = (None, None);
        while let Some(line) = lines.next_line().await.unwrap() {
            let found =
                line.split_whitespace().flat_map(|word| word.split('=')).find(|word| word.starts_with("http://"));
            let base = found.map(|found| found.split('/').take(3).collect::<Vec<_>>().join("/"));
            url = url.or_else(|| base.clone());
            let is_dynamodb = line.contains("AWS_ENDPOINT_URL_DYNAMODB=");
            dynamodb = dynamodb.or_else(|| base.filter(|_| is_dynamodb));
            if line.contains("Ctrl-C") {
                break;
            }
        }
        // Later output must not fill the pipe.
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        Self {
            process,
            client: reqwest::Client::new(),
            token: String::from_utf8(token).unwrap().trim().to_owned(),
            url: url.expect("the banner names the API") + "/api/organization-invitations",
            dynamodb: dynamodb.expect("the banner names DynamoDB"),
            file,
            started,
        }
    }

    pub fn pid(&self) -> u32 {
        self.process.id().expect("it runs until it is dropped")
    }

    /// The environment with which the directory command reaches the process.
    pub fn environment(&self) -> [(&'static str, &str); 5] {
        [
            ("AWS_ENDPOINT_URL_DYNAMODB", &self.dynamodb),
            ("AWS_REGION", stack::REGION),
            ("AWS_ACCESS_KEY_ID", stack::ACCESS_KEY),
            ("AWS_SECRET_ACCESS_KEY", stack::ACCESS_KEY),
            ("TABLE_NAME", TABLE_NAME),
        ]
    }

    /// Creates an invitation with mail, and returns the time until the response.
    pub async fn create(&self, invitee: &str, role_ids: &[impl Serialize]) -> Duration {
        let body = json!({
            "inviterId": "ada",
            "invitee": invitee,
            "organizationId": "acme",
            "expiresAt": FAR_FUTURE,
            "organizationRoleIds": role_ids,
            "messagePayload": { "link": "https://app.example.com/invitations/{invitationId}" },
        });
        let request = self.client.post(&self.url).bearer_auth(&self.token).json(&body);
        let began = Instant::now();
        let response = request.send().await.unwrap();
        let status = response.status();
        let text = response.text().await.unwrap();
        assert_eq!(status, 201, "{text}");
        began.elapsed()
    }

    /// Gets a path, and returns the time until the response and its status.
    pub async fn get(&self, path: &str) -> (Duration, u16) {
        let request = self.client.get(format!("{}{path}", self.url)).bearer_auth(&self.token);
        let began = Instant::now();
        let response = request.send().await.unwrap();
        let status = response.status().as_u16();
        response.bytes().await.unwrap();
        (began.elapsed(), status)
    }
}

impl Drop for Dev {
    fn drop(&mut self) {
        // An open file can be removed; the process is killed when its handle is dropped.
        remove(&self.file);
    }
}

fn data_file() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("stack-{}.db", std::process::id()))
}

/// Writes invitations without the function, one for each millisecond before now.
fn fill(database: &Database, invitations: usize) -> Filled {
    let tenant = TenantId::parse("default").unwrap();
    let now = Timestamp::now();
    let mut rows: Vec<Item> = role_ids(50).iter().map(|id| role_row(&tenant, id)).collect();
    let mut filled = Filled::default();
    database.enable_bulk_loading().unwrap();
    for number in 0..invitations {
        let created_at = now.plus_millis(i64::try_from(number).unwrap() - i64::try_from(invitations).unwrap());
        let invitation = Invitation {
            tenant: tenant.clone(),
            id: InvitationId::generate(created_at).unwrap(),
            inviter_id: DirectoryId::stored("ada"),
            invitee: EmailAddress::parse(&format!("invited-{number}@example.com")).unwrap(),
            accepted_user_id: None,
            organization_id: DirectoryId::stored("acme").unwrap(),
            stored_status: Status::Pending,
            created_at,
            updated_at: created_at,
            expires_at: Timestamp::from_millis(FAR_FUTURE),
            organization_roles: Vec::new(),
        };
        rows.extend([items::invitation(&invitation, 0), items::pending_standing(&invitation)]);
        if rows.len() >= 10_000 {
            import(database, std::mem::take(&mut rows));
        }
        invitation.id.as_str().clone_into(&mut filled.an_id);
        invitation.invitee.as_str().clone_into(&mut filled.an_invitee);
    }
    import(database, rows);
    filled
}

fn role_row(tenant: &TenantId, id: &str) -> Item {
    let (pk, sk) = (format!("TENANT#{tenant}"), format!("ROLE#{id}"));
    let fields = [("pk", pk), ("sk", sk), ("id", id.to_owned()), ("name", format!("The {id}"))];
    fields.map(|(name, value)| (name.to_owned(), AttributeValue::S(value))).into()
}

/// Writes rows in one transaction of the emulator.
fn import(database: &Database, rows: Vec<Item>) {
    let rows = rows.into_iter().map(emulated).collect();
    database.import_items(TABLE_NAME, rows, ImportOptions::default()).unwrap();
}

/// A row in the emulator's types.
fn emulated(row: Item) -> dynoxide::Item {
    row.into_iter().map(|(name, value)| (name, emulated_value(value))).collect()
}

fn emulated_value(value: AttributeValue) -> dynoxide::AttributeValue {
    match value {
        AttributeValue::S(text) => dynoxide::AttributeValue::S(text),
        AttributeValue::N(number) => dynoxide::AttributeValue::N(number),
        AttributeValue::L(values) => dynoxide::AttributeValue::L(values.into_iter().map(emulated_value).collect()),
        AttributeValue::M(fields) => dynoxide::AttributeValue::M(emulated(fields)),
        other => panic!("no invitation has {other:?}"),
    }
}

fn remove(file: &Path) {
    for suffix in ["", "-wal", "-shm"] {
        let mut name = file.as_os_str().to_owned();
        name.push(suffix);
        // Does not exist before the first run.
        let _ = std::fs::remove_file(name);
    }
}

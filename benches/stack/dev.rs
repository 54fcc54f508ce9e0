//! `cargo dev` on disk, as a process of its own.

use std::{
    path::{Path, PathBuf},
    process::Stdio,
    time::{Duration, Instant},
};

use aws_sdk_dynamodb::{
    Client,
    types::{AttributeValue, PutRequest, WriteRequest},
};
use organization_invitations::{
    email_address::EmailAddress,
    invitation::{Invitation, InvitationId, Status, TenantId},
    local::stack::{self, TABLE_NAME},
    store::{Item, items},
    timestamp::Timestamp,
};
use serde_json::json;
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
    task::JoinSet,
};

/// When the invitations expire: 2100-01-01T00:00:00Z, in milliseconds.
const FAR_FUTURE: i64 = 4_102_444_800_000;

/// The running process, with its data in a file that goes with it.
pub struct Dev {
    process: Child,
    client: reqwest::Client,
    token: String,
    url: String,
    dynamodb: String,
    file: PathBuf,
    pub started: Instant,
}

/// What a filled tenant can be asked for.
pub struct Filled {
    pub an_id: String,
    pub an_invitee: String,
}

impl Dev {
    pub async fn start() -> Self {
        let token = Command::new(env!("CARGO_BIN_EXE_local")).arg("token").output().await.unwrap().stdout;
        let directory = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
        let file = directory.join(format!("stack-{}.db", std::process::id()));
        remove(&file);
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
        // Whatever it prints later must not fill the pipe.
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

    /// What the directory command needs to find it.
    pub fn environment(&self) -> [(&'static str, &str); 5] {
        [
            ("AWS_ENDPOINT_URL_DYNAMODB", &self.dynamodb),
            ("AWS_REGION", stack::REGION),
            ("AWS_ACCESS_KEY_ID", stack::ACCESS_KEY),
            ("AWS_SECRET_ACCESS_KEY", stack::ACCESS_KEY),
            ("TABLE_NAME", TABLE_NAME),
        ]
    }

    /// Creates an invitation with mail, and says how long it took.
    pub async fn create(&self, invitee: &str, roles: usize) -> Duration {
        let role_ids: Vec<String> = (0..roles).map(|role| format!("role-{role}")).collect();
        let body = json!({
            "inviterId": "ada",
            "invitee": invitee,
            "organizationId": "acme",
            "expiresAt": FAR_FUTURE,
            "organizationRoleIds": if roles == 1 { vec!["member".to_owned()] } else { role_ids },
            "messagePayload": { "link": "https://app.example.com/invitations/{invitationId}" },
        });
        let request = self.client.post(&self.url).bearer_auth(&self.token).json(&body);
        let began = Instant::now();
        let answer = request.send().await.unwrap();
        let status = answer.status();
        let text = answer.text().await.unwrap();
        assert_eq!(status, 201, "{text}");
        began.elapsed()
    }

    /// Reads what is at a path, and says how long it took.
    pub async fn get(&self, path: &str) -> Duration {
        let request = self.client.get(format!("{}{path}", self.url)).bearer_auth(&self.token);
        let began = Instant::now();
        let answer = request.send().await.unwrap().error_for_status().unwrap();
        answer.bytes().await.unwrap();
        began.elapsed()
    }

    /// Writes so many invitations into the tenant's table, each to another person, and the roles that creates refer to.
    pub async fn fill(&self, invitations: usize) -> Filled {
        let client = Client::new(&stack::sdk_config(&self.dynamodb, &self.dynamodb));
        let tenant = TenantId::parse("default").unwrap();
        let now = Timestamp::now();
        let roles = (0..50).map(|role| {
            let (pk, sk) = (format!("TENANT#{tenant}"), format!("ROLE#role-{role}"));
            let fields = [("pk", pk), ("sk", sk), ("id", format!("role-{role}")), ("name", format!("Role {role}"))];
            fields.map(|(name, value)| (name.to_owned(), AttributeValue::S(value))).into()
        });
        let mut filled = Filled { an_id: String::new(), an_invitee: String::new() };
        let mut rows: Vec<Item> = roles.collect();
        let mut writes = JoinSet::new();
        for number in 0..invitations {
            let invitation = Invitation {
                tenant: tenant.clone(),
                id: InvitationId::generate(now).unwrap(),
                inviter_id: Some("ada".to_owned()),
                invitee: EmailAddress::parse(&format!("invited-{number}@example.com")).unwrap(),
                accepted_user_id: None,
                organization_id: "acme".to_owned(),
                stored_status: Status::Pending,
                created_at: now,
                updated_at: now,
                expires_at: Timestamp::from_millis(FAR_FUTURE),
                organization_roles: Vec::new(),
            };
            filled =
                Filled { an_id: invitation.id.as_str().to_owned(), an_invitee: invitation.invitee.as_str().to_owned() };
            rows.extend([items::invitation(&invitation, 0), items::pending_standing(&invitation)]);
            if rows.len() >= 1_000 {
                write(&mut writes, &client, std::mem::take(&mut rows)).await;
            }
        }
        write(&mut writes, &client, rows).await;
        writes.join_all().await;
        filled
    }
}

impl Drop for Dev {
    fn drop(&mut self) {
        // An open file can be removed; the process is killed when its handle is dropped.
        remove(&self.file);
    }
}

/// Begins to write, as soon as no more than a few others are being written.
async fn write(writes: &mut JoinSet<()>, client: &Client, rows: Vec<Item>) {
    while writes.len() >= 8 {
        writes.join_next().await;
    }
    let client = client.clone();
    writes.spawn(async move {
        for batch in rows.chunks(25) {
            let put = |row: &Item| PutRequest::builder().set_item(Some(row.clone())).build().unwrap();
            let requests: Vec<_> =
                batch.iter().map(|row| WriteRequest::builder().put_request(put(row)).build()).collect();
            client.batch_write_item().request_items(TABLE_NAME, requests).send().await.unwrap();
        }
    });
}

fn remove(file: &Path) {
    for suffix in ["", "-wal", "-shm"] {
        let mut name = file.as_os_str().to_owned();
        name.push(suffix);
        // Not there before the first run.
        let _ = std::fs::remove_file(name);
    }
}

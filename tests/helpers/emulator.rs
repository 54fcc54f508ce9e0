//! Another emulator, which tests use instead of the embedded one if `EMULATOR_URL` is set.

use std::{
    collections::BTreeMap,
    io::{Read, Write},
    net::TcpStream,
    process,
    sync::atomic::{AtomicU64, Ordering},
};

use aws_config::SdkConfig;
use aws_sdk_dynamodb::{
    config::{Credentials, SharedCredentialsProvider},
    types::TimeToLiveSpecification,
};
use aws_sdk_sesv2::{Client, types::EmailTemplateContent};
use organization_invitations::{domain::timestamp::Timestamp, local::ses::Mail};
use serde_json::Value;

/// The domains of the tests' senders. This emulator, like SES, requires them to be verified.
const SENDERS: [&str; 2] = ["acme.example", "example.com"];

/// A separate account in ministack, where every access key of twelve digits is an account.
pub struct Emulator {
    pub url: String,
    account: String,
}

impl Emulator {
    pub fn from_env() -> Option<Self> {
        static ACCOUNTS: AtomicU64 = AtomicU64::new(0);
        let url = std::env::var("EMULATOR_URL").ok().filter(|url| !url.is_empty())?;
        let number = u64::from(process::id()) * 10_000 + ACCOUNTS.fetch_add(1, Ordering::Relaxed);
        Some(Self { url, account: format!("{number:012}") })
    }

    /// `sdk` with the credentials of the account.
    pub fn sign_in(&self, sdk: SdkConfig) -> SdkConfig {
        let credentials = Credentials::new(&self.account, "secret", None, None, "tests");
        sdk.into_builder().credentials_provider(SharedCredentialsProvider::new(credentials)).build()
    }

    /// Prepares the account for the tests: verifies the senders' domains, and turns off time to live, which does not
    /// follow the tests' clock.
    pub async fn prepare(&self, sdk: &SdkConfig, table: &str) {
        for domain in SENDERS {
            Client::new(sdk).create_email_identity().email_identity(domain).send().await.unwrap();
        }
        let off = TimeToLiveSpecification::builder().attribute_name("ttl").enabled(false).build().unwrap();
        let update = aws_sdk_dynamodb::Client::new(sdk).update_time_to_live().table_name(table);
        update.time_to_live_specification(off).send().await.unwrap();
    }

    pub async fn put_template(&self, sdk: &SdkConfig, name: &str, [subject, html, text]: [&str; 3]) {
        Client::new(sdk).delete_email_template().template_name(name).send().await.ok();
        let content = EmailTemplateContent::builder().subject(subject).html(html).text(text).build();
        let create = Client::new(sdk).create_email_template().template_name(name).template_content(content);
        create.send().await.unwrap();
    }

    /// The mail that was sent, newest first. Fields that the emulator does not keep are empty.
    pub fn mails(&self) -> Vec<Mail> {
        let answer = self.fetch(&format!("/_ministack/ses/messages?account={}", self.account));
        let messages = answer["messages"][&self.account].as_array().cloned().unwrap_or_default();
        messages.iter().rev().map(mail).collect()
    }

    /// Fetches from an endpoint of the emulator that no SDK covers. It blocks, because `mails` is not async.
    fn fetch(&self, path: &str) -> Value {
        let host = self.url.strip_prefix("http://").expect("EMULATOR_URL is an http URL").trim_end_matches('/');
        let mut stream = TcpStream::connect(host).unwrap();
        write!(stream, "GET {path} HTTP/1.0\r\nhost: {host}\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (_, body) = answer.split_once("\r\n\r\n").unwrap();
        serde_json::from_str(body).unwrap_or_else(|error| panic!("{error}: {answer}"))
    }
}

fn mail(message: &Value) -> Mail {
    let text = |name: &str| message[name].as_str().unwrap_or_default().to_owned();
    Mail {
        id: text("MessageId"),
        at: Timestamp::now(),
        to: message["To"][0].as_str().unwrap_or_default().to_owned(),
        from: text("Source"),
        subject: text("Subject"),
        html: text("BodyHtml"),
        text: text("BodyText"),
        headers: BTreeMap::new(),
        tags: BTreeMap::new(),
    }
}

//! Stand-ins for DynamoDB and SES with constant responses, sent at once or after a set delay, so that the function
//! alone is measured.

use std::{
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, Method, StatusCode, header},
    response::{IntoResponse, Response},
    serve::{Listener, ListenerExt},
};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{ServerConfig, crypto::ring, pki_types::PrivateKeyDer},
    server::TlsStream,
};

/// The table's name.
pub const TABLE: &str = "organization-invitations";

/// The running stand-ins.
pub struct Endpoints {
    /// The URL of DynamoDB.
    pub dynamodb: String,
    /// The URL of SES.
    pub ses: String,
    /// The file with the certificate of their authority, when they use TLS.
    pub authority: Option<PathBuf>,
    dynamodb_delay: Delay,
    ses_delay: Delay,
}

/// The delay of a response, in microseconds.
type Delay = Arc<AtomicU64>;

impl Endpoints {
    /// Starts the stand-ins, with TLS or without.
    pub async fn start(tls: bool) -> Self {
        let certified = tls.then(Certified::new);
        let (dynamodb_delay, ses_delay) = (Delay::default(), Delay::default());
        let dynamodb = Router::new().fallback(dynamodb).with_state(Arc::clone(&dynamodb_delay));
        let ses = Router::new().fallback(ses).with_state(Arc::clone(&ses_delay));
        Self {
            dynamodb: serve(dynamodb, certified.as_ref()).await,
            ses: serve(ses, certified.as_ref()).await,
            authority: certified.map(|certified| certified.authority),
            dynamodb_delay,
            ses_delay,
        }
    }

    /// Sets the delays of all later responses.
    pub fn delay(&self, dynamodb: Duration, ses: Duration) {
        for (delay, duration) in [(&self.dynamodb_delay, dynamodb), (&self.ses_delay, ses)] {
            delay.store(duration.as_micros().try_into().expect("a short time"), Ordering::Relaxed);
        }
    }
}

/// A certificate for `localhost`, and the file with the certificate of its authority.
struct Certified {
    server: TlsAcceptor,
    authority: PathBuf,
}

impl Certified {
    fn new() -> Self {
        let (key, authority_key) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
        let mut authority = CertificateParams::default();
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        // With the default name, which is also the certificate's, OpenSSL takes the certificate for a self-signed one.
        authority.distinguished_name.push(DnType::CommonName, "the benchmark's authority");
        let authority_certificate = authority.self_signed(&authority_key).unwrap();
        let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("authority-{}.pem", std::process::id()));
        std::fs::write(&file, authority_certificate.pem()).unwrap();
        let certificate = CertificateParams::new(["localhost".to_owned()]).unwrap();
        let certificate = certificate.signed_by(&key, &Issuer::new(authority, authority_key)).unwrap();
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        let server = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()));
        let server = server.with_safe_default_protocol_versions().unwrap().with_no_client_auth();
        let server = server.with_single_cert(vec![certificate.der().clone()], key).unwrap();
        Self { server: TlsAcceptor::from(Arc::new(server)), authority: file }
    }
}

impl Drop for Endpoints {
    fn drop(&mut self) {
        if let Some(file) = &self.authority {
            std::fs::remove_file(file).unwrap();
        }
    }
}

struct TlsListener {
    tcp: TcpListener,
    tls: TlsAcceptor,
}

impl Listener for TlsListener {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, SocketAddr) {
        loop {
            let (stream, address) = Listener::accept(&mut self.tcp).await;
            stream.set_nodelay(true).unwrap();
            if let Ok(stream) = self.tls.accept(stream).await {
                return (stream, address);
            }
        }
    }

    fn local_addr(&self) -> std::io::Result<SocketAddr> {
        self.tcp.local_addr()
    }
}

/// Serves `router` on a free port until the benchmark ends, and returns its URL.
async fn serve(router: Router, certified: Option<&Certified>) -> String {
    let tcp = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let port = tcp.local_addr().unwrap().port();
    if let Some(Certified { server, .. }) = certified {
        let listener = TlsListener { tcp, tls: server.clone() };
        tokio::spawn(async { axum::serve(listener, router).await.unwrap() });
        return format!("https://localhost:{port}");
    }
    let listener = tcp.tap_io(|stream| stream.set_nodelay(true).unwrap());
    tokio::spawn(async { axum::serve(listener, router).await.unwrap() });
    format!("http://localhost:{port}")
}

/// Waits with a precision of microseconds, which timers do not have.
async fn wait(delay: &Delay) {
    let until = Instant::now() + Duration::from_micros(delay.load(Ordering::Relaxed));
    while Instant::now() < until {
        tokio::task::yield_now().await;
    }
}

/// Reads the whole request before it responds, like `ses`: otherwise the connection would have to be closed.
async fn dynamodb(State(delay): State<Delay>, headers: HeaderMap, _: Bytes) -> Response {
    wait(&delay).await;
    let operation = headers.get("x-amz-target").and_then(|target| target.to_str().ok()?.split('.').nth(1));
    let response = if operation == Some("BatchGetItem") { directory() } else { json!({}) };
    ([(header::CONTENT_TYPE, "application/x-amz-json-1.0")], response.to_string()).into_response()
}

async fn ses(State(delay): State<Delay>, method: Method, _: Bytes) -> Response {
    wait(&delay).await;
    let (status, response) = match method {
        Method::POST => (StatusCode::OK, json!({ "MessageId": "0100018c2f4b7e6a-00000000-000000" })),
        _ => (StatusCode::NOT_FOUND, json!({})),
    };
    (status, [(header::CONTENT_TYPE, "application/json")], response.to_string()).into_response()
}

/// The rows that `events/create.json` refers to, and a connector that uses the built-in templates.
fn directory() -> Value {
    let row = |sk: &str, fields: Value| {
        let mut row = json!({ "pk": { "S": "TENANT#default" }, "sk": { "S": sk } });
        for (name, value) in fields.as_object().unwrap() {
            row[name] = json!({ "S": value });
        }
        row
    };
    let rows = [
        row("ORGANIZATION#acme", json!({ "id": "acme", "name": "Acme Corporation" })),
        row("USER#ada", json!({ "id": "ada", "name": "Ada Lovelace", "primaryEmail": "ada@example.com" })),
        row("ROLE#member", json!({ "id": "member", "name": "Member" })),
        row("CONNECTOR#Email", json!({ "fromEmailAddress": "Acme <mail@acme.example>", "defaultLocale": "en" })),
    ];
    json!({ "Responses": { TABLE: rows }, "UnprocessedKeys": {} })
}

//! A proxy that puts the guard in front of the DynamoDB emulator, whose own server accepts every host name and lets
//! pages of every origin read its responses.

use std::net::{Ipv4Addr, SocketAddr};

use aws_smithy_http_client::Connector;
use aws_smithy_runtime_api::client::{
    http::{HttpConnector, SharedHttpConnector},
    orchestrator::{HttpRequest, HttpResponse},
};
use aws_smithy_types::{body::SdkBody, byte_stream::ByteStream};
use axum::{
    Router,
    body::{Body, Bytes, to_bytes},
    extract::{Request, State},
    http::{HeaderName, HeaderValue, StatusCode, header, request::Parts},
    response::{IntoResponse, Response},
};
use tokio::net::TcpListener;

/// The maximum size of a request to DynamoDB, in bytes.
const MAX_BODY_BYTES: usize = 16 << 20;

/// Headers of a single connection, which are not forwarded.
const CONNECTION_HEADERS: [HeaderName; 4] =
    [header::HOST, header::CONNECTION, header::CONTENT_LENGTH, header::TRANSFER_ENCODING];

#[derive(Clone)]
struct Relay {
    connector: SharedHttpConnector,
    upstream: String,
}

/// Forwards every request to `upstream`.
pub(super) fn router(upstream: String) -> Router {
    let connector = SharedHttpConnector::new(Connector::builder().build_http());
    Router::new().fallback(forward).with_state(Relay { connector, upstream })
}

/// Listens at an address that is hard to guess: a free port of a random loopback address. Falls back to 127.0.0.1 on
/// systems with only that address, such as macOS.
pub(super) async fn hidden_listener() -> std::io::Result<(TcpListener, String)> {
    let mut lot = [0; 3];
    // Without randomness the address is 127.0.0.1.
    let drawn = getrandom::fill(&mut lot).map_or(Ipv4Addr::LOCALHOST, |()| Ipv4Addr::new(127, lot[0], lot[1], lot[2]));
    let listener = match TcpListener::bind(SocketAddr::from((drawn, 0))).await {
        Ok(listener) => listener,
        Err(_) => TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).await?,
    };
    let address = listener.local_addr()?;
    Ok((listener, format!("http://{address}")))
}

async fn forward(State(relay): State<Relay>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let Ok(body) = to_bytes(body, MAX_BODY_BYTES).await else {
        return StatusCode::PAYLOAD_TOO_LARGE.into_response();
    };
    let forwarded = async { response(relay.connector.call(relay.request(&parts, body)?).await.ok()?).await };
    forwarded.await.unwrap_or_else(|| StatusCode::BAD_GATEWAY.into_response())
}

impl Relay {
    fn request(&self, parts: &Parts, body: Bytes) -> Option<HttpRequest> {
        let mut request = HttpRequest::new(SdkBody::from(body));
        let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
        request.set_uri(format!("{}{path}", self.upstream)).ok()?;
        request.set_method(parts.method.as_str()).ok()?;
        for (name, value) in parts.headers.iter().filter(|(name, _)| !CONNECTION_HEADERS.contains(name)) {
            request.headers_mut().try_append(name.as_str().to_owned(), value.to_str().ok()?.to_owned()).ok()?;
        }
        Some(request)
    }
}

async fn response(upstream: HttpResponse) -> Option<Response> {
    let status = StatusCode::from_u16(upstream.status().as_u16()).ok()?;
    let pair =
        |(name, value): (&str, &str)| Some((HeaderName::try_from(name).ok()?, HeaderValue::try_from(value).ok()?));
    let headers: Vec<_> = upstream.headers().iter().filter_map(pair).collect();
    let body = ByteStream::new(upstream.into_body()).collect().await.ok()?.into_bytes();
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    for (name, value) in headers.into_iter().filter(|(name, _)| !CONNECTION_HEADERS.contains(name)) {
        response.headers_mut().append(name, value);
    }
    Some(response)
}

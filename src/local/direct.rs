//! Calls of the services inside the process, without a socket.
//!
//! The frequent operations go this way. Other operations and rejected requests go through the network, because only the
//! service's server writes its error responses.

use std::{fmt, sync::Arc};

use aws_smithy_runtime_api::{
    client::{
        http::{HttpClient, HttpConnector, HttpConnectorFuture, SharedHttpClient, SharedHttpConnector, http_client_fn},
        orchestrator::{HttpRequest, HttpResponse},
    },
    http::StatusCode,
};
use aws_smithy_types::body::SdkBody;
use dynoxide::{Database, actions::transact_write_items::TransactWriteItemsRequest};
use serde::{Serialize, de::DeserializeOwned};

use super::ses::{self, SesStandIn};

/// A client that calls the services in the process if possible, and `network` otherwise.
pub(super) fn client(services: Services, network: SharedHttpClient) -> SharedHttpClient {
    let services = Arc::new(services);
    http_client_fn(move |settings, components| {
        let network = network.http_connector(settings, components);
        SharedHttpConnector::new(Direct { services: Arc::clone(&services), network })
    })
}

/// The services and the URLs of their requests.
pub(super) struct Services {
    pub(super) database: Database,
    pub(super) dynamodb_url: String,
    pub(super) ses: Arc<SesStandIn>,
    pub(super) ses_url: String,
}

impl fmt::Debug for Services {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { dynamodb_url, ses_url, .. } = self;
        f.debug_struct("Services").field("dynamodb_url", dynamodb_url).field("ses_url", ses_url).finish_non_exhaustive()
    }
}

#[derive(Debug)]
struct Direct {
    services: Arc<Services>,
    network: SharedHttpConnector,
}

impl HttpConnector for Direct {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let Some(response) = self.services.respond(&request) else { return self.network.call(request) };
        let ok = StatusCode::try_from(200).expect("200 is a status");
        HttpConnectorFuture::ready(Ok(HttpResponse::new(ok, SdkBody::from(response))))
    }
}

impl Services {
    /// The response; `None` for an operation that is not supported here, or a request that the service rejects.
    fn respond(&self, request: &HttpRequest) -> Option<Vec<u8>> {
        let body = request.body().bytes()?;
        if let Some(path) = request.uri().strip_prefix(&self.ses_url) {
            return (path == ses::SEND_EMAIL).then(|| ses::send_directly(&self.ses, body))?;
        }
        let operation =
            request.headers().get("x-amz-target").filter(|_| request.uri().starts_with(&self.dynamodb_url))?;
        match operation.strip_prefix("DynamoDB_20120810.")? {
            "BatchGetItem" => respond(body, |request| self.database.batch_get_item(request)),
            "GetItem" => respond(body, |request| self.database.get_item(request)),
            "Query" => respond(body, |request| self.database.query(request)),
            "TransactWriteItems" => respond(body, |request| self.database.transact_write_items(without_token(request))),
            _ => None,
        }
    }
}

/// Removes the request token. No response is lost inside the process, so that the function never repeats a committed
/// request, and for each token the emulator scans all tokens of the last ten minutes.
fn without_token(request: TransactWriteItemsRequest) -> TransactWriteItemsRequest {
    TransactWriteItemsRequest { client_request_token: None, ..request }
}

fn respond<Q: DeserializeOwned, A: Serialize>(
    body: &[u8],
    operation: impl FnOnce(Q) -> dynoxide::Result<A>,
) -> Option<Vec<u8>> {
    let response = operation(serde_json::from_slice(body).ok()?).ok()?;
    serde_json::to_vec(&response).ok()
}

#[cfg(test)]
mod tests {
    use aws_sdk_dynamodb::{
        Client,
        error::SdkError,
        types::{AttributeValue, Delete, TransactWriteItem},
    };
    use tokio::net::TcpListener;

    use super::*;
    use crate::local::stack::{Stack, StackOptions, TABLE_NAME, network, sdk_config};

    #[tokio::test]
    async fn only_rare_operations_and_rejected_requests_need_a_socket() {
        let stack = Stack::start(StackOptions::default()).await.unwrap();
        stack.app(|_| None).await.unwrap();
        let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        let nowhere = format!("http://{closed}");
        let services = Services {
            database: stack.database.clone(),
            dynamodb_url: nowhere.clone(),
            ses: Arc::clone(&stack.ses),
            ses_url: stack.ses_url.clone(),
        };
        let direct = client(services, network());
        let dynamodb = Client::new(&sdk_config(&nowhere, &nowhere).into_builder().http_client(direct).build());

        let key = [("pk", "TENANT#default"), ("sk", "ORGANIZATION#acme")]
            .map(|(name, value)| (name.to_owned(), AttributeValue::S(value.to_owned())));
        let read = || dynamodb.get_item().table_name(TABLE_NAME).set_key(Some(key.clone().into()));
        let delete = |condition: &str| {
            let delete = Delete::builder().table_name(TABLE_NAME).set_key(Some(key.clone().into()));
            let delete = delete.condition_expression(condition).build().unwrap();
            dynamodb.transact_write_items().transact_items(TransactWriteItem::builder().delete(delete).build())
        };
        assert!(read().send().await.unwrap().item.is_some());
        let rejected = delete("attribute_not_exists(pk)").send().await;
        assert!(matches!(rejected, Err(SdkError::DispatchFailure(_))), "{rejected:?}");
        delete("attribute_exists(pk)").send().await.unwrap();
        assert!(read().send().await.unwrap().item.is_none());
        let scan = dynamodb.scan().table_name(TABLE_NAME).send().await;
        assert!(matches!(scan, Err(SdkError::DispatchFailure(_))), "{scan:?}");
    }
}

//! The page with a tenant's invitations: `/invitations`, with `?tenant=`.

mod page;

use std::{collections::HashMap, sync::Arc, time::Duration};

use axum::{
    Router,
    extract::{Query, State},
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::get,
};
use serde::Deserialize;

use self::page::MailCounts;
use super::{banner, demo, pages::response, ses::SesStandIn};
use crate::{
    app::App,
    clock::{Deadline, RequestClock},
    domain::{
        delivery::Delivery,
        ids::{InvitationId, TenantId},
        invitation::Invitation,
    },
    store::{StoreError, list::Filters},
};

/// The maximum number of invitations on the page.
const MAX_INVITATIONS: usize = 200;

/// The timeout of reading the invitations.
const PATIENCE: Duration = Duration::from_secs(10);

struct Overview {
    app: Arc<App>,
    ses: Arc<SesStandIn>,
    /// The URL of the gateway, for the example command on an empty page.
    gateway: String,
}

#[derive(Deserialize)]
struct PageQuery {
    #[serde(default)]
    tenant: String,
}

/// The page with the invitations of `app` and the mail of `ses`. `gateway` is its base URL.
pub(crate) fn router(app: Arc<App>, ses: Arc<SesStandIn>, gateway: String) -> Router {
    Router::new().route("/invitations", get(show)).with_state(Arc::new(Overview { app, ses, gateway }))
}

async fn show(State(overview): State<Arc<Overview>>, Query(PageQuery { tenant }): Query<PageQuery>) -> Response {
    let name = if tenant.is_empty() { demo::TENANT } else { &tenant };
    let Some(tenant) = TenantId::parse(name) else {
        return (StatusCode::BAD_REQUEST, response(page::invalid_tenant(name))).into_response();
    };
    let RequestClock { now, deadline, .. } = RequestClock::with_budget(PATIENCE);
    match overview.latest(&tenant, deadline).await {
        Ok(found) => {
            let example = (name == demo::TENANT).then(|| banner::curl(&overview.gateway, now));
            response(page::list(&tenant, &found, example.as_deref(), now))
        }
        Err(error) => (StatusCode::SERVICE_UNAVAILABLE, response(page::failed(&tenant, &error))).into_response(),
    }
}

/// The latest invitations of a tenant, newest first, with the number and the deliveries of their mails.
#[derive(Debug, Default)]
struct Latest {
    invitations: Vec<Invitation>,
    has_more: bool,
    mails: MailCounts,
    deliveries: HashMap<InvitationId, Delivery>,
}

impl Overview {
    async fn latest(&self, tenant: &TenantId, deadline: Deadline) -> Result<Latest, StoreError> {
        let (store, all) = (&self.app.store, Filters::default());
        let mut reader = store.list(tenant, &all, None, MAX_INVITATIONS + 1);
        let mut invitations = Vec::new();
        while let Some(found) = reader.next(deadline).await?
            && invitations.len() <= MAX_INVITATIONS
        {
            invitations.extend(found);
        }
        let has_more = invitations.len() > MAX_INVITATIONS;
        invitations.truncate(MAX_INVITATIONS);
        let ids = invitations.iter().map(|invitation| &invitation.id);
        // If this fails, the page shows the invitations without deliveries.
        let deliveries = store.deliveries(tenant, ids, deadline).await.unwrap_or_default();
        let mails = page::mails_by_invitation(&self.ses.mails());
        Ok(Latest { invitations, has_more, mails, deliveries })
    }
}

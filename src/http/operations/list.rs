//! `GET /api/organization-invitations`: list invitations, newest first.

use std::collections::HashMap;

use lambda_http::{
    Body,
    http::{HeaderValue, Response, StatusCode, header::LINK},
};

use super::Request;
use crate::{
    app::App,
    domain::{
        delivery::Delivery,
        email_address::EmailAddress,
        ids::{DirectoryId, InvitationId},
        invitation::Invitation,
        timestamp::Timestamp,
    },
    http::{
        cursor::Cursors,
        error::RequestError,
        event::Query,
        include::{self, Include, MAX_DELIVERY_BYTES, delivery_member},
        response::{json_text_response, to_json},
    },
    invitations::{
        delivery,
        find::{self, ListRequest, PageRequest},
    },
    json::escaped_length,
    store::list::Filters,
};

/// The parameters of a list, in the documented order.
const PARAMETERS: [&str; 6] = [FILTERS[0], FILTERS[1], FILTERS[2], "page_size", "cursor", include::PARAMETER];

/// The parameters that filter.
const FILTERS: [&str; 3] = ["organizationId", "inviterId", INVITEE];

/// The filter that is compared case-insensitively.
const INVITEE: &str = "invitee";

/// The maximum size of a page, in invitations.
const MAX_PAGE_SIZE: usize = 100;

/// The maximum size of a list in the function's response, in bytes after escaping as a JSON string. Lambda's limit is
/// 6 MB for the whole response.
const MAX_LIST_BYTES: usize = 4 << 20;

/// Lists all invitations that match the filters, or one page of them with `page_size`.
pub(crate) async fn list(app: &App, request: &Request<'_>) -> Result<Response<Body>, RequestError> {
    let query = &request.event.query;
    query.check_single(&PARAMETERS)?;
    let include = Include::read(query)?;
    let (tenant, clock) = (&request.caller.tenant, request.clock);
    let values = FILTERS.map(|name| filter_value(query, name));
    let cursors = Cursors::new(tenant, values.each_ref().map(Option::as_deref));
    let page = page_request(query, &cursors)?;
    // An unpaged list would need an unbounded number of delivery reads.
    if include.delivery && page.is_none() {
        return Err(RequestError::InvalidPagination("include=delivery needs a page_size."));
    }
    let mut array = Array::new(include);
    let take = |invitation: &Invitation| array.push(invitation, clock.now);
    let next = match filters(&values, app.config.id_max_length) {
        None => None,
        Some(filters) => {
            let request = ListRequest { tenant, filters: &filters, clock };
            match page {
                Some(page) => find::page(app, request, page, take).await?,
                None if find::all(app, request, take).await? => None,
                None => return Err(RequestError::ListTooLong),
            }
        }
    };
    let deliveries =
        if array.is_complete() { HashMap::new() } else { delivery::of(app, tenant, array.ids(), clock).await? };
    let mut response = json_text_response(StatusCode::OK, array.finish(&deliveries));
    if let Some(link) = next.and_then(|after| next_link(&after, query, &cursors)) {
        response.headers_mut().insert(LINK, link);
    }
    Ok(response)
}

/// The JSON of a list while it is built.
#[derive(Debug)]
struct Array {
    json: String,
    /// Its size in the function's response, in bytes, including the closing bracket and the deliveries to come.
    sent: usize,
    length: usize,
    include: Include,
    /// The position of each invitation's delivery, if deliveries are to be included.
    gaps: Vec<(InvitationId, usize)>,
}

impl Array {
    fn new(include: Include) -> Self {
        Self { json: "[".to_owned(), sent: 2, length: 0, include, gaps: Vec::new() }
    }

    /// Adds an invitation as of `now`. Returns `false`, and adds nothing, if the list would become too long. The first
    /// always fits, because a row has at most 400 KB.
    fn push(&mut self, invitation: &Invitation, now: Timestamp) -> bool {
        let entity = to_json(&invitation.entity(now));
        let comma = usize::from(self.length > 0);
        let delivery = if self.include.delivery { MAX_DELIVERY_BYTES } else { 0 };
        let sent = self.sent + comma + escaped_length(&entity) + delivery;
        if self.length > 0 && sent > MAX_LIST_BYTES {
            return false;
        }
        self.json.push_str(&","[..comma]);
        self.json.push_str(&entity);
        if self.include.delivery {
            self.gaps.push((invitation.id.clone(), self.json.len() - 1));
        }
        (self.sent, self.length) = (sent, self.length + 1);
        true
    }

    /// `true` if no delivery has to be read.
    fn is_complete(&self) -> bool {
        self.gaps.is_empty()
    }

    fn ids(&self) -> impl Iterator<Item = &InvitationId> {
        self.gaps.iter().map(|(id, _)| id)
    }

    fn finish(self, deliveries: &HashMap<InvitationId, Delivery>) -> String {
        if self.is_complete() {
            return self.json + "]";
        }
        let (mut json, mut copied) = (String::with_capacity(self.sent), 0);
        for (id, place) in &self.gaps {
            json.push_str(&self.json[copied..*place]);
            json.push_str(&delivery_member(deliveries.get(id)));
            copied = *place;
        }
        json.push_str(&self.json[copied..]);
        json + "]"
    }
}

/// The value of a filter. An empty one counts as absent, as with Logto.
fn filter_value(query: &Query, name: &str) -> Option<String> {
    let value = query.get(name).filter(|value| !value.is_empty())?;
    Some(if name == INVITEE { value.to_ascii_lowercase() } else { value.to_owned() })
}

/// The filters with these values; `None` if no invitation can match them, so that nothing has to be read.
fn filters(values: &[Option<String>; 3], id_max_length: usize) -> Option<Filters> {
    let [organization_id, inviter_id, address] = values.each_ref().map(Option::as_deref);
    let id = |text: Option<&str>| text.map_or(Some(None), |text| DirectoryId::parse(text, id_max_length).map(Some));
    let invitee = address.map_or(Some(None), |text| EmailAddress::parse(text).ok().map(|it| Some(it.normalized())));
    Some(Filters {
        organization_id: id(organization_id)?,
        inviter_id: id(inviter_id)?,
        invitee: invitee?,
        pending_at: None,
    })
}

fn page_request(query: &Query, cursors: &Cursors) -> Result<Option<PageRequest>, RequestError> {
    let Some(size) = query.get("page_size") else {
        // A cursor is only valid with a page size.
        let alone = RequestError::InvalidPagination("A cursor needs a page_size.");
        return if query.get("cursor").is_some() { Err(alone) } else { Ok(None) };
    };
    // Pages are requested by cursor. Without `page_size`, `page` is an unknown parameter, which is ignored.
    if query.get("page").is_some() {
        return Err(RequestError::InvalidPagination("Pages go by cursor: page cannot be combined with page_size."));
    }
    // Digits only: Rust's parser accepts a sign.
    let digits = size.bytes().all(|byte| byte.is_ascii_digit()).then_some(size);
    let size = digits.and_then(|digits| digits.parse().ok()).filter(|size| (1..=MAX_PAGE_SIZE).contains(size));
    let size = size.ok_or(RequestError::InvalidPagination("page_size has to be a whole number from 1 to 100."))?;
    let foreign = || RequestError::InvalidPagination("The cursor is not from a Link of this list.");
    let after = query.get("cursor").map(|cursor| cursors.read(cursor).ok_or_else(foreign)).transpose()?;
    Ok(Some(PageRequest { size, after }))
}

/// The link to the page after `after`. It is relative (RFC 8288, section 3.1), so that it is correct behind any host
/// name, stage or proxy. It keeps only known parameters, so that it fits into a header.
fn next_link(after: &InvitationId, query: &Query, cursors: &Cursors) -> Option<HeaderValue> {
    let next = query.with("cursor", &cursors.write(after), &PARAMETERS);
    HeaderValue::try_from(format!("<?{next}>; rel=\"next\"")).ok()
}

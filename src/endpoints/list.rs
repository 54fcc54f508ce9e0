//! `GET /api/organization-invitations`: list invitations, newest first.

use lambda_http::{
    Body,
    http::{HeaderValue, Response, StatusCode, header::LINK},
};

use super::{Request, json_response};
use crate::{
    app::App,
    cursor::Cursors,
    directory::could_exist,
    email_address::MAX_LENGTH,
    error::Error,
    event::Query,
    invitation::Entity,
    store::read::{Filters, Page, PageRequest},
};

/// The largest page.
const MAX_PAGE_SIZE: usize = 100;

/// The most bytes of an unpaged list: what a Lambda function may answer, less the envelope and its escaping.
const MAX_LIST_BYTES: usize = 4 << 20;

/// The most invitations of an unpaged list, which need not be read on to know that they are too many.
const MAX_LIST: PageRequest = PageRequest { size: MAX_LIST_BYTES / Entity::LEAST_BYTES, after: None };

/// Lists all invitations that fit the filters, or a page of them where `page_size` is given.
pub async fn list(app: &App, request: &Request<'_>) -> Result<Response<Body>, Error> {
    let query = &request.event.query;
    let filters = filters(query);
    let cursors = Cursors::new(&app.config.cursor_key, &request.caller.tenant, &filters);
    let page_request = page_request(query, &cursors)?;
    if !can_match(&filters, app.config.id_max_length) {
        return Ok(json_response(StatusCode::OK, &[(); 0]));
    }
    let deadline = request.moment.deadline;
    let part = page_request.as_ref().unwrap_or(&MAX_LIST);
    let page = app.store.list(&request.caller.tenant, &filters, part, deadline).await?;
    if page.has_more && page_request.is_none() {
        return Err(Error::ListTooLong);
    }
    let entities: Vec<Entity<'_>> =
        page.invitations.iter().map(|invitation| invitation.entity(request.moment.now)).collect();
    let mut response = json_response(StatusCode::OK, &entities);
    if response.body().len() > MAX_LIST_BYTES {
        return Err(Error::ListTooLong);
    }
    if let Some(link) = next_link(&page, query, &cursors) {
        response.headers_mut().insert(LINK, link);
    }
    Ok(response)
}

fn filters(query: &Query) -> Filters {
    // An empty filter is none, as with Logto.
    let text = |name| query.get(name).filter(|text| !text.is_empty()).map(str::to_owned);
    Filters {
        organization_id: text("organizationId"),
        inviter_id: text("inviterId"),
        invitee: text("invitee").map(|invitee| invitee.to_ascii_lowercase()),
    }
}

/// Whether there could be an invitation that fits: what could not exist cannot be looked up either.
fn can_match(filters: &Filters, id_max_length: usize) -> bool {
    let id_can = |id: &Option<String>| id.as_ref().is_none_or(|id| could_exist(id, id_max_length));
    let invitee_can = filters.invitee.as_ref().is_none_or(|invitee| could_exist(invitee, MAX_LENGTH));
    id_can(&filters.organization_id) && id_can(&filters.inviter_id) && invitee_can
}

fn page_request(query: &Query, cursors: &Cursors) -> Result<Option<PageRequest>, Error> {
    let Some(size) = query.get("page_size") else {
        // A cursor goes on where a page ended.
        return if query.get("cursor").is_some() { Err(Error::InvalidPagination) } else { Ok(None) };
    };
    // Digits alone: Rust would take a sign as well.
    let digits = size.bytes().all(|byte| byte.is_ascii_digit()).then_some(size);
    let size = digits.and_then(|digits| digits.parse().ok()).filter(|size| (1..=MAX_PAGE_SIZE).contains(size));
    let after = query.get("cursor").map(|cursor| cursors.open(cursor).ok_or(Error::InvalidPagination));
    Ok(Some(PageRequest { size: size.ok_or(Error::InvalidPagination)?, after: after.transpose()? }))
}

/// A link to the next page, relative to this one (RFC 8288, section 3.1), so that it is right behind any host name,
/// stage or proxy.
fn next_link(page: &Page, query: &Query, cursors: &Cursors) -> Option<HeaderValue> {
    let last = page.invitations.last().filter(|_| page.has_more)?;
    let next = query.with("cursor", &cursors.seal(&last.id));
    HeaderValue::try_from(format!("<?{next}>; rel=\"next\"")).ok()
}

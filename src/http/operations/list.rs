//! `GET /api/organization-invitations`: list invitations, newest first.

use std::time::Duration;

use lambda_http::{
    Body,
    http::{HeaderValue, Response, StatusCode, header::LINK},
};

use super::{Request, json_text_response, to_json};
use crate::{app::{App}, http::{cursor::{Cursors}, event::{Query}}, domain::{directory::{could_exist}, email_address::{MAX_LENGTH}, error::{Error, Issue, IssueCode, PathSegment}, invitation::{Invitation}, ids::{InvitationId}, timestamp::{Timestamp}}, json::{escaped_length}, store::{read::{Filters, ListReader, MOST_ROWS}}, clock::{Deadline}};

/// The parameters that a list knows, in the order in which they are documented.
const PARAMETERS: [&str; 5] = ["organizationId", "inviterId", "invitee", "page_size", "cursor"];

/// The largest page.
const MAX_PAGE_SIZE: usize = 100;

/// The most bytes that a list takes in the function's response, in which it is a JSON string: of the 6 MB that Lambda
/// takes, with room for the rest of the response.
const MAX_LIST_BYTES: usize = 4 << 20;

/// The most queries for one page. Each reads at most [`MOST_ROWS`] rows and 1 MB, which is 128 read units through an
/// index, and 256 without filters.
const MOST_QUERIES: usize = 10;

/// The page that is asked for.
#[derive(Debug)]
struct PageRequest {
    size: usize,
    /// The invitation whose row was read last for the page before.
    after: Option<InvitationId>,
}

/// Lists all invitations that fit the filters, or a page of them where `page_size` is given.
pub async fn list(app: &App, request: &Request<'_>) -> Result<Response<Body>, Error> {
    let query = &request.event.query;
    check_single(query)?;
    let (tenant, filters) = (&request.caller.tenant, filters(query));
    let cursors = Cursors::new(&app.config.cursor_key, tenant, &filters);
    let page = page_request(query, &cursors)?;
    if !can_match(&filters, app.config.id_max_length) {
        return Ok(json_text_response(StatusCode::OK, Array::new().finish()));
    }
    let (now, deadline) = (request.moment.now, request.moment.deadline);
    let (array, next) = match page {
        None => (everything(app.store.list(tenant, &filters, None, MOST_ROWS), now, deadline).await?, None),
        Some(PageRequest { size, after }) => {
            // One more than the page holds, to know whether there is another.
            let reader = app.store.list(tenant, &filters, after.as_ref(), size + 1);
            one_page(reader, size, now, deadline).await?
        }
    };
    let mut response = json_text_response(StatusCode::OK, array.finish());
    if let Some(link) = next.and_then(|after| next_link(&after, query, &cursors)) {
        response.headers_mut().insert(LINK, link);
    }
    Ok(response)
}

/// Reads a list to its end.
async fn everything(mut reader: ListReader<'_>, now: Timestamp, deadline: Deadline) -> Result<Array, Error> {
    let mut array = Array::new();
    while let Some(found) = reader.next(deadline).await? {
        for invitation in found {
            if !array.push(&invitation, now) {
                return Err(Error::ListTooLong);
            }
        }
    }
    Ok(array)
}

/// Reads a page, and gives what the next one comes after, where there may be one. The page is short, or empty, where the
/// filters leave out nearly all of what [`MOST_QUERIES`] read, or half of the time is gone: then the next page goes on
/// after the last row that was read. The other half is for the query that is under way.
async fn one_page(
    mut reader: ListReader<'_>,
    size: usize,
    now: Timestamp,
    deadline: Deadline,
) -> Result<(Array, Option<InvitationId>), Error> {
    let begin_by = deadline.leaving(Duration::MAX);
    let mut array = Array::new();
    while let Some(found) = reader.next(deadline).await? {
        for invitation in found {
            if array.length == size || !array.push(&invitation, now) {
                let last = array.last.clone().ok_or(Error::ListTooLong)?;
                return Ok((array, Some(last)));
            }
        }
        if reader.queries() >= MOST_QUERIES || begin_by.has_passed_in(Duration::ZERO) {
            // Where the last key is none of ours, the next query may end with one that is.
            if let Some(position) = reader.position() {
                return Ok((array, Some(position)));
            }
        }
    }
    Ok((array, None))
}

/// The JSON of a list while it is read.
#[derive(Debug)]
struct Array {
    json: String,
    /// The bytes of it in the function's response, the closing bracket included.
    sent: usize,
    length: usize,
    last: Option<InvitationId>,
}

impl Array {
    fn new() -> Self {
        Self { json: "[".to_owned(), sent: 2, length: 0, last: None }
    }

    /// Adds an invitation as of `now`, unless the list would become too long; says whether it did.
    fn push(&mut self, invitation: &Invitation, now: Timestamp) -> bool {
        let entity = to_json(&invitation.entity(now));
        let comma = usize::from(self.length > 0);
        let sent = self.sent + comma + escaped_length(&entity);
        if sent > MAX_LIST_BYTES {
            return false;
        }
        self.json.push_str(&","[..comma]);
        self.json.push_str(&entity);
        (self.sent, self.length, self.last) = (sent, self.length + 1, Some(invitation.id.clone()));
        true
    }

    fn finish(self) -> String {
        self.json + "]"
    }
}

/// A parameter that is given twice has no value that could be meant.
fn check_single(query: &Query) -> Result<(), Error> {
    let issue = |name: &str| Issue {
        code: IssueCode::InvalidType,
        path: vec![PathSegment::Key(name.to_owned())],
        message: "Expected string, received array".to_owned(),
    };
    let issues: Vec<Issue> = query.repeated(&PARAMETERS).into_iter().map(issue).collect();
    if issues.is_empty() { Ok(()) } else { Err(Error::InvalidQuery { issues }) }
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
    // Pages go by cursor. Without a size, `page` is one of the parameters that nobody knows.
    if query.get("page").is_some() {
        return Err(Error::InvalidPagination);
    }
    // Digits alone: Rust would take a sign as well.
    let digits = size.bytes().all(|byte| byte.is_ascii_digit()).then_some(size);
    let size = digits.and_then(|digits| digits.parse().ok()).filter(|size| (1..=MAX_PAGE_SIZE).contains(size));
    let after = query.get("cursor").map(|cursor| cursors.open(cursor).ok_or(Error::InvalidPagination));
    Ok(Some(PageRequest { size: size.ok_or(Error::InvalidPagination)?, after: after.transpose()? }))
}

/// A link to the page after `after`, relative to this one (RFC 8288, section 3.1), so that it is right behind any host
/// name, stage or proxy. It holds what the list knows and nothing else, so that it fits into a header.
fn next_link(after: &InvitationId, query: &Query, cursors: &Cursors) -> Option<HeaderValue> {
    let next = query.with("cursor", &cursors.seal(after), &PARAMETERS);
    HeaderValue::try_from(format!("<?{next}>; rel=\"next\"")).ok()
}

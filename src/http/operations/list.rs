//! `GET /api/organization-invitations`: list invitations, newest first.

use lambda_http::{
    Body,
    http::{HeaderValue, Response, StatusCode, header::LINK},
};

use super::Request;
use crate::{
    app::App,
    domain::{ids::InvitationId, invitation::Invitation, timestamp::Timestamp},
    http::{
        cursor::Cursors,
        error::{Issue, IssueCode, PathSegment, RequestError},
        event::Query,
        response::{json_text_response, to_json},
    },
    invitations::find::{self, ListEnd, ListRequest, PageRequest},
    json::escaped_length,
    store::read::Filters,
};

/// The parameters that a list knows, in the order in which they are documented.
const PARAMETERS: [&str; 5] = ["organizationId", "inviterId", "invitee", "page_size", "cursor"];

/// The largest page.
const MAX_PAGE_SIZE: usize = 100;

/// The most bytes that a list takes in the function's response, in which it is a JSON string: of the 6 MB that Lambda
/// takes, with room for the rest of the response.
const MAX_LIST_BYTES: usize = 4 << 20;

/// Lists all invitations that fit the filters, or a page of them where `page_size` is given.
pub async fn list(app: &App, request: &Request<'_>) -> Result<Response<Body>, RequestError> {
    let query = &request.event.query;
    check_single(query)?;
    let (tenant, filters, clock) = (&request.caller.tenant, filters(query), request.clock);
    let cursors = Cursors::new(tenant, &filters);
    let page = page_request(query, &cursors)?;
    let mut array = Array::new();
    let list = ListRequest { tenant, filters: &filters, page, clock };
    let next = match find::list(app, list, |invitation| array.push(invitation, clock.now)).await? {
        ListEnd::Complete => None,
        ListEnd::After(last) => Some(last),
        ListEnd::Full => return Err(RequestError::ListTooLong),
    };
    let mut response = json_text_response(StatusCode::OK, array.finish());
    if let Some(link) = next.and_then(|after| next_link(&after, query, &cursors)) {
        response.headers_mut().insert(LINK, link);
    }
    Ok(response)
}

/// The JSON of a list while it is read.
#[derive(Debug)]
struct Array {
    json: String,
    /// The bytes of it in the function's response, the closing bracket included.
    sent: usize,
    length: usize,
}

impl Array {
    fn new() -> Self {
        Self { json: "[".to_owned(), sent: 2, length: 0 }
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
        (self.sent, self.length) = (sent, self.length + 1);
        true
    }

    fn finish(self) -> String {
        self.json + "]"
    }
}

/// A parameter that is given twice has no value that could be meant.
fn check_single(query: &Query) -> Result<(), RequestError> {
    let issue = |name: &str| Issue {
        code: IssueCode::InvalidType,
        path: vec![PathSegment::Key(name.to_owned())],
        message: "Expected string, received array".to_owned(),
    };
    let issues: Vec<Issue> = query.repeated(&PARAMETERS).into_iter().map(issue).collect();
    if issues.is_empty() { Ok(()) } else { Err(RequestError::InvalidQuery { issues }) }
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

fn page_request(query: &Query, cursors: &Cursors) -> Result<Option<PageRequest>, RequestError> {
    let Some(size) = query.get("page_size") else {
        // A cursor goes on where a page ended.
        return if query.get("cursor").is_some() { Err(RequestError::InvalidPagination) } else { Ok(None) };
    };
    // Pages go by cursor. Without a size, `page` is one of the parameters that nobody knows.
    if query.get("page").is_some() {
        return Err(RequestError::InvalidPagination);
    }
    // Digits alone: Rust would take a sign as well.
    let digits = size.bytes().all(|byte| byte.is_ascii_digit()).then_some(size);
    let size = digits.and_then(|digits| digits.parse().ok()).filter(|size| (1..=MAX_PAGE_SIZE).contains(size));
    let after = query.get("cursor").map(|cursor| cursors.read(cursor).ok_or(RequestError::InvalidPagination));
    Ok(Some(PageRequest { size: size.ok_or(RequestError::InvalidPagination)?, after: after.transpose()? }))
}

/// A link to the page after `after`, relative to this one (RFC 8288, section 3.1), so that it is right behind any host
/// name, stage or proxy. It holds what the list knows and nothing else, so that it fits into a header.
fn next_link(after: &InvitationId, query: &Query, cursors: &Cursors) -> Option<HeaderValue> {
    let next = query.with("cursor", &cursors.write(after), &PARAMETERS);
    HeaderValue::try_from(format!("<?{next}>; rel=\"next\"")).ok()
}

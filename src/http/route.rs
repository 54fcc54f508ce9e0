//! The routes of the API: from method and path to an operation.

use std::borrow::Cow;

use lambda_http::http::Method;
use percent_encoding::percent_decode_str;

use super::{INVITATIONS_PATH, MY_INVITATIONS_PATH, error::RequestError};
use crate::domain::ids::InvitationId;

/// The maximum number of path segments after the collection's path, counting the empty one before the first slash.
const MAX_SEGMENTS: usize = 4;

/// The two parts of the API, each with its own rule of authorization.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Door {
    /// The management API: a caller with an allowed scope or group.
    Management,
    /// The routes for people: a person with a verified address.
    MyAccount,
}

/// An operation of the API. An invalid identifier is `None`, because other errors of the request take precedence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Route {
    Create,
    Bulk,
    List,
    Get(Option<InvitationId>),
    Change(Option<InvitationId>),
    Delete(Option<InvitationId>),
    Message(Option<InvitationId>),
    SetStatus(Option<InvitationId>),
    VerifyToken(Option<InvitationId>),
    ListOwn,
    SetOwnStatus(Option<InvitationId>),
}

impl Route {
    /// The door of a path, whether or not the path exists.
    pub(super) fn door(path: &str) -> Door {
        if path.starts_with(MY_INVITATIONS_PATH) { Door::MyAccount } else { Door::Management }
    }

    /// Finds the operation. Accepts a trailing slash and any percent-encoding.
    pub(super) fn find(method: &Method, path: &str) -> Result<Self, RequestError> {
        if let Some(rest) = path.strip_prefix(MY_INVITATIONS_PATH) {
            return Self::find_own(method, &segments(rest));
        }
        let rest = path.strip_prefix(INVITATIONS_PATH).ok_or(RequestError::UnknownPath)?;
        let segments = segments(rest);
        let segments: Vec<&str> = segments.iter().map(AsRef::as_ref).collect();
        match (segments.as_slice(), method.as_str()) {
            ([""], "POST") => Ok(Self::Create),
            ([""], "GET") => Ok(Self::List),
            ([""], _) => Err(RequestError::MethodNotAllowed { allow: "GET, POST" }),
            (["", "" | "." | "..", ..], _) => Err(RequestError::UnknownPath),
            (["", "bulk"], "POST") => Ok(Self::Bulk),
            (["", "bulk"], _) => Err(RequestError::MethodNotAllowed { allow: "POST" }),
            (["", id], "GET") => Ok(Self::Get(InvitationId::parse(id))),
            (["", id], "PATCH") => Ok(Self::Change(InvitationId::parse(id))),
            (["", id], "DELETE") => Ok(Self::Delete(InvitationId::parse(id))),
            (["", _], _) => Err(RequestError::MethodNotAllowed { allow: "DELETE, GET, PATCH" }),
            (["", id, "message"], "POST") => Ok(Self::Message(InvitationId::parse(id))),
            (["", id, "status"], "PUT") => Ok(Self::SetStatus(InvitationId::parse(id))),
            (["", _, "status"], _) => Err(RequestError::MethodNotAllowed { allow: "PUT" }),
            (["", id, "token", "verify"], "POST") => Ok(Self::VerifyToken(InvitationId::parse(id))),
            (["", _, "message"] | ["", _, "token", "verify"], _) => {
                Err(RequestError::MethodNotAllowed { allow: "POST" })
            }
            _ => Err(RequestError::UnknownPath),
        }
    }

    /// Finds the operation of a person on their own invitations.
    fn find_own(method: &Method, segments: &[Cow<'_, str>]) -> Result<Self, RequestError> {
        let segments: Vec<&str> = segments.iter().map(AsRef::as_ref).collect();
        match (segments.as_slice(), method.as_str()) {
            ([""], "GET") => Ok(Self::ListOwn),
            ([""], _) => Err(RequestError::MethodNotAllowed { allow: "GET" }),
            (["", "" | "." | "..", ..], _) => Err(RequestError::UnknownPath),
            (["", id, "status"], "PUT") => Ok(Self::SetOwnStatus(InvitationId::parse(id))),
            (["", _, "status"], _) => Err(RequestError::MethodNotAllowed { allow: "PUT" }),
            _ => Err(RequestError::UnknownPath),
        }
    }

    /// The name of the operation in the log and the metrics.
    pub(super) const fn operation(&self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Bulk => "bulk",
            Self::List => "list",
            Self::Get(_) => "get",
            Self::Change(_) => "change",
            Self::Delete(_) => "delete",
            Self::Message(_) => "message",
            Self::SetStatus(_) => "status",
            Self::VerifyToken(_) => "verify",
            Self::ListOwn => "my_list",
            Self::SetOwnStatus(_) => "my_status",
        }
    }

    /// The method and the path of the operation, with `{id}` for the invitation's id.
    pub(super) const fn endpoint(&self) -> (&'static str, &'static str) {
        match self {
            Self::Create => ("POST", "/api/organization-invitations"),
            Self::Bulk => ("POST", "/api/organization-invitations/bulk"),
            Self::List => ("GET", "/api/organization-invitations"),
            Self::Get(_) => ("GET", "/api/organization-invitations/{id}"),
            Self::Change(_) => ("PATCH", "/api/organization-invitations/{id}"),
            Self::Delete(_) => ("DELETE", "/api/organization-invitations/{id}"),
            Self::Message(_) => ("POST", "/api/organization-invitations/{id}/message"),
            Self::SetStatus(_) => ("PUT", "/api/organization-invitations/{id}/status"),
            Self::VerifyToken(_) => ("POST", "/api/organization-invitations/{id}/token/verify"),
            Self::ListOwn => ("GET", "/api/my-account/organization-invitations"),
            Self::SetOwnStatus(_) => ("PUT", "/api/my-account/organization-invitations/{id}/status"),
        }
    }

    pub(super) const fn invitation_id(&self) -> Option<&InvitationId> {
        match self {
            Self::Create | Self::Bulk | Self::List | Self::ListOwn => None,
            Self::Get(id)
            | Self::Change(id)
            | Self::Delete(id)
            | Self::Message(id)
            | Self::SetStatus(id)
            | Self::VerifyToken(id)
            | Self::SetOwnStatus(id) => id.as_ref(),
        }
    }
}

/// The decoded segments of the path after the collection's, beginning with the empty one before the first slash.
fn segments(rest: &str) -> Vec<Cow<'_, str>> {
    let rest = rest.strip_suffix('/').unwrap_or(rest);
    let segments = rest.split('/').take(MAX_SEGMENTS + 1);
    segments.map(|segment| percent_decode_str(segment).decode_utf8_lossy()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_and_methods_lead_to_operations() {
        const ID: &str = "0mwshl16meeoe2l4w0lik";
        let known = InvitationId::parse(ID);
        for (method, path, route) in [
            ("POST", "", Ok(Route::Create)),
            ("POST", "/", Ok(Route::Create)),
            ("POST", "/bulk", Ok(Route::Bulk)),
            ("POST", "/bul%6B/", Ok(Route::Bulk)),
            ("GET", "/bulk", Err("request.method_not_allowed")),
            ("POST", "/bulk/x", Err("entity.not_found")),
            ("GET", "", Ok(Route::List)),
            ("GET", &format!("/{ID}"), Ok(Route::Get(known.clone()))),
            ("GET", &format!("/{ID}/"), Ok(Route::Get(known.clone()))),
            ("GET", "/%30mwshl16meeoe2l4w0lik", Ok(Route::Get(known.clone()))),
            ("GET", "/unknown", Ok(Route::Get(None))),
            ("GET", "/%FF%00", Ok(Route::Get(None))),
            ("PATCH", &format!("/{ID}"), Ok(Route::Change(known.clone()))),
            ("DELETE", &format!("/{ID}"), Ok(Route::Delete(known.clone()))),
            ("POST", &format!("/{ID}/message"), Ok(Route::Message(known.clone()))),
            ("PUT", &format!("/{ID}/status/"), Ok(Route::SetStatus(known.clone()))),
            ("POST", &format!("/{ID}/token/verify"), Ok(Route::VerifyToken(known.clone()))),
            ("GET", &format!("/{ID}/token/verify"), Err("request.method_not_allowed")),
            ("POST", &format!("/{ID}/token"), Err("entity.not_found")),
            ("POST", &format!("/{ID}/token/verify/now"), Err("entity.not_found")),
            ("PATCH", "", Err("request.method_not_allowed")),
            ("HEAD", "", Err("request.method_not_allowed")),
            ("PUT", &format!("/{ID}"), Err("request.method_not_allowed")),
            ("GET", &format!("/{ID}/message"), Err("request.method_not_allowed")),
            ("POST", &format!("/{ID}/status"), Err("request.method_not_allowed")),
            ("POST", "//", Err("entity.not_found")),
            ("POST", "x", Err("entity.not_found")),
            ("GET", &format!("/{ID}/other"), Err("entity.not_found")),
            ("PUT", &format!("/{ID}/status/now"), Err("entity.not_found")),
            ("GET", &format!("//{ID}"), Err("entity.not_found")),
            ("GET", "/..", Err("entity.not_found")),
            ("GET", &format!("/%2F{ID}"), Ok(Route::Get(None))),
        ] {
            let found = Route::find(&method.parse().unwrap(), &format!("{INVITATIONS_PATH}{path}"));
            assert_eq!(found.map_err(|error| error.status_and_code().1), route, "{method} {path}");
        }
        for route in [
            Route::Create,
            Route::Bulk,
            Route::List,
            Route::Get(None),
            Route::Change(None),
            Route::Delete(None),
            Route::Message(None),
            Route::SetStatus(None),
            Route::VerifyToken(None),
            Route::ListOwn,
            Route::SetOwnStatus(None),
        ] {
            let (method, path) = route.endpoint();
            assert_eq!(Route::find(&method.parse().unwrap(), path).ok(), Some(route), "{method} {path}");
        }
        for (method, path, route) in [
            ("GET", "", Ok(Route::ListOwn)),
            ("GET", "/", Ok(Route::ListOwn)),
            ("POST", "", Err("request.method_not_allowed")),
            ("PUT", &format!("/{ID}/status"), Ok(Route::SetOwnStatus(known.clone()))),
            ("PUT", "/unknown/status/", Ok(Route::SetOwnStatus(None))),
            ("DELETE", &format!("/{ID}/status"), Err("request.method_not_allowed")),
            ("GET", &format!("/{ID}"), Err("entity.not_found")),
            ("PUT", "//status", Err("entity.not_found")),
            ("GET", "x", Err("entity.not_found")),
            ("POST", &format!("/{ID}/token/verify"), Err("entity.not_found")),
        ] {
            let path = format!("{MY_INVITATIONS_PATH}{path}");
            let found = Route::find(&method.parse().unwrap(), &path);
            assert_eq!(found.map_err(|error| error.status_and_code().1), route, "{method} {path}");
            assert_eq!(Route::door(&path), Door::MyAccount, "{path}");
        }
        for path in ["", "/", "/api", "/api/organization-invitation", "/API/organization-invitations"] {
            assert!(matches!(Route::find(&Method::GET, path), Err(RequestError::UnknownPath)), "{path}");
        }
    }
}

//! The one table from errors to responses: status, code, headers and body.
//!
//! The rows follow the contract's "Outcomes, in the order in which they are decided".

use lambda_http::http::{HeaderName, HeaderValue, StatusCode, header};
use serde::Serialize;

use crate::domain::{
    error::{Error, UnknownReferences},
    ids::InvitationId,
};

/// A failed request: one that is not fit for a use case, or whose use case failed.
#[derive(Debug, thiserror::Error)]
pub enum RequestError {
    /// No authorizer ran in front of the function.
    #[error("The request is not authenticated.")]
    Unauthorized,
    /// The caller's claims name no tenant, or no possible one.
    #[error("The token does not name a tenant.")]
    NoTenant,
    /// The caller holds none of the scopes and groups that may use the API.
    #[error("The token does not allow this.")]
    Forbidden,
    /// No such path.
    #[error("There is nothing at this path.")]
    UnknownPath,
    /// The path exists, but not with this method.
    #[error("This path does not support the method.")]
    MethodNotAllowed {
        /// The methods that the path supports, as the `Allow` header lists them.
        allow: &'static str,
    },
    /// `page_size` or `cursor` is not one that a list can use, or a page is asked for by its number.
    #[error("The page size or the cursor is invalid.")]
    InvalidPagination,
    /// The query is not what the operation takes.
    #[error("The query is invalid.")]
    InvalidQuery {
        /// Every violation, in the order in which the operation's parameters are documented.
        issues: Vec<Issue>,
    },
    /// An unpaged list is longer than one answer can be.
    #[error("The list is too long for one answer; ask for pages with page_size.")]
    ListTooLong,
    /// An invitation was to be accepted by nobody.
    #[error("Accepting an invitation takes the id of the user who accepts it.")]
    NoAcceptingUser,
    /// The `Idempotency-Key` is none.
    #[error("The Idempotency-Key has to be 1 to 255 visible ASCII characters.")]
    InvalidIdempotencyKey,
    /// The body is larger than 1 MiB.
    #[error("The request body is larger than 1 MiB.")]
    BodyTooLarge,
    /// The body cannot be read as JSON.
    #[error("The request body is not valid JSON.")]
    UnreadableBody {
        /// What is wrong, and where.
        details: String,
    },
    /// The body comes with a content type that is not JSON.
    #[error("The content type of the request body has to be application/json or application/*+json.")]
    WrongContentType,
    /// The body is JSON, but not what the operation takes.
    #[error("The request body is invalid.")]
    InvalidBody {
        /// Every violation, in the order of the contract's body table.
        issues: Vec<Issue>,
    },
    /// The use case failed.
    #[error(transparent)]
    UseCase(#[from] Error),
}

/// One violation of what a body must look like, in the form of the clients' validation library (zod).
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Issue {
    /// zod's name for the kind of violation.
    pub code: IssueCode,
    /// The way to the value: object keys and array indices.
    pub path: Vec<PathSegment>,
    /// One sentence about it.
    pub message: String,
}

/// zod's names for kinds of violations.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the names are zod's and say it all")]
pub enum IssueCode {
    InvalidType,
    InvalidString,
    TooSmall,
    TooBig,
    InvalidEnumValue,
    InvalidUnion,
}

impl IssueCode {
    /// The code as it is written in an answer.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::InvalidType => "invalid_type",
            Self::InvalidString => "invalid_string",
            Self::TooSmall => "too_small",
            Self::TooBig => "too_big",
            Self::InvalidEnumValue => "invalid_enum_value",
            Self::InvalidUnion => "invalid_union",
        }
    }

    /// The code that is written so. Every rule of ours writes one of them.
    pub fn parse(text: &str) -> Self {
        use IssueCode::{InvalidEnumValue, InvalidString, InvalidType, InvalidUnion, TooBig, TooSmall};
        let codes = [InvalidString, TooSmall, TooBig, InvalidEnumValue, InvalidUnion];
        codes.into_iter().find(|code| code.as_str() == text).unwrap_or(InvalidType)
    }
}

/// One step on the way to a value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum PathSegment {
    /// A key of an object.
    Key(String),
    /// An index of an array.
    Index(usize),
}

/// The JSON of a failed request. Absent keys are absent, not null.
#[derive(Debug, Serialize)]
pub struct ErrorBody<'a> {
    code: &'static str,
    message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<ErrorData<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    details: Option<String>,
}

/// What a program may want to know of a failure.
#[derive(Debug, Serialize)]
#[serde(untagged, rename_all_fields = "camelCase")]
enum ErrorData<'a> {
    Issues { issues: &'a [Issue] },
    Invitation { invitation_id: &'a InvitationId },
    Unknown(&'a UnknownReferences),
    Missing { missing: &'a [String] },
}

impl RequestError {
    /// The status and the code of the response: the table.
    pub const fn status_and_code(&self) -> (StatusCode, &'static str) {
        use StatusCode as S;
        match self {
            Self::Unauthorized => (S::UNAUTHORIZED, "auth.unauthorized"),
            Self::NoTenant => (S::FORBIDDEN, "guard.can_not_get_tenant_id"),
            Self::Forbidden => (S::FORBIDDEN, "auth.forbidden"),
            Self::UnknownPath => (S::NOT_FOUND, "entity.not_found"),
            Self::InvalidPagination | Self::ListTooLong => (S::BAD_REQUEST, "guard.invalid_pagination"),
            Self::MethodNotAllowed { .. } => (S::METHOD_NOT_ALLOWED, "request.method_not_allowed"),
            Self::BodyTooLarge => (S::PAYLOAD_TOO_LARGE, "request.invalid_input"),
            Self::InvalidIdempotencyKey | Self::UnreadableBody { .. } | Self::WrongContentType => {
                (S::BAD_REQUEST, "request.invalid_input")
            }
            Self::InvalidBody { .. } | Self::InvalidQuery { .. } => (S::BAD_REQUEST, "guard.invalid_input"),
            Self::NoAcceptingUser => (S::UNPROCESSABLE_ENTITY, "request.invalid_input"),
            Self::UseCase(error) => status_and_code(error),
        }
    }

    /// The failure of the use case, where it is one.
    pub const fn use_case(&self) -> Option<&Error> {
        match self {
            Self::UseCase(error) => Some(error),
            _ => None,
        }
    }

    /// The body of the response.
    pub fn body(&self) -> ErrorBody<'_> {
        let code = self.status_and_code().1;
        ErrorBody { code, message: self.to_string(), data: self.data(), details: self.details() }
    }

    /// A header that belongs to the response, where there is one.
    pub fn header(&self) -> Option<(HeaderName, HeaderValue)> {
        match self {
            Self::Unauthorized => Some((header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"))),
            Self::MethodNotAllowed { allow } => Some((header::ALLOW, HeaderValue::from_static(allow))),
            _ => {
                let seconds = self.use_case().and_then(Error::retry_after)?;
                Some((header::RETRY_AFTER, HeaderValue::from(seconds)))
            }
        }
    }

    fn data(&self) -> Option<ErrorData<'_>> {
        match self {
            Self::InvalidBody { issues } | Self::InvalidQuery { issues } => Some(ErrorData::Issues { issues }),
            Self::UseCase(error) => data(error),
            _ => None,
        }
    }

    fn details(&self) -> Option<String> {
        match self {
            Self::UnreadableBody { details } => Some(details.clone()),
            Self::WrongContentType => Some("Cannot read the body: the content type is not JSON.".to_owned()),
            Self::InvalidBody { issues } | Self::InvalidQuery { issues } => {
                Some(issues.iter().map(Issue::line).collect::<Vec<_>>().join("\n"))
            }
            _ => None,
        }
    }
}

/// The rows of the use cases' failures.
const fn status_and_code(error: &Error) -> (StatusCode, &'static str) {
    use StatusCode as S;
    match error {
        Error::UnknownInvitation | Error::UnknownUser => (S::NOT_FOUND, "entity.not_found"),
        Error::ExpiresInPast => (S::BAD_REQUEST, "request.invalid_input"),
        Error::IdempotencyKeyReused => (S::UNPROCESSABLE_ENTITY, "request.idempotency_key_reused"),
        Error::StillRunning { .. } => (S::CONFLICT, "request.idempotency_in_progress"),
        Error::AddressTooLong | Error::RolesTooLong => (S::UNPROCESSABLE_ENTITY, "entity.value_too_long"),
        Error::AlreadyMember | Error::InvitationEnded | Error::AnotherInvitee => {
            (S::UNPROCESSABLE_ENTITY, "request.invalid_input")
        }
        Error::AlreadyInvited { .. } => (S::UNPROCESSABLE_ENTITY, "entity.unique_integrity_violation"),
        Error::UnknownReferences(_) => (S::UNPROCESSABLE_ENTITY, "entity.relation_foreign_key_not_found"),
        Error::NoConnector => (S::NOT_IMPLEMENTED, "connector.not_found"),
        Error::NoTemplate => (S::BAD_REQUEST, "connector.template_not_found"),
        Error::InvalidConnector { .. } | Error::InvalidTemplate { .. } => (S::BAD_REQUEST, "connector.invalid_config"),
        Error::MessageRateLimited { .. } => (S::TOO_MANY_REQUESTS, "request.message_rate_limited"),
        Error::MissingVariables { .. } => (S::BAD_REQUEST, "connector.insufficient_request_parameters"),
        Error::LinkSchemeRefused
        | Error::LinkNotAllowed
        | Error::CodeNotAllowed
        | Error::MessageTooComplex
        | Error::MessageTooLong => (S::BAD_REQUEST, "connector.invalid_request_parameters"),
        Error::MailRefused { .. } => (S::BAD_REQUEST, "connector.invalid_response"),
        Error::MailThrottled { .. } => (S::TOO_MANY_REQUESTS, "connector.rate_limit_exceeded"),
        Error::MailUnavailable { .. } => (S::SERVICE_UNAVAILABLE, "connector.general"),
        Error::StoreUnavailable { .. } => (S::SERVICE_UNAVAILABLE, "service.unavailable"),
        Error::Internal { .. } => (S::INTERNAL_SERVER_ERROR, "service.internal"),
    }
}

/// The data of the use cases' failures.
const fn data(error: &Error) -> Option<ErrorData<'_>> {
    match error {
        Error::AlreadyInvited { invitation_id: Some(invitation_id) } => Some(ErrorData::Invitation { invitation_id }),
        Error::UnknownReferences(references) => Some(ErrorData::Unknown(references)),
        Error::MissingVariables { names } => Some(ErrorData::Missing { missing: names.as_slice() }),
        _ => None,
    }
}

impl Issue {
    fn line(&self) -> String {
        let path: Vec<String> = self.path.iter().map(PathSegment::to_string).collect();
        format!("Error in key path \"{}\": ({}) {}", path.join("."), self.code.as_str(), self.message)
    }
}

impl std::fmt::Display for PathSegment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Key(key) => f.write_str(key),
            Self::Index(index) => index.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_says_what_is_wrong_in_the_contracts_form_and_order() {
        let path = vec![PathSegment::Key("organizationRoleIds".to_owned()), PathSegment::Index(1)];
        let issue =
            Issue { code: IssueCode::InvalidType, path, message: "Expected string, received number".to_owned() };
        let expected = concat!(
            r#"{"code":"guard.invalid_input","message":"The request body is invalid.","data":{"issues":["#,
            r#"{"code":"invalid_type","path":["organizationRoleIds",1],"message":"Expected string, received number"}]},"#,
            r#""details":"Error in key path \"organizationRoleIds.1\": (invalid_type) Expected string, received number"}"#,
        );
        assert_eq!(serde_json::to_string(&RequestError::InvalidBody { issues: vec![issue] }.body()).unwrap(), expected);
        let id = InvitationId::parse("0mwshl16meeoe2l4w0lik");
        let body =
            serde_json::to_string(&RequestError::from(Error::AlreadyInvited { invitation_id: id }).body()).unwrap();
        assert!(body.ends_with(r#""data":{"invitationId":"0mwshl16meeoe2l4w0lik"}}"#), "{body}");
    }
}

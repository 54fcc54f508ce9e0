//! The table from errors to responses: status, code, headers and body.
//!
//! The rows follow the contract's "Outcomes, in the order in which they are decided".

use lambda_http::http::{HeaderName, HeaderValue, StatusCode, header};
use serde::Serialize;

use crate::domain::{
    error::{Error, UnknownReferences},
    ids::InvitationId,
};

/// A failed request: an invalid one, or one whose use case failed.
#[derive(Debug, thiserror::Error)]
pub enum RequestError {
    /// The event has no output of an authorizer.
    #[error("The request is not authenticated.")]
    Unauthorized,
    /// The caller's claims have no tenant or an invalid one.
    #[error("The token does not name a tenant.")]
    NoTenant,
    /// The caller has none of the allowed scopes and groups.
    #[error("The token has none of the allowed scopes and groups.")]
    Forbidden,
    /// The token is not that of a person with a verified address.
    #[error("The token has to name a person: with sub, email, and email_verified that is true.")]
    NotAPerson,
    /// The person's subject cannot be the id of a user.
    #[error("The token's sub cannot be the id of a user of this service.")]
    UnusableSubject,
    /// The path does not exist.
    #[error("There is nothing at this path.")]
    UnknownPath,
    /// The path exists but does not support the method.
    #[error("This path does not support the method.")]
    MethodNotAllowed {
        /// The methods that the path supports, as the `Allow` header lists them.
        allow: &'static str,
    },
    /// `page_size` or `cursor` is invalid or missing, or a page is requested by its number. The text is the message.
    #[error("{0}")]
    InvalidPagination(&'static str),
    /// The query is invalid.
    #[error("The query is invalid.")]
    InvalidQuery {
        /// Every violation, in the order in which the operation's parameters are documented.
        issues: Vec<Issue>,
    },
    /// An unpaged list exceeds the size of a response.
    #[error("The list is too long for one answer; ask for pages with page_size.")]
    ListTooLong,
    /// An acceptance has no user.
    #[error("Accepting an invitation takes the id of the user who accepts it.")]
    NoAcceptingUser,
    /// The `Idempotency-Key` is invalid.
    #[error("The Idempotency-Key has to be 1 to 255 visible ASCII characters.")]
    InvalidIdempotencyKey,
    /// The body is larger than 1 MiB.
    #[error("The request body is larger than 1 MiB.")]
    BodyTooLarge,
    /// The body cannot be read as JSON.
    #[error("The request body is not valid JSON.")]
    UnreadableBody {
        /// The error and its position.
        details: String,
    },
    /// The content type of the body is not JSON.
    #[error("The content type of the request body has to be application/json or application/*+json.")]
    WrongContentType,
    /// The body is JSON but violates the rules of the operation.
    #[error("The request body is invalid.")]
    InvalidBody {
        /// Every violation, in the order of the contract's body table.
        issues: Vec<Issue>,
    },
    /// The use case failed.
    #[error(transparent)]
    UseCase(#[from] Error),
}

/// One violation of the rules for a body, in the form of the clients' validation library (zod).
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Issue {
    /// zod's code of the violation.
    pub code: IssueCode,
    /// The path to the value: object keys and array indices.
    pub path: Vec<PathSegment>,
    /// A sentence that describes the violation.
    pub message: String,
}

/// zod's codes of violations.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the names are zod's")]
pub enum IssueCode {
    InvalidType,
    InvalidString,
    TooSmall,
    TooBig,
    InvalidEnumValue,
    InvalidUnion,
}

impl IssueCode {
    /// The code in a response.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::InvalidType => "invalid_type",
            Self::InvalidString => "invalid_string",
            Self::TooSmall => "too_small",
            Self::TooBig => "too_big",
            Self::InvalidEnumValue => "invalid_enum_value",
            Self::InvalidUnion => "invalid_union",
        }
    }

    /// Parses a code. Falls back to `invalid_type`, although every rule in this crate writes a known code.
    pub(crate) fn parse(text: &str) -> Self {
        use IssueCode::{InvalidEnumValue, InvalidString, InvalidType, InvalidUnion, TooBig, TooSmall};
        let codes = [InvalidString, TooSmall, TooBig, InvalidEnumValue, InvalidUnion];
        codes.into_iter().find(|code| code.as_str() == text).unwrap_or(InvalidType)
    }
}

/// One segment of the path to a value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum PathSegment {
    /// A key of an object.
    Key(String),
    /// An index of an array.
    Index(usize),
}

/// The JSON of a failed request. Absent values have no key.
#[derive(Debug, Serialize)]
pub(crate) struct ErrorBody<'a> {
    code: &'static str,
    message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<ErrorData<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    details: Option<String>,
}

impl ErrorBody<'_> {
    /// The code and the message alone.
    pub(crate) fn without_details(self) -> Self {
        Self { data: None, details: None, ..self }
    }
}

/// The machine-readable data of a failure.
#[derive(Debug, Serialize)]
#[serde(untagged, rename_all_fields = "camelCase")]
enum ErrorData<'a> {
    Issues { issues: &'a [Issue] },
    Invitation { invitation_id: &'a InvitationId },
    Unknown(&'a UnknownReferences),
    Missing { missing: &'a [String] },
}

impl RequestError {
    /// The table: the status and the code of the response.
    pub const fn status_and_code(&self) -> (StatusCode, &'static str) {
        use StatusCode as S;
        match self {
            Self::Unauthorized => (S::UNAUTHORIZED, "auth.unauthorized"),
            Self::NoTenant => (S::FORBIDDEN, "guard.can_not_get_tenant_id"),
            Self::Forbidden | Self::NotAPerson | Self::UnusableSubject => (S::FORBIDDEN, "auth.forbidden"),
            Self::UnknownPath => (S::NOT_FOUND, "entity.not_found"),
            Self::InvalidPagination(_) | Self::ListTooLong => (S::BAD_REQUEST, "guard.invalid_pagination"),
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

    /// The failure of the use case, if it is one.
    pub(crate) const fn use_case(&self) -> Option<&Error> {
        match self {
            Self::UseCase(error) => Some(error),
            _ => None,
        }
    }

    /// The body of the response.
    pub(crate) fn body(&self) -> ErrorBody<'_> {
        let code = self.status_and_code().1;
        ErrorBody { code, message: self.to_string(), data: self.data(), details: self.details() }
    }

    /// The additional header of the response, if any.
    pub(crate) fn header(&self) -> Option<(HeaderName, HeaderValue)> {
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
            Self::UseCase(Error::ExpiresInPast { looks_like_seconds: true }) => {
                Some("expiresAt is in milliseconds since the epoch; the given number looks like seconds.".to_owned())
            }
            _ => None,
        }
    }
}

/// The rows for the failures of the use cases.
const fn status_and_code(error: &Error) -> (StatusCode, &'static str) {
    use StatusCode as S;
    match error {
        Error::UnknownInvitation | Error::UnknownUser => (S::NOT_FOUND, "entity.not_found"),
        Error::ExpiresInPast { .. } => (S::BAD_REQUEST, "request.invalid_input"),
        Error::IdempotencyKeyReused => (S::UNPROCESSABLE_ENTITY, "request.idempotency_key_reused"),
        Error::StillRunning { .. } => (S::CONFLICT, "request.idempotency_in_progress"),
        Error::AddressTooLong | Error::RolesTooLong => (S::UNPROCESSABLE_ENTITY, "entity.value_too_long"),
        Error::AlreadyMember | Error::InvitationEnded | Error::AnotherInvitee | Error::WrongToken => {
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
        | Error::TokenLinkNotAllowed
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

/// The data for the failures of the use cases.
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
    fn an_error_body_has_the_contracts_form_and_order() {
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

//! Every way in which a request can fail, and the one table that turns each into a status, a code and a message.
//!
//! The rows follow the contract's "Outcomes, in the order in which they are decided". A message is written for the
//! caller; what only the operator should see travels in `cause` and is logged, once, by the handler.

use lambda_http::http::{HeaderName, HeaderValue, StatusCode, header};
use serde::Serialize;

use crate::invitation::InvitationId;

/// A failed request.
#[derive(Debug, thiserror::Error)]
pub enum Error {
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
    /// The tenant has no such invitation.
    #[error("The invitation does not exist.")]
    UnknownInvitation,
    /// The invitation is accepted, expired or revoked.
    #[error("The invitation has already been accepted or revoked, or has expired.")]
    InvitationEnded,
    /// An invitation was to be accepted by nobody.
    #[error("Accepting an invitation takes the id of the user who accepts it.")]
    NoAcceptingUser,
    /// The tenant has no such user.
    #[error("The user does not exist.")]
    UnknownUser,
    /// The user who accepts has another address than the one that was invited.
    #[error("The invitation is for another e-mail address than the user's.")]
    AnotherInvitee,
    /// The `Idempotency-Key` is none.
    #[error("The Idempotency-Key has to be 1 to 255 visible ASCII characters.")]
    InvalidIdempotencyKey,
    /// The `Idempotency-Key` was given to another request before.
    #[error("The Idempotency-Key has been used for another request.")]
    IdempotencyKeyReused,
    /// The request is being answered already.
    #[error("The first request with this Idempotency-Key has not been answered yet.")]
    StillRunning {
        /// Seconds until it certainly has ended.
        retry_after: u64,
    },
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
    /// `expiresAt` is not in the future.
    #[error("The expiration date must be in the future.")]
    ExpiresInPast,
    /// The invitee's address is longer than can be stored.
    #[error("The e-mail address is longer than 256 characters.")]
    AddressTooLong,
    /// The invitation would be larger than what can be stored, because of its roles' names.
    #[error("The names of the roles are too long to be stored with an invitation.")]
    RolesTooLong,
    /// The invitee is a member already.
    #[error("The invitee is already a member of the organization.")]
    AlreadyMember,
    /// A pending invitation for the same invitee and organization exists.
    #[error("A pending invitation for this invitee and organization already exists.")]
    AlreadyInvited {
        /// That invitation, where the table tells.
        invitation_id: Option<InvitationId>,
    },
    /// Something that the request refers to does not exist in the tenant.
    #[error("The request refers to something that does not exist.")]
    UnknownReferences(UnknownReferences),
    /// Mail was asked for and nothing is configured to send it.
    #[error("No email connector is configured for the tenant.")]
    NoConnector,
    /// The tenant has an email connector that cannot be used.
    #[error("The tenant's email connector is invalid.")]
    InvalidConnector {
        /// The attribute that is at fault, for the operator. Holds no value.
        cause: String,
    },
    /// The connector has no template for the locale asked for, nor for its default locale.
    #[error("The email connector has no template for this message.")]
    NoTemplate,
    /// The connector's template cannot be rendered.
    #[error("The email connector's template is invalid.")]
    InvalidTemplate {
        /// What is wrong with it, for the operator.
        cause: String,
    },
    /// The recipient has had as much mail as one may get for now.
    #[error("Too many messages have been sent to this recipient.")]
    MessageRateLimited {
        /// Seconds until one more message may be sent.
        retry_after: u64,
    },
    /// The template needs variables that neither the payload nor the directory has.
    #[error("{}", missing_variables(names))]
    MissingVariables {
        /// Their names, as dotted paths.
        names: Vec<String>,
    },
    /// The link is not on one of the hosts that the connector allows.
    #[error("The link does not lead to a host that the email connector allows.")]
    LinkNotAllowed,
    /// The link's scheme runs code or reads local content.
    #[error("The link has a scheme that is not allowed in a message.")]
    LinkSchemeRefused,
    /// The code could be taken for an address, which the connector's list of link hosts is to prevent.
    #[error("The code has to be one line of at most 64 characters, without '/', ':' and '@'.")]
    CodeNotAllowed,
    /// Rendering the message would take more steps than one request may cost.
    #[error("The message would take too many steps to render.")]
    MessageTooComplex,
    /// A part of the message would be longer than 1 MiB.
    #[error("The message would be longer than 1 MiB.")]
    MessageTooLong,
    /// SES will not accept the message, however often it is sent.
    #[error("The email service refused the message.")]
    MailRefused {
        /// What SES said, for the operator.
        cause: String,
    },
    /// SES is accepting less mail than is being sent.
    #[error("The email service is accepting no more messages at the moment.")]
    MailThrottled {
        /// What SES said, for the operator.
        cause: String,
    },
    /// SES cannot be reached, or fails.
    #[error("The email service is not available.")]
    MailUnavailable {
        /// What happened, for the operator.
        cause: String,
    },
    /// DynamoDB throttles, fails or cannot be reached.
    #[error("The service is temporarily unavailable.")]
    StoreUnavailable {
        /// What happened, for the operator.
        cause: String,
    },
    /// A fault of the service that no caller can mend and no retry helps: a row that cannot be read, a request that
    /// DynamoDB rejects as invalid, no randomness.
    #[error("The service has an internal fault.")]
    Internal {
        /// The fault, for the operator. Names no person.
        cause: String,
    },
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

/// What a request refers to in vain. Serialized as the `data` of the answer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct UnknownReferences {
    /// The organization, when it does not exist.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub organization_id: Option<String>,
    /// The inviter, when they do not exist.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub inviter_id: Option<String>,
    /// The roles that do not exist.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub organization_role_ids: Vec<String>,
}

impl UnknownReferences {
    /// Whether everything exists.
    pub fn is_empty(&self) -> bool {
        self == &Self::default()
    }
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

/// Seconds that a caller should wait after a failure that may pass at any moment.
const RETRY_SOON: u64 = 1;

impl Error {
    /// The status and the code of the answer: the table.
    pub const fn status_and_code(&self) -> (StatusCode, &'static str) {
        use StatusCode as S;
        match self {
            Self::Unauthorized => (S::UNAUTHORIZED, "auth.unauthorized"),
            Self::NoTenant => (S::FORBIDDEN, "guard.can_not_get_tenant_id"),
            Self::Forbidden => (S::FORBIDDEN, "auth.forbidden"),
            Self::UnknownPath | Self::UnknownInvitation | Self::UnknownUser => (S::NOT_FOUND, "entity.not_found"),
            Self::InvalidPagination | Self::ListTooLong => (S::BAD_REQUEST, "guard.invalid_pagination"),
            Self::MethodNotAllowed { .. } => (S::METHOD_NOT_ALLOWED, "request.method_not_allowed"),
            Self::BodyTooLarge => (S::PAYLOAD_TOO_LARGE, "request.invalid_input"),
            Self::InvalidIdempotencyKey
            | Self::UnreadableBody { .. }
            | Self::WrongContentType
            | Self::ExpiresInPast => (S::BAD_REQUEST, "request.invalid_input"),
            Self::IdempotencyKeyReused => (S::UNPROCESSABLE_ENTITY, "request.idempotency_key_reused"),
            Self::StillRunning { .. } => (S::CONFLICT, "request.idempotency_in_progress"),
            Self::InvalidBody { .. } | Self::InvalidQuery { .. } => (S::BAD_REQUEST, "guard.invalid_input"),
            Self::AddressTooLong | Self::RolesTooLong => (S::UNPROCESSABLE_ENTITY, "entity.value_too_long"),
            Self::AlreadyMember | Self::InvitationEnded | Self::NoAcceptingUser | Self::AnotherInvitee => {
                (S::UNPROCESSABLE_ENTITY, "request.invalid_input")
            }
            Self::AlreadyInvited { .. } => (S::UNPROCESSABLE_ENTITY, "entity.unique_integrity_violation"),
            Self::UnknownReferences(_) => (S::UNPROCESSABLE_ENTITY, "entity.relation_foreign_key_not_found"),
            Self::NoConnector => (S::NOT_IMPLEMENTED, "connector.not_found"),
            Self::NoTemplate => (S::BAD_REQUEST, "connector.template_not_found"),
            Self::InvalidConnector { .. } | Self::InvalidTemplate { .. } => {
                (S::BAD_REQUEST, "connector.invalid_config")
            }
            Self::MessageRateLimited { .. } => (S::TOO_MANY_REQUESTS, "request.message_rate_limited"),
            Self::MissingVariables { .. } => (S::BAD_REQUEST, "connector.insufficient_request_parameters"),
            Self::LinkSchemeRefused
            | Self::LinkNotAllowed
            | Self::CodeNotAllowed
            | Self::MessageTooComplex
            | Self::MessageTooLong => (S::BAD_REQUEST, "connector.invalid_request_parameters"),
            Self::MailRefused { .. } => (S::BAD_REQUEST, "connector.invalid_response"),
            Self::MailThrottled { .. } => (S::TOO_MANY_REQUESTS, "connector.rate_limit_exceeded"),
            Self::MailUnavailable { .. } => (S::SERVICE_UNAVAILABLE, "connector.general"),
            Self::StoreUnavailable { .. } => (S::SERVICE_UNAVAILABLE, "service.unavailable"),
            Self::Internal { .. } => (S::INTERNAL_SERVER_ERROR, "service.internal"),
        }
    }

    /// The body of the answer.
    pub fn body(&self) -> ErrorBody<'_> {
        let code = self.status_and_code().1;
        ErrorBody { code, message: self.to_string(), data: self.data(), details: self.details() }
    }

    /// A header that belongs to the answer, where there is one.
    pub fn header(&self) -> Option<(HeaderName, HeaderValue)> {
        match self {
            Self::Unauthorized => Some((header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"))),
            Self::MethodNotAllowed { allow } => Some((header::ALLOW, HeaderValue::from_static(allow))),
            _ => self.retry_after().map(|seconds| (header::RETRY_AFTER, HeaderValue::from(seconds))),
        }
    }

    /// What only the operator should see.
    pub fn cause(&self) -> Option<&str> {
        match self {
            Self::InvalidConnector { cause }
            | Self::InvalidTemplate { cause }
            | Self::MailRefused { cause }
            | Self::MailThrottled { cause }
            | Self::MailUnavailable { cause }
            | Self::StoreUnavailable { cause }
            | Self::Internal { cause } => Some(cause),
            _ => None,
        }
    }

    /// Whether the request failed through no fault of its own, so that nothing was decided about it.
    pub const fn is_fault_of_service(&self) -> bool {
        matches!(self, Self::StoreUnavailable { .. } | Self::Internal { .. })
    }

    /// Whether the contract decides this before the rate limit, although it is known after it could be.
    pub const fn precedes_rate_limit(&self) -> bool {
        matches!(
            self,
            Self::UnknownReferences(_) | Self::RolesTooLong | Self::NoConnector | Self::InvalidConnector { .. }
        )
    }

    /// Seconds after which the same request may succeed.
    const fn retry_after(&self) -> Option<u64> {
        match self {
            Self::MessageRateLimited { retry_after } | Self::StillRunning { retry_after } => Some(*retry_after),
            Self::MailThrottled { .. } | Self::MailUnavailable { .. } | Self::StoreUnavailable { .. } => {
                Some(RETRY_SOON)
            }
            _ => None,
        }
    }

    fn data(&self) -> Option<ErrorData<'_>> {
        match self {
            Self::InvalidBody { issues } | Self::InvalidQuery { issues } => Some(ErrorData::Issues { issues }),
            Self::AlreadyInvited { invitation_id: Some(invitation_id) } => {
                Some(ErrorData::Invitation { invitation_id })
            }
            Self::UnknownReferences(references) => Some(ErrorData::Unknown(references)),
            Self::MissingVariables { names } => Some(ErrorData::Missing { missing: names }),
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

/// Tells apart what the caller can supply from what the directory would have to, since a payload cannot override it.
fn missing_variables(names: &[String]) -> &'static str {
    let of_the_directory = names.iter().filter(|name| belongs_to_the_directory(name)).count();
    if of_the_directory == 0 {
        "The message payload lacks variables that the template needs."
    } else if of_the_directory == names.len() {
        "The directory lacks variables that the template needs, which a message payload cannot supply."
    } else {
        "The message payload lacks variables that the template needs, and so does the directory, for which a message \
         payload cannot stand in."
    }
}

/// `organization.name` and the like, also where a template writes `@root.organization.name`.
fn belongs_to_the_directory(name: &str) -> bool {
    let mut steps = name.split(['.', '/']).filter(|step| !matches!(*step, "" | "this" | "@root"));
    steps.next().is_some_and(|first| ["organization", "inviter", "invitation"].contains(&first))
}

impl From<getrandom::Error> for Error {
    /// Without randomness nothing can be created.
    fn from(error: getrandom::Error) -> Self {
        Self::Internal { cause: format!("randomness: {error}") }
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
        assert_eq!(serde_json::to_string(&Error::InvalidBody { issues: vec![issue] }.body()).unwrap(), expected);
        let id = InvitationId::parse("0mwshl16meeoe2l4w0lik");
        let body = serde_json::to_string(&Error::AlreadyInvited { invitation_id: id }.body()).unwrap();
        assert!(body.ends_with(r#""data":{"invitationId":"0mwshl16meeoe2l4w0lik"}}"#), "{body}");
    }

    #[test]
    fn what_the_payload_lacks_is_told_apart_from_what_the_directory_lacks() {
        const PAYLOAD: &str = "The message payload lacks";
        const DIRECTORY: &str = "The directory lacks";
        for (names, expected, reason) in [
            (vec!["link"], PAYLOAD, "the caller's"),
            (vec!["link", "inviterName"], PAYLOAD, "a name that only begins alike"),
            (vec!["inviter.name"], DIRECTORY, "an inviter without a name"),
            (vec!["organization.branding.colour"], DIRECTORY, "an organization without branding"),
            (
                vec!["this.inviter.name", "../organization.x", "@root.invitation.x"],
                DIRECTORY,
                "other paths to the same",
            ),
            (vec!["link", "inviter.name"], "and so does the directory", "both"),
        ] {
            let names = names.into_iter().map(str::to_owned).collect();
            let error = Error::MissingVariables { names };
            assert!(error.to_string().contains(expected), "{reason}: {error}");
        }
    }
}

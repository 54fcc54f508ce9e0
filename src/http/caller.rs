//! The caller, from the output of API Gateway's authorizer alone.
//!
//! The authorizers put their output in different places, and render lists differently:
//!
//! | authorizer | place | form of a list |
//! |---|---|---|
//! | HTTP API, JWT | `authorizer.jwt.claims` | `"[a b]"` |
//! | HTTP API, Lambda | `authorizer.lambda` | as the authorizer returned it |
//! | REST API, Cognito user pool | `authorizer.claims` | `"a,b"` |
//! | REST API, Lambda | `authorizer` itself | a string of the authorizer's choice |

use serde_json::{Map, Value, json};

use crate::{
    config::Config,
    domain::{
        email_address::NormalizedAddress,
        ids::{DirectoryId, TenantId},
        person::Person,
    },
    http::{
        error::RequestError,
        event::Event,
        route::{Door, Route},
    },
    json::Json,
};

/// The scope claims: `scope` (RFC 8693), and `scp` of Okta (an array) and Microsoft Entra (one string).
const SCOPE_CLAIMS: [&str; 2] = ["scope", "scp"];

/// Cognito's group claim. Group names contain no spaces (`GroupName` in Cognito's API reference).
const COGNITO_GROUPS: &str = "cognito:groups";

/// The group claims: Cognito's, and that of other issuers.
const GROUP_CLAIMS: [&str; 2] = [COGNITO_GROUPS, "groups"];

/// The log text at the start when `ALLOWED_GROUPS` is set.
pub const GROUPS_NOTE: &str = "ALLOWED_GROUPS is set: an HTTP API's JWT authorizer renders a list as [a b], which \
    grants nothing unless the claim is cognito:groups; for Okta, Microsoft Entra, Auth0 and other issuers use \
    ALLOWED_SCOPES";

/// The claims that identify the caller: the subject (RFC 7519), the client of a token without a subject, and the
/// principal of a REST API's Lambda authorizer.
pub(crate) const SUBJECT_CLAIMS: [&str; 4] = ["sub", "client_id", "azp", "principalId"];

/// An authorized caller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The tenant of the caller, and the only one that the request can access.
    pub tenant: TenantId,
    /// The identity of the caller within the tenant: a JSON text of the issuer and the first of [`SUBJECT_CLAIMS`] in
    /// the token, unique for each combination of issuer, claim and value. Callers without such a claim share one
    /// subject.
    pub subject: String,
    /// The person; `None` outside the routes for people.
    pub person: Option<Person>,
}

impl Caller {
    /// Reads the caller of a request by the rule of its path's [`Door`].
    ///
    /// # Errors
    /// Those of [`Caller::from_authorizer`] and [`Caller::person_from_authorizer`].
    pub fn of(event: &Event, config: &Config) -> Result<Self, RequestError> {
        match Route::door(&event.path) {
            Door::Management => Self::from_authorizer(&event.authorizer, config),
            Door::MyAccount => Self::person_from_authorizer(&event.authorizer, config),
        }
    }

    /// Reads the caller from the authorizer's output.
    ///
    /// # Errors
    /// [`RequestError::Unauthorized`] without output, [`RequestError::NoTenant`] without a valid tenant, and
    /// [`RequestError::Forbidden`] without an allowed scope or group.
    pub fn from_authorizer(authorizer: &Value, config: &Config) -> Result<Self, RequestError> {
        let (claims, list_form) = claims(authorizer).ok_or(RequestError::Unauthorized)?;
        let tenant = tenant(claims, &config.tenant_claims).ok_or(RequestError::NoTenant)?;
        let has_scope = scopes(claims).iter().any(|scope| config.allowed_scopes.contains(scope));
        let has_group = || groups(claims, list_form).iter().any(|group| config.allowed_groups.contains(group));
        if has_scope || has_group() {
            Ok(Self { tenant, subject: subject(claims), person: None })
        } else {
            Err(RequestError::Forbidden)
        }
    }

    /// Reads a person from the authorizer's output. Requires no scope, because people access only their own
    /// invitations.
    ///
    /// # Errors
    /// [`RequestError::Unauthorized`] without output, [`RequestError::UnknownPath`] if people have no access,
    /// [`RequestError::NoTenant`] without a valid tenant, [`RequestError::NotAPerson`] without a subject or a verified
    /// address, and [`RequestError::UnusableSubject`] for a subject that no user can have.
    pub(crate) fn person_from_authorizer(authorizer: &Value, config: &Config) -> Result<Self, RequestError> {
        let (claims, _) = claims(authorizer).ok_or(RequestError::Unauthorized)?;
        if !config.self_service {
            return Err(RequestError::UnknownPath);
        }
        let tenant = tenant(claims, &config.tenant_claims).ok_or(RequestError::NoTenant)?;
        let text = |name| claims.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
        let (Some(user_id), Some(address), true) = (text("sub"), text("email"), has_verified_address(claims)) else {
            return Err(RequestError::NotAPerson);
        };
        let user_id = DirectoryId::parse(user_id, config.id_max_length).ok_or(RequestError::UnusableSubject)?;
        let person = Some(Person { tenant: tenant.clone(), user_id, address: NormalizedAddress::of(address) });
        Ok(Self { tenant, subject: subject(claims), person })
    }

    /// # Errors
    /// [`RequestError::NotAPerson`] at a route that is not for people.
    pub(crate) fn person(&self) -> Result<&Person, RequestError> {
        self.person.as_ref().ok_or(RequestError::NotAPerson)
    }
}

/// The form in which an authorizer renders a list as one string.
#[derive(Clone, Copy, PartialEq, Eq)]
enum ListForm {
    /// `[a b]`.
    Bracketed,
    /// `a,b`.
    Joined,
}

fn claims(authorizer: &Value) -> Option<(&Map<String, Value>, ListForm)> {
    let jwt = authorizer.pointer("/jwt/claims").and_then(Value::as_object);
    let nested = [authorizer.get("lambda"), authorizer.get("claims")].into_iter().flatten().find_map(Value::as_object);
    // With payload format 1.0, the JWT authorizer's claims are next to its scopes.
    let is_jwt = jwt.is_some() || (authorizer.get("claims").is_some() && authorizer.get("scopes").is_some());
    let list_form = if is_jwt { ListForm::Bracketed } else { ListForm::Joined };
    let found = jwt.or(nested).or_else(|| authorizer.as_object());
    found.filter(|claims| !claims.is_empty()).map(|claims| (claims, list_form))
}

/// The tenant of the first tenant claim that is present, even if its value is invalid: a fallback to a later claim
/// would let a caller choose between tenants. A null counts as present, because an unreadable value is read as null.
fn tenant(claims: &Map<String, Value>, names: &[String]) -> Option<TenantId> {
    match names.iter().find_map(|name| claims.get(name))? {
        Value::String(text) => TenantId::parse(text),
        Value::Number(number) => TenantId::parse(&number.to_string()),
        _ => None,
    }
}

/// Requires `email_verified` to be `true`, or the text `true` that an HTTP API renders. A token without the claim does
/// not count (`OpenID` Connect Core, section 5.1), because some issuers let people enter any address.
fn has_verified_address(claims: &Map<String, Value>) -> bool {
    match claims.get("email_verified") {
        Some(Value::Bool(verified)) => *verified,
        Some(Value::String(text)) => text == "true",
        _ => false,
    }
}

fn subject(claims: &Map<String, Value>) -> String {
    let named =
        SUBJECT_CLAIMS.iter().find_map(|name| Some((name, claims.get(*name).filter(|claim| !claim.is_null())?)));
    json!([claims.get("iss"), named]).to_string()
}

/// The scopes: a list, or the space-separated tokens of one string. A token contains no spaces and no quotes (RFC 6749,
/// section 3.3), so that every rendering of a list is unambiguous.
fn scopes(claims: &Map<String, Value>) -> Vec<String> {
    let claims = SCOPE_CLAIMS.iter().filter_map(|name| claims.get(*name));
    claims.flat_map(|claim| claim.as_str().map_or_else(|| texts(claim), scopes_of_text)).collect()
}

fn scopes_of_text(text: &str) -> Vec<String> {
    match serde_json::from_str::<Json>(text) {
        Ok(Json(list @ Value::Array(_))) => texts(&list),
        _ => words(inside_brackets(text).unwrap_or(text)),
    }
}

/// The groups that can be read unambiguously. A group's name may contain spaces, commas and brackets.
///
/// A bracketed text is ambiguous: `[not inviters]` is one group or two, and `[inviters]` is a list or a name. It
/// therefore grants nothing, except for Cognito's claim, whose names contain no spaces and which only API Gateway puts
/// in brackets. API Gateway's JWT authorizer does not join by commas, so that a comma there is part of a name. Other
/// authorizers join by commas without spaces.
fn groups(claims: &Map<String, Value>, list_form: ListForm) -> Vec<String> {
    let read = |(name, claim): (&str, &Value)| {
        let Some(text) = claim.as_str() else { return texts(claim) };
        match (list_form, inside_brackets(text)) {
            (ListForm::Bracketed, Some(list)) if name == COGNITO_GROUPS => words(list),
            _ if text.contains(['[', ']']) => Vec::new(),
            (ListForm::Bracketed, _) => vec![text.to_owned()],
            (ListForm::Joined, _) => text.split(',').map(str::to_owned).collect(),
        }
    };
    let present = GROUP_CLAIMS.iter().filter_map(|name| Some((*name, claims.get(*name)?)));
    present.flat_map(read).collect()
}

/// The strings of an array; empty for any other value.
fn texts(claim: &Value) -> Vec<String> {
    claim.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
}

fn words(text: &str) -> Vec<String> {
    text.split_whitespace().map(str::to_owned).collect()
}

fn inside_brackets(text: &str) -> Option<&str> {
    text.strip_prefix('[')?.strip_suffix(']')
}

#[cfg(test)]
mod properties;

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> Config {
        Config::from_lookup(|name| match name {
            "TABLE_NAME" => Some("t".to_owned()),
            "ALLOWED_GROUPS" => Some("inviters".to_owned()),
            _ => None,
        })
        .unwrap()
    }

    fn verdict(authorizer: &Value) -> &'static str {
        match Caller::from_authorizer(authorizer, &config()) {
            Ok(caller) if caller.tenant.as_str() == "t1" => "t1",
            Ok(_) => "another tenant",
            Err(error) => error.status_and_code().1,
        }
    }

    #[test]
    fn the_output_of_every_authorizer_of_api_gateway_is_read() {
        for (authorizer, reason) in [
            (
                json!({ "jwt": { "claims": { "tenant_id": "t1", "scope": "read all" }, "scopes": null } }),
                "HTTP API JWT",
            ),
            (json!({ "lambda": { "tenant_id": "t1", "scope": "all" } }), "HTTP API Lambda"),
            (json!({ "lambda": { "tenant_id": "t1", "cognito:groups": ["inviters"], "x": null } }), "with an array"),
            (json!({ "claims": { "custom:tenant_id": "t1", "cognito:groups": "a,inviters" } }), "REST Cognito"),
            (json!({ "principalId": "p", "tenant_id": "t1", "scope": "all", "integrationLatency": 3 }), "REST Lambda"),
            (
                json!({ "jwt": { "claims": { "tenant_id": "t1", "cognito:groups": "[a inviters]" } } }),
                "a rendered array",
            ),
            (json!({ "jwt": { "claims": { "tenant_id": "t1", "groups": "inviters" } } }), "another issuer's groups"),
            (
                json!({ "lambda": { "tenant_id": "t1", "scope": ["x", "all"], "ok": true, "n": { "a": [1] } } }),
                "any type",
            ),
        ] {
            assert_eq!(verdict(&authorizer), "t1", "{reason}");
        }
    }

    #[test]
    fn scopes_are_whole_tokens_in_every_form_of_a_list() {
        for (claims, allowed, reason) in [
            (json!({ "scope": "all" }), true, "one"),
            (json!({ "scope": " read  all\n" }), true, "any white space"),
            (json!({ "scope": "[read all]" }), true, "an array that an HTTP API rendered"),
            (json!({ "scope": ["read", "all"] }), true, "an array"),
            (json!({ "scope": r#"["read","all"]"# }), true, "an array as text"),
            (json!({ "scp": "[read all]" }), true, "Okta's array, as an HTTP API renders it"),
            (json!({ "scp": ["read", "all"] }), true, "Okta's array"),
            (json!({ "scp": "read all" }), true, "Entra's text"),
            (json!({ "scope": "read", "scp": ["all"] }), true, "the second claim suffices"),
            (json!({ "scope": "[]", "scp": "" }), false, "none"),
            (json!({ "scp": "call overall all2" }), false, "parts of tokens"),
            (json!({ "scp": "[call overall]" }), false, "parts of tokens in brackets"),
            (json!({ "scp": "read,all" }), false, "a comma is a part of a token"),
            (json!({ "scp": "[[all]]" }), false, "brackets are taken off once"),
            (json!({ "scp": [["all"]] }), false, "nested"),
            (json!({ "scp": r#"[["all"]]"# }), false, "nested, as text"),
            (json!({ "scp": r#"["read all"]"# }), false, "an entry is one token"),
            (json!({ "scp": { "all": true } }), false, "an object"),
            (json!({ "roles": "all", "permissions": ["all"] }), false, "other claims"),
        ] {
            for authorizer in [json!({ "jwt": { "claims": claims } }), json!({ "lambda": claims }), claims.clone()] {
                let mut authorizer = authorizer;
                let place =
                    ["/jwt/claims", "/lambda", ""].into_iter().find(|place| authorizer.pointer(place).is_some());
                authorizer.pointer_mut(place.unwrap()).unwrap()["tenant_id"] = "t1".into();
                assert_eq!(verdict(&authorizer) == "t1", allowed, "{reason}: {authorizer}");
            }
        }
    }

    #[test]
    fn a_group_grants_access_only_if_its_claim_is_unambiguous() {
        for (name, value, jwt, others, reason) in [
            ("cognito:groups", json!("[a inviters]"), true, false, "Cognito's names have no spaces"),
            ("cognito:groups", json!("[inviters]"), true, false, "a list of one; elsewhere a name"),
            ("cognito:groups", json!(["a", "inviters"]), true, true, "an array"),
            ("cognito:groups", json!("inviters"), true, true, "one"),
            ("cognito:groups", json!("a,inviters"), false, true, "as a REST API's Cognito authorizer joins them"),
            ("cognito:groups", json!("[[a inviters]]"), false, false, "groups with the names [a and inviters]"),
            ("cognito:groups", json!("[a,inviters b]"), false, false, "a name with a comma"),
            ("cognito:groups", json!(r#"["a","inviters"]"#), false, false, "names with quotes and a comma"),
            ("cognito:groups", json!(["not inviters"]), false, false, "one name with a space"),
            ("groups", json!(["a", "inviters"]), true, true, "an array has one reading"),
            ("groups", json!("inviters"), true, true, "one value has one reading"),
            ("groups", json!("a,inviters"), false, true, "every authorizer but an HTTP API's JWT one joins by commas"),
            ("groups", json!("Sales, inviters"), false, false, "a name, as people write it"),
            ("groups", json!("[not inviters]"), false, false, "one group or two"),
            ("groups", json!("[inviters]"), false, false, "a list of one, or a group with that name"),
            ("groups", json!(r#"["inviters"]"#), false, false, "an array as text, or a list of one with quotes"),
            ("groups", json!("[a],inviters"), false, false, "a name with brackets"),
            ("groups", json!("[[inviters]]"), false, false, "nested brackets"),
            ("groups", json!("not inviters"), false, false, "one name with a space"),
            ("groups", json!(["not inviters"]), false, false, "the same in an array"),
            ("groups", json!(["[inviters]"]), false, false, "an entry that looks like a list is a name"),
            ("groups", json!(["a,inviters"]), false, false, "an entry with a comma is a name"),
            ("groups", json!([["inviters"]]), false, false, "an array in an array"),
            ("groups", json!(r#"["not", "inviters"]"#), false, false, "text that looks like JSON"),
            ("groups", json!({ "inviters": true }), false, false, "an object"),
        ] {
            let claims = json!({ "tenant_id": "t1", name: value });
            for (authorizer, expected, place) in [
                (json!({ "jwt": { "claims": claims } }), jwt, "HTTP API, JWT"),
                (json!({ "claims": claims, "scopes": null }), jwt, "HTTP API, JWT, payload format 1.0"),
                (json!({ "lambda": claims }), others, "HTTP API, Lambda"),
                (json!({ "claims": claims }), others, "REST API, Cognito"),
                (claims.clone(), others, "REST API, Lambda"),
            ] {
                let expected = if expected { "t1" } else { "auth.forbidden" };
                assert_eq!(verdict(&authorizer), expected, "{place}, {name} {value}: {reason}");
            }
        }
    }

    #[test]
    fn callers_are_distinguished_by_issuer_and_subject() {
        let subject = |changes: Value| {
            let mut claims = json!({ "tenant_id": "t1", "scope": "all" });
            claims.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
            Caller::from_authorizer(&json!({ "jwt": { "claims": claims } }), &config()).unwrap().subject
        };
        let callers = [
            json!({}),
            json!({ "sub": "a" }),
            json!({ "sub": "b" }),
            json!({ "sub": 1 }),
            json!({ "sub": "1" }),
            json!({ "client_id": "a" }),
            json!({ "iss": "https://one", "sub": "a" }),
            json!({ "iss": "https://two", "sub": "a" }),
            json!({ "iss": "a" }),
        ];
        let subjects: std::collections::BTreeSet<String> = callers.iter().cloned().map(subject).collect();
        assert_eq!(subjects.len(), callers.len(), "{subjects:?}");
        let (first, renewed) =
            (json!({ "sub": "a", "iat": 1, "jti": "x" }), json!({ "sub": "a", "iat": 2, "jti": "y" }));
        assert_eq!(subject(first), subject(renewed), "another token of the same caller");
    }

    #[test]
    fn a_caller_without_a_tenant_or_permission_gets_a_client_error() {
        let with = |claims: Value| json!({ "jwt": { "claims": claims } });
        for (authorizer, code, reason) in [
            (json!(null), "auth.unauthorized", "no authorizer"),
            (json!({}), "auth.unauthorized", "an empty one"),
            (json!("x"), "auth.unauthorized", "not an object"),
            (with(json!({ "scope": "all" })), "guard.can_not_get_tenant_id", "no tenant"),
            (with(json!({ "scope": "all", "tenant_id": "a#b" })), "guard.can_not_get_tenant_id", "a key separator"),
            (with(json!({ "scope": "all", "tenant_id": "" })), "guard.can_not_get_tenant_id", "an empty name"),
            (with(json!({ "scope": "all", "tenant_id": ["t1"] })), "guard.can_not_get_tenant_id", "not a scalar"),
            (with(json!({ "scope": "all", "tenant_id": true })), "guard.can_not_get_tenant_id", "a boolean"),
            (
                with(json!({ "scope": "all", "tenant_id": "#", "custom:tenant_id": "t1" })),
                "guard.can_not_get_tenant_id",
                "no fallback to the second claim",
            ),
            (
                with(json!({ "scope": "all", "tenant_id": null, "custom:tenant_id": "t1" })),
                "guard.can_not_get_tenant_id",
                "null counts as present: an unreadable value is read as null",
            ),
            (
                with(json!({ "scope": "all", "tenant_id": "[t1 t2]", "custom:tenant_id": "t1" })),
                "guard.can_not_get_tenant_id",
                "several tenants",
            ),
            (with(json!({ "tenant_id": "t1" })), "auth.forbidden", "no scope"),
            (with(json!({ "tenant_id": "t1", "scope": "all:read small" })), "auth.forbidden", "a part of a token"),
            (with(json!({ "tenant_id": "t1", "scope": "ALL" })), "auth.forbidden", "scopes are case-sensitive"),
            (with(json!({ "tenant_id": "t1", "scope": "x,all" })), "auth.forbidden", "commas do not separate scopes"),
            (with(json!({ "tenant_id": "t1", "cognito:groups": "all" })), "auth.forbidden", "a group is not a scope"),
            (with(json!({ "tenant_id": "t1", "scope": "inviters" })), "auth.forbidden", "a scope is not a group"),
            (with(json!({ "tenant_id": "t1", "groups": "not inviters" })), "auth.forbidden", "one name with a space"),
            (with(json!({ "tenant_id": "t1", "groups": "[x,inviters]" })), "auth.forbidden", "one name with a comma"),
            (with(json!({ "tenant_id": "t1", "groups": ["x,inviters"] })), "auth.forbidden", "an entry is one name"),
        ] {
            assert_eq!(verdict(&authorizer), code, "{reason}");
        }
    }
}

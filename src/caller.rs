//! Who is calling: what API Gateway's authorizer found out, and nothing else.
//!
//! The authorizers put their findings in different places, and render values differently:
//!
//! | authorizer | place | a list arrives as |
//! |---|---|---|
//! | HTTP API, JWT | `authorizer.jwt.claims` | `"[a b]"` |
//! | HTTP API, Lambda | `authorizer.lambda` | whatever the authorizer returned |
//! | REST API, Cognito user pool | `authorizer.claims` | `"a,b"` |
//! | REST API, Lambda | `authorizer` itself | a string |

use serde_json::{Map, Value, json};

use crate::{config::Config, error::Error, invitation::TenantId};

/// The claims that name the caller's groups: Cognito's, and the one that other issuers use.
const GROUP_CLAIMS: [&str; 2] = ["cognito:groups", "groups"];

/// The claims that name the caller: the subject (RFC 7519), the client of a token without one, and what a REST API's
/// Lambda authorizer calls it.
pub const SUBJECT_CLAIMS: [&str; 4] = ["sub", "client_id", "azp", "principalId"];

/// A caller who may use the API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The tenant that the caller acts in: the only tenant that the request can reach.
    pub tenant: TenantId,
    /// Who the caller is within the tenant: the issuer and the first of [`SUBJECT_CLAIMS`] that the token has, in a text
    /// that no other issuer, claim or value makes. Callers whose tokens name nobody are one caller.
    pub subject: String,
}

impl Caller {
    /// The caller that an authorizer's findings describe.
    ///
    /// # Errors
    /// [`Error::Unauthorized`] without findings, [`Error::NoTenant`] where they name no tenant, and
    /// [`Error::Forbidden`] where they include no allowed scope or group.
    pub fn from_authorizer(authorizer: &Value, config: &Config) -> Result<Self, Error> {
        let claims = claims(authorizer).ok_or(Error::Unauthorized)?;
        let tenant = tenant(claims, &config.tenant_claims).ok_or(Error::NoTenant)?;
        let has_scope = scopes(claims).iter().any(|scope| config.allowed_scopes.contains(scope));
        let has_group = || groups(claims).iter().any(|group| config.allowed_groups.contains(group));
        if has_scope || has_group() { Ok(Self { tenant, subject: subject(claims) }) } else { Err(Error::Forbidden) }
    }
}

fn claims(authorizer: &Value) -> Option<&Map<String, Value>> {
    let places = [authorizer.pointer("/jwt/claims"), authorizer.get("lambda"), authorizer.get("claims")];
    let nested = places.into_iter().flatten().find_map(Value::as_object);
    nested.or_else(|| authorizer.as_object()).filter(|claims| !claims.is_empty())
}

/// The first tenant claim that is present decides, even when no tenant could be called so: falling through to a
/// later claim would let a caller choose between tenants.
fn tenant(claims: &Map<String, Value>, names: &[String]) -> Option<TenantId> {
    match names.iter().filter_map(|name| claims.get(name)).find(|claim| !claim.is_null())? {
        Value::String(text) => TenantId::parse(text),
        Value::Number(number) => TenantId::parse(&number.to_string()),
        _ => None,
    }
}

fn subject(claims: &Map<String, Value>) -> String {
    let named =
        SUBJECT_CLAIMS.iter().find_map(|name| Some((name, claims.get(*name).filter(|claim| !claim.is_null())?)));
    json!([claims.get("iss"), named]).to_string()
}

/// Scopes are the space-separated tokens of one string (RFC 6749, section 3.3), in whatever list it arrives.
fn scopes(claims: &Map<String, Value>) -> Vec<String> {
    claims.get("scope").map(|claim| entries(claim, char::is_whitespace)).unwrap_or_default()
}

fn groups(claims: &Map<String, Value>) -> Vec<String> {
    let claims = GROUP_CLAIMS.iter().filter_map(|name| claims.get(*name));
    claims.flat_map(|claim| entries(claim, |c| c == ',')).collect()
}

/// The entries of a list that arrives as an array, as `"[a b]"`, or as one string with separators.
fn entries(claim: &Value, is_separator: fn(char) -> bool) -> Vec<String> {
    let text = match claim {
        Value::Array(entries) => return entries.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        Value::String(text) => text.as_str(),
        _ => return Vec::new(),
    };
    let (text, is_separator) = match text.strip_prefix('[').and_then(|text| text.strip_suffix(']')) {
        Some(rendered) => (rendered, char::is_whitespace as fn(char) -> bool),
        None => (text, is_separator),
    };
    text.split(is_separator).map(str::trim).filter(|entry| !entry.is_empty()).map(str::to_owned).collect()
}

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
    fn every_authorizer_of_api_gateway_is_understood() {
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
            (json!({ "jwt": { "claims": { "tenant_id": null, "custom:tenant_id": "t1", "scope": "all" } } }), "a null"),
            (
                json!({ "lambda": { "tenant_id": "t1", "scope": ["x", "all"], "ok": true, "n": { "a": [1] } } }),
                "any type",
            ),
        ] {
            assert_eq!(verdict(&authorizer), "t1", "{reason}");
        }
    }

    #[test]
    fn callers_are_told_apart_by_issuer_and_subject() {
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
    fn who_cannot_be_placed_or_allowed_is_refused() {
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
                "no fall through",
            ),
            (with(json!({ "tenant_id": "t1" })), "auth.forbidden", "no scope"),
            (with(json!({ "tenant_id": "t1", "scope": "all:read small" })), "auth.forbidden", "a part of a token"),
            (with(json!({ "tenant_id": "t1", "scope": "ALL" })), "auth.forbidden", "scopes have case"),
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

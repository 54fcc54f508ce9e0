//! The recipes of `docs/token-issuers.md`: each example token is admitted with the example parameters, with its claims
//! as an HTTP API's JWT authorizer renders them.

use std::collections::BTreeMap;

use organization_invitations::{
    config::Config,
    http::{caller::Caller, error::RequestError},
};
use serde_json::{Map, Value, json};

/// The maximum number of audiences of a JWT authorizer.
const MOST_AUDIENCES: usize = 50;

/// A recipe: an issuer, an example token, and the parameters of the stack.
struct Recipe {
    issuer: String,
    token: Map<String, Value>,
    parameters: BTreeMap<String, String>,
}

/// The text of the first code block in `language`.
fn block<'a>(section: &'a str, language: &str) -> Option<&'a str> {
    let (_, block) = section.split_once(&format!("\n```{language}\n"))?;
    Some(block.split_once("\n```").unwrap().0)
}

fn recipes() -> Vec<Recipe> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/token-issuers.md");
    let page = std::fs::read_to_string(path).unwrap();
    let recipe = |section: &str| {
        let token = serde_json::from_str(block(section, "json")?).unwrap();
        let parameters = block(section, "toml").unwrap().split('"').skip(1).step_by(2);
        let parameters = parameters.map(|text| text.split_once('=').unwrap());
        Some(Recipe {
            issuer: section.lines().next().unwrap().to_owned(),
            token,
            parameters: parameters.map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
        })
    };
    page.split("\n## ").skip(1).filter_map(recipe).collect()
}

/// A claim as an HTTP API's JWT authorizer renders it: always a text, with a list in brackets.
fn rendered(claim: &Value) -> String {
    match claim {
        Value::String(text) => text.clone(),
        Value::Array(entries) => format!("[{}]", entries.iter().map(rendered).collect::<Vec<_>>().join(" ")),
        Value::Object(fields) => {
            let fields = fields.iter().map(|(name, value)| format!("{name}:{}", rendered(value)));
            format!("map[{}]", fields.collect::<Vec<_>>().join(" "))
        }
        other => other.to_string(),
    }
}

impl Recipe {
    /// The function's settings, as the template derives them from the parameters.
    fn config(&self) -> Config {
        let parameter =
            |name: &str, default: &str| Some(self.parameters.get(name).map_or(default, |value| value).to_owned());
        Config::from_lookup(|name| match name {
            "TABLE_NAME" => Some("t".to_owned()),
            "ALLOWED_SCOPES" => parameter("AllowedScopes", "all"),
            "ALLOWED_GROUPS" => parameter("AllowedGroups", ""),
            "TENANT_CLAIMS" => parameter("TenantClaims", "tenant_id"),
            _ => None,
        })
        .unwrap()
    }

    /// The tenant of a token with these claims, or the error code.
    fn tenant_of(&self, claims: &Map<String, Value>) -> Result<String, &'static str> {
        let claims: Map<String, Value> =
            claims.iter().map(|(name, claim)| (name.clone(), rendered(claim).into())).collect();
        let caller = Caller::from_authorizer(&json!({ "jwt": { "claims": claims, "scopes": null } }), &self.config());
        caller.map(|caller| caller.tenant.to_string()).map_err(|error: RequestError| error.status_and_code().1)
    }

    fn without(&self, names: &[&str]) -> Map<String, Value> {
        self.token.clone().into_iter().filter(|(name, _)| !names.contains(&name.as_str())).collect()
    }
}

#[test]
fn there_is_a_recipe_for_each_issuer() {
    let issuers: Vec<String> = recipes().into_iter().map(|recipe| recipe.issuer).collect();
    assert_eq!(issuers, ["Logto", "Auth0", "Okta", "Microsoft Entra", "Keycloak", "Cognito"]);
}

#[test]
fn a_token_of_each_issuer_is_admitted_by_its_recipes_scope_only() {
    for recipe in recipes() {
        let issuer = &recipe.issuer;
        assert_eq!(recipe.tenant_of(&recipe.token), Ok("acme".to_owned()), "{issuer}");
        let powerless = recipe.without(&["scope", "scp", "cognito:groups"]);
        assert_eq!(recipe.tenant_of(&powerless), Err("auth.forbidden"), "{issuer}: other claims grant nothing");
        let claims = recipe.config().tenant_claims;
        let homeless = recipe.without(&claims.iter().map(String::as_str).collect::<Vec<_>>());
        assert_eq!(
            recipe.tenant_of(&homeless),
            Err("guard.can_not_get_tenant_id"),
            "{issuer}: only the configured claim names the tenant"
        );
        let mut of_two = recipe.token.clone();
        of_two.insert(claims[0].clone(), json!(["acme", "other"]));
        assert_eq!(recipe.tenant_of(&of_two), Err("guard.can_not_get_tenant_id"), "{issuer}: a list of tenants");
    }
}

#[test]
fn api_gateway_accepts_the_issuer_and_the_audience_of_each_recipe() {
    for Recipe { issuer, token, parameters } in recipes() {
        assert_eq!(token["iss"].as_str(), parameters.get("JwtIssuer").map(String::as_str));
        let audiences: Vec<&str> = parameters["JwtAudience"].split(',').collect();
        let told = token.get("aud").unwrap_or_else(|| &token["client_id"]);
        let told = told.as_array().cloned().unwrap_or_else(|| vec![told.clone()]);
        assert!(told.iter().any(|audience| audiences.contains(&audience.as_str().unwrap())), "{issuer}");
        assert!(audiences.len() <= MOST_AUDIENCES, "{issuer}");
    }
}

#[test]
fn the_group_of_another_issuer_admits_nobody_as_an_http_api_renders_it() {
    for recipe in recipes().into_iter().filter(|recipe| recipe.token.contains_key("groups")) {
        let groups = Recipe {
            parameters: [("AllowedScopes", "other"), ("AllowedGroups", "inviters,Everyone,/inviters")]
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .into_iter()
                .chain(recipe.parameters.get("TenantClaims").map(|name| ("TenantClaims".to_owned(), name.clone())))
                .collect(),
            ..recipe
        };
        assert_eq!(groups.tenant_of(&groups.token), Err("auth.forbidden"), "{}", groups.issuer);
    }
}

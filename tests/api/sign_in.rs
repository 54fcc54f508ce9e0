//! Signing in at the development issuer as a browser does: the page, the code, the token.

use organization_invitations::local::stack::StackOptions;
use reqwest::{Client, Response, StatusCode, redirect::Policy};
use serde_json::{Value, json};

use crate::{
    gateway::Gateway,
    helpers::{body, with},
};

const REDIRECT: &str = "http://localhost:5173/callback";
// From RFC 7636, appendix B.
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
const REQUEST: [(&str, &str); 7] = [
    ("response_type", "code"),
    ("client_id", "app"),
    ("redirect_uri", REDIRECT),
    ("state", "s 1"),
    ("code_challenge", CHALLENGE),
    ("code_challenge_method", "S256"),
    ("resource", "https://no-mail.logto.app/api"),
];

struct Browser {
    client: Client,
    gateway: Gateway,
    /// The endpoints from the issuer's metadata.
    metadata: Value,
}

impl Browser {
    async fn start() -> Self {
        let gateway = Gateway::start_with_settings(StackOptions::default(), &[("SELF_SERVICE", "on")]).await;
        let client = Client::builder().redirect(Policy::none()).build().unwrap();
        let url = format!("{}/oidc/.well-known/openid-configuration", gateway.url);
        let metadata = client.get(url).send().await.unwrap().json().await.unwrap();
        Self { client, gateway, metadata }
    }

    fn endpoint(&self, name: &str) -> String {
        self.metadata[name].as_str().unwrap().to_owned()
    }

    async fn page(&self, parameters: &[(&str, &str)]) -> Response {
        let url = reqwest::Url::parse_with_params(&self.endpoint("authorization_endpoint"), parameters).unwrap();
        self.client.get(url).send().await.unwrap()
    }

    /// Sends the page's form with this address in its field.
    async fn submit(&self, page: &str, address: &str) -> Response {
        let mut fields = hidden_fields(page);
        fields.push(("email".to_owned(), address.to_owned()));
        let request = self.client.post(self.endpoint("authorization_endpoint"));
        request.header("origin", &self.gateway.url).form(&fields).send().await.unwrap()
    }

    async fn redeem(&self, code: &str, verifier: &str) -> (StatusCode, Value) {
        let fields = [
            ("grant_type", "authorization_code"),
            ("code", code),
            ("client_id", "app"),
            ("redirect_uri", REDIRECT),
            ("code_verifier", verifier),
        ];
        let response = self.client.post(self.endpoint("token_endpoint")).form(&fields).send().await.unwrap();
        (response.status(), response.json().await.unwrap())
    }

    /// A code for this address.
    async fn code(&self, address: &str) -> String {
        let page = self.page(&REQUEST).await.text().await.unwrap();
        let response = self.submit(&page, address).await;
        assert_eq!(response.status(), StatusCode::SEE_OTHER);
        let location = response.headers()["location"].to_str().unwrap();
        let query = location.strip_prefix(&format!("{REDIRECT}?")).unwrap();
        let (code, state) = query.strip_prefix("code=").unwrap().split_once('&').unwrap();
        assert_eq!(state, "state=s+1");
        code.to_owned()
    }
}

/// The hidden fields of the form.
fn hidden_fields(page: &str) -> Vec<(String, String)> {
    let attribute = |tag: &str, name: &str| {
        let (_, rest) = tag.split_once(&format!(r#" {name}=""#)).unwrap();
        rest.split_once('"').unwrap().0.replace("&amp;", "&")
    };
    let tags = page.split(r#"<input type="hidden""#).skip(1).map(|rest| rest.split_once('>').unwrap().0);
    tags.map(|tag| (attribute(tag, "name"), attribute(tag, "value"))).collect()
}

#[tokio::test]
async fn a_person_signs_in_and_the_page_gets_their_token() {
    let browser = Browser::start().await;
    let response = browser.page(&[&REQUEST[..], &[("login_hint", "grace@example.com")]].concat()).await;
    assert_eq!(response.status(), StatusCode::OK);
    let policy = response.headers()["content-security-policy"].to_str().unwrap();
    assert!(
        policy.contains("form-action 'self' http://localhost:5173;"),
        "the policy allows the form's redirect: {policy}"
    );
    let page = response.text().await.unwrap();
    for part in [r#"<label for="email">"#, r#"value="grace@example.com""#, "app", "http://localhost:5173", "no-mail"] {
        assert!(page.contains(part), "{part} in {page}");
    }
    let (status, granted) = browser.redeem(&browser.code("Grace@example.com").await, VERIFIER).await;
    assert_eq!((status, &granted["token_type"]), (StatusCode::OK, &Value::from("Bearer")));
    let list = browser.client.get(format!("{}/api/organization-invitations", browser.gateway.url));
    let response = list.bearer_auth(granted["access_token"].as_str().unwrap()).send().await.unwrap();
    assert_eq!(response.status(), StatusCode::FORBIDDEN, "a person's token has no scope of the API");
}

#[tokio::test]
async fn a_person_who_has_signed_in_accepts_their_own_invitation_and_is_a_member() {
    let browser = Browser::start().await;
    let url = &browser.gateway.url;
    let management = browser.gateway.token_of("https://no-mail.logto.app/api").await;
    let invitation = with(body("grace@example.com"), json!({ "inviterId": null }));
    let create = browser.client.post(format!("{url}/api/organization-invitations")).bearer_auth(&management);
    let created: Value = create.json(&invitation).send().await.unwrap().json().await.unwrap();
    let own = format!("{url}/api/my-account/organization-invitations");
    let accept = |token: &Value| {
        let request = browser.client.put(format!("{own}/{}/status", created["id"].as_str().unwrap()));
        request.bearer_auth(token.as_str().unwrap()).json(&json!({ "status": "Accepted" })).send()
    };
    let (_, other) = browser.redeem(&browser.code("alan@example.com").await, VERIFIER).await;
    assert_eq!(accept(&other["access_token"]).await.unwrap().status(), StatusCode::NOT_FOUND, "another person");
    let (_, granted) = browser.redeem(&browser.code("Grace@Example.com").await, VERIFIER).await;
    let list = browser.client.get(&own).bearer_auth(granted["access_token"].as_str().unwrap());
    let list: Value = list.send().await.unwrap().json().await.unwrap();
    assert_eq!((&list[0]["id"], list.as_array().unwrap().len()), (&created["id"], 1));
    let accepted = accept(&granted["access_token"]).await.unwrap();
    assert_eq!(accepted.status(), StatusCode::OK);
    let accepted: Value = accepted.json().await.unwrap();
    assert_eq!(accepted["status"], "Accepted");
    assert!(accepted["acceptedUserId"].as_str().unwrap().starts_with("grace"), "{accepted}");
}

#[tokio::test]
async fn a_code_is_redeemed_once_and_with_its_verifier() {
    let browser = Browser::start().await;
    let code = browser.code("grace@example.com").await;
    assert_eq!(browser.redeem(&code, VERIFIER).await.0, StatusCode::OK);
    let wrong = browser.code("grace@example.com").await;
    for (code, verifier, reason) in [
        (&code, VERIFIER, "a code that was redeemed before"),
        (&wrong, "another", "another verifier"),
        (&wrong, VERIFIER, "a code after a wrong verifier"),
        (&"x".to_owned(), VERIFIER, "an unknown code"),
    ] {
        let (status, error) = browser.redeem(code, verifier).await;
        assert_eq!((status, &error["error"]), (StatusCode::BAD_REQUEST, &Value::from("invalid_grant")), "{reason}");
    }
}

#[tokio::test]
async fn an_invalid_address_is_asked_for_again() {
    let browser = Browser::start().await;
    let page = browser.page(&REQUEST).await.text().await.unwrap();
    for address in ["", "grace", r#""><script>alert(1)</script>@example.com"#] {
        let response = browser.submit(&page, address).await;
        assert_eq!(response.status(), StatusCode::BAD_REQUEST, "{address}");
        let again = response.text().await.unwrap();
        assert!(again.contains("This is not an email address.") && again.contains(r#"aria-invalid="true""#), "{again}");
        assert_eq!(again.matches("<script").count(), 1, "only the page's own script: {again}");
        assert_eq!(hidden_fields(&again), hidden_fields(&page));
    }
}

#[tokio::test]
async fn a_faulty_request_leads_to_no_other_machine() {
    let browser = Browser::start().await;
    let browser_ref = &browser;
    let with = |name: &'static str, value: &'static str| {
        let changed = REQUEST.map(|(key, usual)| (key, if key == name { value } else { usual }));
        async move { browser_ref.page(&changed).await }
    };
    let shown = with("redirect_uri", "https://evil.example/").await;
    assert_eq!((shown.status(), shown.headers().get("location")), (StatusCode::BAD_REQUEST, None));
    assert!(shown.text().await.unwrap().contains("redirect_uri"));
    let told = with("code_challenge_method", "plain").await;
    assert_eq!(told.status(), StatusCode::SEE_OTHER);
    let location = told.headers()["location"].to_str().unwrap();
    assert!(location.starts_with(&format!("{REDIRECT}?error=invalid_request&")) && location.ends_with("&state=s+1"));
}

#[tokio::test]
async fn no_page_from_elsewhere_signs_anybody_in() {
    let browser = Browser::start().await;
    let page = browser.page(&REQUEST).await.text().await.unwrap();
    let mut fields = hidden_fields(&page);
    fields.push(("email".to_owned(), "grace@example.com".to_owned()));
    let request = browser.client.post(browser.endpoint("authorization_endpoint")).form(&fields);
    let response = request.header("origin", "https://evil.example").send().await.unwrap();
    assert_eq!((response.status(), response.headers().get("location")), (StatusCode::FORBIDDEN, None));
}

//! A request to the API, and the events that API Gateway generates from it.

use serde_json::{Map, Value, json};

/// The collection's path.
const PATH: &str = "/api/organization-invitations";

/// The path of a person's own invitations.
const OWN_PATH: &str = "/api/my-account/organization-invitations";

/// A request, by default in the tenant `default`.
#[derive(Clone, Debug)]
pub struct Call {
    pub tenant: String,
    pub subject: String,
    /// The verified address of a person, who has no scope.
    pub person: Option<String>,
    pub idempotency_key: Option<String>,
    pub method: String,
    pub path: String,
    pub query: String,
    pub content_type: Option<String>,
    pub body: Option<String>,
    pub is_base64: bool,
}

impl Call {
    /// `path` is relative to the collection's path.
    pub fn new(method: &str, path: &str) -> Self {
        Self {
            tenant: "default".to_owned(),
            subject: "s".to_owned(),
            person: None,
            idempotency_key: None,
            method: method.to_owned(),
            path: format!("{PATH}{path}"),
            query: String::new(),
            content_type: None,
            body: None,
            is_base64: false,
        }
    }

    pub fn create(body: &Value) -> Self {
        Self::new("POST", "").json(body)
    }

    pub fn bulk(body: &Value) -> Self {
        Self::new("POST", "/bulk").json(body)
    }

    pub fn list(query: &str) -> Self {
        Self { query: query.to_owned(), ..Self::new("GET", "") }
    }

    pub fn get(id: &str) -> Self {
        Self::new("GET", &format!("/{id}"))
    }

    pub fn delete(id: &str) -> Self {
        Self::new("DELETE", &format!("/{id}"))
    }

    pub fn change(id: &str, body: &Value) -> Self {
        Self::new("PATCH", &format!("/{id}")).json(body)
    }

    pub fn message(id: &str, payload: &Value) -> Self {
        Self::new("POST", &format!("/{id}/message")).json(payload)
    }

    pub fn status(id: &str, body: &Value) -> Self {
        Self::new("PUT", &format!("/{id}/status")).json(body)
    }

    pub fn accept(id: &str, user_id: &str) -> Self {
        Self::status(id, &json!({ "status": "Accepted", "acceptedUserId": user_id }))
    }

    pub fn revoke(id: &str) -> Self {
        Self::status(id, &json!({ "status": "Revoked" }))
    }

    pub fn verify(id: &str, token: &str) -> Self {
        Self::new("POST", &format!("/{id}/token/verify")).json(&json!({ "token": token }))
    }

    pub fn accept_by_token(id: &str, user_id: &str, token: &str) -> Self {
        Self::status(id, &json!({ "status": "Accepted", "acceptedUserId": user_id, "token": token }))
    }

    /// A request to a person's own invitations. `path` is relative to their path.
    pub fn own(method: &str, path: &str, subject: &str, address: &str) -> Self {
        Self { path: format!("{OWN_PATH}{path}"), ..Self::new(method, "").by_person(subject, address) }
    }

    pub fn list_own(subject: &str, address: &str) -> Self {
        Self::own("GET", "", subject, address)
    }

    pub fn set_own_status(id: &str, status: &str, subject: &str, address: &str) -> Self {
        Self::own("PUT", &format!("/{id}/status"), subject, address).json(&json!({ "status": status }))
    }

    /// The same request by a person with this address.
    pub fn by_person(self, subject: &str, address: &str) -> Self {
        Self { subject: subject.to_owned(), person: Some(address.to_owned()), ..self }
    }

    /// The same request by a caller of this tenant.
    pub fn by(self, tenant: &str) -> Self {
        Self { tenant: tenant.to_owned(), ..self }
    }

    /// The same request with an idempotency key.
    pub fn with_key(self, key: &str) -> Self {
        Self { idempotency_key: Some(key.to_owned()), ..self }
    }

    pub fn json(self, body: &Value) -> Self {
        self.text("application/json", &body.to_string())
    }

    pub fn text(self, content_type: &str, body: &str) -> Self {
        Self { content_type: Some(content_type.to_owned()), body: Some(body.to_owned()), ..self }
    }

    /// The event of an HTTP API with a JWT authorizer.
    pub fn event(&self) -> Value {
        let claims = match &self.person {
            Some(address) => json!({
                "sub": self.subject, "tenant_id": self.tenant, "email": address, "email_verified": "true",
            }),
            None => json!({ "sub": self.subject, "tenant_id": self.tenant, "scope": "all" }),
        };
        json!({
            "version": "2.0",
            "routeKey": "$default",
            "rawPath": self.path,
            "rawQueryString": self.query,
            "headers": self.headers(),
            "requestContext": {
                "authorizer": { "jwt": { "claims": claims, "scopes": null } },
                "http": { "method": self.method, "path": self.path, "protocol": "HTTP/1.1" },
                "requestId": "test",
                "stage": "$default",
            },
            "body": self.body,
            "isBase64Encoded": self.is_base64,
        })
    }

    /// The event of a REST API with a Lambda authorizer.
    pub fn rest_event(&self) -> Value {
        let (mut last, mut all) = (Map::new(), Map::new());
        for (key, value) in form_urlencoded::parse(self.query.as_bytes()) {
            last.insert(key.to_string(), json!(value));
            let values = all.entry(key).or_insert_with(|| json!([]));
            values.as_array_mut().unwrap().push(json!(value));
        }
        let or_null =
            |parameters: Map<String, Value>| if parameters.is_empty() { Value::Null } else { parameters.into() };
        let authorizer = match &self.person {
            Some(address) => json!({
                "principalId": self.subject, "sub": self.subject, "tenant_id": self.tenant, "email": address,
                "email_verified": true,
            }),
            None => json!({ "principalId": self.subject, "tenant_id": self.tenant, "scope": "all" }),
        };
        json!({
            "resource": "/{proxy+}",
            "path": self.path,
            "httpMethod": self.method,
            "headers": self.headers(),
            "queryStringParameters": or_null(last),
            "multiValueQueryStringParameters": or_null(all),
            "requestContext": {
                "authorizer": authorizer,
                "httpMethod": self.method,
                "path": format!("/prod{}", self.path),
                "requestId": "test",
                "stage": "prod",
            },
            "body": self.body,
            "isBase64Encoded": self.is_base64,
        })
    }

    fn headers(&self) -> Value {
        let mut headers = json!({ "host": "api.example.com" });
        if let Some(content_type) = &self.content_type {
            headers["content-type"] = content_type.as_str().into();
        }
        if let Some(key) = &self.idempotency_key {
            headers["Idempotency-Key"] = key.as_str().into();
        }
        headers
    }
}

/// The event of an HTTP API with a JWT authorizer, for a create.
pub fn create_event(tenant: &str, content_type: Option<&str>, body: &str, is_base64: bool) -> Value {
    let (content_type, body) = (content_type.map(str::to_owned), Some(body.to_owned()));
    Call { content_type, body, is_base64, ..Call::new("POST", "").by(tenant) }.event()
}

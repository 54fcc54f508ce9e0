//! The types of SES v2's requests. Unknown fields are ignored, as by SES.

use axum::{
    body::Bytes,
    extract::{FromRequest, Request},
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::rejection::Rejection;

/// The deserialized body of a request. Like SES, the extractor ignores the content type.
pub(super) struct Payload<T>(pub(super) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Payload<T> {
    type Rejection = Rejection;

    async fn from_request(request: Request, state: &S) -> Result<Self, Rejection> {
        let bytes =
            Bytes::from_request(request, state).await.map_err(|error| Rejection::serialization(error.body_text()))?;
        serde_json::from_slice(&bytes).map(Self).map_err(|error| Rejection::serialization(error.to_string()))
    }
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct SendEmail {
    pub(super) from_email_address: Option<String>,
    pub(super) from_email_address_identity_arn: Option<String>,
    #[serde(default)]
    pub(super) destination: Destination,
    #[serde(default)]
    pub(super) reply_to_addresses: Vec<String>,
    pub(super) feedback_forwarding_email_address: Option<String>,
    pub(super) content: Option<EmailContent>,
    #[serde(default)]
    pub(super) email_tags: Vec<NameAndValue>,
    pub(super) configuration_set_name: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Destination {
    #[serde(rename = "ToAddresses")]
    pub(super) to: Vec<String>,
    #[serde(rename = "CcAddresses")]
    pub(super) cc: Vec<String>,
    #[serde(rename = "BccAddresses")]
    pub(super) bcc: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct EmailContent {
    pub(super) simple: Option<Message>,
    pub(super) template: Option<Template>,
    pub(super) raw: Option<serde::de::IgnoredAny>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Message {
    pub(super) subject: Option<Content>,
    pub(super) body: Option<Body>,
    #[serde(default)]
    pub(super) headers: Vec<NameAndValue>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Body {
    pub(super) text: Option<Content>,
    pub(super) html: Option<Content>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Content {
    pub(super) data: String,
    pub(super) charset: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Template {
    #[serde(rename = "TemplateName")]
    pub(super) name: Option<String>,
    #[serde(rename = "TemplateArn")]
    pub(super) arn: Option<String>,
    #[serde(rename = "TemplateContent")]
    pub(super) content: Option<TemplateContent>,
    #[serde(rename = "TemplateData")]
    pub(super) data: Option<String>,
    #[serde(default, rename = "Headers")]
    pub(super) headers: Vec<NameAndValue>,
}

#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct TemplateContent {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) subject: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) html: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) text: Option<String>,
}

/// A message tag, or a message header.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct NameAndValue {
    pub(super) name: String,
    pub(super) value: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct CreateEmailTemplate {
    pub(super) template_name: String,
    pub(super) template_content: TemplateContent,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct UpdateEmailTemplate {
    pub(super) template_content: TemplateContent,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct TestRenderEmailTemplate {
    pub(super) template_data: String,
}

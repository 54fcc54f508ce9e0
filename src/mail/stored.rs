//! Reads SES's stored templates, for the directory command.

use aws_sdk_sesv2::config::retry::RetryConfig;
use aws_sdk_sesv2::operation::get_email_template::GetEmailTemplateError;

use super::Mailer;
use crate::sdk_error;

/// The parts of a template. A missing part is empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TemplateParts {
    /// The subject line.
    pub subject: String,
    /// The HTML part.
    pub html: String,
    /// The plain-text part.
    pub text: String,
}

impl Mailer {
    /// Reads a template from SES.
    ///
    /// # Errors
    /// The reason as text for the operator.
    pub(crate) async fn stored_template(&self, name: &str) -> Result<TemplateParts, String> {
        // The client has its retries turned off, but a read is safe to retry.
        let retries = aws_sdk_sesv2::config::Builder::new().retry_config(RetryConfig::standard());
        let request = self.client.get_email_template().template_name(name).customize().config_override(retries);
        let content = match request.send().await {
            Ok(answer) => answer.template_content,
            Err(error) if error.as_service_error().is_some_and(GetEmailTemplateError::is_not_found_exception) => {
                return Err(format!("SES has no template `{name}`"));
            }
            Err(error) => return Err(sdk_error::describe("SES", &error)),
        };
        let content = content.ok_or_else(|| format!("SES has a template `{name}` without any content"))?;
        let [subject, html, text] = [content.subject, content.html, content.text].map(Option::unwrap_or_default);
        Ok(TemplateParts { subject, html, text })
    }
}

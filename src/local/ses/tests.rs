//! Tests of the stand-in with the SDK's client.

use std::time::Duration;

use aws_sdk_sesv2::config::{retry::RetryConfig, timeout::TimeoutConfig};
use aws_sdk_sesv2::{
    Client,
    error::{ProvideErrorMetadata, SdkError},
    operation::send_email::builders::SendEmailFluentBuilder,
    types::{
        Body, Content, Destination, EmailContent, EmailTemplateContent, Message, MessageHeader, MessageTag, Template,
    },
};

use super::*;
use crate::local::stack::{Stack, StackOptions};

async fn start() -> (Stack, Client) {
    let stack = Stack::start(StackOptions::default()).await.unwrap();
    let timeouts = TimeoutConfig::builder().operation_attempt_timeout(Duration::from_millis(300)).build();
    let sdk = stack.sdk.to_builder().retry_config(RetryConfig::disabled()).timeout_config(timeouts).build();
    let client = Client::new(&sdk);
    (stack, client)
}

fn text(data: &str) -> Content {
    Content::builder().data(data).charset("UTF-8").build().unwrap()
}

fn simple(subject: &str, html: &str) -> EmailContent {
    let body = Body::builder().html(text(html)).text(text("Hi")).build();
    EmailContent::builder().simple(Message::builder().subject(text(subject)).body(body).build()).build()
}

fn templated(template: aws_sdk_sesv2::types::builders::TemplateBuilder) -> EmailContent {
    EmailContent::builder().template(template.build()).build()
}

fn stored(data: &str) -> EmailContent {
    templated(Template::builder().template_name("hello").template_data(data))
}

fn tag(name: &str, value: &str) -> MessageTag {
    MessageTag::builder().name(name).value(value).build().unwrap()
}

fn mail(client: &Client) -> SendEmailFluentBuilder {
    let destination = Destination::builder().to_addresses("grace@example.com").build();
    let request = client.send_email().from_email_address("Acme <a@acme.example>").destination(destination);
    request.content(simple("Hello", "<p>Hi</p>"))
}

async fn code(request: SendEmailFluentBuilder) -> String {
    match request.send().await {
        Ok(output) => output.message_id().map(|_| "sent").unwrap().to_owned(),
        Err(error) => error.code().unwrap_or("no response").to_owned(),
    }
}

#[tokio::test]
async fn a_mail_is_stored_as_sent() {
    let (stack, client) = start().await;
    let output = mail(&client)
        .reply_to_addresses("support@acme.example")
        .configuration_set_name("set")
        .email_tags(tag("tenant", "default"))
        .send()
        .await
        .unwrap();
    let mails = stack.ses.mails();
    let [mail] = &mails[..] else { panic!("one mail") };
    assert_eq!(output.message_id(), Some(mail.id.as_str()));
    assert_eq!((mail.to.as_str(), mail.subject.as_str()), ("grace@example.com", "Hello"));
    assert_eq!((mail.html.as_str(), mail.text.as_str()), ("<p>Hi</p>", "Hi"));
    assert_eq!(mail.headers["Reply-To"], "support@acme.example");
    assert_eq!(mail.headers["X-SES-CONFIGURATION-SET"], "set");
    assert_eq!(mail.tags["tenant"], "default");
    assert_eq!(stack.ses.calls(), 1);
}

#[tokio::test]
async fn an_invalid_request_is_rejected_as_by_ses() {
    let (stack, client) = start().await;
    let request = || mail(&client);
    let to = |addresses: &[&str]| {
        let addresses = addresses.iter().map(|address| (*address).to_owned()).collect();
        request().destination(Destination::builder().set_to_addresses(Some(addresses)).build())
    };
    let header = |value: &str| {
        let header = MessageHeader::builder().name("X-A").value(value).build().unwrap();
        let message = Message::builder().subject(text("s")).body(Body::builder().text(text("t")).build());
        request().content(EmailContent::builder().simple(message.headers(header).build()).build())
    };
    let charset = |charset: Option<&str>, data: &str| {
        let content = Content::builder().data(data).set_charset(charset.map(str::to_owned)).build().unwrap();
        let message = Message::builder().subject(text("s")).body(Body::builder().text(content).build()).build();
        request().content(EmailContent::builder().simple(message).build())
    };
    let rows = vec![
        (request(), "sent", "nothing is wrong"),
        (header("b"), "sent", "a custom header"),
        (charset(None, "hi"), "sent", "ASCII needs no charset"),
        (request().from_email_address("\"Acme, Inc.\" <a@acme.example>"), "sent", "a quoted display name"),
        (request().set_from_email_address(None), "BadRequestException", "no sender"),
        (request().from_email_address("Acme, Inc. <a@acme.example>"), "BadRequestException", "an unquoted comma"),
        (request().from_email_address("Äcme <a@acme.example>"), "BadRequestException", "not ASCII"),
        (request().from_email_address("Acme <a@acme.example"), "BadRequestException", "no closing bracket"),
        (request().from_email_address("acme.example"), "BadRequestException", "no @"),
        (request().reply_to_addresses("a@b"), "BadRequestException", "a domain without a dot"),
        (request().feedback_forwarding_email_address("a b@c.de"), "BadRequestException", "a space"),
        (to(&[]), "BadRequestException", "no recipient"),
        (to(&["a@b.de\r\nBcc: c@d.ef"]), "BadRequestException", "a header smuggled in"),
        (to(&["a@b.de"; 51]), "BadRequestException", "51 recipients"),
        (request().email_tags(tag("a b", "c")), "BadRequestException", "a tag name with a space"),
        (request().email_tags(tag("a", "ä")), "BadRequestException", "a tag value that is not ASCII"),
        (request().email_tags(tag("a", &"x".repeat(257))), "BadRequestException", "a long tag value"),
        (request().email_tags(tag("a", "b")).email_tags(tag("a", "c")), "BadRequestException", "the same tag twice"),
        (request().content(simple("a\r\nBcc: b@c.de", "x")), "BadRequestException", "a subject of two lines"),
        (request().content(EmailContent::builder().build()), "BadRequestException", "no content"),
        (request().set_content(None), "BadRequestException", "no content at all"),
        (header("b\r\nBcc: c@d.ef"), "BadRequestException", "a header of two lines"),
        (charset(Some("nonsense"), "hi"), "BadRequestException", "an unknown charset"),
        (charset(None, "hällo"), "BadRequestException", "not ASCII, without a charset"),
        (request().content(stored("{}")), "NotFoundException", "an unknown template"),
    ];
    for (request, expected, reason) in rows {
        assert_eq!(code(request).await, expected, "{reason}");
    }
    assert_eq!(stack.ses.mails().len(), 4);
}

#[tokio::test]
async fn templates_are_rendered_as_by_ses() {
    let (stack, client) = start().await;
    stack.ses.put_template("hello", "Hello {{user.name}}", "<p>{{user.name}}{{#if code}} {{code}}{{/if}}</p>", "Hi");
    let arn = "arn:aws:ses:us-east-1:123456789012:template/hello";
    let by_arn = |data: &str| templated(Template::builder().template_arn(arn).template_data(data));
    let inline = |subject: &str| {
        let content = EmailTemplateContent::builder().subject(subject).text("{{a}}").build();
        templated(Template::builder().template_content(content).template_data(r#"{"a":1}"#))
    };
    for (content, expected, reason) in [
        (stored(r#"{"user":{"name":"A & <b>"}}"#), "sent", "by name"),
        (by_arn(r#"{"user":{"name":"A"},"code":"7"}"#), "sent", "by ARN"),
        (inline("{{a}}"), "sent", "with the message"),
        (inline("{{a"), "BadRequestException", "braces that do not close"),
        (stored("[]"), "BadRequestException", "data that is no object"),
        (stored("{"), "BadRequestException", "data that is not JSON"),
        (templated(Template::builder().template_data("{}")), "BadRequestException", "no template"),
    ] {
        assert_eq!(code(mail(&client).content(content)).await, expected, "{reason}");
    }
    let mails = stack.ses.mails();
    let rendered: Vec<_> = mails.iter().map(|mail| (mail.subject.as_str(), mail.html.as_str())).collect();
    assert_eq!(rendered, [("1", ""), ("Hello A", "<p>A 7</p>"), ("Hello A & <b>", "<p>A & <b></p>")]);
}

#[tokio::test]
async fn a_message_whose_template_lacks_a_variable_is_accepted_and_never_delivered() {
    let (stack, client) = start().await;
    stack.ses.put_template("hello", "Hello {{user.name}}", "<p>Hi</p>", "");
    assert_eq!(code(mail(&client).content(stored("{}"))).await, "sent");
    assert_eq!(code(mail(&client).content(stored(r#"{"user":{"name":"a\nBcc: b@c.de"}}"#))).await, "sent");
    assert!(stack.ses.mails().is_empty());
    let failures = stack.ses.rendering_failures();
    assert_eq!(failures.len(), 2);
    assert!(failures[1].reason.contains("user.name"), "{}", failures[1].reason);
}

#[tokio::test]
async fn templates_are_managed_as_in_ses() {
    let (stack, client) = start().await;
    let content = |subject: &str| EmailTemplateContent::builder().subject(subject).text("{{a}}").build();
    let create = |subject: &str| client.create_email_template().template_name("t").template_content(content(subject));
    create("one").send().await.unwrap();
    let error = create("two").send().await.unwrap_err().into_service_error();
    assert!(error.is_already_exists_exception());
    client.update_email_template().template_name("t").template_content(content("{{a}}")).send().await.unwrap();
    let found = client.get_email_template().template_name("t").send().await.unwrap();
    assert_eq!(found.template_content().unwrap().subject(), Some("{{a}}"));
    let listed = client.list_email_templates().send().await.unwrap();
    assert_eq!(listed.templates_metadata()[0].template_name(), Some("t"));
    let render = |data: &str| client.test_render_email_template().template_name("t").template_data(data);
    assert!(render(r#"{"a":"b"}"#).send().await.unwrap().rendered_template().contains("Subject: b"));
    assert!(render("{}").send().await.unwrap_err().into_service_error().is_bad_request_exception());
    client.delete_email_template().template_name("t").send().await.unwrap();
    let error = client.get_email_template().template_name("t").send().await.unwrap_err().into_service_error();
    assert!(error.is_not_found_exception());
    let error = client.get_account().send().await.unwrap_err();
    assert_eq!(error.code(), Some("UnknownOperationException"), "an operation that the stand-in does not support");
    drop(stack);
}

#[tokio::test]
async fn faults_occur_in_the_order_of_their_requests() {
    let (stack, client) = start().await;
    let faults = [
        (SesFault::AccountSuspended, "AccountSuspendedException", 0),
        (SesFault::SendingPaused, "SendingPausedException", 0),
        (SesFault::MailFromDomainNotVerified, "MailFromDomainNotVerifiedException", 0),
        (SesFault::MessageRejected, "MessageRejected", 0),
        (SesFault::LimitExceeded, "LimitExceededException", 0),
        (SesFault::TooManyRequests, "TooManyRequestsException", 0),
        (SesFault::NotFound, "NotFoundException", 0),
        (SesFault::BadRequest, "BadRequestException", 0),
        (SesFault::InternalFailure, "InternalFailure", 0),
        (SesFault::ServiceUnavailable, "ServiceUnavailable", 0),
        (SesFault::Disconnect { accepts: false }, "no response", 0),
        (SesFault::Silence { accepts: false }, "no response", 0),
        (SesFault::Disconnect { accepts: true }, "no response", 1),
        (SesFault::Silence { accepts: true }, "no response", 2),
        (SesFault::Delay(Duration::from_millis(10)), "sent", 3),
    ];
    for (fault, ..) in faults {
        stack.ses.fail_next(fault);
    }
    for (fault, expected, mails) in faults {
        assert_eq!(code(mail(&client)).await, expected, "{fault:?}");
        assert_eq!(stack.ses.mails().len(), mails, "{fault:?}");
    }
    assert_eq!(code(mail(&client)).await, "sent", "nothing is wrong any more");
}

#[tokio::test]
async fn a_disconnection_is_not_a_timeout() {
    let (stack, client) = start().await;
    stack.ses.fail_next(SesFault::Disconnect { accepts: true });
    assert!(matches!(mail(&client).send().await, Err(SdkError::DispatchFailure(_))));
    stack.ses.fail_next(SesFault::Silence { accepts: true });
    assert!(matches!(mail(&client).send().await, Err(SdkError::TimeoutError(_))));
}

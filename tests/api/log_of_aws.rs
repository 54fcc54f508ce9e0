//! The log lines about AWS calls: the request ids of failed calls, and the message ids of mails.

use organization_invitations::local::ses::Mail;
use serde_json::{Value, json};

use crate::{
    helpers::{
        Call, TestApp, body, body_with_mail,
        bulk::{SES_PATH, bulk, results},
        log::{Log, lines},
    },
    proxy::{
        Intervention::{CancelWith, Disconnect, Fail, Truncate},
        Proxy, REQUEST_ID,
    },
};

/// The log lines with this message.
fn lines_with(log: &Log, text: &str) -> Vec<Value> {
    lines(&log.take()).into_iter().filter(|line| line["message"] == text).collect()
}

#[tokio::test]
async fn each_sent_mail_is_logged_with_its_invitation_and_the_message_id_of_ses() {
    let app = TestApp::start_with(&[("MAIL_RATE_PER_SECOND", "1000")]).await;
    let log = Log::capture("info");
    let id = app.invite(&body_with_mail("ada@example.com")).await;
    assert_eq!(app.call(Call::message(&id, &json!({}))).await.status, 204);
    results(&app.call(bulk(&["b@example.com", "c@example.com"].map(body_with_mail))).await);
    app.invite(&body("without-mail@example.com")).await;

    let logged = lines_with(&log, "mail sent");
    let told =
        logged.iter().map(|line| (line["invitation_id"].as_str().unwrap(), line["message_id"].as_str().unwrap()));
    let mails = app.mails();
    let sent = |mail: &'_ Mail| (mail.tags["invitation"].clone(), mail.id.clone());
    let mut told: Vec<_> = told.map(|(invitation, message)| (invitation.to_owned(), message.to_owned())).collect();
    let mut sent: Vec<_> = mails.iter().map(sent).collect();
    assert_eq!((told.len(), logged[0]["level"].clone()), (4, json!("INFO")));
    told.sort();
    sent.sort();
    assert_eq!(told, sent);
}

#[tokio::test]
async fn each_failed_call_is_logged_with_its_cause_and_the_request_id_of_aws() {
    let app = TestApp::start_behind_proxy(&[]).await;
    let other = TestApp::start().await;
    let ses = Proxy::start(&other.stack.ses_url).await;
    let other = other.behind_ses_proxy(ses.url());
    let log = Log::capture("info");
    let id = json!(REQUEST_ID);
    for (number, (service, fault, times, cause, id, reason)) in [
        (
            "TransactWriteItems",
            Fail(400, "ThrottlingException"),
            1,
            "DynamoDB: ThrottlingException",
            &id,
            "a throttled call, which is retried",
        ),
        (
            "TransactWriteItems",
            Fail(500, "InternalServerError"),
            3,
            "DynamoDB: InternalServerError",
            &id,
            "each attempt",
        ),
        (
            "TransactWriteItems",
            CancelWith("TransactionConflict"),
            1,
            "DynamoDB: TransactionCanceled (TransactionConflict, ",
            &id,
            "a cancelled transaction",
        ),
        ("BatchGetItem", Fail(400, "AccessDeniedException"), 1, "DynamoDB: AccessDeniedException", &id, "no retry"),
        (SES_PATH, Fail(400, "MessageRejected"), 1, "SES: MessageRejected", &id, "a rejected mail"),
        (
            SES_PATH,
            Fail(429, "TooManyRequestsException"),
            2,
            "SES: TooManyRequestsException",
            &id,
            "a throttled mail, which is sent again",
        ),
        (SES_PATH, Fail(500, "InternalFailure"), 1, "SES: InternalFailure", &id, "a mail whose outcome is unknown"),
        (SES_PATH, Truncate, 1, "SES: unknown error", &id, "a truncated response"),
        ("BatchGetItem", Disconnect, 1, "", &json!(null), "no response, so no request id"),
    ]
    .into_iter()
    .enumerate()
    {
        let (app, proxy) = if service == SES_PATH { (&other, &ses) } else { (&app, app.proxy()) };
        // After a mail with an unknown outcome, the next one is preceded by a probe of the connection.
        other.invite(&body_with_mail(&format!("before{number}@example.com"))).await;
        (0..times).for_each(|_| proxy.next(service, fault));
        app.call(Call::create(&body_with_mail(&format!("person{number}@example.com")))).await;
        let logged = lines_with(&log, "call to AWS failed");
        assert_eq!(logged.len(), times, "{reason}: {logged:?}");
        for line in &logged {
            assert!(line["cause"].as_str().unwrap().starts_with(cause), "{reason}: {line}");
            assert_eq!((&line["level"], &line["aws_request_id"]), (&json!("WARN"), id), "{reason}: {line}");
        }
    }
}

#[tokio::test]
async fn a_failed_condition_is_no_failed_call() {
    let app = TestApp::start().await;
    let log = Log::capture("info");
    let id = app.invite(&body("ada@example.com")).await;
    app.call(Call::create(&body("ada@example.com"))).await.assert_error(422, "entity.unique_integrity_violation");
    let with_key = Call::create(&body("grace@example.com")).with_key("k");
    app.call(with_key.clone()).await;
    app.call(with_key).await;
    app.call(Call::revoke(&id)).await;
    app.call(Call::revoke(&id)).await.assert_error(422, "request.invalid_input");
    assert_eq!(lines_with(&log, "call to AWS failed"), Vec::<Value>::new());
}

//! The second half of a create, after the table is written: the mail, and what is remembered of it; and the same for a
//! request that comes again.

use lambda_http::{
    Body,
    http::{HeaderName, HeaderValue, Response, StatusCode},
};

use crate::{
    app::App,
    endpoints::{Request, json_text_response, letter},
    error::Error,
    idempotency::REPLAYED_HEADER,
    invitation::{Invitation, Status},
    log::notes,
    mail::{Letter, MessagePayload},
    store::{
        idempotency::{Record, TakenOver},
        send_window::SendWindow,
    },
    timestamp::{Moment, Timestamp},
};

/// Sends the message of an invitation that was just made. If SES does not take it, the invitation is taken back, so that
/// the same call can be made again.
pub(super) async fn send_or_take_back(
    app: &App,
    invitation: &Invitation,
    letter: &Letter,
    window: Option<SendWindow>,
    record: Option<&Record>,
    moment: Moment,
) -> Result<(), Error> {
    if let Err(failure) = app.mailer.send(letter, moment.deadline).await {
        take_back(app, invitation, window, record, moment).await;
        return Err(failure.into());
    }
    if let Some(record) = record
        && let Err(error) = app.store.finish(record, moment).await
    {
        // Only a repetition of a request that has been answered could send the mail again.
        tracing::error!(%error, invitation_id = %invitation.id, "a mail that was sent could not be remembered");
    }
    Ok(())
}

async fn take_back(
    app: &App,
    invitation: &Invitation,
    window: Option<SendWindow>,
    record: Option<&Record>,
    moment: Moment,
) {
    if let Err(error) = app.store.take_back(invitation, window, record, moment).await {
        tracing::error!(%error, invitation_id = %invitation.id, "an invitation without mail could not be taken back");
    }
}

/// Answers a request that was made before, as `record` tells: with the first answer, after doing what the first run left
/// undone when it died.
///
/// # Errors
/// [`Error::StillRunning`] as long as the first run can be alive.
pub(super) async fn repeat(
    app: &App,
    request: &Request<'_>,
    record: Record,
    payload: Option<&MessagePayload>,
) -> Result<Response<Body>, Error> {
    notes::invitation(&record.invitation_id);
    let now = request.moment.now;
    match record.runs_until {
        None => Ok(replayed(record.answer)),
        Some(until) if until > now => Err(still_running(until, now)),
        Some(_) if send_what_is_missing(app, request, &record, payload).await? => Ok(replayed(record.answer)),
        Some(until) => Err(still_running(until, now)),
    }
}

/// Sends the mail that the first run may have left unsent. Whether it did cannot be known where it died after SES took
/// the message: then it is sent twice, which is better than not at all. Says whether it was ours to do.
async fn send_what_is_missing(
    app: &App,
    request: &Request<'_>,
    record: &Record,
    payload: Option<&MessagePayload>,
) -> Result<bool, Error> {
    let moment = request.moment;
    let invitation = app.store.get(&request.caller.tenant, &record.invitation_id, moment.deadline).await?;
    let is_pending = |invitation: &Invitation| invitation.status(moment.now) == Status::Pending;
    let Some((invitation, payload)) = invitation.filter(is_pending).zip(payload) else {
        // Nobody is left to mail.
        app.store.finish(record, moment).await?;
        return Ok(true);
    };
    let letter = match letter(app, request, &invitation, payload).await {
        Err(error) if error.is_fault_of_service() => return Err(error),
        letter => letter,
    };
    let record = match app.store.take_over(record.clone(), &invitation, moment).await? {
        TakenOver::Ours(record) => record,
        TakenOver::Others => return Ok(false),
        TakenOver::Ended => {
            app.store.finish(record, moment).await?;
            return Ok(true);
        }
    };
    let window = SendWindow::unseen(&invitation.tenant, &invitation.invitee.folded(), app.config.message_rate);
    match letter {
        Ok(letter) => {
            send_or_take_back(app, &invitation, &letter, Some(window), Some(&record), moment).await?;
            Ok(true)
        }
        // The connector or its templates have changed since: the call would be refused if it were made now.
        Err(error) => {
            take_back(app, &invitation, Some(window), Some(&record), moment).await;
            Err(error)
        }
    }
}

fn still_running(until: Timestamp, now: Timestamp) -> Error {
    let millis = u64::try_from(until.as_millis() - now.as_millis()).unwrap_or_default();
    Error::StillRunning { retry_after: millis.div_ceil(1000).max(1) }
}

fn replayed(answer: String) -> Response<Body> {
    let mut response = json_text_response(StatusCode::CREATED, answer);
    let header = HeaderName::from_static(REPLAYED_HEADER);
    response.headers_mut().insert(header, HeaderValue::from_static("true"));
    response
}

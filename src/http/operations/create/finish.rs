//! The second half of a create, after the table is written: the mail, and the completion or the roll-back; and the same for
//! a request that is retried with its idempotency key.

use lambda_http::{
    Body,
    http::{HeaderName, HeaderValue, Response, StatusCode},
};

use crate::{app::{App}, http::{operations::{Request, json_text_response, letter}}, domain::{error::{Error}, idempotency::{REPLAYED_HEADER}, invitation::{Invitation, Status}, timestamp::{Timestamp}}, telemetry::{notes}, mail::{ConnectionProof, Letter, MessagePayload}, store::{idempotency::{Record, TakenOver}, send_window::{SendWindow}}, clock::{RequestClock}};

/// An invitation that was written and still has to be mailed, with all that has to be completed or rolled back then.
pub(super) struct Unmailed<'a> {
    pub(super) app: &'a App,
    pub(super) invitation: &'a Invitation,
    /// The recipient's rate limit, in which the send is reserved.
    pub(super) reservation: Option<SendWindow>,
    /// The idempotency record, where the request has a key.
    pub(super) record: Option<&'a Record>,
    pub(super) moment: Moment,
}

impl Unmailed<'_> {
    /// Sends the message. If SES certainly does not take it, everything is rolled back, so that the same call can be made
    /// again. If SES may have taken it the invitation stands, because its mail may be on the way.
    pub(super) async fn mail(self, letter: &Letter, proof: ConnectionProof) -> Result<(), Error> {
        match self.app.mailer.send(letter, proof, self.moment).await {
            Ok(sent) => {
                sent.note();
                self.complete().await;
                Ok(())
            }
            Err(failure) => {
                self.roll_back().await;
                Err(failure.into())
            }
        }
    }

    async fn complete(self) {
        let Some(record) = self.record else { return };
        if let Err(error) = self.app.store.complete(record, self.moment).await {
            // Only a retry of a request that has been answered could send the mail again.
            tracing::error!(%error, invitation_id = %self.invitation.id, "idempotency record not completed");
        }
    }

    async fn roll_back(self) {
        let Self { app, invitation, reservation, record, moment } = self;
        if let Err(error) = app.store.roll_back(invitation, reservation, record, moment).await {
            tracing::error!(%error, invitation_id = %invitation.id, "invitation without mail not rolled back");
        }
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
        app.store.complete(record, moment).await?;
        return Ok(true);
    };
    let letter = match letter(app, request, &invitation, payload).await {
        Err(error) if error.is_fault_of_service() => return Err(error),
        letter => letter,
    };
    let proof = app.mailer.prove_connection(moment)?;
    let record = match app.store.take_over(record.clone(), &invitation, moment).await? {
        TakenOver::Ours(record) => record,
        TakenOver::Others => return Ok(false),
        TakenOver::Ended => {
            app.store.complete(record, moment).await?;
            return Ok(true);
        }
    };
    let window = SendWindow::unseen(&invitation.tenant, &invitation.invitee.folded(), app.config.message_rate);
    let unmailed = Unmailed { app, invitation: &invitation, reservation: Some(window), record: Some(&record), moment };
    match letter {
        Ok(letter) => {
            unmailed.mail(&letter, proof).await?;
            Ok(true)
        }
        // The connector or its templates have changed since: the call would be refused if it were made now.
        Err(error) => {
            unmailed.roll_back().await;
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

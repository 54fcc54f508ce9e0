//! The faults of SES that the stand-in can inject, and what a request with each of them gets.

use std::time::Duration;

use organization_invitations::local::ses::SesFault::{self, *};

/// The caller's response: status, code and `Retry-After`.
pub type Outcome = (u16, &'static str, Option<&'static str>);

pub const REJECTED: Outcome = (400, "connector.invalid_response", None);
const THROTTLED: Outcome = (429, "connector.rate_limit_exceeded", Some("1"));
pub const FAILED: Outcome = (503, "connector.general", Some("1"));

/// Longer than a function waits for SES that has [`SHORT`] for the request.
const TOO_LONG: Duration = Duration::from_secs(5);

/// The faults with which SES has certainly not accepted a message, the number of attempts, and the caller's response.
#[rustfmt::skip]
pub const FAULTS: [(SesFault, usize, Outcome, &str); 12] = [
    (MessageRejected, 1, REJECTED, "the content of the message is rejected"),
    (BadRequest, 1, REJECTED, "the request is not valid"),
    (NotFound, 1, REJECTED, "the configuration set or the template does not exist"),
    (AccountSuspended, 1, REJECTED, "the account may not send any more"),
    (SendingPaused, 1, REJECTED, "sending is paused"),
    (MailFromDomainNotVerified, 1, REJECTED, "the domain is not verified"),
    (TooManyRequests, 3, THROTTLED, "the sending rate"),
    (LimitExceeded, 3, THROTTLED, "the sending quota"),
    (Throttling, 3, THROTTLED, "the limit of requests"),
    (ServiceUnavailable, 1, FAILED, "it is not available"),
    (ExpiredToken, 1, FAILED, "the function's credentials have expired"),
    (UnrecognizedClient, 1, FAILED, "the function's credentials are none any more"),
];

/// The faults after which it is unknown whether SES has accepted a message, and whether it has.
#[rustfmt::skip]
pub const LOST_ANSWERS: [(SesFault, bool, &str); 11] = [
    (InternalFailure, false, "a failure of unknown reach"),
    (Disconnect { accepts: false }, false, "the connection ends without an answer"),
    (Disconnect { accepts: true }, true, "taken, and the connection ends without an answer"),
    (CutOff, true, "taken, and the connection ends in the middle of the answer"),
    (Garbled("<html>502</html>"), true, "taken, and the answer is not JSON"),
    (Garbled("{\"MessageId\":"), true, "taken, and the answer is half of one"),
    (Garbled("{}"), true, "taken, and the answer has no MessageId"),
    (Garbled("{\"MessageId\":\"\"}"), true, "taken, and the MessageId is empty"),
    (Silence { accepts: false }, false, "no answer ever comes"),
    (Silence { accepts: true }, true, "taken, and no answer ever comes"),
    (Delay(TOO_LONG), true, "taken, and answered when nobody waits any more"),
];

/// The time of a request in which an answer of SES gets lost.
pub const SHORT: Duration = Duration::from_secs(4);

//! The SES faults that the stand-in can inject, and the response to a request during each of them.

use std::time::Duration;

use organization_invitations::local::ses::SesFault::{self, *};

/// The caller's response: status, code and `Retry-After`.
pub type Outcome = (u16, &'static str, Option<&'static str>);

const REJECTED: Outcome = (400, "connector.invalid_response", None);
const THROTTLED: Outcome = (429, "connector.rate_limit_exceeded", Some("1"));
pub const FAILED: Outcome = (503, "connector.general", Some("1"));

/// Longer than the function waits for SES when the request's budget is [`SHORT`].
const TOO_LONG: Duration = Duration::from_secs(5);

/// The faults after which SES has certainly not accepted a message, the number of attempts, and the caller's response.
#[rustfmt::skip]
pub const FAULTS: [(SesFault, usize, Outcome, &str); 12] = [
    (MessageRejected, 1, REJECTED, "the content of the message is rejected"),
    (BadRequest, 1, REJECTED, "the request is not valid"),
    (NotFound, 1, REJECTED, "the configuration set or the template does not exist"),
    (AccountSuspended, 1, REJECTED, "the account is suspended"),
    (SendingPaused, 1, REJECTED, "sending is paused"),
    (MailFromDomainNotVerified, 1, REJECTED, "the MAIL FROM domain is not verified"),
    (TooManyRequests, 3, THROTTLED, "the sending rate is exceeded"),
    (LimitExceeded, 3, THROTTLED, "the sending quota is exceeded"),
    (Throttling, 3, THROTTLED, "the API request rate is exceeded"),
    (ServiceUnavailable, 1, FAILED, "SES is unavailable"),
    (ExpiredToken, 1, FAILED, "the function's credentials have expired"),
    (UnrecognizedClient, 1, FAILED, "the function's credentials are no longer valid"),
];

/// The faults after which the function cannot know whether SES has accepted the message; `true` if SES has accepted it.
#[rustfmt::skip]
pub const LOST_ANSWERS: [(SesFault, bool, &str); 11] = [
    (InternalFailure, false, "SES fails, and the outcome is unknown"),
    (Disconnect { accepts: false }, false, "the connection closes without a response"),
    (Disconnect { accepts: true }, true, "accepted, but the connection closes without a response"),
    (CutOff, true, "accepted, but the connection closes in the middle of the response"),
    (Garbled("<html>502</html>"), true, "accepted, but the response is not JSON"),
    (Garbled("{\"MessageId\":"), true, "accepted, but the response is truncated"),
    (Garbled("{}"), true, "accepted, but the response has no MessageId"),
    (Garbled("{\"MessageId\":\"\"}"), true, "accepted, but the MessageId is empty"),
    (Silence { accepts: false }, false, "not accepted, and SES never responds"),
    (Silence { accepts: true }, true, "accepted, but SES never responds"),
    (Delay(TOO_LONG), true, "accepted, but SES responds after the function's timeout"),
];

/// The budget of a request during which the response of SES is lost.
pub const SHORT: Duration = Duration::from_secs(4);

//! The parts of the line for people: `POST /api/organization-invitations` and `18 ms · dynamodb 12 ms in 2 calls`.

use std::{fmt, time::Duration};

use super::{Line, statistics::Tally};

/// The method and the path, with the invitation's id if it is valid.
pub(super) struct Request<'a>(pub(super) &'a Line<'a>);

/// The duration of the request, the time of its AWS calls, and its retries.
pub(super) struct Timing<'a>(pub(super) &'a Line<'a>);

/// A duration in milliseconds: one decimal below ten, none above.
struct Millis(Duration);

impl fmt::Display for Request<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some((method, path)) = self.0.endpoint else { return f.write_str("unknown path or method") };
        match (&self.0.statistics.invitation_id, path.split_once("{id}")) {
            (Some(id), Some((before, after))) => write!(f, "{method} {before}{id}{after}"),
            _ => write!(f, "{method} {path}"),
        }
    }
}

impl fmt::Display for Timing<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Line { duration, statistics, .. } = self.0;
        write!(f, "{}", Millis(*duration))?;
        for (name, Tally { calls, time }) in [("dynamodb", &statistics.dynamodb), ("mail", &statistics.ses)] {
            match calls {
                0 => {}
                1 => write!(f, " · {name} {}", Millis(*time))?,
                calls => write!(f, " · {name} {} in {calls} calls", Millis(*time))?,
            }
        }
        for (outcome, count) in &statistics.items.outcomes {
            write!(f, " · {count} {outcome}")?;
        }
        match statistics.retries {
            0 => Ok(()),
            1 => f.write_str(" · 1 retry"),
            retries => write!(f, " · {retries} retries"),
        }
    }
}

impl fmt::Display for Millis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millis = self.0.as_secs_f64() * 1000.0;
        write!(f, "{millis:.*} ms", usize::from(millis < 9.95))
    }
}

//! The events of the stack in both directions: `/events`, and `/events.json` for programs, newest first.

mod page;

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
};

use axum::{
    Json, Router,
    extract::{Query, State},
    response::Response,
    routing::get,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::pages::response;
use crate::domain::{ids::InvitationId, timestamp::Timestamp};

/// The number of events that are kept; the oldest are dropped first.
const KEPT: usize = 1000;

/// The direction of an event, as seen from the function.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// To the stack's bus.
    Out,
    /// From the default bus.
    In,
}

/// An event.
#[derive(Clone, Debug, Serialize)]
pub struct BusEvent {
    /// Its direction.
    pub direction: Direction,
    /// The time at which it was on the bus, in milliseconds.
    pub at: Timestamp,
    /// Its `detail`.
    pub detail: Value,
}

/// The latest events, kept until the server stops.
#[derive(Debug, Default)]
pub struct EventList {
    newest_first: Mutex<VecDeque<BusEvent>>,
}

impl EventList {
    /// Adds an event that the function has published, by its detail.
    pub fn record_outgoing(&self, detail: Value) {
        self.record(Direction::Out, detail);
    }

    /// Adds an event that was published to the function, by its detail.
    pub fn record_incoming(&self, detail: Value) {
        self.record(Direction::In, detail);
    }

    /// All events, newest first.
    pub fn all(&self) -> Vec<BusEvent> {
        self.newest_first.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }

    fn record(&self, direction: Direction, detail: Value) {
        let mut events = self.newest_first.lock().unwrap_or_else(PoisonError::into_inner);
        events.truncate(KEPT - 1);
        events.push_front(BusEvent { direction, at: Timestamp::now(), detail });
    }
}

impl BusEvent {
    /// The invitation of the event.
    fn invitation_id(&self) -> Option<&str> {
        let names = ["/data/id", "/mail/tags/invitation/0"];
        names.into_iter().find_map(|name| self.detail.pointer(name)?.as_str())
    }
}

#[derive(Deserialize)]
struct PageQuery {
    invitation: Option<String>,
}

/// The pages with these events.
pub fn router(events: Arc<EventList>) -> Router {
    Router::new().route("/events", get(list)).route("/events.json", get(json)).with_state(events)
}

async fn list(State(events): State<Arc<EventList>>, Query(PageQuery { invitation }): Query<PageQuery>) -> Response {
    let id = invitation.as_deref().and_then(InvitationId::parse);
    let mut shown = events.all();
    shown.retain(|event| id.as_ref().is_none_or(|id| event.invitation_id() == Some(id.as_str())));
    response(page::list(&shown, id.as_ref()))
}

async fn json(State(events): State<Arc<EventList>>) -> Json<Vec<BusEvent>> {
    Json(events.all())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_latest_events_of_both_directions_stay_newest_first() {
        let events = EventList::default();
        (0..KEPT).for_each(|number| events.record_outgoing(json!({ "data": { "id": number } })));
        events.record_incoming(json!({ "mail": { "tags": { "invitation": ["i"] } } }));
        let all = events.all();
        assert_eq!(all.len(), KEPT);
        assert_eq!((all[0].direction, all[0].invitation_id()), (Direction::In, Some("i")));
        assert_eq!((all[1].direction, &all[1].detail["data"]["id"]), (Direction::Out, &json!(KEPT - 1)));
        assert_eq!(all[KEPT - 1].detail["data"]["id"], 1, "the oldest has gone");
    }
}

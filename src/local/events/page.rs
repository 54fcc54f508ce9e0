//! The markup of the events. `maud` escapes all values.

use maud::{Markup, html};
use serde_json::Value;

use super::{BusEvent, Direction};
use crate::{
    domain::ids::InvitationId,
    local::pages::{count, frame, time},
};

/// The list of events, newest first; only those of the invitation `id`, if it is given.
pub(super) fn list(events: &[BusEvent], id: Option<&InvitationId>) -> Markup {
    let body = html! {
        header.bar { h1 { "Events" } p.count role="status" { @if !events.is_empty() { (count(events.len(), "event")) } } }
        @if let Some(id) = id {
            p.note { "Only events of the invitation " code { (id) } ". " a href="/events" { "All events" } }
        }
        // The script replaces this element after a change.
        div #news {
            @if events.is_empty() {
                div.empty {
                    h2 { "No events yet" }
                    p { "Each change of an invitation appears here by itself, as on the event bus of a deployed stack." }
                }
            } @else {
                ol.sheet role="list" { @for event in events { li { (row(event)) } } }
            }
        }
    };
    frame("Events", "/events", &body)
}

fn row(event: &BusEvent) -> Markup {
    let (from_or_to, direction) = match event.direction {
        Direction::Out => ("published", "out"),
        Direction::In => ("received", "in"),
    };
    let detail = serde_json::to_string_pretty(&event.detail).unwrap_or_default();
    html! {
        details {
            summary.row {
                span.to {
                    (name(&event.detail))
                    @if let Some(status) = event.detail["delivery"]["status"].as_str() { ": " (status) }
                }
                span.subject { bdi { (about(event)) } }
                (time(event.at))
                span.tags { span.tag title=(from_or_to) { (direction) } }
            }
            pre tabindex="0" { (detail) }
        }
    }
}

/// The short name of an event's type: ours without its prefix, or SES's.
fn name(detail: &Value) -> &str {
    let kind = detail["type"].as_str().or_else(|| detail["eventType"].as_str()).unwrap_or("(no type)");
    kind.rsplit('.').next().unwrap_or(kind)
}

fn about(event: &BusEvent) -> &str {
    event.detail["data"]["invitee"].as_str().or_else(|| event.invitation_id()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::domain::timestamp::Timestamp;

    #[test]
    fn nothing_in_an_event_becomes_markup_of_the_page() {
        let evil = "<script>alert(1)</script>\"'&";
        let detail = json!({ "type": evil, "data": { "id": evil, "invitee": evil }, evil: evil });
        let event = BusEvent { direction: Direction::Out, at: Timestamp::from_millis(0), detail };
        let page = list(&[event], None).into_string();
        assert_eq!(page.matches("<script").count(), 1, "only the page's own: {page}");
    }
}

//! What a service writes.

use super::event::Event;

/// One atomic write: a document, and the event in its outbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change<T> {
    pub thing: T,
    pub event: Option<Event>,
}

impl<T> Change<T> {
    pub fn with_event(thing: T, event: Event) -> Change<T> {
        Change { thing, event: Some(event) }
    }

    pub fn without_event(thing: T) -> Change<T> {
        Change { thing, event: None }
    }
}

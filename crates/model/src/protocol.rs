//! The protocol as pure functions of small values: what each service decides about its own document.
//!
//! They are a statement of their own, for the services' documents have members that no decision reads: a state of the model
//! has to be small. [`order`] is orders' part, [`listing`] that of tickets, [`payment`] and [`schedule`] those of
//! payments and expiration, [`event`] what they publish.

pub mod event;
pub mod listing;
pub mod order;
pub mod payment;
pub mod places;
pub mod schedule;
pub mod stripe;

use self::event::Event;

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

/// The version of a document.
pub type Version = u8;

/// An order, by its index.
pub type OrderIndex = u8;

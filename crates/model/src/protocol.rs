//! The protocol as pure functions of small values: what each service decides about its own document.
//!
//! They are a statement of their own, for the services' documents have members that no decision reads: a state of the model
//! has to be small. [`order`] is orders' part, [`listing`] that of tickets, [`payment`] and [`schedule`] those of
//! payments and expiration, [`event`] what they publish.

pub mod change;
pub mod event;
pub mod listing;
pub mod numbers;
pub mod order;
pub mod payment;
pub mod places;
pub mod schedule;
pub mod stripe;

pub use self::change::Change;
pub use self::numbers::{OrderIndex, Version};

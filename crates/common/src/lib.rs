//! The contract between the services: events and subjects, ids, money, time, problems, permissions.
//!
//! Boundary: no I/O and no runtime. What stands here is either vocabulary that every service uses, or a rule on
//! which two services must agree: who may do what ([`permissions`]), which order states are live
//! ([`events::OrderStatus::is_live`]), in which currency and above which price tickets are sold
//! ([`settings::MarketSettings`]), and the problems that clients can match on ([`problem`]). A rule that one
//! service applies alone lives in that service's `domain`.

#![warn(missing_docs)]

pub mod back_off;
pub mod calendar;
pub mod clock;
pub mod display;
pub mod durability;
pub mod events;
pub mod ids;
pub mod listing;
pub mod money;
pub mod permissions;
pub mod places;
pub mod problem;
mod schema;
pub mod scopes;
pub mod settings;
pub mod text;
pub mod time_zone;

pub use clock::{Clock, Time};
pub use money::Money;
pub use places::{Place, Quantity};

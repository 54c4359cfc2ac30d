//! The model: explores every reachable state within bounds, and checks the invariants in each.
//!
//! [`protocol`] states what each service decides, as pure functions. Around it the environment is modelled: MongoDB (atomic
//! writes of one document, optimistic concurrency, unique indexes), JetStream (events may be late, out of order and
//! duplicated, until they are acknowledged), Stripe, and the processes, which may crash between any two steps.
//!
//! [`places`] is about who gets which place, among several buyers. [`cards`] is about the money of one order, with every
//! request to Stripe. Each has its steps, its invariants, and the mistakes that it must detect.

pub mod cards;
pub mod exploring;
pub mod places;
pub mod protocol;

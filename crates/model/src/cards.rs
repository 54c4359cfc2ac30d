//! The money of one order: every reachable state within bounds, of the order, its payment, Stripe, and what is in flight
//! between them.

pub mod bounds;
mod consumers;
mod invariants;
pub mod mutants;
mod state;
mod steps;
mod stripe;
pub mod system;

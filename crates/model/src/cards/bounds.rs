//! The bounds of the explored state space.

use crate::protocol::payment::Limits;

/// What happens at all, and how often.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    pub limits: Limits,
    /// How many processes work on the payment concurrently.
    pub workers: usize,
    /// How often Stripe responds with a 500.
    pub failures: u8,
    /// How many events are lost, with a stream or a database.
    pub losses: u8,
    /// What else happens at Stripe, once: without us.
    pub elsewhere: &'static [Elsewhere],
    /// Whether a bank may ask the buyer to authenticate.
    pub challenges: bool,
    /// Whether the seller refunds, deletes the listing; whether the buyer cancels.
    pub refunds: bool,
    pub deletes: bool,
    pub cancels: bool,
    /// Whether another buyer takes the places of an order that has ended.
    pub rivals: bool,
    /// Whether payments' clock may be wrong.
    pub is_late: bool,
}

/// What is done in Stripe's dashboard, or by time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Elsewhere {
    /// The authorisation is cancelled, or has expired.
    Cancel,
    Capture,
    Refund,
}

/// One attempt, one process, nothing unusual. The order may expire.
pub const PLAIN: Bounds = Bounds {
    limits: Limits { declines: 1, attempts: 1 },
    workers: 1,
    failures: 0,
    losses: 0,
    elsewhere: &[],
    challenges: false,
    refunds: false,
    deletes: false,
    cancels: false,
    rivals: false,
    is_late: false,
};

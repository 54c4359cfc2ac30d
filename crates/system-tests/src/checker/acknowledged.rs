//! What was acknowledged to clients. A request with an unknown outcome (a timeout, a 5xx, a failed connection) isn't here:
//! it may have been executed or not.

use serde::Serialize;

/// The successful responses.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Acknowledged {
    /// 201: the users' ids.
    pub users: Vec<String>,
    /// 201 and 200: a ticket at a version.
    pub tickets: Vec<AcknowledgedTicket>,
    /// 204: the tickets' ids.
    pub deleted: Vec<String>,
    /// 201
    pub orders: Vec<AcknowledgedOrder>,
    /// 204: the orders' ids.
    pub cancelled: Vec<String>,
    /// 201: completed.
    pub paid: Vec<AcknowledgedPayment>,
    /// 202: the outcome was unknown at the time.
    pub processing: Vec<AcknowledgedPayment>,
    /// 202
    pub refunds: Vec<AcknowledgedRefund>,
    /// 200: a code was admitted at the door.
    pub admitted: Vec<AcknowledgedAdmission>,
    /// Requests that were repeated under their `Idempotency-Key` after a success.
    pub replays: Vec<Replay>,
}

/// A ticket as the response to its seller showed it.
#[derive(Clone, Debug, Serialize)]
pub struct AcknowledgedTicket {
    pub id: String,
    pub version: i64,
    pub seller: String,
    /// Of one place, in cents.
    pub price: i64,
    pub quantity: u64,
}

#[derive(Clone, Debug, Serialize)]
pub struct AcknowledgedOrder {
    pub id: String,
    pub ticket: String,
    pub buyer: String,
    /// Of one place, in cents.
    pub price: i64,
    /// As many as the buyer wanted.
    pub quantity: u64,
}

#[derive(Clone, Debug, Serialize)]
pub struct AcknowledgedAdmission {
    pub order: String,
    pub place: i64,
}

#[derive(Clone, Debug, Serialize)]
pub struct AcknowledgedRefund {
    pub payment: String,
    /// Whether the places were to go back on sale.
    pub relist: bool,
}

#[derive(Clone, Debug, Serialize)]
pub struct AcknowledgedPayment {
    pub id: String,
    pub order: String,
}

/// The ids in two successful responses under one key.
#[derive(Clone, Debug, Serialize)]
pub struct Replay {
    pub key: String,
    pub first: String,
    pub second: String,
}

impl Acknowledged {
    pub fn count(&self) -> usize {
        let Acknowledged { users, tickets, deleted, orders, cancelled, .. } = self;
        let Acknowledged { paid, processing, refunds, replays, .. } = self;
        let market = users.len() + tickets.len() + deleted.len() + orders.len() + cancelled.len();
        market + paid.len() + processing.len() + refunds.len() + replays.len()
    }
}

//! Reserving a ticket: the order's insert is the reservation, and a unique index lets exactly one succeed.

use common::Money;
use common::ids::{OrderId, UserId};
use httpkit::Result;
use httpkit::idempotency::RequestIdentity;
use store::{ConflictError, StoredResponse};

use crate::domain::{Expiry, Order, TicketReplica};
use crate::state::App;
use crate::store::{InsertOutcome, MAX_ATTEMPTS};
use crate::view;

/// Reserves the ticket for the buyer, at the price that the buyer expects.
pub async fn reserve(
    app: &App,
    request: &RequestIdentity,
    buyer: UserId,
    ticket: &TicketReplica,
    expected_price: Option<Money>,
) -> Result<StoredResponse> {
    let now = app.clock.now();
    ticket.check_reservable(expected_price, now)?;
    for _ in 0..MAX_ATTEMPTS {
        if let Some(holder) = app.store.live_order(ticket.id).await? {
            // The next buyer's attempt ends an expired reservation itself, without waiting for a timer.
            match holder.expire(now) {
                Expiry::Due(change) => {
                    app.store.replace(holder.version, &change).await?;
                }
                Expiry::NotBefore(_) | Expiry::Nothing => return Err(holder.blocks(buyer).into()),
            }
        }
        let hold = app.store.next_hold(ticket.id).await?;
        let (id, ttl) = (OrderId::new(now), app.reservation_ttl);
        let change = Order::reserve(id, buyer, ticket.as_ordered(), hold, now, ttl);
        let response = view::created(&change.thing, now)?;
        match app.store.insert_for(request, &response, &change).await? {
            InsertOutcome::Inserted => return Ok(response),
            InsertOutcome::Taken | InsertOutcome::Conflict => {}
        }
    }
    Err(ConflictError.into())
}

//! Letting go of a ticket that is locked for an order which this database has lost.

use bus::Failure;
use common::events;
use common::ids::OrderId;
use store::ConflictError;

use crate::domain::{Order, Ticket};
use crate::state::App;
use crate::store::Placed;

/// How often we look again when buyers are at the same ticket.
const TRIES: usize = 32;

/// Tells tickets that the order has ended, if it is lost and nobody else has the ticket by now.
pub async fn release(app: &App, id: OrderId, ticket: &events::Ticket) -> Result<(), Failure> {
    let (heard_of, ticket) = (ticket.hold, Ticket::of(ticket, false));
    for _ in 0..TRIES {
        // The number first: whoever takes the ticket from here on takes a greater one.
        let hold = app.store.next_hold(ticket.id).await?.max(heard_of + 1);
        if app.store.live_order(ticket.id).await?.is_some() {
            // Its own events say whose the ticket is, under a newer hold.
            return Ok(());
        }
        let placed = match app.store.orders.get(id).await? {
            None => {
                let now = app.clock.now();
                app.store.reserve(&Order::lost_holder(id, &ticket, hold, now)).await?
            }
            Some(order) => match order.found_holder(&ticket, hold) {
                Some(change) => app.store.replace(order.version, &change).await?,
                None => return Ok(()),
            },
        };
        match placed {
            Placed::Yes => {
                tracing::warn!(order = %id, ticket = %ticket.id, "a lost order had the ticket; it is free");
                return Ok(());
            }
            Placed::Taken | Placed::TryAgain => {}
        }
    }
    Err(ConflictError.into())
}

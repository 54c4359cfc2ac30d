//! Reserving: the order's insert is the reservation, and a unique index lets exactly one through.

use common::events::OrderStatus;
use common::ids::OrderId;
use common::{Money, problem};
use httpkit::idempotency::RequestIdentity;
use httpkit::{CurrentUser, Error, Result};
use store::StoredResponse;

use crate::domain::{Expiry, Order, Ticket};
use crate::state::App;
use crate::store::Placed;
use crate::view;

/// How often we look again when others are at the same ticket.
const TRIES: usize = 32;

/// Takes the ticket for the buyer, or says who has it.
pub async fn reserve(
    app: &App,
    key: &RequestIdentity,
    buyer: &CurrentUser,
    ticket: &Ticket,
    seen: Option<Money>,
) -> Result<StoredResponse> {
    let now = app.clock.now();
    check(ticket, seen, now)?;
    for _ in 0..TRIES {
        if let Some(holder) = app.store.live_order(ticket.id).await? {
            // The next buyer's own attempt ends a hold that has run out; it waits for no timer.
            match holder.expire(now) {
                Expiry::Due(change) => {
                    app.store.replace(holder.version, &change).await?;
                }
                Expiry::NotBefore(_) | Expiry::Nothing => return Err(taken(&holder, buyer)),
            }
        }
        let hold = app.store.next_hold(ticket.id).await?;
        let id = OrderId::new(now);
        let change = Order::reserve(id, buyer.id, ticket.as_ordered(), hold, now, app.reservation);
        let answer = view::created(&change.thing, now)?;
        match app.store.reserve_for(key, &answer, &change).await? {
            Placed::Yes => return Ok(answer),
            Placed::Taken | Placed::TryAgain => {}
        }
    }
    Err(Error::conflict())
}

/// What speaks against buying this ticket, whoever has it.
fn check(ticket: &Ticket, seen: Option<Money>, now: common::Time) -> Result<()> {
    if ticket.is_past(now) {
        return Err(Error::refused(&problem::TICKET_PAST, "The ticket's date has passed."));
    }
    match seen {
        Some(seen) if seen != ticket.listing.price => {
            let detail = format!("The ticket costs {} now, not {seen}.", ticket.listing.price);
            Err(Error::refused(&problem::PRICE_CHANGED, detail)
                .with("price", ticket.listing.price.to_string()))
        }
        Some(_) | None => Ok(()),
    }
}

fn taken(holder: &Order, buyer: &CurrentUser) -> Error {
    let refusal = match holder.status {
        OrderStatus::Complete => Error::refused(&problem::TICKET_SOLD, "The ticket is sold."),
        OrderStatus::Created | OrderStatus::AwaitingPayment | OrderStatus::Cancelled => {
            let detail = format!("The ticket is held until {}.", holder.expires_at);
            Error::refused(&problem::TICKET_RESERVED, detail)
        }
    };
    if holder.user_id == buyer.id {
        refusal.with("orderId", holder.id.to_string())
    } else {
        refusal
    }
}

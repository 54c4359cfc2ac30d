//! Reserving: the order's insert is the reservation, and a unique index lets exactly one through.

use common::Money;
use common::auth::CurrentUser;
use common::error::{Error, Result, problems};
use common::events::OrderStatus;
use common::idempotency::{Created, Key};
use common::ids::OrderId;

use crate::app::App;
use crate::domain::{Expiry, Order, Ticket};
use crate::store::Placed;
use crate::view;

/// How often we look again when others are at the same ticket.
const TRIES: usize = 32;

/// Takes the ticket for the buyer, or says who has it.
pub async fn reserve(
    app: &App,
    key: &Key,
    buyer: &CurrentUser,
    ticket: &Ticket,
    seen: Option<Money>,
) -> Result<Created> {
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
    Err(Error::contended())
}

/// What speaks against buying this ticket, whoever has it.
fn check(ticket: &Ticket, seen: Option<Money>, now: common::Time) -> Result<()> {
    if ticket.is_past(now) {
        return Err(Error::refused(&problems::TICKET_PAST, "The ticket's date has passed."));
    }
    match seen {
        Some(seen) if seen != ticket.price => {
            let detail = format!("The ticket costs {} now, not {seen}.", ticket.price);
            Err(Error::refused(&problems::PRICE_CHANGED, detail)
                .with("price", ticket.price.to_string()))
        }
        Some(_) | None => Ok(()),
    }
}

fn taken(holder: &Order, buyer: &CurrentUser) -> Error {
    let refusal = match holder.status {
        OrderStatus::Complete => Error::refused(&problems::TICKET_SOLD, "The ticket is sold."),
        OrderStatus::Created | OrderStatus::AwaitingPayment | OrderStatus::Cancelled => {
            let detail = format!("The ticket is held until {}.", holder.expires_at);
            Error::refused(&problems::TICKET_RESERVED, detail)
        }
    };
    if holder.user_id == buyer.id {
        refusal.with("orderId", holder.id.to_string())
    } else {
        refusal
    }
}

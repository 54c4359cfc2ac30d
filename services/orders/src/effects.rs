//! Applying the effects of ticket events.

use bus::Failure;
use common::events;

use crate::domain::{Effect, Order};
use crate::state::App;

/// Applies the effects of a ticket event, one write after the other.
pub async fn apply_effects(
    app: &App,
    ticket: &events::Ticket,
    effects: Vec<Effect>,
) -> Result<(), Failure> {
    for effect in effects {
        match effect {
            Effect::ConfirmReserved(order) => {
                app.store.confirm_reserved(order).await?;
            }
            Effect::Replica(replica) => {
                app.store.apply_ticket(&replica).await?;
            }
            Effect::EndLiveOrders => {
                app.store.reconcile(ticket.id).await?;
                for order in app.store.occupying_orders(ticket.id).await? {
                    app.store.update(order, Order::ticket_deleted).await?;
                }
            }
        }
    }
    Ok(())
}

//! Applying the effects of ticket events.

use bus::Failure;
use common::events;

use crate::domain::Effect;
use crate::recovery;
use crate::state::App;

/// Applies the effects of a ticket event, one write after the other.
pub async fn apply_effects(
    app: &App,
    ticket: &events::Ticket,
    effects: Vec<Effect>,
) -> Result<(), Failure> {
    for effect in effects {
        match effect {
            Effect::ConfirmLock { order, hold } => {
                let confirmed = app.store.update(order, |order| order.confirm_lock(hold)).await?;
                if confirmed.is_none_or(|order| order.is_orphaned_charge()) {
                    recovery::release_orphaned_reservation(app, order, ticket).await?;
                }
            }
            Effect::Replica(replica) => {
                app.store.apply_ticket(&replica).await?;
            }
            Effect::EndLiveOrder => {
                if let Some(order) = app.store.live_order(ticket.id).await? {
                    app.store.update(order.id, super::domain::Order::ticket_deleted).await?;
                }
            }
        }
    }
    Ok(())
}

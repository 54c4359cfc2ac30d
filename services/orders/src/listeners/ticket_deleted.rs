//! `ticket.deleted`: the listing's live orders end, or their payments must be refunded.

use bus::Failure;
use common::events::TicketDeleted;

use crate::domain::{Order, TicketReplica};
use crate::state::App;

/// The replica's version first: between the two writes, nobody may order the ticket any more. A crash between them is
/// repaired by the redelivery, which does both again.
pub async fn handle(app: App, TicketDeleted(ticket): TicketDeleted) -> Result<(), Failure> {
    app.store.apply_ticket(&TicketReplica::of(&ticket, true)).await?;
    for order in app.store.occupying_orders(ticket.id).await? {
        app.store.update(order, Order::ticket_deleted).await?;
    }
    Ok(())
}

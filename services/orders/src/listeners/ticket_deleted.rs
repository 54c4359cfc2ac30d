//! `ticket.deleted`: whoever holds the ticket loses it, and gets back what was paid.

use common::bus::Failure;
use common::events::TicketDeleted;

use crate::app::App;
use crate::domain::Ticket;

pub async fn listen(app: App, TicketDeleted(ticket): TicketDeleted) -> Result<(), Failure> {
    // The tombstone first, so that nobody orders the ticket between the two; it is written again, and
    // the order looked for again, when the event comes again.
    app.store.apply_ticket(&Ticket::of(&ticket, true)).await?;
    if let Some(order) = app.store.live_order(ticket.id).await? {
        app.store.orders.change(order.id, |order| Ok::<_, Failure>(order.ticket_deleted())).await?;
    }
    Ok(())
}

//! `ticket.updated`: edited, or locked for an order, which may await its payment from then on.

use common::bus::Failure;
use common::events::TicketUpdated;

use crate::app::App;
use crate::domain::Ticket;

pub async fn listen(app: App, TicketUpdated(ticket): TicketUpdated) -> Result<(), Failure> {
    if let Some(order) = ticket.order_id {
        // The order's own state guards this, so a late or repeated confirmation changes nothing.
        app.store
            .orders
            .change(order, |order| Ok::<_, Failure>(order.confirm_lock(ticket.hold)))
            .await?;
    }
    app.store.apply_ticket(&Ticket::of(&ticket, false)).await?;
    Ok(())
}

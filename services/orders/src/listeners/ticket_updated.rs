//! `ticket.updated`: edited, or locked for an order, which may await its payment from then on.

use common::bus::Failure;
use common::events::TicketUpdated;

use crate::app::App;
use crate::domain::{Order, Ticket};
use crate::release::release;

pub async fn listen(app: App, TicketUpdated(ticket): TicketUpdated) -> Result<(), Failure> {
    if let Some(order) = ticket.order_id {
        // The order's own state guards this, so a late or repeated confirmation changes nothing.
        let confirm = |order: &Order| Ok::<_, Failure>(order.confirm_lock(ticket.hold));
        let confirmed = app.store.orders.change(order, confirm).await?;
        if confirmed.is_none_or(|order| order.is_lost()) {
            release(&app, order, &ticket).await?;
        }
    }
    app.store.apply_ticket(&Ticket::of(&ticket, false)).await?;
    Ok(())
}

//! `ticket.reserved`: tickets has reserved the places for the order, which may await its payment.

use bus::Failure;
use common::events::TicketReserved;

use crate::domain::Order;
use crate::recovery;
use crate::state::App;

pub async fn handle(app: App, TicketReserved(reserved): TicketReserved) -> Result<(), Failure> {
    let confirmed = app.store.update(reserved.order_id, Order::confirm_reserved).await?;
    if confirmed.is_none_or(|order| order.orphaned_charge) {
        recovery::release_orphaned_reservation(&app, &reserved).await?;
    }
    Ok(())
}

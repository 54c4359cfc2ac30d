//! `ticket.reserved`: tickets has reserved the places for the order, which may await its payment.

use bus::Failure;
use common::events::TicketReserved;

use crate::recovery;
use crate::state::App;

pub async fn handle(app: App, TicketReserved(reserved): TicketReserved) -> Result<(), Failure> {
    if app.store.confirm_reserved(reserved.order_id).await? {
        return Ok(());
    }
    let order = app.store.order(reserved.order_id).await?;
    if order.is_none_or(|order| order.orphaned_charge) {
        recovery::release_orphaned_reservation(&app, &reserved).await?;
    }
    Ok(())
}

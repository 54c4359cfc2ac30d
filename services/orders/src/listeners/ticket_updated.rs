//! `ticket.updated`: the listing was edited, or another number of its places is available.

use bus::Failure;
use common::events::TicketUpdated;

use crate::domain::TicketReplica;
use crate::state::App;

pub async fn handle(app: App, TicketUpdated(ticket): TicketUpdated) -> Result<(), Failure> {
    app.store.apply_ticket(&TicketReplica::of(&ticket, false)).await?;
    Ok(())
}

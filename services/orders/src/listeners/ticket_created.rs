//! `ticket.created`: a ticket that can be ordered.

use bus::Failure;
use common::events::TicketCreated;

use crate::domain::TicketReplica;
use crate::state::App;

pub async fn handle(app: App, TicketCreated(ticket): TicketCreated) -> Result<(), Failure> {
    app.store.apply_ticket(&TicketReplica::of(&ticket, false)).await?;
    Ok(())
}

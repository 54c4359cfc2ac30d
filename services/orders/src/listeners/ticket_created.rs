//! `ticket.created`: a ticket that can be ordered.

use common::bus::Failure;
use common::events::TicketCreated;

use crate::app::App;
use crate::domain::Ticket;

pub async fn listen(app: App, TicketCreated(ticket): TicketCreated) -> Result<(), Failure> {
    app.store.apply_ticket(&Ticket::of(&ticket, false)).await?;
    Ok(())
}

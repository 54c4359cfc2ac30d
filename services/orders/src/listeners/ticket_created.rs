//! `ticket.created`: a ticket that can be ordered.

use common::bus::Failure;
use common::events::TicketCreated;

use super::carry_out;
use crate::app::App;
use crate::domain::Ticket;

pub async fn listen(app: App, TicketCreated(ticket): TicketCreated) -> Result<(), Failure> {
    carry_out(&app, &ticket, Ticket::created(&ticket)).await
}

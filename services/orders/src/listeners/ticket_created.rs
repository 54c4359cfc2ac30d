//! `ticket.created`: a ticket that can be ordered.

use bus::Failure;
use common::events::TicketCreated;

use super::carry_out;
use crate::domain::Ticket;
use crate::state::App;

pub async fn listen(app: App, TicketCreated(ticket): TicketCreated) -> Result<(), Failure> {
    carry_out(&app, &ticket, Ticket::created(&ticket)).await
}

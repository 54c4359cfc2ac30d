//! `ticket.deleted`: whoever holds the ticket loses it, and gets back what was paid.

use bus::Failure;
use common::events::TicketDeleted;

use super::carry_out;
use crate::domain::Ticket;
use crate::state::App;

pub async fn listen(app: App, TicketDeleted(ticket): TicketDeleted) -> Result<(), Failure> {
    carry_out(&app, &ticket, Ticket::deleted(&ticket)).await
}

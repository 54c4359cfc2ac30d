//! `ticket.updated`: edited, or locked for an order, which may await its payment from then on.

use bus::Failure;
use common::events::TicketUpdated;

use super::carry_out;
use crate::domain::Ticket;
use crate::state::App;

pub async fn listen(app: App, TicketUpdated(ticket): TicketUpdated) -> Result<(), Failure> {
    carry_out(&app, &ticket, Ticket::updated(&ticket)).await
}

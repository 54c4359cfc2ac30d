//! `ticket.updated`: edited, or locked for an order, which may await its payment from then on.

use common::bus::Failure;
use common::events::TicketUpdated;

use super::carry_out;
use crate::app::App;
use crate::domain::Ticket;

pub async fn listen(app: App, TicketUpdated(ticket): TicketUpdated) -> Result<(), Failure> {
    carry_out(&app, &ticket, Ticket::updated(&ticket)).await
}

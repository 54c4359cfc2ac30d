//! `ticket.updated`: the listing was edited, or the ticket was locked for an order, which may await its payment.

use bus::Failure;
use common::events::TicketUpdated;

use crate::domain::TicketReplica;
use crate::effects::apply_effects;
use crate::state::App;

pub async fn handle(app: App, TicketUpdated(ticket): TicketUpdated) -> Result<(), Failure> {
    apply_effects(&app, &ticket, TicketReplica::updated(&ticket)).await
}

//! `ticket.created`: a ticket that can be ordered.

use bus::Failure;
use common::events::TicketCreated;

use crate::domain::TicketReplica;
use crate::effects::apply_effects;
use crate::state::App;

pub async fn handle(app: App, TicketCreated(ticket): TicketCreated) -> Result<(), Failure> {
    apply_effects(&app, &ticket, TicketReplica::created(&ticket)).await
}

//! `ticket.updated`: the listing was edited, or another number of its places is available.

use bus::Failure;
use common::events::TicketUpdated;

use crate::domain::TicketReplica;
use crate::effects::apply_effects;
use crate::state::App;

pub async fn handle(app: App, TicketUpdated(ticket): TicketUpdated) -> Result<(), Failure> {
    apply_effects(&app, &ticket, TicketReplica::updated(&ticket)).await
}

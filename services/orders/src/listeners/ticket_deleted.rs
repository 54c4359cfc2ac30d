//! `ticket.deleted`: the listing's live orders end, or their payments must be refunded.

use bus::Failure;
use common::events::TicketDeleted;

use crate::domain::TicketReplica;
use crate::effects::apply_effects;
use crate::state::App;

pub async fn handle(app: App, TicketDeleted(ticket): TicketDeleted) -> Result<(), Failure> {
    apply_effects(&app, &ticket, TicketReplica::deleted(&ticket)).await
}

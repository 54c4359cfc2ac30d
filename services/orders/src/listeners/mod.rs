//! One event a file. Each listener has the same outcome when its event comes twice, late, or before
//! another one.

pub mod expiration_complete;
pub mod payment_created;
pub mod payment_failed;
pub mod payment_refunded;
pub mod ticket_created;
pub mod ticket_deleted;
pub mod ticket_updated;
pub mod user_created;
pub mod user_updated;

use bus::Failure;
use common::events;

use crate::domain::{Order, Write};
use crate::release::release;
use crate::state::App;

/// Does what a ticket's event asks for, one write after the other.
async fn carry_out(app: &App, ticket: &events::Ticket, writes: Vec<Write>) -> Result<(), Failure> {
    for write in writes {
        match write {
            Write::ConfirmLock { order, hold } => {
                let confirm = |order: &Order| Ok::<_, Failure>(order.confirm_lock(hold));
                let confirmed = app.store.orders.change(order, confirm).await?;
                if confirmed.is_none_or(|order| order.is_lost()) {
                    release(app, order, ticket).await?;
                }
            }
            Write::Replica(ticket) => {
                app.store.apply_ticket(&ticket).await?;
            }
            Write::EndHolder => {
                if let Some(holder) = app.store.live_order(ticket.id).await? {
                    let end = |order: &Order| Ok::<_, Failure>(order.ticket_deleted());
                    app.store.orders.change(holder.id, end).await?;
                }
            }
        }
    }
    Ok(())
}

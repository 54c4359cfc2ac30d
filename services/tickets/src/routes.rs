//! One endpoint per file; `app::routes` maps the paths to them.

pub mod admission_codes;
pub mod checkin;
pub mod checkins;
pub mod create;
pub mod delete;
pub mod dismiss;
pub mod door;
pub mod edit;
mod errors;
pub mod invitation;
pub mod join;
pub mod list;
pub mod show;

use common::ids::OrderId;
use common::permissions::{Action, Owners};
use httpkit::{CurrentUser, Error, Result};

use crate::domain::{Reservation, Ticket};
use crate::state::App;

/// The reservation of the path's order, and its ticket, for those who may do this with it.
async fn sale_for(
    app: &App,
    user: &CurrentUser,
    action: Action,
    id: OrderId,
) -> Result<(Reservation, Ticket)> {
    let found = app.store.admitted(id).await?;
    let (reservation, ticket) = found.ok_or_else(|| Error::not_found("order"))?;
    let owners = Owners { seller: ticket.user_id, buyer: Some(reservation.buyer_id) };
    user.require(action, owners)?;
    Ok((reservation, ticket))
}

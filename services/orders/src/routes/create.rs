//! `POST /api/orders`: hold a ticket.

use axum::Json;
use axum::extract::State;
use axum::response::IntoResponse;
use common::auth::CurrentUser;
use common::error::{Error, Result, Violation};
use common::events::Stream;
use common::extract::Body;
use common::ids::TicketId;
use common::money::AmountInput;
use common::mongo::read_your_writes;
use common::permissions::{self, Action, Owners};
use common::server::created;
use serde::Deserialize;
use validator::Validate;

use crate::app::App;
use crate::reserve::reserve;
use crate::view::OrderView;

#[derive(Deserialize, Validate)]
#[serde(rename_all = "camelCase")]
pub struct Input {
    ticket_id: String,
    /// What the buyer saw: if it has changed since, nothing is ordered.
    price: Option<AmountInput>,
}

pub async fn create(
    State(app): State<App>,
    user: CurrentUser,
    Body(input): Body<Input>,
) -> Result<impl IntoResponse> {
    let seen = match input.price {
        Some(price) => Some(
            price
                .parse()
                .map_err(|error| Error::invalid([Violation::of("price", error.to_string())]))?,
        ),
        None => None,
    };
    let missing = || Error::not_found("ticket");
    let id: TicketId = input.ticket_id.parse().map_err(|_| missing())?;
    let cut_off = || app.feeds.is_cut_off(Stream::Tickets);
    let find = async || Ok(app.store.ticket(id).await?);
    let ticket = read_your_writes(id.made_at(), app.clock.now(), cut_off, find).await?;
    let ticket = ticket.filter(|ticket| !ticket.deleted).ok_or_else(missing)?;
    permissions::require(
        &user,
        Action::OrderTicket,
        Owners { seller: ticket.user_id, buyer: None },
    )?;

    let order = reserve(&app, &user, &ticket, seen).await?;
    let (location, version) = (format!("/api/orders/{}", order.id), order.version);
    Ok(created(&location, version, Json(OrderView::of(order, app.clock.now()))))
}

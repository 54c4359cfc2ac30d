//! `POST /api/orders`: hold a ticket.

use axum::extract::State;
use common::auth::CurrentUser;
use common::error::{Error, Result, Violation};
use common::events::Stream;
use common::extract::Body;
use common::idempotency::{Created, Key, Keyed};
use common::ids::TicketId;
use common::money::{AmountInput, NotMoney};
use common::mongo::read_your_writes;
use common::permissions::{self, Action, Owners};
use serde::Deserialize;
use validator::Validate;

use crate::app::App;
use crate::reserve::reserve;

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
    Keyed(key, Body(input)): Keyed<Body<Input>>,
) -> Result<Created> {
    app.store.orders.once(&key, order(&app, &key, &user, input)).await
}

async fn order(app: &App, key: &Key, user: &CurrentUser, input: Input) -> Result<Created> {
    let wrong = |error: NotMoney| Error::invalid([Violation::of("price", error.to_string())]);
    let seen = input.price.map(|price| price.parse()).transpose().map_err(wrong)?;
    let missing = || Error::not_found("ticket");
    let id: TicketId = input.ticket_id.parse().map_err(|_| missing())?;
    let cut_off = || app.feeds.is_cut_off(Stream::Tickets);
    let find = async || Ok(app.store.ticket(id).await?);
    let ticket = read_your_writes(id.made_at(), app.clock.now(), cut_off, find).await?;
    let ticket = ticket.filter(|ticket| !ticket.deleted).ok_or_else(missing)?;
    permissions::require(
        user,
        Action::OrderTicket,
        Owners { seller: ticket.user_id, buyer: None },
    )?;
    reserve(app, key, user, &ticket, seen).await
}

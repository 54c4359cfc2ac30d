//! `POST /api/orders`: hold a ticket.

use axum::extract::State;
use common::events::Stream;
use common::ids::TicketId;
use common::money::{AmountInput, NotMoney};
use common::permissions::{Action, Owners};
use common::problem::Violation;
use httpkit::extract::Body;
use httpkit::idempotency::{Idempotent, RequestIdentity};
use httpkit::{CurrentUser, Error, Result};
use serde::Deserialize;
use store::{StoredResponse, read_your_writes};

use crate::reserve::reserve;
use crate::state::App;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Input {
    ticket_id: String,
    /// What the buyer saw: if it has changed since, nothing is ordered.
    price: Option<AmountInput>,
}

pub async fn create(
    State(app): State<App>,
    user: CurrentUser,
    Idempotent(key, Body(input)): Idempotent<Body<Input>>,
) -> Result<StoredResponse> {
    app.store.orders.run_once(&key, order(&app, &key, &user, input)).await
}

async fn order(
    app: &App,
    key: &RequestIdentity,
    user: &CurrentUser,
    input: Input,
) -> Result<StoredResponse> {
    let wrong = |error: NotMoney| Error::invalid([Violation::of("price", error.to_string())]);
    let seen = input.price.map(|price| price.parse()).transpose().map_err(wrong)?;
    let missing = || Error::not_found("ticket");
    let id: TicketId = input.ticket_id.parse().map_err(|_| missing())?;
    let disconnected = || app.consumers.is_disconnected(Stream::Tickets);
    let find = async || Ok(app.store.ticket(id).await?);
    let ticket = read_your_writes(id.created_at(), app.clock.now(), disconnected, find).await?;
    let ticket = ticket.filter(|ticket| !ticket.deleted).ok_or_else(missing)?;
    user.require(Action::OrderTicket, Owners { seller: ticket.user_id, buyer: None })?;
    reserve(app, key, user, &ticket, seen).await
}

//! `POST /api/orders`: reserves a ticket.

use axum::extract::State;
use common::Money;
use common::events::Stream;
use common::ids::TicketId;
use common::money::AmountInput;
use common::permissions::{Action, Owners};
use httpkit::extract::{Body, parse_id};
use httpkit::idempotency::{Idempotent, RequestIdentity};
use httpkit::validation::Rules;
use httpkit::{CurrentUser, Error, Result};
use serde::Deserialize;
use store::{StoredResponse, read_your_writes};

use crate::domain::TicketReplica;
use crate::reserve::reserve;
use crate::state::App;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Input {
    ticket_id: String,
    /// The price that the buyer saw: if it has changed since, nothing is ordered.
    price: Option<AmountInput>,
}

impl Input {
    /// The ticket and the expected price.
    fn parse(self) -> Result<(TicketId, Option<Money>)> {
        let mut rules = Rules::default();
        let price = self.price.map(|price| price.parse()).transpose();
        match rules.check("price", price) {
            Some(price) => Ok((parse_id(&self.ticket_id)?, price)),
            None => Err(rules.into_error()),
        }
    }
}

pub async fn handle(
    State(app): State<App>,
    user: CurrentUser,
    Idempotent(request, Body(input)): Idempotent<Body<Input>>,
) -> Result<StoredResponse> {
    app.store.run_once(&request, order(&app, &request, &user, input)).await
}

async fn order(
    app: &App,
    request: &RequestIdentity,
    user: &CurrentUser,
    input: Input,
) -> Result<StoredResponse> {
    let (ticket_id, expected_price) = input.parse()?;
    let ticket = find_ticket(app, ticket_id).await?;
    user.require(Action::OrderTicket, Owners { seller: ticket.user_id, buyer: None })?;
    reserve(app, request, user.id, &ticket, expected_price).await
}

/// The ticket, unless it was deleted. A recent one may be known to the client before its event arrives here.
async fn find_ticket(app: &App, id: TicketId) -> Result<TicketReplica> {
    let disconnected = || app.consumers.is_disconnected(Stream::Tickets);
    let find = async || Ok(app.store.ticket(id).await?);
    let ticket = read_your_writes(id.created_at(), app.clock.now(), disconnected, find).await?;
    ticket.filter(|ticket| !ticket.deleted).ok_or_else(|| Error::not_found("ticket"))
}

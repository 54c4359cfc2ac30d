//! `POST /api/orders`: reserves places of a listing.

use axum::extract::State;
use common::events::Stream;
use common::ids::TicketId;
use common::money::AmountInput;
use common::permissions::{Action, Owners};
use common::problem;
use common::{Money, Quantity};
use httpkit::extract::{Body, parse_id};
use httpkit::idempotency::{Idempotent, RequestIdentity};
use httpkit::openapi::Call;
use httpkit::validation::Rules;
use httpkit::{CurrentUser, Error, Result};
use serde::Deserialize;
use store::{StoredResponse, read_your_writes};
use utoipa::ToSchema;

use crate::domain::TicketReplica;
use crate::reserve::{Wanted, reserve};
use crate::state::App;
use crate::view::OrderView;

#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = NewOrder)]
pub struct Input {
    #[schema(value_type = TicketId)]
    ticket_id: String,
    /// 1 if it is omitted, or all if they are sold together.
    #[schema(minimum = 1, maximum = 1000, example = 2)]
    quantity: Option<i64>,
    /// The price of one place that the buyer saw: if it has changed since, nothing is ordered.
    price: Option<AmountInput>,
    /// The version of the listing that the buyer saw: nothing older is judged.
    ticket_version: Option<i64>,
}

impl Input {
    /// The ticket, what the buyer wants of it, and the version that the buyer saw.
    fn parse(self) -> Result<(TicketId, Wanted, Option<i64>)> {
        let mut rules = Rules::default();
        let price: Result<Option<Money>, _> = self.price.map(|price| price.parse()).transpose();
        let price = rules.check("price", price);
        let quantity = match self.quantity {
            Some(number) => Quantity::parse(number)
                .map(Some)
                .ok_or_else(|| format!("must be between {} and {}", Quantity::ONE, Quantity::MAX)),
            None => Ok(None),
        };
        match (rules.check("quantity", quantity), price) {
            (Some(quantity), Some(price)) => {
                let wanted = Wanted { quantity, price };
                Ok((parse_id(&self.ticket_id)?, wanted, self.ticket_version))
            }
            (..) => Err(rules.into_error()),
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

pub fn call() -> Call {
    Call::post("create", "/api/orders", "Reserve places of a listing")
        .text(
            "For anyone but the ticket's seller. An order gets all of its places or none. A quantity beyond `maxPerOrder`, less than all of \
             what is sold together, or a total beyond 999999.99 is invalid. `RESERVATIONS_PER_BUYER` limits a buyer's unpaid orders.",
        )
        .signed_in()
        .body::<Input>()
        .idempotent()
        .created::<OrderView>("The order.")
        .refused(&[
            &problem::NOT_FOUND,
            &problem::OWN_TICKET,
            &problem::EMAIL_NOT_VERIFIED,
            &problem::TICKET_RESERVED,
            &problem::TICKET_SOLD,
            &problem::TICKET_CLOSED,
            &problem::TICKET_PAST,
            &problem::NOT_ENOUGH_LEFT,
            &problem::PRICE_CHANGED,
            &problem::TOO_MANY_RESERVATIONS,
        ])
}

async fn order(
    app: &App,
    request: &RequestIdentity,
    user: &CurrentUser,
    input: Input,
) -> Result<StoredResponse> {
    user.require_verified(app.require_verified_email)?;
    let (ticket_id, wanted, seen_version) = input.parse()?;
    let ticket = find_ticket(app, ticket_id, seen_version).await?;
    user.require(Action::OrderTicket, Owners { seller: ticket.user_id, buyer: None })?;
    reserve(app, request, user.id, &ticket, wanted).await
}

/// The ticket, unless it was deleted. A recent one, and a recent version of any, may be known to the client before its
/// event arrives here.
async fn find_ticket(app: &App, id: TicketId, seen_version: Option<i64>) -> Result<TicketReplica> {
    let now = app.clock.now();
    let known = app.store.ticket(id).await?;
    // When the version came into being isn't known: it may be a moment ago.
    let created_at = if known.is_some() { Some(now) } else { id.created_at() };
    let behind = || app.consumers.is_behind(Stream::Tickets, app.clock.now());
    let is_seen =
        |ticket: &TicketReplica| seen_version.is_none_or(|version| ticket.version >= version);
    let find = async || Ok(app.store.ticket(id).await?.filter(is_seen));
    let is_known = |ticket: &TicketReplica| ticket.deleted || is_seen(ticket);
    let ticket = match known.clone().filter(is_known) {
        Some(ticket) => Some(ticket),
        None => read_your_writes(created_at, now, behind, find).await?,
    };
    match (ticket, known) {
        (Some(ticket), _) if !ticket.deleted => Ok(ticket),
        // To judge an older version would sell at a price that the buyer didn't see.
        (None, Some(known)) if !known.deleted => Err(Error::Unavailable(anyhow::anyhow!(
            "the replica of ticket {id} has version {}, the buyer saw {seen_version:?}",
            known.version
        ))),
        (Some(_) | None, _) => Err(Error::not_found("ticket")),
    }
}

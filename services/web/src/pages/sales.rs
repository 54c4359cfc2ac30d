//! `/sales`: the visitor's listings, and whether they are reserved, sold, paid or refunded.

use std::collections::HashMap;

use askama::Template;
use axum::extract::State;
use axum::response::{IntoResponse, Redirect, Response};
use common::events::CancelReason;
use common::ids::{OrderId, TicketId};
use futures::StreamExt;
use httpkit::Result;
use serde::Deserialize;

use crate::api::{Caller, PaymentStatus, Ticket, TicketStatus};
use crate::format::{Countdown, When, price, ticket_colour};
use crate::forms::{PageQuery, with_query};
use crate::page::{Cache, Frame, Page};
use crate::state::App;
use crate::visitor::SignedIn;

/// How many payments are requested concurrently.
const CONCURRENT_REQUESTS: usize = 8;

#[derive(Template)]
#[template(path = "sales.html")]
struct SalesPage {
    frame: Frame,
    rows: Vec<Row>,
    next: Option<String>,
    is_first: bool,
    /// Refunded sales are missing, because orders is unavailable.
    orders_down: bool,
}

struct Row {
    ticket: Ticket,
    price: String,
    date: Option<When>,
    is_past: bool,
    reservation: Option<Countdown>,
    colour: usize,
    /// The payment of a sold ticket.
    money: Option<Money>,
    /// The latest sale of a single ticket that was refunded.
    refunded: Option<OrderId>,
}

/// The state of a sale's payment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Money {
    Paid,
    Refunding,
    Refunded,
    /// payments is unavailable.
    Unknown,
}

impl Row {
    /// Names the row's state for tests.
    fn state(&self) -> &'static str {
        match (self.ticket.status, self.money) {
            (TicketStatus::Available, _) => "listing-available",
            (TicketStatus::Reserved, _) => "listing-reserved",
            (TicketStatus::Closed, _) => "listing-closed",
            (TicketStatus::Unknown, _) => "listing-unknown",
            (TicketStatus::Sold, Some(Money::Paid)) => "listing-sold listing-paid",
            (
                TicketStatus::Sold,
                Some(Money::Refunding | Money::Refunded | Money::Unknown) | None,
            ) => "listing-sold",
        }
    }
}

impl Page for SalesPage {
    const CACHE: Cache = Cache::Nobody;

    fn frame(&self) -> &Frame {
        &self.frame
    }
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub struct Params {
    cursor: String,
}

pub async fn show(
    State(app): State<App>,
    SignedIn { visitor, .. }: SignedIn,
    PageQuery(params): PageQuery<Params>,
) -> Result<Response> {
    let cursor = Some(("cursor", &*params.cursor)).filter(|(_, cursor)| !cursor.is_empty());
    let query: Vec<_> = cursor.into_iter().chain([("mine", "true"), ("limit", "20")]).collect();
    let (list, refunds, frame) =
        tokio::join!(visitor.api.tickets(&query), refunds(&visitor.api), Frame::of(&app, &visitor));
    let list = match list {
        Err(failure) if failure.is_about("cursor") => {
            return Ok(Redirect::to("/sales").into_response());
        }
        list => list?,
    };
    let money = money(&visitor.api, &list.items).await;
    let zone = &app.settings.market.time_zone;
    let row = |ticket: Ticket| Row {
        price: price(ticket.price, &ticket.currency),
        date: ticket.date.map(|date| When::of(date, &ticket.time_zone)),
        is_past: ticket.date.is_some_and(|date| date < visitor.now),
        // The places of a listing of many are released at different times.
        reservation: ticket
            .reserved_until
            .filter(|_| !ticket.is_many())
            .map(|end| Countdown::to(end, visitor.now, zone)),
        colour: ticket_colour(ticket.id),
        money: money.get(&ticket.id).copied(),
        refunded: refunds
            .as_ref()
            .filter(|_| !ticket.is_many())
            .and_then(|refunds| refunds.get(&ticket.id).copied()),
        ticket,
    };
    SalesPage {
        frame,
        rows: list.items.into_iter().map(row).collect(),
        next: list.next.map(|cursor| with_query("/sales", &[("cursor", &cursor)])),
        is_first: params.cursor.is_empty(),
        orders_down: refunds.is_none(),
    }
    .show()
}

/// The latest refunded order of each ticket. None if orders is unavailable.
async fn refunds(api: &Caller) -> Option<HashMap<TicketId, OrderId>> {
    let query = [("as", "seller"), ("status", "cancelled"), ("limit", "100")];
    let list = api.orders(&query).await.ok()?;
    let refunds = list
        .items
        .into_iter()
        .rev()
        .filter(|order| order.cancel_reason == Some(CancelReason::Refunded))
        .map(|order| (order.ticket.id, order.id));
    Some(refunds.collect())
}

/// The payment of each sold ticket.
async fn money(api: &Caller, tickets: &[Ticket]) -> HashMap<TicketId, Money> {
    let sold = tickets.iter().filter_map(|ticket| match ticket.status {
        TicketStatus::Sold => Some((ticket.id, ticket.order_id?)),
        TicketStatus::Available
        | TicketStatus::Reserved
        | TicketStatus::Closed
        | TicketStatus::Unknown => None,
    });
    let sold: Vec<_> = sold.collect();
    let params = sold.into_iter().map(|(ticket, order)| async move {
        let money = match api.payment_of(order).await {
            Ok(Some(payment)) => match payment.status {
                PaymentStatus::Refunding => Money::Refunding,
                PaymentStatus::Refunded => Money::Refunded,
                PaymentStatus::Unknown => Money::Unknown,
                PaymentStatus::Created
                | PaymentStatus::Processing
                | PaymentStatus::ActionRequired
                | PaymentStatus::Completed
                | PaymentStatus::Released
                | PaymentStatus::ChargedBack
                | PaymentStatus::Failed => Money::Paid,
            },
            Ok(None) | Err(_) => Money::Unknown,
        };
        (ticket, money)
    });
    futures::stream::iter(params).buffer_unordered(CONCURRENT_REQUESTS).collect().await
}

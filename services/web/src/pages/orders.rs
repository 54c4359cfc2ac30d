//! `/orders`: the visitor's purchases and reservations.

use askama::Template;
use axum::extract::State;
use axum::response::{IntoResponse, Redirect, Response};
use common::events::{CancelReason, OrderStatus};
use httpkit::Result;
use serde::Deserialize;

use crate::api::Order;
use crate::format::{Countdown, When, price, ticket_colour};
use crate::forms::{PageQuery, with_query};
use crate::page::{Cache, Frame, Page};
use crate::state::App;
use crate::visitor::SignedIn;

#[derive(Template)]
#[template(path = "orders.html")]
struct OrdersPage {
    frame: Frame,
    rows: Vec<Row>,
    next: Option<String>,
    is_first: bool,
}

struct Row {
    order: Order,
    price: String,
    date: Option<When>,
    countdown: Countdown,
    colour: usize,
}

impl Row {
    /// Names the row's state for tests.
    fn state(&self) -> &'static str {
        match self.order.status {
            OrderStatus::Created | OrderStatus::AwaitingPayment => "unpaid",
            OrderStatus::Complete => "paid",
            OrderStatus::Cancelled => "cancelled",
            OrderStatus::Unknown => "unknown",
        }
    }
}

impl Page for OrdersPage {
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
    let query: Vec<_> = cursor.into_iter().chain([("limit", "20")]).collect();
    let (list, frame) = tokio::join!(visitor.api.orders(&query), Frame::of(&app, &visitor));
    let list = match list {
        Err(failure) if failure.is_about("cursor") => {
            return Ok(Redirect::to("/orders").into_response());
        }
        list => list?,
    };
    let zone = &app.settings.market.time_zone;
    let row = |order: Order| Row {
        price: price(order.ticket.price, &order.ticket.currency),
        date: order
            .ticket
            .date
            .map(|date| When::of(date, order.ticket.time_zone.as_deref().unwrap_or(zone))),
        countdown: Countdown::to(order.expires_at, visitor.now, zone),
        colour: ticket_colour(order.ticket.id),
        order,
    };
    OrdersPage {
        frame,
        rows: list.items.into_iter().map(row).collect(),
        next: list.next.map(|cursor| with_query("/orders", &[("cursor", &cursor)])),
        is_first: params.cursor.is_empty(),
    }
    .show()
}

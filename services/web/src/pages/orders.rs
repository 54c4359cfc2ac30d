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
use crate::visitor::{SignedIn, Visitor};

#[derive(Template)]
#[template(path = "orders.html")]
struct OrdersPage {
    frame: Frame,
    rows: Vec<Row>,
    next: Option<String>,
    is_first: bool,
}

/// An order in a list.
pub(super) struct Row {
    pub order: Order,
    pub total: String,
    pub date: Option<When>,
    pub ordered: When,
    pub countdown: Countdown,
    pub colour: usize,
}

impl Row {
    pub fn of(app: &App, visitor: &Visitor, order: Order) -> Row {
        let zone = &app.settings.market.time_zone;
        let ticket = &order.ticket;
        let ticket_zone = ticket.time_zone.as_deref().unwrap_or(zone);
        Row {
            total: price(order.total(), &ticket.currency),
            date: ticket.date.map(|date| When::of(date, ticket_zone)),
            ordered: When::of(order.created_at, zone),
            countdown: Countdown::to(order.expires_at, visitor.now, zone),
            colour: ticket_colour(ticket.id),
            order,
        }
    }

    /// Names the row's state for tests.
    pub fn state(&self) -> &'static str {
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

impl Params {
    /// The cursor as a parameter of the API.
    pub fn cursor(&self) -> Option<(&'static str, &str)> {
        Some(("cursor", &*self.cursor)).filter(|(_, cursor)| !cursor.is_empty())
    }
}

pub async fn show(
    State(app): State<App>,
    SignedIn { visitor, .. }: SignedIn,
    PageQuery(params): PageQuery<Params>,
) -> Result<Response> {
    let query: Vec<_> = params.cursor().into_iter().chain([("limit", "20")]).collect();
    let (list, frame) = tokio::join!(visitor.api.orders(&query), Frame::of(&app, &visitor));
    let list = match list {
        Err(failure) if failure.is_about("cursor") => {
            return Ok(Redirect::to("/orders").into_response());
        }
        list => list?,
    };
    OrdersPage {
        frame,
        rows: list.items.into_iter().map(|order| Row::of(&app, &visitor, order)).collect(),
        next: list.next.map(|cursor| with_query("/orders", &[("cursor", &cursor)])),
        is_first: params.cursor().is_none(),
    }
    .show()
}

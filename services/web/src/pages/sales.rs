//! `/sales`: one's listings, and what became of them: held, sold, paid, given back.

use std::collections::HashMap;

use askama::Template;
use axum::extract::State;
use axum::response::Response;
use common::events::CancelReason;
use common::ids::{OrderId, TicketId};
use futures::StreamExt;
use httpkit::Result;
use httpkit::extract::Query;
use serde::Deserialize;

use crate::api::{Caller, PaymentStatus, Ticket, TicketStatus};
use crate::app::App;
use crate::format::{Countdown, When, price, stock};
use crate::forms::with_query;
use crate::page::{Cache, Frame, Page};
use crate::session::SignedIn;

/// How many payments are asked about side by side.
const AT_ONCE: usize = 8;

#[derive(Template)]
#[template(path = "sales.html")]
struct SalesPage {
    frame: Frame,
    rows: Vec<Row>,
    next: Option<String>,
    is_first: bool,
    /// orders can't be asked about sales that were undone.
    orders_down: bool,
}

struct Row {
    ticket: Ticket,
    price: String,
    date: Option<When>,
    is_past: bool,
    held: Option<Countdown>,
    stock: usize,
    /// Where the money of a sold ticket is.
    money: Option<Money>,
    /// The newest sale of it that was undone.
    refunded: Option<OrderId>,
}

/// Where the money of a sale is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Money {
    Paid,
    OnItsWayBack,
    GivenBack,
    /// payments can't be asked.
    Unknown,
}

impl Page for SalesPage {
    const CACHE: Cache = Cache::Nobody;

    fn frame(&self) -> &Frame {
        &self.frame
    }
}

#[derive(Deserialize)]
pub struct Asked {
    #[serde(default)]
    cursor: String,
}

pub async fn show(
    State(app): State<App>,
    SignedIn { visitor, .. }: SignedIn,
    Query(asked): Query<Asked>,
) -> Result<Response> {
    let cursor = Some(("cursor", &*asked.cursor)).filter(|(_, cursor)| !cursor.is_empty());
    let query: Vec<_> = cursor.into_iter().chain([("mine", "true"), ("limit", "20")]).collect();
    let (list, undone, frame) =
        tokio::join!(visitor.api.tickets(&query), undone(&visitor.api), Frame::of(&app, &visitor));
    let list = list?;
    let money = money(&visitor.api, &list.items).await;
    let zone = &app.settings.market.time_zone;
    let row = |ticket: Ticket| Row {
        price: price(ticket.price, &ticket.currency),
        date: ticket.date.map(|date| When::of(date, &ticket.time_zone)),
        is_past: ticket.date.is_some_and(|date| date < visitor.now),
        held: ticket.reserved_until.map(|end| Countdown::to(end, visitor.now, zone)),
        stock: stock(ticket.id),
        money: money.get(&ticket.id).copied(),
        refunded: undone.as_ref().and_then(|undone| undone.get(&ticket.id).copied()),
        ticket,
    };
    SalesPage {
        frame,
        rows: list.items.into_iter().map(row).collect(),
        next: list.next.map(|cursor| with_query("/sales", &[("cursor", &cursor)])),
        is_first: asked.cursor.is_empty(),
        orders_down: undone.is_none(),
    }
    .show()
}

/// The sales that were undone, by ticket; of several the newest. None: orders can't be asked.
async fn undone(api: &Caller) -> Option<HashMap<TicketId, OrderId>> {
    let query = [("as", "seller"), ("status", "cancelled"), ("limit", "100")];
    let list = api.orders(&query).await.ok()?;
    let undone = list
        .items
        .into_iter()
        .rev()
        .filter(|order| order.cancel_reason == Some(CancelReason::Refunded))
        .map(|order| (order.ticket.id, order.id));
    Some(undone.collect())
}

/// Where the money of each sold ticket is.
async fn money(api: &Caller, tickets: &[Ticket]) -> HashMap<TicketId, Money> {
    let sold = tickets.iter().filter_map(|ticket| match ticket.status {
        TicketStatus::Sold => Some((ticket.id, ticket.order_id?)),
        TicketStatus::Available | TicketStatus::Reserved => None,
    });
    let sold: Vec<_> = sold.collect();
    let asked = sold.into_iter().map(|(ticket, order)| async move {
        let money = match api.payment_of(order).await {
            Ok(Some(payment)) => match payment.status {
                PaymentStatus::Refunding => Money::OnItsWayBack,
                PaymentStatus::Refunded => Money::GivenBack,
                PaymentStatus::Created
                | PaymentStatus::Processing
                | PaymentStatus::Completed
                | PaymentStatus::Failed => Money::Paid,
            },
            Ok(None) | Err(_) => Money::Unknown,
        };
        (ticket, money)
    });
    futures::stream::iter(asked).buffer_unordered(AT_ONCE).collect().await
}

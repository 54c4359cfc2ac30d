//! `/orders/{id}/receipt`: what was paid, for buyer and seller; made to be printed.

use askama::Template;
use axum::extract::State;
use axum::response::{IntoResponse, Redirect, Response};
use common::events::OrderStatus;
use common::ids::OrderId;
use httpkit::Result;
use httpkit::extract::PathId;

use crate::api::{Order, Receipt};
use crate::format::{When, price};
use crate::page::{Cache, Frame, Page};
use crate::state::App;
use crate::visitor::SignedIn;

#[derive(Template)]
#[template(path = "receipt.html")]
struct ReceiptPage {
    frame: Frame,
    order: Order,
    receipt: Receipt,
    /// Of one place.
    each: String,
    total: String,
    date: Option<When>,
    paid: Option<When>,
    ordered: When,
    is_refunded: bool,
}

impl Page for ReceiptPage {
    const CACHE: Cache = Cache::Nobody;

    fn frame(&self) -> &Frame {
        &self.frame
    }
}

/// An order that isn't paid has none: its own page says how it stands.
pub async fn show(
    State(app): State<App>,
    SignedIn { visitor, .. }: SignedIn,
    PathId(id): PathId<OrderId>,
) -> Result<Response> {
    let (order, frame) = tokio::join!(visitor.api.order(id), Frame::of(&app, &visitor));
    let order = order?;
    let Some(receipt) = order.receipt.clone() else {
        return Ok(Redirect::to(&format!("/orders/{id}")).into_response());
    };
    let zone = &app.settings.market.time_zone;
    let ticket_zone = order.ticket.time_zone.as_deref().unwrap_or(zone);
    ReceiptPage {
        frame,
        each: price(order.ticket.price, &order.ticket.currency),
        total: price(order.total(), &order.ticket.currency),
        date: order.ticket.date.map(|date| When::of(date, ticket_zone)),
        paid: receipt.paid_at.map(|paid_at| When::of(paid_at, zone)),
        ordered: When::of(order.created_at, zone),
        is_refunded: order.status == OrderStatus::Cancelled,
        receipt,
        order,
    }
    .show()
}

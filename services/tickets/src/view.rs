//! A ticket as the API shows it, and the headers that go with it.

use axum::Json;
use axum::response::{IntoResponse, Response};
use common::Time;
use common::ids::{OrderId, TicketId, UserId};
use common::listing::ListingView;
use http::{HeaderValue, header};
use httpkit::response::personal;
use httpkit::{CurrentUser, Result};
use serde::Serialize;
use store::StoredResponse;

use crate::domain::{Status, Ticket};

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TicketView {
    id: TicketId,
    #[serde(flatten)]
    listing: ListingView,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    user_id: UserId,
    status: Status,
    #[serde(skip_serializing_if = "Option::is_none")]
    reserved_until: Option<Time>,
    #[serde(skip_serializing_if = "Option::is_none")]
    order_id: Option<OrderId>,
    version: i64,
    created_at: Time,
}

impl TicketView {
    /// The ticket at this moment, in the eyes of whoever looks.
    pub fn of(ticket: Ticket, viewer: Option<&CurrentUser>, now: Time) -> Self {
        let status = ticket.status(now);
        let (order_id, reserved_until) = match status {
            Status::Available => (None, None),
            Status::Reserved => (ticket.order_id, ticket.reserved_until),
            Status::Sold => (ticket.order_id, None),
        };
        TicketView {
            order_id: order_id.filter(|_| may_see_the_order(&ticket, viewer)),
            id: ticket.id,
            listing: ticket.listing.into(),
            description: ticket.description,
            user_id: ticket.user_id,
            status,
            reserved_until,
            version: ticket.version,
            created_at: ticket.created_at,
        }
    }
}

/// An order is the business of its buyer, of the seller, and of administrators.
fn may_see_the_order(ticket: &Ticket, viewer: Option<&CurrentUser>) -> bool {
    viewer.is_some_and(|viewer| {
        viewer.id == ticket.user_id || Some(viewer.id) == ticket.buyer_id || viewer.is_admin()
    })
}

/// One ticket, with the version to name in `If-Match`.
pub fn one(ticket: Ticket, viewer: Option<&CurrentUser>, now: Time) -> Response {
    let version = ticket.version;
    answer(Some(version), viewer, Json(TicketView::of(ticket, viewer, now)))
}

/// A new ticket, as its seller is told of it.
pub fn created(ticket: &Ticket, seller: &CurrentUser, now: Time) -> Result<StoredResponse> {
    let view = TicketView::of(ticket.clone(), Some(seller), now);
    StoredResponse::created(format!("/api/tickets/{}", ticket.id), ticket.version, &view)
}

/// What someone who is signed in sees is for no one else. Others ask again each time, as a hold may
/// end at any second.
pub fn answer(
    version: Option<i64>,
    viewer: Option<&CurrentUser>,
    body: impl IntoResponse,
) -> Response {
    let mut response = personal(version, body);
    if viewer.is_none() {
        let anyone = HeaderValue::from_static("no-cache");
        response.headers_mut().insert(header::CACHE_CONTROL, anyone);
    }
    response
}

/// Who is signed in decides what a ticket shows: a cache between us and them has to know.
pub async fn vary(mut response: Response) -> Response {
    response.headers_mut().insert(header::VARY, HeaderValue::from_static("Cookie"));
    response
}

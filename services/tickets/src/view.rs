//! What the API shows of a ticket, and the headers that go with it.

use axum::Json;
use axum::response::{IntoResponse, Response};
use common::ids::{OrderId, TicketId, UserId};
use common::listing::ListingView;
use common::{Quantity, Time};
use http::{HeaderValue, StatusCode, header};
use httpkit::response::personal;
use httpkit::{CurrentUser, Result};
use serde::Serialize;
use store::StoredResponse;
use utoipa::ToSchema;

use crate::domain::{Status, Ticket};

/// A ticket.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Ticket)]
pub struct TicketView {
    id: TicketId,
    #[serde(flatten)]
    listing: ListingView,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    /// The seller.
    user_id: UserId,
    /// How many places it has.
    quantity: Quantity,
    /// Places that can be ordered now.
    available: Quantity,
    #[schema(value_type = u16, example = 0)]
    reserved: Quantity,
    #[schema(value_type = u16, example = 0)]
    sold: Quantity,
    /// How many places one order may have.
    #[schema(value_type = u16, example = 10)]
    max_per_order: Quantity,
    /// Whether an order takes all places.
    sold_together: bool,
    status: Status,
    /// When the first reservation ends, while it is `reserved`.
    #[serde(skip_serializing_if = "Option::is_none")]
    reserved_until: Option<Time>,
    /// Of a listing of one: for its seller, that order's buyer, and administrators.
    #[serde(skip_serializing_if = "Option::is_none")]
    order_id: Option<OrderId>,
    version: i64,
    created_at: Time,
}

impl TicketView {
    /// The ticket at this moment, as this viewer may see it.
    fn of(ticket: Ticket, viewer: Option<&CurrentUser>, now: Time) -> Self {
        let status = ticket.status(now);
        let summary = ticket.summary().at(now);
        let (order_id, reserved_until) = match status {
            Status::Available | Status::Closed => (None, None),
            Status::Reserved => (ticket.order_id, summary.next_release),
            Status::Sold => (ticket.order_id, None),
        };
        TicketView {
            order_id: order_id.filter(|_| may_see_order(&ticket, viewer)),
            id: ticket.id,
            quantity: ticket.listing.quantity,
            available: ticket.available(now),
            reserved: summary.reserved,
            sold: summary.sold,
            max_per_order: ticket.listing.max_per_order,
            sold_together: ticket.listing.sold_together,
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

/// An order is visible to its buyer, to the seller, and to administrators.
fn may_see_order(ticket: &Ticket, viewer: Option<&CurrentUser>) -> bool {
    viewer.is_some_and(|viewer| {
        viewer.id == ticket.user_id || Some(viewer.id) == ticket.buyer_id || viewer.is_admin()
    })
}

/// One ticket, with the `ETag` that `If-Match` accepts.
pub fn one(ticket: Ticket, viewer: Option<&CurrentUser>, now: Time) -> Response {
    let version = ticket.version;
    respond(Some(version), viewer, Json(TicketView::of(ticket, viewer, now)))
}

/// Whether the representation is the same for everyone who has seen this version: it shows no order, and no reservation
/// has expired since.
pub fn depends_on_version(ticket: &Ticket, viewer: Option<&CurrentUser>, now: Time) -> bool {
    let shows_order = ticket.order_id.is_some() && may_see_order(ticket, viewer);
    !shows_order && !ticket.has_expired_reservation(now)
}

/// 304: the client's copy is current.
pub fn not_modified(ticket: &Ticket, viewer: Option<&CurrentUser>) -> Response {
    respond(Some(ticket.version), viewer, StatusCode::NOT_MODIFIED)
}

/// 201: a new ticket, as its seller sees it.
pub fn created(ticket: &Ticket, seller: &CurrentUser, now: Time) -> Result<StoredResponse> {
    let view = TicketView::of(ticket.clone(), Some(seller), now);
    StoredResponse::created(format!("/api/tickets/{}", ticket.id), ticket.version, &view)
}

/// One page of a list.
#[derive(Serialize, ToSchema)]
#[schema(as = Tickets)]
pub struct Page {
    tickets: Vec<TicketView>,
    /// The cursor of the next page; null on the last one.
    #[schema(required = true)]
    next: Option<String>,
}

/// One page of a list, with the cursor of the next one.
pub fn page(
    tickets: Vec<Ticket>,
    next: Option<String>,
    viewer: Option<&CurrentUser>,
    now: Time,
) -> Response {
    let view = |ticket| TicketView::of(ticket, viewer, now);
    let page = Page { tickets: tickets.into_iter().map(view).collect(), next };
    respond(None, viewer, Json(page))
}

/// What a signed-in user sees must not be stored by any cache. An anonymous response must be revalidated each time, because
/// a reservation may expire at any second.
fn respond(
    version: Option<i64>,
    viewer: Option<&CurrentUser>,
    body: impl IntoResponse,
) -> Response {
    let mut response = personal(version, body);
    if viewer.is_none() {
        let no_cache = HeaderValue::from_static("no-cache");
        response.headers_mut().insert(header::CACHE_CONTROL, no_cache);
    }
    response
}

/// Middleware: the response depends on the session cookie, which every cache in between has to know.
pub async fn vary_by_cookie(mut response: Response) -> Response {
    response.headers_mut().insert(header::VARY, HeaderValue::from_static("Cookie, Authorization"));
    response
}

//! What the API shows of a ticket, and the headers that go with it.

use axum::Json;
use axum::body::Bytes;
use axum::response::{IntoResponse, Response};
use common::ids::{OrderId, TicketId, UserId};
use common::listing::ListingView;
use common::{Quantity, Time};
use headers::ETag;
use http::{HeaderValue, StatusCode, header};
use httpkit::conditional::{IfNoneMatch, etag, etag_of};
use httpkit::response::tagged;
use httpkit::shared_reads::Shareable;
use httpkit::{CurrentUser, Error, Result};
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

/// What is shown of one ticket or of a page of them, and the headers that go with it.
pub struct Shown {
    body: Bytes,
    tag: Option<ETag>,
    /// Whether a client's copy with this tag is the same.
    is_tag_exact: bool,
    /// To whom more is shown than to others, besides administrators; and of one ticket, who may change it.
    parties: Vec<UserId>,
    valid_until: Time,
}

impl Shown {
    /// One ticket, with the `ETag` that `If-Match` accepts. `is_version_exact`: see [`depends_on_version`].
    pub fn one(
        ticket: Ticket,
        is_version_exact: bool,
        viewer: Option<&CurrentUser>,
        now: Time,
    ) -> Result<Shown> {
        let tag = etag(ticket.version);
        let parties = [ticket.user_id].into_iter().chain(ticket.buyer_id).collect();
        let valid_until = ticket.next_release(now).unwrap_or(Time::NEVER);
        let body = json(&TicketView::of(ticket, viewer, now))?;
        Ok(Shown { body, tag, is_tag_exact: is_version_exact, parties, valid_until })
    }

    /// One page of a list, with the cursor of the next one.
    pub fn page(
        tickets: Vec<Ticket>,
        next: Option<String>,
        viewer: Option<&CurrentUser>,
        now: Time,
    ) -> Result<Shown> {
        let with_order = tickets.iter().filter(|ticket| ticket.order_id.is_some());
        let parties = with_order
            .flat_map(|ticket| [Some(ticket.user_id), ticket.buyer_id])
            .flatten()
            .collect();
        let releases = tickets.iter().filter_map(|ticket| ticket.next_release(now));
        let ends = tickets.iter().map(Ticket::on_sale_until);
        let valid_until = releases.chain(ends).min().unwrap_or(Time::NEVER);
        let view = |ticket| TicketView::of(ticket, viewer, now);
        let body = json(&Page { tickets: tickets.into_iter().map(view).collect(), next })?;
        let tag = etag_of(&body);
        Ok(Shown { body, tag, is_tag_exact: true, parties, valid_until })
    }

    /// Whether this viewer gets a response of their own, rather than what is shown to anyone.
    pub fn is_personal_for(&self, viewer: Option<&CurrentUser>) -> bool {
        viewer.is_some_and(|viewer| viewer.is_admin() || self.parties.contains(&viewer.id))
    }

    /// 304 if the client's copy is current.
    pub fn respond(&self, viewer: Option<&CurrentUser>, seen: &IfNoneMatch) -> Response {
        if self.is_tag_exact && self.tag.as_ref().is_some_and(|tag| seen.includes(tag)) {
            return respond(self.tag.clone(), viewer, StatusCode::NOT_MODIFIED);
        }
        let json = [(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))];
        respond(self.tag.clone(), viewer, (json, self.body.clone()))
    }
}

impl Shareable for Shown {
    fn size(&self) -> usize {
        self.body.len() + self.parties.len() * size_of::<UserId>()
    }

    fn valid_until(&self) -> Time {
        self.valid_until
    }
}

fn json(view: &impl Serialize) -> Result<Bytes> {
    let json = serde_json::to_vec(view).map_err(|error| Error::Internal(error.into()))?;
    Ok(json.into())
}

/// One ticket, after its seller's change.
pub fn changed(ticket: Ticket, seller: &CurrentUser, now: Time) -> Response {
    let tag = etag(ticket.version);
    respond(tag, Some(seller), Json(TicketView::of(ticket, Some(seller), now)))
}

/// Whether the representation is the same for everyone who has seen this version: it shows no order, and no reservation
/// has expired since.
pub fn depends_on_version(ticket: &Ticket, viewer: Option<&CurrentUser>, now: Time) -> bool {
    let shows_order = ticket.order_id.is_some() && may_see_order(ticket, viewer);
    !shows_order && !ticket.has_expired_reservation(now)
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

/// What a signed-in user sees must not be stored by any cache. An anonymous response must be revalidated each time, because
/// a reservation may expire at any second.
fn respond(tag: Option<ETag>, viewer: Option<&CurrentUser>, body: impl IntoResponse) -> Response {
    let mut response = tagged(tag, body);
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

//! An order as the API shows it.

use common::display::receipt_number;
use common::events::{CancelReason, HandoverState, OrderStatus, OrderedTicket};
use common::ids::{OrderId, PaymentId, TicketId, UserId};
use common::listing::ListingView;
use common::{Money, Place, Quantity, Time, money};
use httpkit::Result;
use serde::Serialize;
use store::StoredResponse;
use utoipa::ToSchema;

use crate::domain::{Handover, Order, UserReplica};

/// The response to the creation of an order.
pub fn created(order: &Order, now: Time) -> Result<StoredResponse> {
    let view = OrderView::of(order.clone(), now);
    StoredResponse::created(format!("/api/orders/{}", order.id), order.version, &view)
}

/// An order.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Order)]
pub struct OrderView {
    id: OrderId,
    /// The buyer.
    user_id: UserId,
    #[schema(value_type = OrderStatus)]
    status: &'static str,
    /// While it is `cancelled`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<CancelReason>)]
    cancel_reason: Option<&'static str>,
    /// Until then it is reserved. An unpaid order is cancelled at that second.
    expires_at: Time,
    quantity: Quantity,
    /// Their numbers.
    places: Vec<Place>,
    #[serde(serialize_with = "money::as_decimal")]
    total: Money,
    /// As it was ordered.
    ticket: TicketView,
    #[serde(skip_serializing_if = "Option::is_none")]
    payment_id: Option<PaymentId>,
    /// The other party's, while it is `complete`.
    #[serde(skip_serializing_if = "Option::is_none")]
    contact: Option<Contact>,
    /// Where the seller delivers, once a party has said something about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    handover: Option<HandoverView>,
    /// Once it was paid.
    #[serde(skip_serializing_if = "Option::is_none")]
    receipt: Option<Receipt>,
    version: i64,
    created_at: Time,
}

/// An order whose buyer has reported a problem, with whom to ask about it.
#[derive(Serialize, ToSchema)]
#[schema(as = ReportedOrder)]
pub struct ReportedOrderView {
    #[serde(flatten)]
    order: OrderView,
    #[serde(skip_serializing_if = "Option::is_none")]
    buyer: Option<Contact>,
    #[serde(skip_serializing_if = "Option::is_none")]
    seller: Option<Contact>,
}

impl ReportedOrderView {
    pub fn of(order: OrderView, buyer: Option<UserReplica>, seller: Option<UserReplica>) -> Self {
        ReportedOrderView { order, buyer: buyer.map(Contact::of), seller: seller.map(Contact::of) }
    }
}

/// What seller and buyer have said about the handover of the ticket.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Handover)]
struct HandoverView {
    #[schema(value_type = HandoverState)]
    state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    sent_at: Option<Time>,
    #[serde(skip_serializing_if = "Option::is_none")]
    received_at: Option<Time>,
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<ProblemView>,
}

/// What the buyer misses.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = DeliveryProblem)]
struct ProblemView {
    message: String,
    reported_at: Time,
}

/// That of an order that was paid, also after its refund.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct Receipt {
    /// It never changes.
    number: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    paid_at: Option<Time>,
    #[serde(skip_serializing_if = "Option::is_none")]
    seller: Option<Contact>,
}

/// The contact details of a party of a paid order.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct Contact {
    email: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
}

/// The ticket as it was ordered.
#[derive(Serialize, ToSchema)]
#[schema(as = OrderedTicket)]
struct TicketView {
    id: TicketId,
    #[serde(flatten)]
    listing: ListingView,
}

impl OrderView {
    /// The order as a reader sees it at this time.
    pub fn of(order: Order, now: Time) -> Self {
        let (status, cancel_reason) = order.status_at(now);
        OrderView {
            id: order.id,
            user_id: order.user_id,
            status: status.as_str(),
            cancel_reason: cancel_reason.map(CancelReason::as_str),
            expires_at: order.expires_at,
            quantity: order.quantity,
            places: order.places,
            total: order.total,
            ticket: order.ticket.into(),
            payment_id: order.payment.map(|payment| payment.id),
            contact: None,
            handover: order.handover.map(HandoverView::from),
            receipt: None,
            version: order.version,
            created_at: order.created_at,
        }
    }

    /// With the contact details of the other party, if they are known.
    pub fn with_contact(self, counterparty: Option<UserReplica>) -> Self {
        OrderView { contact: counterparty.map(Contact::of), ..self }
    }

    /// With the receipt of an order that was paid.
    pub fn with_receipt(self, paid_at: Option<Time>, seller: Option<UserReplica>) -> Self {
        let (number, seller) = (receipt_number(self.id), seller.map(Contact::of));
        OrderView { receipt: Some(Receipt { number, paid_at, seller }), ..self }
    }
}

impl From<Handover> for HandoverView {
    fn from(handover: Handover) -> Self {
        let problem = handover.problem.map(|problem| ProblemView {
            message: problem.message,
            reported_at: problem.reported_at,
        });
        HandoverView {
            state: handover.state.as_str(),
            sent_at: handover.sent_at,
            received_at: handover.received_at,
            problem,
        }
    }
}

impl Contact {
    fn of(UserReplica { email, name, .. }: UserReplica) -> Contact {
        Contact { email, name }
    }
}

impl From<OrderedTicket> for TicketView {
    fn from(ticket: OrderedTicket) -> Self {
        TicketView { id: ticket.id, listing: ticket.listing.into() }
    }
}

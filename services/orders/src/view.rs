//! An order as the API shows it.

use common::display::receipt_number;
use common::events::{CancelReason, OrderedTicket};
use common::ids::{OrderId, PaymentId, TicketId, UserId};
use common::listing::ListingView;
use common::{Money, Place, Quantity, Time, money};
use httpkit::Result;
use serde::Serialize;
use store::StoredResponse;

use crate::domain::{Handover, Order, UserReplica};

/// The response to the creation of an order.
pub fn created(order: &Order, now: Time) -> Result<StoredResponse> {
    let view = OrderView::of(order.clone(), now);
    StoredResponse::created(format!("/api/orders/{}", order.id), order.version, &view)
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct OrderView {
    id: OrderId,
    user_id: UserId,
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    cancel_reason: Option<&'static str>,
    expires_at: Time,
    quantity: Quantity,
    places: Vec<Place>,
    #[serde(serialize_with = "money::as_decimal")]
    total: Money,
    ticket: TicketView,
    #[serde(skip_serializing_if = "Option::is_none")]
    payment_id: Option<PaymentId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    contact: Option<Contact>,
    #[serde(skip_serializing_if = "Option::is_none")]
    handover: Option<HandoverView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    receipt: Option<Receipt>,
    version: i64,
    created_at: Time,
}

/// An order whose buyer has reported a problem, with whom to ask about it.
#[derive(Serialize)]
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
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct HandoverView {
    state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    sent_at: Option<Time>,
    #[serde(skip_serializing_if = "Option::is_none")]
    received_at: Option<Time>,
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<ProblemView>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ProblemView {
    message: String,
    reported_at: Time,
}

/// That of an order that was paid, also after its refund.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Receipt {
    number: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    paid_at: Option<Time>,
    #[serde(skip_serializing_if = "Option::is_none")]
    seller: Option<Contact>,
}

/// The contact details of a party of a paid order.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Contact {
    email: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
}

/// The ticket as it was ordered.
#[derive(Serialize)]
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

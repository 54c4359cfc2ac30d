//! An order as it is stored, and as version 0.1.0 has stored one that has ended: without the members that are optional here.

use common::events::{CancelReason, OrderStatus, OrderedTicket, RefundReason};
use common::ids::{OrderId, TicketId, UserId};
use common::{Money, Place, Quantity, Time};
use serde::{Deserialize, Serialize};

use super::{Handover, Order, Payment, Slot};

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct StoredOrder {
    #[serde(rename = "_id")]
    id: OrderId,
    version: i64,
    created_at: Time,
    user_id: UserId,
    ticket_id: TicketId,
    seller_id: UserId,
    ticket: OrderedTicket,
    status: OrderStatus,
    cancel_reason: Option<CancelReason>,
    quantity: Option<Quantity>,
    places: Option<Vec<Place>>,
    occupies: Option<bool>,
    #[serde(default)]
    withdrawn: bool,
    unpaid: bool,
    slot: Option<Slot>,
    total: Option<Money>,
    expires_at: Time,
    paid_at: Option<Time>,
    #[serde(default)]
    orphaned_charge: bool,
    payment: Option<Payment>,
    handover: Option<Handover>,
    refund_required: Option<RefundReason>,
}

impl From<StoredOrder> for Order {
    fn from(stored: StoredOrder) -> Order {
        let quantity = stored.quantity.unwrap_or(Quantity::ONE);
        Order {
            id: stored.id,
            version: stored.version,
            created_at: stored.created_at,
            user_id: stored.user_id,
            ticket_id: stored.ticket_id,
            seller_id: stored.seller_id,
            status: stored.status,
            cancel_reason: stored.cancel_reason,
            quantity,
            places: stored.places.unwrap_or_else(|| vec![Place::FIRST]),
            occupies: stored.status.is_live() || stored.withdrawn,
            withdrawn: stored.withdrawn,
            unpaid: stored.unpaid,
            slot: stored.slot,
            total: stored.total.unwrap_or_else(|| quantity.times(stored.ticket.listing.price)),
            ticket: stored.ticket,
            expires_at: stored.expires_at,
            paid_at: stored.paid_at,
            orphaned_charge: stored.orphaned_charge,
            payment: stored.payment,
            handover: stored.handover,
            refund_required: stored.refund_required,
        }
    }
}

impl From<Order> for StoredOrder {
    fn from(order: Order) -> StoredOrder {
        StoredOrder {
            id: order.id,
            version: order.version,
            created_at: order.created_at,
            user_id: order.user_id,
            ticket_id: order.ticket_id,
            seller_id: order.seller_id,
            ticket: order.ticket,
            status: order.status,
            cancel_reason: order.cancel_reason,
            quantity: Some(order.quantity),
            places: Some(order.places),
            occupies: Some(order.occupies),
            withdrawn: order.withdrawn,
            unpaid: order.unpaid,
            slot: order.slot,
            total: Some(order.total),
            expires_at: order.expires_at,
            paid_at: order.paid_at,
            orphaned_charge: order.orphaned_charge,
            payment: order.payment,
            handover: order.handover,
            refund_required: order.refund_required,
        }
    }
}

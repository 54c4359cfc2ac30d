//! The state of the whole system: all documents of all services, all events, and what processes have read but not yet
//! written.

use expiration::domain::Schedule;
use orders::domain::{Order, TicketReplica};
use payments::domain::OrderPayment;
use tickets::domain::Ticket;

use crate::events::{Listener, Message};
use crate::interner::Interned;
use crate::stripe::StripeState;

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct State {
    /// The ticket, in tickets.
    pub ticket: Interned<Ticket>,
    /// Its replica in orders.
    pub ticket_replica: Option<Interned<TicketReplica>>,
    pub purchases: Vec<Purchase>,
    /// Every published event. None is removed: any may be redelivered.
    pub deliveries: Vec<Delivery>,
    /// How many failures of Stripe are left.
    pub failures_left: u8,
}

/// One order, in every service.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Purchase {
    /// The buyer's request has read the available ticket, and then the next hold number.
    pub reading: Option<(Interned<TicketReplica>, Option<i64>)>,
    pub order: Option<Interned<Order>>,
    /// The consumer of `payment.created` has decided to reserve the ticket again, under this hold number.
    pub pending_retake: Option<i64>,
    pub schedule: Option<Interned<Schedule>>,
    pub payment: Option<Interned<OrderPayment>>,
    pub stripe: Interned<StripeState>,
    /// Whether the reservation has expired, by orders' clock.
    pub has_expired: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Delivery {
    pub message: Interned<Message>,
    /// It is not published yet.
    pub in_outbox: bool,
    /// The consumers that have not acknowledged it, one bit each.
    pending: u8,
    /// How many of its writes orders has completed.
    pub writes_done: u8,
}

impl State {
    /// The order that is live, in orders' database.
    pub fn live_order(&self) -> Option<usize> {
        self.purchases.iter().position(|purchase| purchase.order.is_some_and(|order| order.active))
    }

    pub fn orders(&self) -> impl Iterator<Item = &Order> {
        self.purchases.iter().filter_map(|purchase| purchase.order.map(Interned::get))
    }

    pub fn delivery(&mut self, message: Interned<Message>) -> &mut Delivery {
        let delivery = self.deliveries.iter_mut().find(|delivery| delivery.message == message);
        delivery.expect("a published message")
    }

    /// Added to the outbox, in the same write as the document.
    pub fn publish(&mut self, messages: &[Interned<Message>]) {
        for message in messages {
            if !self.deliveries.iter().any(|delivery| delivery.message == *message) {
                self.deliveries.push(Delivery::new(*message));
            }
        }
        self.deliveries.sort_by_key(|delivery| delivery.message.number());
    }
}

impl Delivery {
    fn new(message: Interned<Message>) -> Delivery {
        let listeners =
            Listener::ALL.into_iter().filter(|listener| message.is_consumed_by(*listener));
        let pending = listeners.fold(0, |bits, listener| bits | bit(listener));
        // A message without consumers needs no step to be published.
        Delivery { message, in_outbox: pending != 0, pending, writes_done: 0 }
    }

    pub fn is_pending_for(&self, listener: Listener) -> bool {
        self.pending & bit(listener) != 0
    }

    pub fn is_pending(&self) -> bool {
        self.pending != 0
    }

    pub fn acknowledge(&mut self, listener: Listener) {
        self.pending &= !bit(listener);
    }
}

fn bit(listener: Listener) -> u8 {
    match listener {
        Listener::Tickets => 1,
        Listener::Orders => 2,
        Listener::Payments => 4,
        Listener::Expiration => 8,
    }
}

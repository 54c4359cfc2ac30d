//! The state of one order and its payment: in orders, in payments, at Stripe, and on the way between them.

use super::stripe::StripeState;
use crate::protocol::event::Event;
use crate::protocol::order::Order;
use crate::protocol::payment::{Payment, Step};
use crate::protocol::places::Places;
use crate::protocol::stripe::Reply;

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct State {
    /// In orders.
    pub order: Order,
    /// The consumer of `payment.created` has chosen these places for an order that was paid late.
    pub again: Option<Places>,
    /// Whether the reservation has expired, by orders' clock.
    pub has_expired: bool,
    /// Another buyer has taken the places.
    pub has_rival: bool,
    /// In payments.
    pub payment: Payment,
    pub stripe: StripeState,
    /// Requests and responses, each of a process that may crash or be late.
    pub in_flight: Vec<InFlight>,
    /// Every published event that may still have an effect.
    pub deliveries: Vec<Delivery>,
    /// Something has happened at Stripe that no process has recorded: a webhook is on its way, or reconciliation finds it.
    pub has_news: bool,
    pub failures_left: u8,
    pub losses_left: u8,
    /// It was not us who has cancelled, captured, refunded.
    pub is_done_elsewhere: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InFlight {
    pub step: Step,
    /// None: on the way to Stripe.
    pub reply: Option<Reply>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Delivery {
    pub event: Event,
    pub is_pending: bool,
    /// It was published again, because nobody seems to have reacted to it.
    pub is_reminder: bool,
}

impl State {
    /// Added to the outbox, in the same write as the document. What was published before is delivered again.
    pub fn publish(&mut self, event: Event, is_reminder: bool) {
        let delivery = Delivery { event, is_pending: true, is_reminder };
        match self.deliveries.binary_search_by_key(&event, |delivery| delivery.event) {
            Ok(place) => self.deliveries[place] = delivery,
            Err(place) => self.deliveries.insert(place, delivery),
        }
    }

    pub fn acknowledge(&mut self, event: Event) {
        for delivery in &mut self.deliveries {
            if delivery.event == event {
                (delivery.is_pending, delivery.is_reminder) = (false, false);
            }
        }
    }

    pub fn is_overdue(&self) -> bool {
        self.has_expired && self.order.unpaid
    }

    /// A process begins to wait for Stripe.
    pub fn send(&mut self, step: Step, reply: Option<Reply>) {
        self.in_flight.push(InFlight { step, reply });
        self.in_flight.sort_unstable();
    }
}
